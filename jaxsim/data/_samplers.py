"""Batch samplers of arrays: shuffled, or some classes with some examples each, planned from a seed.

The order of an epoch is planned at once, so that its length is known, every process sees the same
plan, and a run resumes at any batch: both give a `Planned` dataset, as jaxsim.data.batches does.
"""

from collections.abc import Callable, Mapping

import jax
import numpy as np

from jaxsim.data._planned import Epochs, Planned
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


def array_batches(
    columns: Mapping[str, Array],
    *,
    batch_size: int,
    seed: int,
    steps: int | None = None,
    epochs: int = 1,
    shard: tuple[int, int] | None = None,
) -> Planned:
    """Shuffled batches of arrays; an epoch sees every example once, its last batch is padded.

    Args:
      columns: {name: array [n, ...]}, such as {"image": images, "labels": labels}.
      batch_size: examples per batch, of all processes together.
      seed: of the order.
      steps: how many batches; None takes `epochs` whole epochs.
      epochs: how often the examples are seen where `steps` is None.
      shard: (index, count): this process takes that part of each batch; None asks jax.

    Returns: `Planned`: `len`, `[i]`, and iterators with `get_state` and `set_state`. A batch
    is {the columns, "where" bool [rows], "ids" int32 [rows]}; ids are places in the columns, -1 for
    padding, whose columns are 0.
    Raises: ValueError for no examples, columns of different lengths, a batch size below 1, above the number
    of examples or not a multiple of the processes, `steps` and `epochs` together.
    """
    checks.whole("batch_size", batch_size)
    checks.whole("seed", seed, 0)
    rows = rows_of_columns(columns)
    check_batch_size(batch_size, rows)

    def planned(epoch):
        order = np.random.default_rng([seed, epoch]).permutation(rows).astype(np.int32)
        order = np.pad(order, (0, -rows % batch_size), constant_values=-1)
        return order.reshape(-1, batch_size)

    return as_dataset(columns, planned, -(-rows // batch_size), steps, epochs, batch_size, shard)


def class_batches(
    columns: Mapping[str, Array],
    labels: Array,
    *,
    classes: int,
    per_class: int,
    seed: int,
    steps: int | None = None,
    epochs: int = 1,
    shard: tuple[int, int] | None = None,
) -> Planned:
    """PK sampling: batches of `classes` classes with `per_class` examples each, for pairwise losses.

    Every epoch shuffles each class and cuts it into groups of `per_class`; what is left over waits
    for another epoch, and a class with fewer examples repeats some. The groups are then dealt to
    batches at random, never two of one class to a batch, as many batches as that allows.

    Args:
      columns: {name: array [n, ...]}.
      labels: int [n].
      classes: per batch, at most as many as there are.
      per_class: examples of each, at most as many as there are of all classes.
      seed: of the order.
      steps: how many batches; None takes `epochs` whole epochs.
      epochs: how often where `steps` is None.
      shard: (index, count): this process takes that part of each batch; None asks jax.

    Returns: as `array_batches`; a batch has "labels" too, the examples of a class are next to each other.
    Raises: ValueError as there, and for more classes than the labels have.
    """
    checks.whole("classes", classes)
    checks.whole("seed", seed, 0)
    rows = rows_of_columns(columns)
    checks.at_most("per_class", per_class, rows, "the number of examples")
    labels = np.asarray(checks.column("labels", labels, rows, "one per row of the columns"))
    labels = labels if labels.dtype == np.int64 else labels.astype(np.int32)
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.append(True, labels[order][1:] != labels[order][:-1]))
    members = np.split(order, starts[1:])
    if classes > len(members):
        raise ValueError(f"classes must be at most {len(members)}, as labels has, got {classes}")
    groups = np.array([max(1, len(places) // per_class) for places in members])
    length = most_batches(groups, classes)

    def planned(epoch):
        random = np.random.default_rng([seed, epoch])
        dealt = _dealt(groups, classes, length, random)  # [batches, classes]
        next_group = np.zeros(len(members), int)
        shuffled = [_repeated(random.permutation(places), per_class) for places in members]
        batches = np.empty((length, classes, per_class), np.int32)
        for batch, chosen in enumerate(dealt):
            for place, number in enumerate(chosen):
                start = next_group[number] * per_class
                batches[batch, place] = shuffled[number][start : start + per_class]
            next_group[chosen] += 1
        return batches.reshape(length, -1)

    columns = {**columns, "labels": labels}
    return as_dataset(columns, planned, length, steps, epochs, classes * per_class, shard)


class ArrayBatches:
    """Batches of the columns' rows: `batch(i)` for any i."""

    def __init__(self, columns: Mapping[str, np.ndarray], epochs: Epochs) -> None:
        self.columns, self.epochs = columns, epochs

    def batch(self, number: int) -> dict[str, np.ndarray]:
        """The part of this process, as a dict of arrays."""
        _, ids = self.epochs.ids(number)
        where = ids >= 0
        columns = {}
        for name, column in self.columns.items():
            rows = column[np.where(where, ids, 0)]
            rows[~where] = 0
            columns[name] = rows
        return {**columns, "where": where, "ids": ids}


def as_dataset(
    columns: Mapping[str, Array],
    planned: Callable[[int], np.ndarray],
    length: int,
    steps: int | None,
    epochs: int,
    batch_size: int,
    shard: tuple[int, int] | None,
) -> Planned:
    """The dataset of batches that `planned(epoch)`, int [length, batch_size], has by ids."""
    index, count = checked_shard(shard, batch_size)
    steps = checked_steps(length, steps, epochs)
    columns = {name: np.asarray(column) for name, column in columns.items()}
    return Planned(steps, ArrayBatches(columns, Epochs(planned, length, index, count)).batch)


def checked_shard(shard: tuple[int, int] | None, batch_size: int) -> tuple[int, int]:
    """(index, count) of the processes, of which a batch is a multiple."""
    if shard is None:
        shard = jax.process_index(), jax.process_count()
    if not isinstance(shard, (tuple, list)) or len(shard) != 2:
        raise ValueError(f"shard must be (index, count) or None, got {shard!r:.60}")
    index, count = shard
    checks.whole("shard's count", count)
    checks.whole("shard's index", index, 0)
    if index >= count:
        raise ValueError(f"shard must be (index, count) with index below count, got {shard!r}")
    if batch_size % count:
        raise ValueError(
            f"batch_size must be a multiple of the {count} processes, got {batch_size}"
        )
    return index, count


def checked_steps(length: int, steps: int | None, epochs: int) -> int:
    """How many batches: `steps`, or as many as `epochs` have, each of `length`."""
    checks.whole("epochs", epochs)
    if steps is None:
        return length * epochs
    if epochs != 1:
        raise ValueError(f"give steps or epochs, got steps={steps!r} and epochs={epochs}")
    checks.whole("steps", steps)
    return int(steps)


def check_batch_size(batch_size: int, rows: int, name: str = "batch_size") -> None:
    """Refuses batches that no examples fill: all of their padding would be computed."""
    if batch_size > rows:
        raise ValueError(
            f"{name} must be at most the {rows} examples that there are, got {batch_size}"
        )


def rows_of_columns(columns: Mapping[str, Array], what: str = "columns") -> int:
    """How many examples the columns have: one at least."""
    if not isinstance(columns, dict) or not columns:
        raise ValueError(
            f"{what} must be {{name: array}}, such as {{'x': x}}, got {type(columns).__name__}"
            f"{' without columns' if isinstance(columns, dict) else ''}"
        )
    for name, column in columns.items():
        if not hasattr(column, "dtype") or not hasattr(column, "shape"):
            raise ValueError(
                f"{what}[{name!r}] must be an array, got {type(column).__name__}: np.asarray it"
            )
        if column.dtype.kind in "USOMm":
            raise ValueError(
                f"{what}[{name!r}] must be numbers, got {column.dtype}: turn texts into tokens, and "
                "names into numbers"
            )
    rows = checks.rows_of(what, columns)
    if rows == 0:
        raise ValueError(f"{what} must not be empty, got 0 rows")
    return rows


def most_batches(groups: np.ndarray, classes: int) -> int:
    """How many batches of distinct classes there are groups for: the largest b for which the classes'
    groups, at most b of each, fill b batches."""
    most = int(groups.sum()) // classes
    while np.minimum(groups, most).sum() < classes * most:
        most -= 1
    return most


def _dealt(groups, classes, length, random):
    """Which classes are in which batch: int [batches, classes], distinct in a row."""
    left = np.minimum(groups, length)
    # A random part of the surplus goes, so that what is left fills the batches exactly.
    surplus = left.sum() - classes * length
    left -= random.multivariate_hypergeometric(left, surplus)
    dealt = np.empty((length, classes), int)
    for batch in range(length):
        # A class with a group for every batch that is left must come now; the others by their number.
        must = left == length - batch
        chance = np.where(
            left > 0, np.log(np.maximum(left, 1)) + random.gumbel(size=len(left)), -np.inf
        )
        order = np.argsort(np.where(must, -np.inf, -chance), kind="stable")[:classes]
        dealt[batch] = random.permutation(order)
        left[order] -= 1
    return dealt


def _repeated(places, count):
    """At least `count` places: those of a small class again from the start."""
    return places if len(places) >= count else np.resize(places, count)
