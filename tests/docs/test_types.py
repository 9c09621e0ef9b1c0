"""Editors understand what users write: the type checker finds no wrong call in the code that we show.

What is checked is in pyproject.toml: whether a call's arguments exist and fit, and whether what is read
is there. experiments/ is checked by basedpyright without arguments, which is one of the checks here.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.joinpath("docs").glob("*.md"))]
NOTEBOOKS = sorted(ROOT.joinpath("notebooks").glob("*.ipynb"))
RULES = "reportCallIssue", "reportArgumentType", "reportAttributeAccessIssue"
CALLS = """
import numpy as np

from jaxsim import losses

queries = documents = np.eye(4, 8)
labels = np.arange(4)
losses.info_nce(queries, documents, temperature=0.1, axis_name=None)
losses.info_nce(queries, documents, where=labels >= 0, document_ids=labels)
losses.supervised_contrastive(queries, labels, temperature=0.1, reduce_fn=None)
losses.info_nce(queries, documents, axis_nam=None)  # wrong
losses.info_nce(queries, documents, temperatur=0.1)  # wrong
losses.supervised_contrastive(queries, labels, wher=labels >= 0)  # wrong
"""


def blocks(page):
    """The Python of a page, with the names that it leaves to the reader."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        return [re.sub(r"^%.*", "", cell) for cell in code]  # a line of IPython
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def complaints(folder, *paths):
    """[(file, line, rule, message)] of the checker, with the settings of pyproject.toml."""
    settings = {
        "extraPaths": [str(ROOT)],
        "pythonVersion": "3.11",
        "typeCheckingMode": "off",
        **dict.fromkeys(RULES, "error"),
    }
    config = folder / "pyrightconfig.json"
    config.write_text(json.dumps(settings | {"include": [str(path) for path in paths]}))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(
        [*command, "-p", str(config)], cwd=folder, capture_output=True, text=True, timeout=300
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] >= 1
    return [
        (Path(d["file"]).name, d["range"]["start"]["line"] + 1, d.get("rule"), d["message"])
        for d in report["generalDiagnostics"]
        if d["severity"] == "error"
    ]


@pytest.mark.thorough
def test_the_code_that_we_show_is_right(tmp_path):
    for page in (*PAGES, *NOTEBOOKS):
        code = "\n\n".join(blocks(page))
        if code:
            (tmp_path / f"{page.stem}_{page.suffix[1:]}.py").write_text(code)
    assert complaints(tmp_path, tmp_path) == []


@pytest.mark.thorough
def test_experiments_are_right(tmp_path):
    assert complaints(tmp_path, ROOT / "experiments") == []


@pytest.mark.thorough
def test_a_misspelled_argument_is_seen(tmp_path):
    (tmp_path / "calls.py").write_text(CALLS)
    wrong = [n for n, line in enumerate(CALLS.splitlines(), 1) if line.endswith("# wrong")]
    assert [line for _, line, _, _ in complaints(tmp_path, tmp_path)] == wrong
