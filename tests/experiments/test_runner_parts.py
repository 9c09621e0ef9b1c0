"""The optional parts of an experiment: work for all seeds, arms that run once or read others, other figures."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toy_parts
from devices import flags
from rich.console import Console

from experiments import runner
from experiments.frame import fingerprints, rows

ROOT = Path(__file__).resolve().parents[2]


def run(workdir, *, seeds=3, config=toy_parts.PRESETS["smoke"]):
    return runner.run(
        toy_parts,
        config,
        preset="smoke",
        seeds=seeds,
        workdir=workdir,
        console=Console(quiet=True),
    )


def lasting(results):
    """What must not depend on when it was run."""
    return json.loads(
        json.dumps({n: results[n] for n in ("rows", "claim", "facts")}, default=float)
    )


@pytest.fixture
def calls(monkeypatch):
    """The parts that were run, in order."""
    said = []

    def noted(name, function):
        def noting(config, *rest):
            said.append((name, config.seed, *(rest[:1] if name == "run" else ())))
            return function(config, *rest)

        return noting

    for name in ("prepare_all", "prepare", "run"):
        monkeypatch.setattr(toy_parts, name, noted(name, getattr(toy_parts, name)))
    return said


def test_every_part_runs_as_often_as_it_must_and_after_what_it_reads(tmp_path, calls):
    results = run(tmp_path)
    assert [call for call in calls if call[0] != "run"] == [
        ("prepare_all", 0),
        *(("prepare", seed) for seed in range(3)),
    ]
    ran = [call[1:] for call in calls if call[0] == "run"]
    assert sorted(ran) == sorted(
        [(seed, arm) for seed in range(3) for arm in ("plain", "better")]
        + [(0, "words"), (0, "soup")]
    )
    for seed in range(3):
        assert ran.index((seed, "plain")) < ran.index((seed, "better"))
    assert ran[-1] == (0, "soup")
    assert results["facts"] == {"all seeds": {"center": 3.0}} | {
        seed: {"numbers": 12 + seed} for seed in range(3)
    }
    assert list(results["arms"]) == list(toy_parts.ARMS)
    assert results["claim"]["verdict"] == "held"
    assert results["pictures"] == ["claim", "means"]
    for name in results["pictures"]:
        assert (tmp_path / f"{name}.png").stat().st_size > 1000
    calls.clear()
    assert lasting(run(tmp_path)) == lasting(results)  # from the files
    assert calls == []


def test_more_seeds_run_what_is_new_and_what_reads_every_seed(tmp_path, calls):
    run(tmp_path, seeds=2)
    calls.clear()
    results = run(tmp_path)
    ran = [call[1:] for call in calls if call[0] == "run"]
    assert ran == [(2, "plain"), (2, "better"), (0, "soup")]
    soup = [row for row in results["rows"] if row["arm"] == "soup"]
    assert [row["read"] for row in soup] == [3.0, 3.0]
    means = [np.random.default_rng(seed).normal(size=12 + seed).mean() + 3 for seed in range(3)]
    assert soup[0]["mean"] == pytest.approx(np.mean(means))
    assert "mean interval" not in soup[0], "an arm that ran once has one number"


def test_arms_that_are_read_are_added_to_a_choice(tmp_path):
    results = run(tmp_path, config=toy_parts.Config(arms=("better",)))
    assert list(results["arms"]) == ["better", "plain", "words"]


def test_rows_of_an_arm_that_ran_once_pair_with_every_seed(tmp_path):
    (compared,) = [c for c in run(tmp_path)["claim"]["comparisons"] if c["over"] == "words"]
    means = [np.random.default_rng(seed).normal(size=12 + seed).mean() + 4 for seed in range(3)]
    reach = 4.302652729 * np.std(means, ddof=1) / np.sqrt(3)  # Student's t, two degrees of freedom
    np.testing.assert_allclose(
        [compared["mean"], compared["low"], compared["high"]],
        np.mean(means) + np.array([0, -reach, reach]),
    )


def test_a_lost_folder_of_an_arm_that_is_read_is_made_again(tmp_path, calls):
    run(tmp_path, seeds=1)
    (numbers,) = tmp_path.rglob("plain/numbers.json")
    numbers.unlink()
    numbers.parent.rmdir()
    calls.clear()
    run(tmp_path, seeds=1)
    assert [call[1:] for call in calls if call[0] == "run"] == [(0, "plain")]
    assert numbers.exists()


def test_without_prepare_the_arms_share_what_all_seeds_do(tmp_path, monkeypatch):
    monkeypatch.delattr(toy_parts, "prepare")
    monkeypatch.delattr(toy_parts, "run_seeds")
    shared = toy_parts.Shared(np.arange(3.0), 1.0, {"numbers": 3})
    monkeypatch.setattr(toy_parts, "prepare_all", lambda config, workdir: shared)
    results = run(tmp_path, seeds=2, config=toy_parts.Config(arms=("better",)))
    assert results["facts"] == {"all seeds": {"numbers": 3}, 0: {}, 1: {}}
    assert [row["mean"] for row in results["rows"] if row["arm"] == "plain"] == [2.0, 2.0]


def test_rows_come_back_from_their_file_as_they_were(tmp_path):
    row = {
        "noise": runner_key(0.1),
        "k": 3,
        "name": "x",
        "mean": 1 / 3,
        "each": np.array([[0.1, np.nan], [np.inf, 1e-300]]),
        "median": runner.Resampled(np.float32(0.1), np.array([0.1, -np.inf])),
        "grouped": runner.Grouped(np.array([0.1, 0.2]), np.array(["a", "b"])),
        "numbered": runner.Grouped(np.ones((2, 2)), np.array([3, 3])),
    }
    rows.write(tmp_path / "rows.json", [row])
    (back,) = rows.read(tmp_path / "rows.json")
    assert list(back) == list(row)
    for name in ("noise", "k", "name", "mean"):
        assert (type(back[name]), back[name]) == (type(row[name]), row[name])
    np.testing.assert_array_equal(back["each"], row["each"])
    assert back["median"].value == row["median"].value
    np.testing.assert_array_equal(back["median"].repeats, row["median"].repeats)
    for name in ("grouped", "numbered"):
        np.testing.assert_array_equal(back[name].values, row[name].values)
        np.testing.assert_array_equal(back[name].groups, row[name].groups)


def runner_key(value):
    from experiments.frame.figures import Key

    return Key(value)


def test_keys_with_fractions_are_keys_in_the_results(tmp_path):
    run(tmp_path, seeds=1)
    kept = json.loads((tmp_path / "results.json").read_text())
    assert {row["noise"] for row in kept["rows"]} == {0, "0.5"}
    assert {row["count"] for row in kept["rows"] if "count" in row} == {12.0}


def test_stages_are_made_once_by_whoever_comes_first(tmp_path):
    made, stages = [], runner.Stages(tmp_path)

    def make(folder):
        made.append(folder)
        return len(made)

    assert [stages("one", make), stages("two", make), stages("one", make)] == [1, 2, 1]
    assert made == [tmp_path / "one", tmp_path / "two"]
    with pytest.raises(ValueError, match=r"a stage must be named by letters, digits and _-. got"):
        stages("../x", make)


TREES = {
    "string": "1",
    "int": 1,
    "float": 1.0,
    "bool": True,
    "none": None,
    "array": np.ones(1),
    "single": np.ones(1, np.float32),
    "matrix": np.ones((1, 1)),
    "list": ["a", "b"],
    "turned": ["b", "a"],
    "nested": [["a"], "b"],
    "joined": ["ab"],
    "dict": {"a": "b"},
    "words": np.array(["a", "b"]),
    "objects": np.array(["a", "b"], dtype=object),
}


def test_fingerprints_of_other_trees_differ():
    assert len({fingerprints.of_tree(tree) for tree in TREES.values()}) == len(TREES)
    one, other = {"a": 1, "b": [2, np.ones(3)]}, {"b": (2, np.ones(3)), "a": 1}
    assert fingerprints.of_tree(one) == fingerprints.of_tree(other)
    assert fingerprints.of_tree(toy_parts.Config()) == fingerprints.of_tree(toy_parts.Config())
    with pytest.raises(TypeError, match="set"):
        fingerprints.of_tree({1, 2})


def test_the_fingerprint_of_a_folder_is_of_its_files(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner/weights").write_bytes(b"123")
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "other/.lock").write_text("hidden")
    one, other = (runner.folder_fingerprint(tmp_path / name) for name in ("one", "other"))
    assert one == other
    (tmp_path / "other/inner/weights").write_bytes(b"124")
    assert runner.folder_fingerprint(tmp_path / "other") != one
    (tmp_path / "one/inner/weights").rename(tmp_path / "one/weights")
    assert runner.folder_fingerprint(tmp_path / "one") != one
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        runner.folder_fingerprint(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: must hold a file at least"):
        runner.folder_fingerprint(tmp_path / "empty")


def test_a_changed_part_of_the_data_is_named(tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO", "jaxsim.experiments")
    run(tmp_path, seeds=1)
    monkeypatch.setattr(
        toy_parts, "fingerprint", lambda config: {"numbers": np.arange(12), "names": ["b"]}
    )
    run(tmp_path, seeds=1)
    assert "not reused" in caplog.text
    assert "the data's names" in caplog.text
    assert "the data's numbers" not in caplog.text


KILLED = f"""
import os, signal, sys, threading, time
from pathlib import Path
sys.path[:0] = [{str(ROOT)!r}, {str(Path(toy_parts.__file__).parent)!r}]
import toy_parts
from experiments import runner
from rich.console import Console

