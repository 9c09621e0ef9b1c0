"""Tasks of disjoint classes, a memory that does not change, and batches of both; planned, shared, resumable."""

import numpy as np
import pytest

from jaxsim import data

LABELS = np.random.default_rng(0).permutation(np.repeat([3, 5, 8, 9, 12, 20], [9, 4, 7, 8, 2, 6]))
COLUMNS = {"x": np.arange(len(LABELS), dtype=np.float32)[:, None] + 1, "labels": LABELS}


def batches(new, memory, **settings):
    return data.rehearsal_batches(
        COLUMNS, new, memory, **{"batch_size": 6, "seed": 0, "epochs": 2} | settings
    )


def all_of(dataset):
    return [dataset[place] for place in range(len(dataset))]


def test_tasks_are_disjoint_and_in_an_order_of_the_seed():
    tasks = data.task_sequence(LABELS, (2, 3), seed=0)
    assert [len(task) for task in tasks] == [2, 3]
    classes = np.concatenate(tasks)
    assert len(set(classes)) == 5
    assert set(classes) < set(LABELS)
    order = np.random.default_rng(0).permutation([3, 5, 8, 9, 12, 20])
    np.testing.assert_array_equal(classes, order[:5])
    longer = data.task_sequence(LABELS, (2, 3, 1), seed=0)
    np.testing.assert_array_equal(longer[1], tasks[1])
    others = [np.concatenate(data.task_sequence(LABELS, (6,), seed=seed)) for seed in range(4)]
    assert len({tuple(order) for order in others}) > 1


def test_a_memory_has_so_many_of_each_class_and_keeps_them():
    few = data.rehearsal_memory(LABELS, [8, 12], per_class=3, seed=1)
    np.testing.assert_array_equal(LABELS[few], [8, 8, 8, 12, 12])  # all of 12, which has two
    more = data.rehearsal_memory(LABELS, [3, 8, 12, 20], per_class=3, seed=1)
    assert set(few) < set(more)
    assert len(set(more)) == len(more) == 11
    other = data.rehearsal_memory(LABELS, [3, 8, 12, 20], per_class=3, seed=2)
    assert set(other) != set(more)
    assert data.rehearsal_memory(LABELS, [], per_class=3, seed=1).shape == (0,)
    negative = data.rehearsal_memory(-LABELS, [-8], per_class=3, seed=1)
    np.testing.assert_array_equal(-LABELS[negative], [-8] * 3)


def test_half_of_a_batch_is_remembered():
    new = np.flatnonzero(np.isin(LABELS, [3, 5]))  # 13
    memory = data.rehearsal_memory(LABELS, [8, 9], per_class=2, seed=0)
    dataset = batches(new, memory)
    assert len(dataset) == 2 * 5  # 13 in batches of three
    for batch in all_of(dataset):
        np.testing.assert_array_equal(batch["remembered"], [True] * 3 + [False] * 3)
        assert set(batch["ids"][:3]) <= set(memory)
        assert len(set(batch["ids"][:3])) == 3 or len(memory) % 3  # passes of the memory may meet
        ids, where = batch["ids"], batch["where"]
        np.testing.assert_array_equal(batch["x"][:, 0], np.where(where, ids + 1, 0))
    for epoch in (all_of(dataset)[:5], all_of(dataset)[5:]):
        seen = np.concatenate([batch["ids"][3:] for batch in epoch])
        assert sorted(seen[seen >= 0]) == sorted(new)
        again = np.concatenate([batch["ids"][:3] for batch in epoch])
        counts = [np.sum(again == place) for place in memory]
        assert max(counts) - min(counts) <= 1  # each as often, up to the pass that is cut
        assert sum(counts) == 15


def test_the_share_is_of_the_batch():
    memory = data.rehearsal_memory(LABELS, [8, 9], per_class=2, seed=0)
    new = np.flatnonzero(LABELS == 3)
    batch = batches(new, memory, share=0.2)[0]
    assert batch["remembered"].sum() == 1
    assert np.isin(batch["ids"][1:], new).all()


def test_without_a_memory_all_is_new_in_the_same_shapes():
    new = np.flatnonzero(LABELS == 3)
    first = batches(new, [])
    assert len(first) == 2 * 2
    memory = data.rehearsal_memory(LABELS, [8], per_class=2, seed=0)
    later = batches(new, memory)[0]
    for batch in all_of(first):
        assert not batch["remembered"].any()
        assert {n: (a.shape, a.dtype) for n, a in batch.items()} == {
            n: (a.shape, a.dtype) for n, a in later.items()
        }


def test_processes_share_a_batch_and_a_run_resumes():
    new = np.flatnonzero(np.isin(LABELS, [3, 5]))
    memory = data.rehearsal_memory(LABELS, [8, 9], per_class=2, seed=0)
    whole = batches(new, memory)
    parts = [batches(new, memory, shard=(index, 2)) for index in range(2)]
    for number, batch in enumerate(all_of(whole)):
        for name, column in batch.items():
            joined = np.concatenate([part[number][name] for part in parts])
            np.testing.assert_array_equal(joined, column)
    iterator = iter(whole)
    iterator.set_state({"next_index": 7})
    np.testing.assert_array_equal(next(iterator)["ids"], whole[7]["ids"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: data.task_sequence(LABELS, (4, 3), seed=0),
            "at most the 6 classes of labels, got 7",
        ),
        (lambda: data.task_sequence(LABELS, (), seed=0), "sizes must have one task at least"),
        (lambda: data.task_sequence(LABELS, (2, 0), seed=0), r"sizes\[1\] must be a whole number"),
        (lambda: data.task_sequence(LABELS * 0.5, (2,), seed=0), "labels must be integers"),
        (
            lambda: data.rehearsal_memory(LABELS, [4], per_class=1, seed=0),
            "classes must be among the labels, got 4",
        ),
        (
            lambda: data.rehearsal_memory(LABELS, [3, 3], per_class=1, seed=0),
            "classes must be distinct",
        ),
        (lambda: data.rehearsal_memory(LABELS, [3], per_class=0, seed=0), "per_class must be"),
        (lambda: batches([], [1]), "new must have one example at least"),
        (lambda: batches([1, 2], [2, 3]), "got place 2 in both"),
        (lambda: batches([1, 1], [3]), "new must have each place once"),
        (lambda: batches([1], [36]), "memory must be places from 0 to 35"),
        (lambda: batches([1], [2], share=0.01), "share must leave one remembered"),
        (lambda: batches([1], [2], share=1.5), "share must be between 0 and 1"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
