"""The frame: a new file is enough, a killed sweep loses nothing, only what matches is reused."""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toy
from devices import flags
from rich.console import Console

from experiments import runner
from experiments.frame import files

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
    assert "good is higher than plain (+1.000" in results["claim"]["sentence"]
    low, high = found["good", 1]["one interval"]
    means = samples.mean(axis=1)
    # Student's t with two degrees of freedom, by hand.
    reach = 4.302652729 * means.std(ddof=1) / np.sqrt(3)
    np.testing.assert_allclose([low, high], means.mean() + np.array([-reach, reach]))
    assert json.loads((tmp_path / "results.json").read_text()) == json.loads(json.dumps(results))
    assert (tmp_path / "toy.png").stat().st_size > 1000
    assert (results["pictures"], results["arms"]) == (["claim", "toy"], toy.ARMS)


@pytest.mark.thorough
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
    run(tmp_path, seeds=1, config=toy.Config(size=25))
    assert len(ran) == 3
    assert "not reused" in caplog.text
    assert "size 20, now 25" in caplog.text


def test_results_of_other_settings_are_kept_where_these_are(tmp_path):
    first = run(tmp_path, seeds=2)
    other = run(tmp_path, seeds=1, config=toy.Config(size=25))
    assert other["changed"] == {"size": [20, 25]}
    kept = [json.loads(path.read_text()) for path in tmp_path.glob("*/results.json")]
    assert sorted(one["rows"][0]["figure"] for one in kept) == sorted(
        one["rows"][0]["figure"] for one in (first, other)
    )
    assert json.loads((tmp_path / "results.json").read_text())["changed"] == other["changed"]


def test_a_lost_file_of_facts_is_made_again(tmp_path):
    run(tmp_path, seeds=1)
    (facts,) = tmp_path.rglob("facts.json")
    facts.unlink()
    run(tmp_path, seeds=1)
    assert facts.exists()


def test_figures_that_are_not_finite_are_said_and_restored(tmp_path, monkeypatch):
    def run_nan(config, arm, shared, workdir, own=toy.run):
        rows = own(config, arm, shared, workdir)
        if arm == "plain":
            rows[0]["figure"] = np.where(np.arange(20) == 3, np.nan, rows[0]["figure"])
            rows[1]["one"] = np.inf
        return rows

    monkeypatch.setattr(toy, "run", run_nan)
    first = run(tmp_path)
    assert first["claim"]["verdict"] == "not decided"
    assert "NaN in 'figure' of arm 'plain', seed = 0, k = 1" in first["claim"]["sentence"]
    assert "good is higher than bad" in first["claim"]["sentence"]
    (row,) = [r for r in first["rows"] if (r["arm"], r["k"]) == ("plain", 1)]
    assert row["figure"] is None
    assert "figure interval" not in row
    assert lasting(run(tmp_path)) == lasting(first)  # from the files
    json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)


DAMAGE = {
    "good.json": ("{", "not JSON, or damaged"),
    "plain.json": ("[]", "must be a list of rows"),
    "bad.json": (
        '[{"k": null}]',
        r"\[0\].k must be a number, a string or an object of samples, got None",
    ),
    "facts.json": ("[]", "must be an object"),
    "seconds.json": ('{"good": "x"}', "good must be a finite number >= 0, got 'x'"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files_of_a_run_are_refused_by_name(name, tmp_path):
    run(tmp_path, seeds=1)
    (path,) = tmp_path.rglob(name)
    path.write_text(DAMAGE[name][0])
    with pytest.raises(ValueError, match=rf"{name}: .*{DAMAGE[name][1]}"):
        run(tmp_path, seeds=1)


def test_a_damaged_identity_of_another_run_is_named_and_stops_nothing(tmp_path, caplog):
    caplog.set_level(logging.INFO, "jaxsim.experiments")
    run(tmp_path, seeds=1)
    (path,) = tmp_path.rglob("identity.json")
    path.write_text('{"config": 3}')
    run(tmp_path, seeds=1, config=toy.Config(size=25))
    assert "identity.json: config must be an object, got 3" in caplog.text


def test_results_come_before_the_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(toy, "pictures", lambda rows: {"toy": 1 / 0})
    with pytest.raises(ValueError, match=r"toy\.py, in pictures: ZeroDivisionError"):
        run(tmp_path, seeds=1)
    assert (tmp_path / "results.json").exists()


def test_all_seeds_at_once_give_the_rows_of_each(tmp_path, monkeypatch):
    apart = run(tmp_path / "apart")

    def run_seeds(config, arm, seeds, shared, workdir):
        # Vectorized over seeds, as a small model would be.
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
    monkeypatch.setattr(toy, "run_seeds", lambda *arguments: pytest.fail("called again"))
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
runner.run(toy, toy.PRESETS["slow"], preset="smoke", seeds=3, workdir=workdir, console=Console(quiet=True))
"""


@pytest.mark.thorough
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


def test_a_changed_source_makes_other_rows(tmp_path):
    copy = tmp_path / "copied_toy.py"
    copy.write_text(TOY.read_text())
    one = run(tmp_path / "runs", module=files.load(str(copy)), seeds=1)
    copy.write_text(TOY.read_text().replace('"good": 1.0', '"good": 3.0'))
    other = run(tmp_path / "runs", module=files.load(str(copy)), seeds=1)
    assert one["rows"][0]["figure"] + 2 == pytest.approx(other["rows"][0]["figure"])


def test_a_changed_neighbor_makes_other_rows(tmp_path):
    (tmp_path / "shifts_of_toy.py").write_text("GOOD = 1.0")
    own = tmp_path / "neighbor_toy.py"
    own.write_text(
        TOY.read_text()
        .replace("from experiments import", "import shifts_of_toy\nfrom experiments import")
        .replace('"good": 1.0', '"good": shifts_of_toy.GOOD')
    )
    one = run(tmp_path / "runs", module=files.load(str(own)), seeds=1)
    (tmp_path / "shifts_of_toy.py").write_text("GOOD = 3.0")
    del sys.modules["shifts_of_toy"]
    other = run(tmp_path / "runs", module=files.load(str(own)), seeds=1)
    assert one["rows"][0]["figure"] + 2 == pytest.approx(other["rows"][0]["figure"])