workdir, wait = sys.argv[1:]

def parts():
    return sum(1 for _ in Path(workdir).rglob("*.json"))

def kill(before=parts()):
    # Counted from its first part, so that a slow machine gets as far as a fast one.
    while parts() <= before:
        time.sleep(0.001)
    time.sleep(float(wait))
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=kill, daemon=True).start()
slow = toy_parts.PRESETS["slow"]
runner.run(toy_parts, slow, preset="smoke", seeds=3, workdir=workdir, console=Console(quiet=True))
"""


@pytest.mark.thorough
def test_a_sweep_of_all_parts_killed_five_times_ends_like_an_unbroken_one(tmp_path):
    slow, killed = toy_parts.PRESETS["slow"], tmp_path / "killed"
    unbroken = run(tmp_path / "unbroken", config=slow)
    random = np.random.default_rng(1)
    for _ in range(5):
        words = [sys.executable, "-c", KILLED, str(killed), str(random.uniform(0.05, 0.35))]
        environment = os.environ | {"XLA_FLAGS": flags(8)}
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert not list(killed.glob("results.json"))
    assert list(killed.rglob("seed-*/*.json")), "the killed runs kept no part"
    ran = run(killed, config=slow)
    assert lasting(ran) == lasting(unbroken)
    assert len([p for p in killed.iterdir() if p.is_dir()]) == 1, "nothing was reused"
    stored = [
        {
            str(path.relative_to(workdir)): path.read_text()
            for path in workdir.rglob("seed*/**/*.json")
        }
        for workdir in (killed, tmp_path / "unbroken")
    ]
    assert stored[0] == stored[1]
