"""The loop: resume is bitwise after a SIGKILL, signals save, damage is passed over, errors say why."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsim import training
from jaxsim.numerics import mean

ROOT = Path(__file__).resolve().parents[2]
X = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
PARAMS = {"w": jnp.ones(4), "b": jnp.zeros(())}


def batches(steps=40, rows=16):
    """Batches that can be resumed, a fifth of their rows padding."""

    def batch(number):
        ids = (np.arange(rows) + number * rows) % len(X)
        return {"x": X[ids], "where": ids % 5 > 0, "ids": ids.astype(np.int32)}

    return grain.MapDataset.range(steps).map(batch)


def objective(params, batch, *, key, axis_name):
    """Least squares with noise from the key, and a metric."""
    noise = jax.random.normal(key)
    values = (batch["x"] @ params["w"] + params["b"] - 1 + noise / 10) ** 2
    loss = mean(values, batch["where"].astype(values.dtype), axis_name)
    return loss, {"bias": params["b"]}


def fit(steps=40, **settings):
    settings = {"optimizer": optax.adam(1e-2), "save_every": 7, "steps": steps} | settings
    return training.fit(objective, PARAMS, settings.pop("batches", batches()), **settings)


def same(one, other):
    """Whether two trees hold bitwise the same numbers."""
    return all(
        np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


@pytest.fixture(scope="module")
def unbroken():
    return fit()


def test_a_workdir_changes_nothing_and_a_finished_run_returns_at_once(unbroken, tmp_path):
    assert same(fit(workdir=tmp_path), unbroken)
    begun = time.monotonic()
    assert same(fit(workdir=tmp_path, batches=batches(40)), unbroken)
    assert time.monotonic() - begun < 5


def test_the_callers_parameters_are_left_alone(unbroken):
    np.testing.assert_array_equal(PARAMS["w"], np.ones(4))
    assert not same(unbroken, PARAMS)


SCRIPT = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
import conftest
import test_training_loop as loop
import signal, os
workdir, kind, at = sys.argv[1:]
seen = iter(range(10**9))
def watched(params, batch, *, key, axis_name):
    return loop.objective(params, batch, key=key, axis_name=axis_name)
class Killing:
    # A dataset whose iterator sends a signal to this very process on its way.
    def __init__(self): self.inner = iter(loop.batches())
    def __iter__(self): return self
    def __next__(self):
        if self.get_state()["next_index"] == int(at):
            os.kill(os.getpid(), getattr(signal, kind))
        return next(self.inner)
    def get_state(self): return self.inner.get_state()
    def set_state(self, state): self.inner.set_state(state)
loop.fit(workdir=workdir, batches=Killing())
print("finished")
"""


def run_killed(workdir, kind, at):
    """A run in a process of its own that gets a signal when a batch is asked for."""
    script = SCRIPT.format(root=str(ROOT), tests=str(ROOT / "tests"))
    script = script.replace("sys.path[:0] = [", f"sys.path[:0] = [{str(Path(__file__).parent)!r}, ")
    return subprocess.run(
        [sys.executable, "-c", script, str(workdir), kind, str(at)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=900,
        check=False,
    )


@pytest.mark.thorough
def test_a_run_killed_three_times_ends_bitwise_like_an_unbroken_one(unbroken, tmp_path):
    """Before any checkpoint, between two, and as a step is asked for right after one was begun."""
    for at in (5, 18, 28):
        killed = run_killed(tmp_path, "SIGKILL", at)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert "finished" not in killed.stdout
    saved = sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit())
    assert 7 <= saved[-1] <= 28
    used = []

    class Watched:
        def __init__(self):
            self.inner = iter(batches())

        def __iter__(self):
            return self

        def __next__(self):
            used.append(self.inner.get_state()["next_index"])
            return next(self.inner)

        def get_state(self):
            return self.inner.get_state()

        def set_state(self, state):
            self.inner.set_state(state)

    assert same(fit(workdir=tmp_path, batches=Watched()), unbroken)
    assert used[1] == saved[-1], "the second run did not start from the checkpoint"
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 30, 40]
    assert {"loss", "bias", "examples/s"} <= set(lines[0])


@pytest.mark.thorough
def test_sigterm_saves_and_exits_with_zero(unbroken, tmp_path):
    ended = run_killed(tmp_path, "SIGTERM", 25)
    assert ended.returncode == 0, ended.stderr
    assert "finished" not in ended.stdout
    saved = sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit())
    assert saved[-1] == 26  # the step on its way is finished, and saved
    assert same(fit(workdir=tmp_path), unbroken)


@pytest.mark.thorough
def test_ctrl_c_saves_and_raises(unbroken, tmp_path, caplog):
    caplog.set_level("INFO", "jaxsim")

    class Interrupting:
        def __init__(self):
            self.inner = iter(batches())

        def __iter__(self):
            return self

        def __next__(self):
            if self.inner.get_state()["next_index"] == 12:
                os.kill(os.getpid(), signal.SIGINT)
            return next(self.inner)

        def get_state(self):
            return self.inner.get_state()

        def set_state(self, state):
            self.inner.set_state(state)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(workdir=tmp_path, batches=Interrupting())
    assert signal.getsignal(signal.SIGINT) is before
    assert "asked to stop: saves step 13 first" in caplog.text
    assert same(fit(workdir=tmp_path), unbroken)


