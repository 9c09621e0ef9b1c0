"""The frame: a new file is enough, a killed sweep loses nothing, only what matches is reused."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toy
from devices import flags
from rich.console import Console

from experiments import __main__ as command
from experiments import runner
from experiments.tables import interval

ROOT = Path(__file__).resolve().parents[2]
TOY = Path(toy.__file__)


def run(workdir, *, seeds=3, module=toy, config=toy.PRESETS["smoke"], console=None):
    console = console or Console(quiet=True)
    return runner.run(
        module, config, preset="smoke", seeds=seeds, workdir=workdir, command="", console=console
    )


def lasting(results):
    """What must not depend on when it was run."""
    return {n: results[n] for n in ("rows", "claim", "facts")}


def test_rows_are_means_with_intervals_and_the_verdict_follows(tmp_path):
    results = run(tmp_path)
    found = {(row["arm"], row["k"]): row for row in results["rows"]}
    samples = np.stack([np.random.default_rng(seed).normal(size=20) for seed in range(3)])
    for arm, shift in toy.SHIFT.items():
        for k in (1, 2):
            np.testing.assert_allclose(found[arm, k]["figure"], (samples * k + shift).mean())
    assert results["claim"]["verdict"] == "held"
    assert "held against plain (+1.000" in results["claim"]["sentence"]
    low, high = found["good", 1]["one interval"]
    means = samples.mean(axis=1)
    # Student's t with two degrees of freedom, by hand.
    reach = 4.302652729 * means.std(ddof=1) / np.sqrt(3)
    np.testing.assert_allclose([low, high], means.mean() + np.array([-reach, reach]))
    assert json.loads((tmp_path / "results.json").read_text()) == json.loads(json.dumps(results))
    assert (tmp_path / "toy.png").stat().st_size > 1000


def test_one_number_has_no_interval_and_decides_nothing():
    rows = [{"arm": arm, "seed": 0, "figure": value} for arm, value in (("a", 1.0), ("b", 0.0))]
    found = runner.difference(rows, "a", over="b", on="figure")
    assert (found.mean, found.low, found.verdict) == (1.0, None, "not decided")


def test_pairs_are_compared_within_their_seed_and_keys():
    rows = [
        {"arm": arm, "seed": seed, "k": k, "figure": 100.0 * seed + 10 * k + (arm == "a")}
        for arm in "ab"
        for seed in range(4)
        for k in (1, 2)
        if not (arm == "b" and seed == 3)  # unpaired: left out
    ]
    found = runner.difference(rows, "a", over="b", on="figure")
    np.testing.assert_allclose([found.mean, found.low, found.high], 1.0)


def test_seeds_are_resampled_with_the_examples():
    apart = np.repeat([[0.0], [1.0], [2.0]], 50, axis=1)
    low, high = interval(apart)
    assert low < 0.5
    assert high > 1.5


def test_what_is_there_is_reused_and_what_is_not_is_named(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "jaxsim.experiments")
    first = run(tmp_path, seeds=2)
    ran = []
    monkeypatch.setattr(
        toy,
        "run",
        lambda config, arm, *rest, own=toy.run: (
            ran.append((config.seed, arm)) or own(config, arm, *rest)
        ),
    )
    assert lasting(run(tmp_path, seeds=2)) == lasting(first)
    assert ran == []
    assert "seed 0: good is there already" in caplog.text
    run(tmp_path, seeds=3)
    assert ran == [(2, arm) for arm in toy.ARMS]
    ran.clear()
    run(tmp_path, seeds=1, config=toy.Config(data="b"))
    assert len(ran) == 3
    assert "not reused" in caplog.text
    assert re.search(r"differs in .*data .*'a' then, 'b' now", caplog.text)


def test_a_changed_source_makes_other_rows(tmp_path):
    copy = tmp_path / "copied_toy.py"
    copy.write_text(TOY.read_text())
    one = run(tmp_path / "runs", module=command.load(str(copy)), seeds=1)
    copy.write_text(TOY.read_text().replace('"good": 1.0', '"good": 3.0'))
    other = run(tmp_path / "runs", module=command.load(str(copy)), seeds=1)
    assert one["rows"][0]["figure"] + 2 == pytest.approx(other["rows"][0]["figure"])


def test_an_arm_without_rows_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(toy, "run", lambda *arguments: [])
    with pytest.raises(ValueError, match="good gave no rows for seed 0"):
        run(tmp_path)


def test_all_seeds_at_once_give_the_rows_of_each(tmp_path, monkeypatch):
    apart = run(tmp_path / "apart")

    def run_seeds(config, arm, seeds, shared, workdir):
        # Vectorised over seeds, as a small model would be.
        stacked = np.stack(shared)
        return [
            {"seed": seed, "k": k, "kind": "each", "figure": row, "one": float(own.mean())}
            for k in (1, 2)
            for seed, row, own in zip(seeds, stacked * k + toy.SHIFT[arm], stacked, strict=True)
        ]

    monkeypatch.setattr(toy, "run_seeds", run_seeds, raising=False)
    monkeypatch.delattr(toy, "run")
    together = run(tmp_path / "together")
    assert lasting(together) == lasting(apart)
    monkeypatch.setattr(toy, "run_seeds", None)  # not called again
    assert lasting(run(tmp_path / "together")) == lasting(apart)


KILLED = f"""
import os, signal, sys, threading, time
from pathlib import Path
sys.path[:0] = [{str(ROOT)!r}, {str(TOY.parent)!r}]
import toy
from experiments import runner
from rich.console import Console

