"""Batches: every example once an epoch, the same order for ever, positions that can be kept."""

import numpy as np
import pytest

from jaxsim import data
from jaxsim.numerics import bucket, bucket_of

RANDOM = np.random.default_rng(0)
EXAMPLES = [
    {
        "query": np.full(RANDOM.integers(1, 9), i + 1),
        "candidates": [np.full(RANDOM.integers(1, 5), 100 + i) for _ in range(3)],
    }
    for i in range(53)
]
BUCKETS = {"query": (4, 8), "candidates": (4,)}


def batches(**settings):
    settings = {"batch_size": 8, "buckets": BUCKETS, "seed": 0} | settings
    return data.batches(EXAMPLES, **settings)


def test_an_epoch_sees_every_example_once_with_its_own_tokens():
    dataset = batches()
    seen = []
    for place in range(len(dataset)):
        batch = dataset[place]
        kept = batch["where"]
        assert (batch["ids"][~kept] == -1).all()
        for row in np.flatnonzero(kept):
            example = EXAMPLES[batch["ids"][row]]
            text = batch["query"]["tokens"][row][batch["query"]["where"][row]]
            np.testing.assert_array_equal(text, example["query"])
            for item, wanted in enumerate(example["candidates"]):
                where = batch["candidates"]["where"][row, item]
                np.testing.assert_array_equal(
                    batch["candidates"]["tokens"][row, item][where], wanted
                )
        assert not batch["query"]["where"][~kept].any()
        assert not batch["candidates"]["where"][~kept].any()
        seen += batch["ids"][kept].tolist()
    assert sorted(seen) == list(range(53))


def test_shapes_are_those_of_the_buckets():
    dataset = batches()
    shapes = {dataset[i]["query"]["tokens"].shape for i in range(len(dataset))}
    assert shapes == {(8, 4), (8, 8)}
    assert {dataset[i]["candidates"]["tokens"].shape for i in range(len(dataset))} == {(8, 3, 4)}


def test_epochs_differ_and_the_seed_decides():
    one, again, other = batches(epochs=2), batches(epochs=2), batches(epochs=2, seed=1)
    half = len(one) // 2

    def ids(dataset):
        return [dataset[i]["ids"].tolist() for i in range(len(dataset))]

    assert ids(one) == ids(again) != ids(other)
    assert ids(one)[:half] != ids(one)[half:]
    flat = sorted(i for batch in ids(one)[half:] for i in batch if i >= 0)
    assert flat == list(range(53))


def test_steps_are_exact_and_go_over_epochs():
    assert len(batches(steps=100)) == 100
    assert len(list(batches(steps=20))) == 20


def test_a_position_is_kept_and_comes_back():
    whole = list(batches(steps=30))
    iterator = iter(batches(steps=30))
    for _ in range(11):
        next(iterator)
    state = iterator.get_state()
    fresh = iter(batches(steps=30))
    fresh.set_state(state)
    for mine, expected in zip(fresh, whole[11:], strict=True):
        np.testing.assert_array_equal(mine["ids"], expected["ids"])
        np.testing.assert_array_equal(mine["query"]["tokens"], expected["query"]["tokens"])


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_each_batch_and_its_shape(count):
    whole = batches()
    parts = [batches(shard=(index, count)) for index in range(count)]
    for place in range(len(whole)):
        each = [part[place] for part in parts]
        assert {b["query"]["tokens"].shape for b in each} == {
            (8 // count, whole[place]["query"]["tokens"].shape[1])
        }
        together = np.concatenate([b["ids"] for b in each])
        assert sorted(together[together >= 0]) == sorted(i for i in whole[place]["ids"] if i >= 0)


def test_buckets_by_hand():
    np.testing.assert_array_equal(bucket_of([1, 4, 5, 8], (4, 8)), [0, 0, 1, 1])
    assert bucket(5, (4, 8)) == 8


def made(examples):
    return data.batches(examples, batch_size=1, buckets={"t": (8,)}, seed=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: data.batches([], batch_size=8, buckets=BUCKETS, seed=0),
            "examples must not be empty",
        ),
        (lambda: batches(batch_size=0), "batch_size must be a whole number of at least 1, got 0"),
        (lambda: batches(shard=(0, 3)), "batch_size must be a multiple of the 3 processes, got 8"),
        (
            lambda: batches(buckets={"query": (8,)}),
            "buckets has no column 'candidates', example 0 does",
        ),
        (
            lambda: batches(buckets=BUCKETS | {"document": (8,)}),
            "example 0 has no column 'document': it has query, candidates",
        ),
        (
            lambda: batches(buckets=BUCKETS | {"query": (4,)}),
            r"examples\[\d+\]\['query'\] has 8 tokens, above the largest bucket, 4: cut the texts",
        ),
        (
            lambda: batches(batch_size=8.0),
            "batch_size must be a whole number of at least 1, got 8.0",
        ),
        (
            lambda: batches(batch_size=10_000),
            r"batch_size must be at most the \d+ examples that there are, got 10000",
        ),
        (lambda: batches(seed=-1), "seed must be a whole number of at least 0, got -1"),
        (lambda: batches(seed=None), "seed must be a whole number of at least 0, got None"),
        (lambda: batches(epochs=0), "epochs must be a whole number of at least 1, got 0"),
        (lambda: batches(epochs=0.5), "epochs must be a whole number of at least 1, got 0.5"),
        (lambda: batches(steps=0), "steps must be a whole number of at least 1, got 0"),
        (lambda: batches(steps=5, epochs=2), "give steps or epochs, got steps=5 and epochs=2"),
        (lambda: batches(shard=3), r"shard must be \(index, count\) or None, got 3"),
        (
            lambda: batches(shard=(2, 2)),
            r"shard must be \(index, count\) with index below count, got \(2, 2\)",
        ),
        (lambda: batches(buckets={}), r"buckets must be \{column: increasing lengths\}"),
        (
            lambda: batches(buckets=BUCKETS | {"query": (8, 4)}),
            r"buckets\['query'\] must be increasing lengths .* got \(8, 4\)",
        ),
        (
            lambda: batches(buckets=BUCKETS | {"query": 8}),
            r"buckets\['query'\] must be increasing lengths .* got 8",
        ),
        (
            lambda: batches(buckets=BUCKETS | {"query": (4.5, 8)}),
            r"buckets\['query'\] must be increasing lengths",
        ),
        (
            lambda: made([{"t": "a text"}]),
            r"examples\[0\]\['t'\] must be an int array of tokens, or a list of these, got str",
        ),
        (
            lambda: made([{"t": [1, 2, 3]}]),
            r"examples\[0\]\['t'\] must be an int array of tokens, or a list of these, got int",
        ),
        (
            lambda: made([{"t": np.ones(3)}]),
            r"examples\[0\]\['t'\] must be an int array .* got float64\[3\]",
        ),
        (
            lambda: made({"t": np.arange(3)}),
            r"examples\[0\]\['t'\] must be an int array of tokens, .*, got int64\[\]",
        ),
        (lambda: made([np.arange(3)]), r"examples\[0\] must be a dict of columns, got ndarray"),
        (
            lambda: made("text"),
            "examples must be a sequence of dicts of columns, got str",
        ),
        (
            lambda: made([{"t": np.array([2**40])}])[0],
            "rows must be token ids that fit 32 bits, got 1099511627776",
        ),
        (
            lambda: bucket_of([1], (4, 4)),
            r"buckets must be increasing lengths of at least 1, got \(4, 4\)",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