@pytest.mark.thorough
@pytest.mark.parametrize("damage", ["cut", "emptied"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_taken(
    unbroken, tmp_path, damage, caplog
):
    with pytest.raises(ValueError, match="batches ended after 30 of steps=40"):
        fit(workdir=tmp_path, batches=batches(30), save_every=7)
    steps = sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit())
    newest = tmp_path / "checkpoints" / str(steps[-1])
    for file in [p for p in newest.rglob("*") if p.is_file()]:
        if damage == "emptied":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert same(fit(workdir=tmp_path), unbroken)
    kept = [p.name for p in (tmp_path / "damaged").iterdir()]
    assert kept == [f"{steps[-1]}-0"], "what was damaged is moved, not lost"
    assert f"passed over the checkpoint of step {steps[-1]}" in caplog.text


def test_another_runs_workdir_is_refused(tmp_path):
    fit(steps=3, workdir=tmp_path, fingerprint="one")
    with pytest.raises(
        ValueError, match="belongs to another run, with fingerprint 'one', this one has 'two'"
    ):
        fit(steps=3, workdir=tmp_path, fingerprint="two")


def test_a_changed_setting_is_named(tmp_path):
    settings = {"rate": 0.01, "data": {"rows": 100}, "seed": 0}
    fit(steps=3, workdir=tmp_path, fingerprint=settings)
    fit(steps=3, workdir=tmp_path, fingerprint=dict(reversed(settings.items())))
    match = (
        "belongs to another run, with other settings: data.rows 100, now 80; seed 0, now 1; remove"
    )
    with pytest.raises(ValueError, match=match):
        fit(steps=3, workdir=tmp_path, fingerprint={"rate": 0.01, "data": {"rows": 80}, "seed": 1})
    with pytest.raises(ValueError, match=r"with fingerprint \{.*'rate': 0.01.*this one has 'one'"):
        fit(steps=3, workdir=tmp_path, fingerprint="one")
    with pytest.raises(ValueError, match="fingerprint must be a string, or a dict of the settings"):
        fit(steps=3, workdir=tmp_path, fingerprint=7)


def test_changed_data_another_key_and_another_optimizer_are_refused(tmp_path):
    fit(steps=3, workdir=tmp_path)
    changed = batches().map(lambda b: b | {"x": b["x"] + (b["ids"] == 3)[:, None]})
    with pytest.raises(ValueError, match="was trained on other data: the first batch has changed"):
        fit(steps=5, workdir=tmp_path, batches=changed)
    with pytest.raises(ValueError, match="belongs to another run, with another key"):
        fit(steps=5, workdir=tmp_path, key=jax.random.key(1))
    with pytest.raises(ValueError, match=r"holds another tree than this run's: it has .*count"):
        fit(steps=5, workdir=tmp_path, optimizer=optax.sgd(0.1))
    assert (tmp_path / "checkpoints" / "3").exists()


@pytest.mark.thorough
def test_the_best_checkpoint_stays_beside_the_last_and_the_average_is_what_counts(tmp_path):
    def validate(params):
        return {"recall": -abs(float(params["w"][0]) - 0.9)}

    def best(figures):
        return figures["recall"]

    settings = {
        "workdir": tmp_path,
        "validate": validate,
        "best": best,
        "save_every": 4,
        "keep": 1,
        "average": 0.5,
        "optimizer": optax.adam(2e-2),
    }
    last = fit(**settings)
    assert same(fit(**settings), last)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    figures = {line["step"]: line["recall"] for line in lines if "recall" in line}
    assert sorted(figures) == list(range(4, 41, 4))
    top = max(figures, key=figures.get)
    assert top < 40
    saved = sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit())
    assert saved == [top, 40]
    step, params, found = training.best_of(tmp_path, PARAMS, best=best)
    assert (step, found) == (top, {"recall": figures[top]})
    assert validate(params)["recall"] == figures[top]
    with pytest.raises(ValueError, match="best needs validate="):
        fit(best=best)


def test_what_a_person_reads(tmp_path, caplog, monkeypatch):
    written = []

    class Writer:
        def __init__(self, folder):
            self.folder = folder

        def add_scalar(self, name, value, step):
            written.append((self.folder, name, step))

        def flush(self):
            pass

    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=Writer))
    with caplog.at_level("INFO", logger="jaxsim"):
        fit(workdir=tmp_path / "run", report=training.tensorboard(tmp_path / "board"))
    assert (str(tmp_path / "board"), "loss", 40) in written
    assert (tmp_path / "run" / "loss.png").read_bytes().startswith(b"\x89PNG")
    lines = [r.getMessage() for r in caplog.records if "compiled in" in r.getMessage()]
    assert len(lines) == 1, "one shape, one compilation"
    assert re.fullmatch(r"training: compiled in \d+\.\d s; \d+(\.\d)? k?B per device", lines[0])
    ends = [r.getMessage() for r in caplog.records if "640 of 640 examples" in r.getMessage()]
    assert re.search(r"loss [\d.]+  bias", ends[0])


