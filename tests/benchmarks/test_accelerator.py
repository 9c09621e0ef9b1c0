"""The command for an accelerator: its table, its report, and all of it at toy sizes where much is not installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.accelerator import report, rows
from benchmarks.accelerator.__main__ import PARTS, main

ROOT = Path(__file__).resolve().parents[2]
# What a bare machine with a card does not have.
ABSENT = [
    "grain",
    "tensorflow_datasets",
    "tyro",
    "pytorch_metric_learning",
    "faiss",
    "array_record",
    "hypothesis",
    "rax",
]
BLOCKER = f"""
import importlib.machinery
plain = importlib.machinery.PathFinder.find_spec.__func__
def find_spec(cls, name, path=None, target=None):
    return None if name.split(".")[0] in {ABSENT!r} else plain(cls, name, path, target)
importlib.machinery.PathFinder.find_spec = classmethod(find_spec)
"""


def test_ratio_and_share_say_how_fast_whichever_way_is_better():
    slow = rows.Row("a", "ms", ours=4.0, peer=8.0, limit=1.0)
    rate = rows.Row("b", "texts/s", ours=4.0, peer=8.0, limit=16.0, higher=True)
    assert (slow.ratio, slow.share, rate.ratio, rate.share) == (2.0, 0.25, 0.5, 0.25)
    assert rows.Row("c", "error", ours=1e-6, limit=1e-5).share is None
    assert rows.line(slow.tree()) == "| a | ms | 4 | 8 | 2 | 1 | 0.25 |  |"


def test_rows_are_read_back_without_one_that_a_kill_cut_short(tmp_path):
    setting = rows.Setting(tmp_path, 1, True, None)
    rows.put(setting, "card", rows.Row("a", "ms", ours=4.0))
    with (tmp_path / rows.FILE).open("a") as file:
        file.write('{"part": "card", "wo')
    assert [row["work"] for row in rows.read(tmp_path)] == ["a"]


def test_the_report_of_a_card_replaces_its_own_and_keeps_the_others(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("# Benchmarks\n\nwords\n\n## Search\n\nmore\n")

    def put(card, value):
        about = {"card": card, "line": "2026-01-01, jax 1"}
        report.write(tmp_path, about, [rows.Row("a", "ms", ours=value).tree()])
        return report.report(tmp_path, page)

    assert (put("one", 1.0), put("two", 2.0), put("one", 3.0)) == ("one", "two", "one")
    text = page.read_text()
    assert text.startswith("# Benchmarks\n\nwords\n\n## Search\n\nmore\n\n## Accelerators\n")
    assert text.count("### one") == text.count("### two") == 1
    assert "| a | ms | 3 |" in text
    assert "| a | ms | 1 |" not in text
    assert "| a | ms | 2 |" in text
    page.write_text(text + "\n## After\n\nlast\n")
    put("two", 4.0)
    assert page.read_text().endswith("\n## After\n\nlast\n")
    assert page.read_text().index("| a | ms | 4 |") < page.read_text().index("## After")


def test_a_folder_with_rows_is_not_written_over(tmp_path):
    (tmp_path / rows.FILE).write_text("{}\n")
    with pytest.raises(SystemExit, match="holds the rows of another run"):
        main(["--out", str(tmp_path)])


@pytest.mark.thorough
def test_everything_that_a_part_imports_is_there_on_a_bare_machine(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    parts = ", ".join(f"benchmarks.accelerator.{name}" for name in PARTS)
    probe = f"import {parts}, benchmarks.catalog, experiments.anncur, jaxsim.pretrained, jaxsim.training"
    done = subprocess.run(
        [sys.executable, "-c", probe],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1000:]


@pytest.mark.thorough
def test_every_part_runs_where_only_the_named_packages_are(tmp_path, tiny):
    if "JAXSIM_DATA" not in os.environ:
        pytest.skip("needs JAXSIM_DATA")
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "sitecustomize.py").write_text(BLOCKER)
    assert main(["--pack", str(tmp_path / "pack"), "--model", str(tiny)]) == 0
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "blocked"), "XLA_FLAGS": ""}
    folders = ["--data", str(tmp_path / "pack"), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.accelerator", "--toy", "--minutes", "8", *folders],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    tree = json.loads((tmp_path / "out" / report.RESULT).read_text())
    found = {row["part"]: row for row in tree["rows"]}
    assert set(found) == set(PARTS)
    wrong = [
        r
        for r in tree["rows"]
        if "failed" in r.get("note", "") or "stopped after" in r.get("note", "")
    ]
    assert not wrong
    errors = [row for row in tree["rows"] if row.get("unit") == "error"]
    assert len(errors) >= 12
    assert all(row.get("ours", 0) <= row["limit"] for row in errors)


@pytest.mark.thorough
def test_a_part_that_runs_out_of_time_is_a_row_and_the_others_are_there(tmp_path):
    words = [
        "--toy",
        "--minutes",
        "0.05",
        "--parts",
        "losses",
        "card",
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.accelerator", *words], cwd=ROOT, check=False
    )
    assert done.returncode == 0
    notes = {row["part"]: row.get("note", "") for row in rows.read(tmp_path / "out")}
    assert "stopped after" in notes["losses"]
    assert "card" in notes
