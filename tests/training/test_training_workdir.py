"""The folder of a run: whose it is, what is damaged in it, what a person reads in it."""

import json
import shutil
import threading

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsim import data, storage, training
from jaxsim.numerics import mean
from jaxsim.training import _journal as journal
from jaxsim.training._checkpoints import Checkpoints

X = np.random.default_rng(0).normal(size=(48, 2)).astype(np.float32)
PARAMS = {"w": jnp.ones(2), "b": jnp.zeros(())}
NAN = float("nan")


def objective(params, batch, *, key, axis_name):
    values = (batch["x"] @ params["w"] + params["b"] - 1 + jax.random.normal(key) / 10) ** 2
    return mean(values, batch["where"].astype(values.dtype), axis_name)


def fit(workdir, steps=6, *, optimizer=None, batches=None, **settings):
    if batches is None:
        batches = data.array_batches({"x": X}, batch_size=8, seed=0, steps=steps)
    settings = {"save_every": 2, "keep": 9, "log_every": 1, "steps": steps} | settings
    optimizer = optimizer or optax.adam(1e-2)
    return training.fit(
        objective, PARAMS, batches, optimizer=optimizer, workdir=workdir, **settings
    )


def assert_same(one, other):
    """Two trees hold bitwise the same finite numbers."""
    chex.assert_tree_all_finite(one)
    chex.assert_trees_all_equal(one, other)


def score(params):
    return {"score": -abs(float(params["w"][0]) - 0.98)}