workdir, wait = sys.argv[1:]

def rows():
    return sum(1 for _ in Path(workdir).rglob("seed-*/*.json"))

def kill(before=rows()):
    # Counted from its first row, so that a slow machine gets as far as a fast one.
    while rows() == before:
        time.sleep(0.001)
    time.sleep(float(wait))
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=kill, daemon=True).start()
runner.run(toy, toy.PRESETS["slow"], preset="slow", seeds=3, workdir=workdir, console=Console(quiet=True))
"""


def test_a_sweep_killed_five_times_ends_like_an_unbroken_one(tmp_path):
    slow = toy.PRESETS["slow"]
    unbroken = run(tmp_path / "unbroken", config=slow)
    random, counts = np.random.default_rng(0), [0]
    for _ in range(5):
        words = [sys.executable, "-c", KILLED, str(tmp_path / "killed")]
        words.append(str(random.uniform(0, 0.12)))
        environment = os.environ | {"XLA_FLAGS": flags(8)}
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        counts.append(len(list((tmp_path / "killed").rglob("seed-*/*.json"))))
    assert counts == sorted(set(counts)), "a run kept no row of its own"
    assert not list((tmp_path / "killed").glob("results.json"))
    ran = run(tmp_path / "killed", config=slow)
    assert lasting(ran) == lasting(unbroken)
    folders = [p for p in (tmp_path / "killed").iterdir() if p.is_dir()]
    assert len(folders) == 1, "the killed runs had another identity, so nothing was reused"
    for path in (tmp_path / "killed").rglob("*.json"):
        json.loads(path.read_text())  # what a kill cut short never takes a name


def test_the_file_in_the_docs_runs_from_anywhere_and_is_reported(tmp_path, monkeypatch, capsys):
    text = (ROOT / "docs/experiments.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "linear.py").write_text(block)
    monkeypatch.chdir(tmp_path)
    assert command.main(["linear.py", "--preset", "smoke", "--seeds", "2"]) == 0
    results = json.loads((tmp_path / "runs/linear/results.json").read_text())
    assert {row["arm"] for row in results["rows"]} == {"nca", "pixels"}
    assert command.main(["report"]) == 0
    report = (tmp_path / "RESULTS.md").read_text()
    assert "python -m experiments linear.py --preset smoke --seeds 2" in report
    assert results["claim"]["sentence"] in report
    assert f"| {results['identity']['device']} |" in report
    assert re.search(r"\| nca \| 0\.\d{3} ±0\.\d{3} \|", report)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no experiment 'nothing': there are anncur"),
        (["nothing.py"], "no file nothing.py"),
        ([str(TOY), "--preset", "huge"], "no preset 'huge' of toy: there are smoke, slow"),
        ([str(TOY), "--preset", "smoke", "--arms", "best"], "no arm 'best' of toy: there are good"),
        (["report", "--runs", "nowhere"], "no results.json in the folders of nowhere"),
    ],
)
def test_bad_words_get_one_sentence(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "RESULTS.md").exists()


def test_a_damaged_result_is_refused_by_name(tmp_path):
    (tmp_path / "runs/x").mkdir(parents=True)
    (tmp_path / "runs/x/results.json").write_text("{")
    assert (
        command.main(["report", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "R")])
        == 2
    )


def test_help_shows_every_setting_with_its_meaning(capsys):
    with pytest.raises(SystemExit) as done:
        command.main(["dual_embeddings", "--help"])
    assert done.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for words in ("--dim", "--negatives", "per pair", "how much a made-up pair counts", "--seeds"):
        assert words in shown


def test_the_list_names_every_paper_and_its_last_verdict(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(tmp_path / "runs/anncur")
    assert command.main([]) == 0
    shown = capsys.readouterr().out
    assert all(slug in shown for slug in command.slugs())
    assert "held" in shown
