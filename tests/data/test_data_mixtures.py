"""Composed batches: no name twice, one task at a time, mined negatives; planned, shared, resumable."""

import functools

import numpy as np
import pytest

from jaxsim import data

RANDOM = np.random.default_rng(0)
ROWS = 200
NAMES = np.concatenate([np.repeat(np.arange(10), 11), 100 + np.arange(90)])  # 10 frequent, 90 alone
COLUMNS = {"x": RANDOM.normal(size=(ROWS, 2)).astype(np.float32)}
PAIRS = np.stack([NAMES, RANDOM.permutation(NAMES)], axis=1)


def distinct(names=NAMES, **settings):
    return data.distinct_batches(COLUMNS, names, **{"batch_size": 16, "seed": 0} | settings)


def all_of(dataset):
    return [dataset[place] for place in range(len(dataset))]


def test_no_label_comes_twice_in_a_batch():
    dataset = distinct(epochs=2)
    assert len(dataset) == 24  # 12 whole batches of 16 in 200 rows, 11 of a name at most
    for batch in all_of(dataset):
        assert batch["where"].all()
        assert len(set(NAMES[batch["ids"]])) == 16
        np.testing.assert_array_equal(batch["x"], COLUMNS["x"][batch["ids"]])
    first = np.concatenate([batch["ids"] for batch in all_of(dataset)[:12]])
    second = np.concatenate([batch["ids"] for batch in all_of(dataset)[12:]])
    assert len(set(first)) == len(set(second)) == 12 * 16
    assert (first != second).any()


def test_a_name_that_is_too_frequent_waits_in_part():
    names = np.where(np.arange(ROWS) < 150, 0, np.arange(ROWS))
    dataset = distinct(names, batch_size=6)
    assert len(dataset) == 10  # 50 others fill ten batches with five each, the sixth is of name 0
    for batch in all_of(dataset):
        assert len(set(names[batch["ids"]])) == 6
    assert len({i for batch in all_of(dataset) for i in batch["ids"] if i >= 150}) == 50


def test_no_text_comes_twice_in_either_column():
    dataset = distinct(PAIRS)
    assert len(dataset) == ROWS // 16
    seen = []
    for batch in all_of(dataset):
        own = batch["ids"][batch["where"]]
        for column in PAIRS[own].T:
            assert len(set(column)) == len(own)
        seen += own.tolist()
    assert len(set(seen)) == len(seen) > 0.97 * 16 * len(dataset)


def test_rows_without_a_name_exclude_nothing():
    batch = distinct(np.full(ROWS, -1), batch_size=200)[0]
    assert sorted(batch["ids"]) == list(range(ROWS))


def tasks(steps=60, seed=0, **shard):
    sources = {
        "few": functools.partial(
            data.array_batches, {"y": np.arange(40)}, batch_size=8, seed=1, **shard
        ),
        "many": functools.partial(data.array_batches, COLUMNS, batch_size=16, seed=2, **shard),
    }
    return data.task_batches(sources, {"few": 1, "many": 3}, seed=seed, steps=steps)


def test_a_batch_is_of_one_task_and_tasks_come_by_weight():
    batches = all_of(tasks(steps=400))
    few = [batch for batch in batches if (batch["task"] == 0).all()]
    assert all((batch["task"] == 1).all() for batch in batches if "x" in batch)
    assert all("y" in batch for batch in few)
    assert 70 < len(few) < 130  # 100 expected, 8.7 one standard deviation
    first = np.concatenate([batch["ids"] for batch in few[:5]])
    assert sorted(first) == list(range(40)), "a task's batches are not taken in its own order"
    with pytest.raises(ValueError, match=r"weights must be for \['few'\], got \['many'\]"):
        data.task_batches({"few": None}, {"many": 1}, seed=0, steps=1)


def single(**settings):
    of_tasks = {"few": {"y": np.arange(40)}, "many": COLUMNS}
    sizes = {"few": 8, "many": 12}
    return data.single_task_batches(of_tasks, sizes, **{"seed": 0} | settings)


