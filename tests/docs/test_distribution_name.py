"""The distribution's name: another project on the index is called as the import is."""

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxsim

ROOT = Path(__file__).resolve().parents[2]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
NAME = "jaxsim-similarity"


def test_the_distribution_has_a_name_that_is_not_taken():
    assert SETUP["metadata"]["name"] == NAME


def test_no_text_installs_the_other_project():
    files = [ROOT / name for name in ("README.md", "setup.cfg", "Makefile", "CONTRIBUTING.md")]
    for folder in ("jaxsim", "experiments", "benchmarks", "docs"):
        files += [p for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".md")]
    wrong = {
        str(path.relative_to(ROOT)): found
        for path in files
        if (found := re.findall(r"\bjaxsim\[\w.*?\]", path.read_text(encoding="utf-8")))
    }
    assert wrong == {}


def test_the_extras_that_are_named_exist():
    extras = set(SETUP["options.extras_require"])
    for path in [
        *(ROOT / "jaxsim").rglob("*.py"),
        ROOT / "setup.cfg",
        ROOT / "benchmarks/search.py",
    ]:
        for names in re.findall(NAME + r"\[([\w,]+)\]", path.read_text(encoding="utf-8")):
            assert set(names.split(",")) <= extras, path


def test_readme_says_what_to_install_and_what_not():
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"The distribution is `{NAME}`" in readme
    assert "do not `pip install jaxsim`" in readme


@pytest.mark.parametrize("folder", ["experiments", "benchmarks"])
def test_the_other_project_is_recognized(folder, tmp_path):
    (tmp_path / "jaxsim").mkdir()
    (tmp_path / "jaxsim" / "__init__.py").write_text("")
    (tmp_path / folder).mkdir()
    source = (ROOT / folder / "__init__.py").read_text(encoding="utf-8")
    (tmp_path / folder / "__init__.py").write_text(source, encoding="utf-8")
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, '.'); import {folder}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert (
        "ImportError: jaxsim.losses is missing: the jaxsim that is installed is another"
        in done.stderr
    )


def test_names_of_the_other_project_say_whose_they_are():
    with pytest.raises(AttributeError, match="no attribute 'rbda': this is similarity learning"):
        jaxsim.rbda  # noqa: B018
