"""Fine-tuning packs its batches: the gradient is that of padded ones, on one device and on eight."""

import functools

import jax
import numpy as np
import pytest

from jaxsim import data, losses, pretrained
from jaxsim.commands.fine_tuning import batches, labels, texts
from jaxsim.commands.inputs.columns import Labeled, Pairs
from jaxsim.numerics._device_batches import spread

WORDS = [
    "red green",
    "old new small",
    "blue",
    "square large dark heavy soft",
    "hard light",
    "big red",
]
ONE = {"epochs": 1, "steps": None, "seed": 0}


def task_of(folder, negatives=None):
    model = pretrained.load(folder)
    pairs = Pairs(WORDS, WORDS[::-1], negatives, None)
    loss = functools.partial(losses.info_nce, temperature=0.5)
    return texts.Task(model, loss, pairs, pairs, 5, graded=False, prompts=(None, None))


def gradient(task, batch):
    """The mean over eight simulated devices, as in a step: vmap has their collectives."""
    objective = functools.partial(task.objective(), key=jax.random.key(0), axis_name="devices")
    without_dropout = functools.partial(task.model.encode, key=None)
    task.encode = lambda params, one, **_: without_dropout(params, one)

    def of_device(params, part):
        return jax.value_and_grad(objective)(params, part)

    split = jax.jit(jax.vmap(of_device, (None, 0), axis_name="devices"))(task.model.params, batch)
    return jax.tree.map(lambda a: np.asarray(a).mean(axis=0), split)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "negatives", [None, [["round"], [], ["old"], ["new", "red"], [], ["soft"]]]
)
def test_the_gradient_of_a_packed_batch_is_the_padded_ones(tiny, negatives, monkeypatch):
    task = task_of(tiny, negatives)
    packed = task.batches(**ONE)[0]
    assert set(packed["texts"]) == set(data.packed([], 4))
    rows = packed["ids"]
    monkeypatch.setattr(batches, "packer", lambda *_, **__: None)
    task.packer = None
    padded = {**task.columns(rows, 0), "where": packed["where"], "ids": rows}
    counts = ((packed, 1), (packed, 8), (padded, 1))
    results = [gradient(task, spread(batch, count)) for batch, count in counts]
    for result in results[1:]:
        for ours, theirs in zip(*map(jax.tree.leaves, (result, results[0])), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_batches_are_of_two_shapes_and_hold_every_text(tiny):
    task = task_of(tiny)
    devices = len(jax.local_devices())
    shapes = set()
    for batch in task.batches(epochs=3, steps=None, seed=0):
        packed = batch["texts"]
        shapes.add(packed["tokens"].shape)
        real = int((batch["ids"] >= 0).sum())
        assert packed["where"].sum() == packed["lengths"].sum()
        assert (packed["lengths"] > 0).sum() == 2 * real
        assert len(packed["lengths"]) % devices == 0
        spread(batch, devices)
    assert len(shapes) <= 2


def test_texts_with_classes_are_packed_too(tiny):
    model = pretrained.load(tiny)
    rows = Labeled(WORDS, ["a", "a", "b", "b", "a", "b"])
    task = labels.LabelTask(model, losses.triplet, rows, rows, 4, per_class=2, prompt=None)
    batch = task.batches(**ONE)[0]
    assert batch["text"]["lengths"].sum() == sum(
        len(task.texts[row]) for row in batch["ids"] if row >= 0
    )


def test_a_batch_packed_for_fewer_devices_is_refused():
    packed = data.packed([np.arange(1, 4)] * 4, 6)
    batch = {"texts": packed, "where": np.ones(4, bool), "ids": np.arange(4, dtype=np.int32)}
    with pytest.raises(ValueError, match="packed for a multiple of 4 devices"):
        spread(batch, 4)


def test_what_packs_no_texts_gets_padded_ones(tiny):
    model = pretrained.load(tiny)
    pairs = Pairs(WORDS, WORDS[::-1], None, None)
    named = {"graded": False, "prompts": (None, None), "chunk": 2}
    task = texts.Task(model, losses.info_nce, pairs, pairs, 4, **named)
    assert {"query", "documents"} <= set(task.batches(**ONE)[0])