def test_an_epoch_has_every_whole_batch_of_every_task():
    dataset = single(epochs=2)
    assert len(dataset) == 2 * (40 // 8 + 200 // 12)
    leftovers = []
    for batches in (all_of(dataset)[:21], all_of(dataset)[21:]):
        few = [batch for batch in batches if "y" in batch]
        many = [batch for batch in batches if "x" in batch]
        assert len(few) == 5
        assert all((batch["task"] == 0).all() and len(batch["ids"]) == 8 for batch in few)
        assert all((batch["task"] == 1).all() and len(batch["ids"]) == 12 for batch in many)
        for batch in batches:
            assert batch["where"].all()
            column, values = ("y", np.arange(40)) if "y" in batch else ("x", COLUMNS["x"])
            np.testing.assert_array_equal(batch[column], values[batch["ids"]])
        assert sorted(np.concatenate([batch["ids"] for batch in few])) == list(range(40))
        rows = np.concatenate([batch["ids"] for batch in many])
        assert len(set(rows)) == len(rows) == 192
        leftovers.append(set(range(200)) - set(rows))
    assert leftovers[0] != leftovers[1], "the same rows wait in every epoch"
    orders = [[int(b["task"][0]) for b in all_of(dataset)[start:][:21]] for start in (0, 21)]
    assert orders[0] != orders[1] != sorted(orders[1])


def mixed(**settings):
    of_tasks = {"few": {"y": np.arange(40)}, "many": COLUMNS}
    return data.mixed_batches(of_tasks, {"few": 8, "many": 12}, **{"seed": 0} | settings)


def test_a_mixed_batch_has_rows_of_every_task_and_each_example_comes_once_in_a_pass():
    dataset = mixed()
    assert len(dataset) == 200 // 12
    batches = all_of(dataset)
    few = [batch["few"]["ids"] for batch in batches]
    many = np.concatenate([batch["many"]["ids"] for batch in batches])
    for batch in batches:
        real = batch["few"]["where"]
        np.testing.assert_array_equal(real, np.arange(12) < 8)
        np.testing.assert_array_equal(batch["few"]["y"][real], batch["few"]["ids"][real])
        np.testing.assert_array_equal(batch["few"]["ids"][~real], -1)
        np.testing.assert_array_equal(batch["many"]["x"], COLUMNS["x"][batch["many"]["ids"]])
        np.testing.assert_array_equal(batch["ids"], batch["many"]["ids"])
        assert batch["where"].all()
    for start in (0, 5, 10):  # a pass over the smaller task
        assert sorted(np.concatenate([ids[:8] for ids in few[start : start + 5]])) == list(
            range(40)
        )
    assert len(set(many)) == len(many) == 192
    whole = all_of(mixed(steps=7))[6]
    halves = [all_of(mixed(steps=7, shard=(index, 2)))[6] for index in range(2)]
    for task in ("few", "many"):
        rows = np.concatenate([half[task]["ids"][half[task]["where"]] for half in halves])
        np.testing.assert_array_equal(rows, whole[task]["ids"][whole[task]["where"]])
    with pytest.raises(ValueError, match=r"batch_sizes must be for \['few'\], got \['many'\]"):
        data.mixed_batches({"few": {"y": np.arange(40)}}, {"many": 8}, seed=0)


def test_what_single_task_batches_refuse():
    few = {"few": {"y": np.arange(40)}}
    with pytest.raises(ValueError, match=r"batch_sizes must be for \['few'\], got \['many'\]"):
        data.single_task_batches(few, {"many": 8}, seed=0)
    with pytest.raises(ValueError, match=r"batch_sizes\['few'\] must be at most the 40 examples"):
        data.single_task_batches(few, {"few": 41}, seed=0)
    with pytest.raises(ValueError, match="tasks must be a dict by task"):
        data.single_task_batches({}, {}, seed=0)


DOCUMENTS = {"z": np.arange(50).astype(np.float32)[:, None]}
POSITIVES = np.arange(40)
NEGATIVES = np.where(RANDOM.random((40, 6)) < 0.6, (POSITIVES[:, None] + 1 + np.arange(6)) % 50, -1)
NEGATIVES[:, 0] = (POSITIVES + 1) % 50


def mined(negatives=NEGATIVES, **settings):
    settings = {"batch_size": 16, "per_query": 3, "seed": 0} | settings
    return data.negative_batches({"q": POSITIVES}, DOCUMENTS, POSITIVES, negatives, **settings)


def test_a_query_comes_with_its_document_and_its_own_negatives():
    dataset = mined(epochs=3)
    assert len(dataset) == 9
    drawn = set()
    for batch in all_of(dataset):
        assert batch["document_ids"].shape == (16, 4)
        for row in np.flatnonzero(batch["where"]):
            query = batch["ids"][row]
            own = batch["document_ids"][row]
            assert own[0] == POSITIVES[query]
            known = set(NEGATIVES[query]) - {-1}
            assert set(own[1:]) <= known
            assert len(set(own[1:])) == min(3, len(known)), "negatives repeat without need"
            np.testing.assert_array_equal(batch["documents"]["z"][row, :, 0], own)
            drawn |= {(query, document) for document in own[1:]}
        assert (batch["document_ids"][~batch["where"]] == -1).all()
    assert len(drawn) > 0.9 * (NEGATIVES >= 0).sum(), "the draws do not change over the epochs"


@pytest.mark.parametrize(
    "make", [distinct, functools.partial(distinct, PAIRS), tasks, single, mined]
)
def test_batches_go_on_where_they_stood_and_processes_share_them(make):
    dataset = make(steps=30)
    iterator = iter(dataset)
    for _ in range(17):
        next(iterator)
    position = iterator.get_state()
    rest = [batch["ids"].tolist() for batch in iterator]
    again = iter(make(steps=30))
    again.set_state(position)
    assert [batch["ids"].tolist() for batch in again] == rest
    parts = [make(steps=30, shard=(index, 2)) for index in range(2)]
    for place in (0, 13, 29):
        for column in ("ids", "document_ids") if make is mined else ("ids",):
            both = np.concatenate([part[place][column] for part in parts])
            np.testing.assert_array_equal(both, dataset[place][column])


def test_bad_arguments_are_named():
    with pytest.raises(
        ValueError, match="batch_size must be at most the 100 distinct names, got 101"
    ):
        distinct(batch_size=101)
    with pytest.raises(ValueError, match=r"names must be \[200, any\]"):
        distinct(NAMES[:5])
    with pytest.raises(ValueError, match="negatives has none for query 3: mine more"):
        mined(np.where(np.arange(40)[:, None] == 3, -1, NEGATIVES))
    with pytest.raises(ValueError, match="negatives has the positive of query 7 among"):
        mined(np.where(np.arange(40)[:, None] == 7, 7, NEGATIVES))
    with pytest.raises(ValueError, match="negatives must be places from -1 to 49 in the documents"):
        mined(NEGATIVES + 45)


@pytest.mark.parametrize("wide", [2**32, 2**62])
def test_names_beyond_32_bits_are_kept_apart(wide):
    """In 32 bits they are 0 to 7 twice; the largest leaves no room for the names of -1."""
    names = np.concatenate([np.arange(8), np.arange(8) + wide, [-1, -1, 2**63 - 1]])
    dataset = data.distinct_batches({"x": names}, names, batch_size=19, seed=0)
    assert sorted(dataset[0]["ids"]) == list(range(19))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distinct(NAMES * 0.5), "names must be integers, got float64"),
        (lambda: distinct(seed=-1), "seed must be a whole number of at least 0, got -1"),
        (lambda: distinct(epochs=0), "epochs must be a whole number of at least 1, got 0"),
        (
            lambda: mined(NEGATIVES, batch_size=0),
            "batch_size must be a whole number of at least 1, got 0",
        ),
        (
            lambda: mined(NEGATIVES, batch_size=80),
            "batch_size must be at most the 40 examples that there are, got 80",
        ),
        (lambda: mined(NEGATIVES * 1.0), "negatives must be integers, got float64"),
        (
            lambda: mined([[1], [1, 2]]),
            "negatives must be one array, got rows of different lengths",
        ),
        (
            lambda: data.negative_batches(
                {"q": POSITIVES}, {}, POSITIVES, NEGATIVES, batch_size=4, per_query=1, seed=0
            ),
            r"documents must be \{name: array\}, such as .* got dict without columns",
        ),
        (lambda: data.task_batches({}, {}, seed=0, steps=1), "sources must be a dict by task, got"),
        (lambda: by_weights({"a": 0.0, "b": 1}), r"weights\['a'\] must be > 0, got 0.0"),
        (lambda: by_weights({"a": np.nan, "b": 1}), r"weights\['a'\] must be > 0, got nan"),
        (lambda: by_weights({"a": 1, "b": np.inf}), r"weights\['b'\] must be finite, got inf"),
        (lambda: by_weights({"a": 1, "b": "1"}), r"weights\['b'\] must be > 0, got '1'"),
        (
            lambda: data.task_batches({"a": None}, {"a": 1}, seed=0, steps=1),
            r"sources\['a'\] must be a function",
        ),
    ],
)
def test_what_cannot_be_composed_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def by_weights(weights):
    source = functools.partial(data.array_batches, COLUMNS, batch_size=2, seed=0)
    return data.task_batches({"a": source, "b": source}, weights, seed=0, steps=3)
