"""Planned batches of arrays: every example, distinct classes, known lengths, positions that can be kept."""

import numpy as np
import pytest

from jaxsim import data

RANDOM = np.random.default_rng(0)
SIZES = [40, 3, 17, 25, 12, 9, 31, 6]  # examples of each class
LABELS = RANDOM.permutation(np.repeat(np.arange(8) * 10, SIZES))
COLUMNS = {"x": RANDOM.normal(size=(len(LABELS), 2)).astype(np.float32)}


def by_class(**settings):
    return data.class_batches(
        COLUMNS, LABELS, **{"classes": 3, "per_class": 4, "seed": 0} | settings
    )


def test_a_batch_has_so_many_classes_with_so_many_examples():
    dataset = by_class(epochs=3)
    for place in range(len(dataset)):
        batch = dataset[place]
        assert batch["where"].all()
        np.testing.assert_array_equal(batch["labels"], LABELS[batch["ids"]])
        np.testing.assert_array_equal(batch["x"], COLUMNS["x"][batch["ids"]])
        classes, counts = np.unique(batch["labels"], return_counts=True)
        assert counts.tolist() == [4, 4, 4]
        for label in classes:
            own = batch["ids"][batch["labels"] == label]
            # Only a class with fewer examples repeats some.
            assert len(set(own)) == min(4, SIZES[label // 10])


def test_an_epoch_is_as_long_as_distinct_classes_allow():
    """Groups of the classes: 10, 1, 4, 6, 3, 2, 7, 1. Eleven batches of three would need 33 of 34
    groups, and at most 11 of each class are of use: they are there."""
    dataset = by_class()
    assert len(dataset) == 11
    # With one class far larger than all others together, its groups are not all of use.
    lonely = np.repeat([0, 1, 2], [400, 8, 8])
    short = data.class_batches({"x": lonely}, lonely, classes=2, per_class=4, seed=0)
    assert len(short) == 4
    for place in range(4):
        assert len(set(short[place]["labels"])) == 2
    assert len(by_class(steps=50)) == 50
    assert len(by_class(epochs=2)) == 22


def test_an_epoch_repeats_no_example_of_a_class_that_has_enough():
    dataset = by_class(classes=2, per_class=3)
    seen = np.concatenate([dataset[place]["ids"] for place in range(len(dataset))])
    assert len(set(seen)) == len(seen)
    again = np.concatenate(
        [data.class_batches(COLUMNS, LABELS, classes=2, per_class=3, seed=1)[0]["ids"]]
    )
    assert set(again) != set(dataset[0]["ids"])


def test_classes_meet_many_others():
    """Not always the same neighbors: in four epochs of 4 groups a class, most pairs of classes meet."""
    labels = np.repeat(np.arange(30), 20)
    dataset = data.class_batches({"x": labels}, labels, classes=6, per_class=5, seed=0, epochs=4)
    met = np.zeros((30, 30), bool)
    for place in range(len(dataset)):
        own = np.unique(dataset[place]["labels"])
        met[np.ix_(own, own)] = True
    assert met.mean() > 0.85
    counts = np.bincount(np.concatenate([dataset[p]["labels"] for p in range(len(dataset))]))
    assert (counts == 80).all()


def test_shuffled_arrays_are_seen_once_an_epoch():
    dataset = data.array_batches(COLUMNS, batch_size=32, seed=0, epochs=2)
    assert len(dataset) == 10
    epochs = [[dataset[p] for p in range(5)], [dataset[p] for p in range(5, 10)]]
    orders = []
    for epoch in epochs:
        kept = [batch["ids"][batch["where"]] for batch in epoch]
        orders.append(np.concatenate(kept))
        assert sorted(orders[-1]) == list(range(len(LABELS)))
        assert epoch[-1]["x"].shape == (32, 2)
        assert not epoch[-1]["x"][~epoch[-1]["where"]].any()
        assert (epoch[-1]["ids"][~epoch[-1]["where"]] == -1).all()
    assert (orders[0] != orders[1]).any()


@pytest.mark.parametrize(
    "make",
    [by_class, lambda **more: data.array_batches(COLUMNS, batch_size=12, seed=0, **more)],
    ids=["classes", "arrays"],
)
def test_batches_go_on_where_they_stood_and_processes_share_them(make):
    dataset = make(steps=30)
    iterator = iter(dataset)
    for _ in range(17):
        next(iterator)
    position = iterator.get_state()
    rest = [batch["ids"] for batch in iterator]
    again = iter(make(steps=30))
    again.set_state(position)
    np.testing.assert_array_equal([batch["ids"] for batch in again], rest)
    parts = [make(steps=30, shard=(index, 2)) for index in range(2)]
    for place in (0, 13, 29):
        both = np.concatenate([part[place]["ids"] for part in parts])
        np.testing.assert_array_equal(both, dataset[place]["ids"])


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="classes must be at most 8, as labels has, got 9"):
        by_class(classes=9)
    with pytest.raises(ValueError, match=r"labels must be \[143\], one per row of the columns"):
        data.class_batches(COLUMNS, LABELS[:5], classes=2, per_class=2, seed=0)
    with pytest.raises(
        ValueError, match="batch_size must be a multiple of the 5 processes, got 12"
    ):
        by_class(shard=(0, 5))
    with pytest.raises(ValueError, match="columns must not be empty, got 0 rows"):
        data.array_batches({"x": np.zeros((0, 2))}, batch_size=4, seed=0)
    for columns, message in (
        ([1, 2], r"columns must be \{name: array\}, such as \{'x': x\}, got list"),
        ({"x": [1, 2]}, r"columns\['x'\] must be an array, got list: np.asarray it"),
        ({"x": np.array(["a", "b"])}, r"columns\['x'\] must be numbers, got <U1"),
    ):
        with pytest.raises(ValueError, match=message):
            data.array_batches(columns, batch_size=1, seed=0)
    with pytest.raises(ValueError, match=r"batch_size must be at most the 143 examples .* got 200"):
        data.array_batches(COLUMNS, batch_size=200, seed=0)
    with pytest.raises(ValueError, match="labels must fit 32 bits, got"):
        data.class_batches(COLUMNS, LABELS + 2**40, classes=2, per_class=2, seed=0)
    with pytest.raises(ValueError, match="give steps or epochs, got steps=3 and epochs=2"):
        by_class(steps=3, epochs=2)
    with pytest.raises(ValueError, match="per_class must be at most 143, the number of examples"):
        by_class(per_class=10**9)
    with pytest.raises(ValueError, match="labels must be integers, got float"):
        data.class_batches(COLUMNS, LABELS * 0.1, classes=2, per_class=2, seed=0)


def test_labels_beyond_32_bits_stay_apart_where_64_are_enabled(float64):
    wide = np.array([0, 2**32, 5, 5 + 2**32])
    batch = data.class_batches({"x": wide}, wide, classes=4, per_class=1, seed=0)[0]
    assert sorted(batch["labels"].tolist()) == sorted(wide.tolist())