def best(figures):
    return figures["score"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of six steps, with checkpoints of steps 2, 4 and 6, to be copied."""
    folder = tmp_path_factory.mktemp("run") / "run"
    fit(folder, validate=score, best=best)
    return folder


@pytest.fixture(scope="module")
def longer():
    """The parameters after eight steps."""
    return fit(None, steps=8)


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def steps_of(workdir):
    return sorted(int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit())


def test_a_finished_run_is_lengthened_and_one_beyond_the_steps_is_refused(copy, longer):
    # Data and optimizer continue where they were.
    assert_same(fit(copy, steps=8), longer)
    with pytest.raises(
        ValueError, match=r"is at step 8, beyond steps=6: give at least steps=8, or"
    ):
        fit(copy, steps=6)
    assert_same(fit(copy, steps=8), longer)


def test_a_second_run_in_one_workdir_is_refused(tmp_path):
    """While the first is in its third step; afterwards the workdir is free."""
    batches = data.array_batches({"x": X}, batch_size=8, seed=0, steps=4)
    found = []

    def report(step, figures):
        if step == 2:
            with pytest.raises(ValueError, match=r"workdir=.* is in use by this process already"):
                fit(tmp_path)
            found.append(step)

    first = fit(tmp_path, batches=batches, steps=4, report=report)
    assert found == [2]
    assert_same(fit(tmp_path, batches=batches, steps=4), first)


@pytest.mark.parametrize("name", ["metrics.jsonl", "loss.png", "checkpoints", "damaged"])
def test_a_folder_that_is_not_of_a_run_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(
        ValueError, match=f"holds {name} but no run.json: it is not the workdir of a"
    ):
        fit(tmp_path)
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON, or damaged"),
        ("[]", r"the file must be an object, got \[\]"),
        ("{}", "fingerprint must be a string or an object of settings, got None"),
        ('{"fingerprint": 3}', "fingerprint must be a string or an object of settings, got 3"),
        ('{"fingerprint": "", "key": 3}', "key must be a string, got 3"),
        ('{"fingerprint": "", "data": []}', r"data must be a string, got \[\]"),
    ],
)
def test_a_damaged_run_json_is_named(copy, text, message):
    (copy / "run.json").write_text(text)
    with pytest.raises(ValueError, match=f"run.json: {message}"):
        fit(copy, steps=8)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: not JSON, or damaged"),
        ("3", "line 1: the file must be an object, got 3"),
        ('{"loss": 3}', "line 1: lacks step, which must be a whole number"),
        ('{"step": "3"}', "line 1: step must be a whole number .*, got '3'"),
        ('{"step": 3, "loss": "x"}', "line 1: loss must be a number or null, got 'x'"),
        ('{"step": 3, "validation": 1}', "line 1: validation must be true or false, got 1"),
    ],
)
def test_a_damaged_log_is_named_and_left_alone(copy, line, message):
    path = copy / "metrics.jsonl"
    text = line + "\n" + path.read_text()
    path.write_text(text)
    with pytest.raises(ValueError, match=f"metrics.jsonl: {message}"):
        fit(copy, steps=8)
    assert path.read_text() == text


def test_a_line_that_a_kill_cut_short_is_dropped(copy):
    path = copy / "metrics.jsonl"
    whole = path.read_text()
    path.write_text(whole + '{"step": 6, "lo')
    assert len(journal.read(path)) == len(whole.splitlines())
    fit(copy, steps=8)
    assert path.read_text().startswith(whole)


def test_training_and_validation_are_two_series(tmp_path, monkeypatch):
    drawn, told = {}, []
    from matplotlib.axes import Axes

    def plot(self, x, y, label=None, **settings):
        drawn[label] = list(zip(x, y, strict=True))
        return original(self, x, y, label=label, **settings)

    original = Axes.plot
    monkeypatch.setattr(Axes, "plot", plot)
    losses = iter([0.5, NAN, 0.25])
    fit(
        tmp_path,
        validate=lambda params: {"loss": next(losses)},
        report=lambda *line: told.append(line),
    )
    lines = journal.read(tmp_path / "metrics.jsonl")
    held = [line for line in lines if line.get("validation")]
    assert held == [
        {"step": 2, "validation": True, "loss": 0.5},
        {"step": 4, "validation": True, "loss": None},
        {"step": 6, "validation": True, "loss": 0.25},
    ]
    assert [step for step, _ in drawn["training batches"]] == [1, 2, 3, 4, 5, 6]
    assert drawn["validation"] == [(2, 0.5), (6, 0.25)], "NaN is not drawn"
    assert (2, {"validation/loss": 0.5}) in told
    older = [{"step": 1, "loss": 1.0, "examples/s": 5.0}, {"step": 2, "loss": 0.5}]
    assert [journal.is_validation(line) for line in older] == [False, True], (
        "earlier versions' lines"
    )


# What of a checkpoint's files is damaged -> the line in the log.
DAMAGE = {
    "a bit of an array": lambda folder: flipped(max(folder.rglob("d/*"), key=size)),
    "a bit of the position": lambda folder: flipped(folder / "meta" / "metadata"),
    "a file cut short": lambda folder: cut(folder / "tree" / "_METADATA"),
    "a file removed": lambda folder: (folder / "tree" / "manifest.ocdbt").unlink(),
    "a folder removed": lambda folder: shutil.rmtree(folder / "meta"),
    "the manifest": lambda folder: (folder / "checksums.json").write_text("{"),
    "all files": lambda folder: [p.unlink() for p in folder.rglob("*") if p.is_file()],
    "a file in its place": lambda folder: (shutil.rmtree(folder), folder.write_text("mine")),
}


def size(path):
    return path.stat().st_size


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[: size(path) // 2])


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_and_moved(copy, longer, damage, caplog, capfd):
    DAMAGE[damage](copy / "checkpoints" / "6")
    assert_same(fit(copy, steps=8), longer)
    assert "passed over the checkpoint of step 6, which cannot be read" in caplog.text
    assert [p.name for p in (copy / "damaged").iterdir()] == ["6-0"]
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["7", "04", "100", "99999999999999999999"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_not_a_checkpoint_is_never_deleted(copy, longer, name, kind):
    place = copy / "checkpoints" / name
    (place.write_text("mine") if kind == "file" else place.mkdir())
    if kind == "folder":
        (place / "notes.txt").write_text("mine")
    assert_same(fit(copy, steps=8, keep=1), longer)
    moved = copy / "damaged" / f"{name}-0"
    assert (moved if kind == "file" else moved / "notes.txt").read_text() == "mine"


def test_other_files_next_to_checkpoints_stay(copy, longer):
    for name in ("notes.txt", "best", "6-copy"):
        (copy / "checkpoints" / name).write_text("mine")
    assert_same(fit(copy, steps=8, keep=1), longer)
    assert {p.name for p in (copy / "checkpoints").iterdir()} == {
        "notes.txt",
        "best",
        "6-copy",
        "8",
    }


def test_what_a_killed_process_left_is_swept(copy, longer):
    left = copy / "checkpoints" / "8.orbax-checkpoint-tmp"
    (left / "tree").mkdir(parents=True)
    mine = copy / "checkpoints" / "7.orbax-checkpoint-tmp"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    assert_same(fit(copy, steps=8), longer)
    assert not left.exists()
    assert (copy / "damaged" / f"{mine.name}-0" / "notes.txt").read_text() == "mine"


def test_a_checkpoint_of_an_earlier_version_is_read(copy, longer):
    """Without a manifest, without its step, and with NaN as Python writes it."""
    for folder in (copy / "checkpoints").iterdir():
        (folder / "checksums.json").unlink()
        path = folder / "meta" / "metadata"
        meta = json.loads(path.read_text())
        del meta["step"]
        meta["figures"]["score"] = NAN
        path.write_text(json.dumps(meta))
    assert_same(fit(copy, steps=8), longer)
    assert not (copy / "damaged").exists()


def test_all_checkpoints_damaged_begins_anew_and_keeps_them(copy, longer):
    for folder in (copy / "checkpoints").iterdir():
        cut(folder / "tree" / "_METADATA")
    assert_same(fit(copy, steps=8), longer)
    assert {p.name for p in (copy / "damaged").iterdir()} == {"2-0", "4-0", "6-0"}


def test_a_position_that_does_not_fit_the_batches_is_named(copy):
    for folder in (copy / "checkpoints").iterdir():
        (folder / "checksums.json").unlink()
        path = folder / "meta" / "metadata"
        path.write_text(path.read_text().replace("next_index", "place"))
    with pytest.raises(
        ValueError, match=r"saved with other batches: their position \{'place': 6\}"
    ):
        fit(copy, steps=8)


def kept(tmp_path, scores, **settings):
    """(steps that stay, the best by best_of) of a run that scored so."""
    left = iter(scores)
    fit(
        tmp_path,
        steps=2 * len(scores),
        validate=lambda params: {"score": next(left)},
        best=best,
        keep=2,
        batches=data.Planned(99, batch),
        **settings,
    )
    return steps_of(tmp_path), training.best_of(tmp_path, PARAMS, best=best)[0]


def batch(number):
    return {"x": X[:8], "where": np.ones(8, bool), "ids": np.arange(8, dtype=np.int32)}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1.0, 5.0, 4.0, 3.0, 2.0], ([4, 8, 10], 4)),
        ([NAN, 3.0, 4.0, 3.0, 2.0], ([6, 8, 10], 6)),
        ([1.0, NAN, 4.0, 3.0, NAN], ([6, 8, 10], 6)),
        ([2.0, 2.0, 1.0, 1.0, 1.0], ([4, 8, 10], 4)),  # of equals the last
        ([-np.inf, NAN, NAN, NAN, NAN], ([2, 8, 10], 2)),
    ],
)
def test_the_best_and_the_newest_stay_and_nan_is_never_the_best(tmp_path, scores, expected):
    assert kept(tmp_path, scores) == expected


def test_a_run_of_nan_alone_has_no_best(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="no checkpoint has figures of which best is a number"
    ):
        kept(tmp_path, [NAN, NAN, NAN])
    assert steps_of(tmp_path) == [4, 6]


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (
            lambda figures: figures["recall"],
            r"best failed on the figures \{'score': .*KeyError: 'rec",
        ),
        (
            lambda figures: None,
            "best must give a number, larger is better, got None for the figures",
        ),
        (lambda figures: "0.3", "best must give a number, larger is better, got '0.3'"),
        (lambda figures: figures, "best must give a number, larger is better, got {'score'"),
        ("score", "best must be a function of"),
    ],
)
def test_a_best_that_gives_no_number_is_named(run, tmp_path, choose, message):
    with pytest.raises(ValueError, match=message):
        fit(tmp_path, validate=score, best=choose)
    with pytest.raises(ValueError, match=message):
        training.best_of(run, PARAMS, best=choose)


def test_the_best_that_is_damaged_is_named(copy):
    step = training.best_of(copy, PARAMS, best=best)[0]
    flipped(max((copy / "checkpoints" / str(step)).rglob("d/*"), key=size))
    with pytest.raises(ValueError, match=f"{step}: the best checkpoint is damaged: .* has changed"):
        training.best_of(copy, PARAMS, best=best)
    shutil.rmtree(
        copy / "checkpoints" / str(step) / "meta"
    )  # its figures are not known: passed over
    assert training.best_of(copy, PARAMS, best=best)[0] != step


def test_parameters_are_found_by_name(tmp_path):
    """Fields of a class come in its order, what orbax gives back in the order of the names."""
    from typing import NamedTuple

    class Layer(NamedTuple):
        w: jax.Array
        b: jax.Array

    params = [Layer(jnp.ones(2), jnp.zeros(2)), {"10": jnp.full(2, 3.0), "9": jnp.full(2, 4.0)}]

    def loss(params, batch, *, key, axis_name):
        return mean((batch["x"] @ params[0].w) ** 2, batch["where"] * 1.0, axis_name)

    found = training.fit(
        loss,
        params,
        data.Planned(2, batch),
        optimizer=optax.sgd(0.1),
        workdir=tmp_path,
        validate=lambda params: {"score": 1.0},
        best=best,
    )
    read = training.best_of(tmp_path, params, best=best)[1]
    assert jax.tree.structure(read) == jax.tree.structure(found)
    assert_same(read, found)
    for other, message in (
        (params[:1], "has 4 parameters, params has 2"),
        ([*params, {"c": jnp.ones(2)}], r"has no parameter \[2\]\['c'\]"),
        ([Layer(jnp.ones(3), jnp.zeros(2)), params[1]], r"\[0\].w is \[3\], .*has \[2\]"),
    ):
        with pytest.raises(ValueError, match=message):
            training.best_of(tmp_path, other, best=best)


def test_a_full_disk_is_named_and_leaves_what_was_saved(tmp_path, monkeypatch):
    """The error comes from a thread of orbax; the message is the same for what is written at once."""
    from jaxsim.training import _manifest as manifest

    store = Checkpoints(tmp_path / "checkpoints")
    store.save(1, PARAMS, {"next_index": 1})
    store.close()

    def full(folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(manifest, "write_manifest", full)
    store = Checkpoints(tmp_path / "checkpoints")
    store.save(2, PARAMS, {"next_index": 2})
    with pytest.raises(
        OSError, match=r"checkpoints: a checkpoint could not be written: no space left"
    ):
        store.close()
    monkeypatch.undo()
    store = Checkpoints(tmp_path / "checkpoints")
    assert store.restore(PARAMS)[0] == 1
    store.close()


def test_the_lock_is_of_the_first_run(tmp_path):
    """A workdir that another owner holds is refused before anything is read or written."""
    started, done = threading.Event(), threading.Event()

    def other():
        with storage.owned(tmp_path):
            started.set()
            done.wait(60)

    thread = threading.Thread(target=other)
    thread.start()
    started.wait(60)
    try:
        with pytest.raises(ValueError, match="is in use by"):
            fit(tmp_path)
    finally:
        done.set()
        thread.join()
    assert not (tmp_path / "run.json").exists()
