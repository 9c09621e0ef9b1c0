"""Continual learning: classes that come in tasks, a memory of those before, and batches of both.

As in _samplers.py all are planned from a seed.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxsim.data._planned import Planned
from jaxsim.data._samplers import as_dataset, rows_of_columns
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Batch


def task_sequence(labels: Array, sizes: Sequence[int], *, seed: int) -> tuple[np.ndarray, ...]:
    """Class-incremental tasks: the classes in a random order, cut into tasks of disjoint classes.

    A task's examples are `np.flatnonzero(np.isin(labels, task))`. Classes that are left over are in no task.

    Args:
      labels: int [n].
      sizes: classes of each task, such as (10, 15, 15); together at most as many as there are.
      seed: of the order. The tasks that two calls share do not change where more are added behind them.

    Returns: for each task its classes, int32 [size].
    Raises: ValueError for no tasks, one without classes, more classes than the labels have.
    """
    labels = _labels(labels)
    checks.whole("seed", seed, 0)
    if not len(sizes):
        raise ValueError("sizes must have one task at least, got none")
    for number, size in enumerate(sizes):
        checks.whole(f"sizes[{number}]", size)
    classes = np.random.default_rng(seed).permutation(np.unique(labels))
    if sum(sizes) > len(classes):
        raise ValueError(
            f"sizes must add up to at most the {len(classes)} classes of labels, got {sum(sizes)}"
        )
    ends = np.cumsum(sizes)
    return tuple(np.split(classes[: ends[-1]].astype(np.int32), ends[:-1]))


def rehearsal_memory(labels: Array, classes: Array, *, per_class: int, seed: int) -> np.ndarray:
    """Rehearsal memory (exemplars): random examples of each class, to be seen again in later tasks.

    What is drawn of a class depends on the seed, its label and its examples alone: a memory of more classes
    has the same examples of those before.

    Args:
      labels: int [n].
      classes: int [c], to remember; may be empty.
      per_class: examples of each; a class with fewer gives all.
      seed: of the draws.

    Returns: int32 [m], places in the labels, class by class.
    Raises: ValueError for a class that the labels do not have, or one that comes twice.
    Source: experience replay; random exemplars as in Biondi et al. 2024 (2405.02581), 20 of each class.
    """
    labels = _labels(labels)
    classes = checks.one_array("classes", classes)
    checks.shaped("classes", classes, (None,), "one per class to remember")
    checks.whole("per_class", per_class)
    checks.whole("seed", seed, 0)
    if not len(classes):
        return np.zeros(0, np.int32)
    checks.integers("classes", classes)
    if len(np.unique(classes)) < len(classes):
        raise ValueError(f"classes must be distinct, got {classes.tolist()!r:.60}")
    chosen = []
    for label in classes.tolist():
        places = np.flatnonzero(labels == label)
        if not len(places):
            raise ValueError(f"classes must be among the labels, got {label}")
        random = np.random.default_rng([seed, label % 2**32])
        chosen.append(np.sort(random.permutation(places)[:per_class]))
    return np.concatenate(chosen).astype(np.int32)


def rehearsal_batches(
    columns: Mapping[str, Array],
    new: Array,
    memory: Array,
    *,
    batch_size: int,
    seed: int,
    share: float = 0.5,
    steps: int | None = None,
    epochs: int = 1,
    shard: tuple[int, int] | None = None,
) -> Planned:
    """Rehearsal batches: a part of every batch is remembered, the rest is of the new task.

    An epoch sees every new example once, its last batch is padded; the memory is shuffled and passed through
    as often as that needs. Without a memory, as in a first task, all of the batch is new: the shapes are the same.

    Args:
      columns: {name: array [n, ...]}.
      new: int [k], places of the task's examples.
      memory: int [m], places of those that are remembered, none of them new.
      batch_size: examples per batch, of all processes together.
      seed: of the order.
      share: of the batch that is remembered, above 0 and below 1; rounded to whole examples.
      steps, epochs, shard: as in `array_batches`.

    Returns: as `array_batches`; a batch has "remembered" bool [rows] too.
    Raises: ValueError as there, for places outside the columns, places that come twice, a share that leaves no
    example of one kind.
    Source: half of each batch as in Biondi et al. 2024 (2405.02581), released code.
    """
    checks.whole("batch_size", batch_size)
    checks.whole("seed", seed, 0)
    rows = rows_of_columns(columns)
    new, memory = _places("new", new, rows), _places("memory", memory, rows)
    if not len(new):
        raise ValueError("new must have one example at least, got none")
    if len(twice := np.intersect1d(new, memory)):
        raise ValueError(f"memory must have none of the new examples, got place {twice[0]} in both")
    checks.probability("share", share)
    old = round(share * batch_size) if len(memory) else 0
    if len(memory) and not 0 < old < batch_size:
        raise ValueError(
            f"share must leave one remembered and one new example at least of batch_size={batch_size}, "
            f"got {share}"
        )
    fresh = batch_size - old
    length = -(-len(new) // fresh)

    def planned(epoch):
        random = np.random.default_rng([seed, epoch])
        order = np.pad(random.permutation(new), (0, -len(new) % fresh), constant_values=-1)
        passes = -(-length * old // max(len(memory), 1))
        again = [random.permutation(memory) for _ in range(passes)]
        remembered = np.concatenate([memory[:0], *again])[: length * old]
        return np.concatenate(
            [remembered.reshape(length, old), order.reshape(length, fresh)], axis=1
        )

    plan = as_dataset(columns, planned, length, steps, epochs, batch_size, shard)

    def named(batch: Batch) -> Batch:
        return {**batch, "remembered": np.isin(batch["ids"], memory)}

    return plan.map(named)


def _labels(labels):
    labels = checks.one_array("labels", labels)
    checks.shaped("labels", labels, (None,), "one per example")
    checks.integers("labels", labels)
    return labels


def _places(name, places, rows):
    """Distinct places in the columns, int32."""
    places = checks.one_array(name, places)
    checks.shaped(name, places, (None,), "places in the columns")
    if not len(places):
        return np.zeros(0, np.int32)
    checks.integers(name, places)
    if places.min() < 0 or places.max() >= rows:
        raise ValueError(f"{name} must be places from 0 to {rows - 1} in the columns")
    if len(np.unique(places)) < len(places):
        raise ValueError(f"{name} must have each place once, got {len(places)} with repetitions")
    return places.astype(np.int32)