def test_a_writer_that_is_not_installed_says_what_to_do(monkeypatch):
    for name, make in (
        ("tensorboardX", lambda: training.tensorboard("x")),
        ("wandb", lambda: training.weights_and_biases(project="x")),
    ):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match=f"needs {name}: pip install"):
            make()


def test_an_object_stores_log_is_written_whole(tmp_path, monkeypatch):
    from jaxsim.training import _journal as journal

    monkeypatch.setattr(journal, "is_local", lambda path: False)
    log = journal.Journal(tmp_path, 0, None)
    log.write(1, {"loss": 1.0})
    assert not (tmp_path / "metrics.jsonl").exists()
    log.flush()
    log.write(2, {"loss": 0.5})
    log.close("run")
    assert [line["step"] for line in journal.read(tmp_path / "metrics.jsonl")] == [1, 2]


def test_a_loss_that_is_not_finite_stops_with_step_ids_and_a_checkpoint(tmp_path):
    def poisoned(number):
        batch = batches()[number]
        return batch | {"x": batch["x"] * (np.nan if number == 9 else 1)}

    dataset = grain.MapDataset.range(40).map(poisoned)
    batch = batches()[9]
    ids = batch["ids"][batch["where"]].tolist()
    with pytest.raises(FloatingPointError) as caught:
        fit(workdir=tmp_path, batches=dataset)
    said = f"not finite in step 9, for the batch of ids {ids[:8]} and {len(ids) - 8} more; "
    assert said + "what came before is saved as step 9" in str(caught.value)
    good = fit(steps=9)
    saved = sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit())
    assert saved[-1] == 9
    assert same(fit(steps=9, workdir=tmp_path), good)


def test_all_ids_of_a_small_batch_are_named():
    dataset = grain.MapDataset.range(9).map(
        lambda number: batches(rows=8)[number] | {"x": np.full((8, 4), np.nan, np.float32)}
    )
    with pytest.raises(FloatingPointError, match=r"the batch of ids \[1, 2, 3, 4, 6, 7\]$"):
        fit(batches=dataset)


@pytest.mark.parametrize("missing", ["where", "ids"])
def test_a_batch_without_its_columns_is_refused(missing):
    dataset = batches().map(lambda b: {n: a for n, a in b.items() if n != missing})
    with pytest.raises(ValueError, match=f"batch must have a column '{missing}'"):
        fit(batches=dataset)


def test_a_batch_smaller_than_the_devices_is_refused():
    with pytest.raises(ValueError, match="batch size must be at least the 8 devices, got 4"):
        fit(batches=batches(rows=4))


def test_a_batch_that_does_not_divide_is_padded(unbroken):
    whole = fit(batches=batches(rows=13), devices=jax.devices()[:1])
    spread = fit(batches=batches(rows=13))
    np.testing.assert_allclose(spread["w"], whole["w"], rtol=1e-5)


def test_an_iterator_without_a_position_goes_without_a_workdir(tmp_path, unbroken):
    plain = [batches()[i] for i in range(40)]
    assert same(fit(batches=plain), unbroken)
    with pytest.raises(
        ValueError, match="must have get_state, to resume where it was; list_iterator"
    ):
        fit(batches=plain, workdir=tmp_path)


def test_steps_are_asked_for_where_they_are_not_known():
    with pytest.raises(ValueError, match="steps must be given where batches has no length"):
        training.fit(objective, PARAMS, iter(batches()), optimizer=optax.sgd(0.1))


def test_a_state_comes_back_and_is_resumed(tmp_path):
    def counting(params, state, batch, *, key, axis_name):
        loss, metrics = objective(params, batch, key=key, axis_name=axis_name)
        return loss, (state + 1, metrics)

    for steps in (5, 9):
        _, state = training.fit(
            counting,
            PARAMS,
            batches(),
            optimizer=optax.sgd(0.1),
            steps=steps,
            state=jnp.float32(0),
            workdir=tmp_path,
        )
        assert float(state) == steps


def test_a_resumed_run_sees_the_steps_of_an_unbroken_one(tmp_path):
    def timed(params, state, batch, *, key, axis_name, step):
        loss, metrics = objective(params, batch, key=key, axis_name=axis_name)
        return loss * jnp.where(step < 6, 1.0, 0.5), (state.at[step].add(step + 1), metrics)

    def run(steps, **settings):
        return training.fit(
            timed,
            PARAMS,
            batches(),
            optimizer=optax.sgd(0.1),
            steps=steps,
            state=jnp.zeros(9, int),
            **settings,
        )

    run(5, workdir=tmp_path)
    params, state = run(9, workdir=tmp_path)
    assert state.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert same((params, state), run(9))
