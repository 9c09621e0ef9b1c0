"""Composed batches: without duplicates, of one task at a time, with mined hard negatives.

As in _samplers.py all are planned from a seed: lengths are known, processes share a plan, a run resumes
at any batch.
"""

import functools
from collections.abc import Callable, Mapping

import numpy as np

from jaxsim.data._planned import Epochs, Planned
from jaxsim.data._samplers import (
    ArrayBatches,
    as_dataset,
    check_batch_size,
    checked_shard,
    checked_steps,
    most_batches,
    rows_of_columns,
)
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


def distinct_batches(
    columns: Mapping[str, Array],
    names: Array,
    *,
    batch_size: int,
    seed: int,
    steps: int | None = None,
    epochs: int = 1,
    shard: tuple[int, int] | None = None,
) -> Planned:
    """No-duplicates batches: no name comes twice in a batch, so that no text is a false negative.

    With one name per example batches are full, and an epoch has as many as that allows: of a name
    that is too frequent, examples at random wait for another epoch. With several names per example
    (a query's and a document's) an epoch has rows // batch_size batches; an example that fits in none waits,
    and padding takes its place.

    Args:
      columns: {name: array [n, ...]}.
      names: int [n] or [n, c], such as numbers of distinct texts: two examples exclude each other where
        they agree in any of the c columns; -1 excludes nothing.
      batch_size: examples per batch, of all processes together.
      seed, steps, epochs, shard: as in `array_batches`.

    Returns: as `array_batches`.
    Raises: ValueError as there, and for a batch larger than there are distinct names.
    """
    checks.whole("batch_size", batch_size)
    rows = rows_of_columns(columns)
    checks.whole("seed", seed, 0)
    names = checks.one_array("names", names)
    names = names[:, None] if names.ndim == 1 else names
    checks.shaped("names", names, (rows, None), "one row per row of the columns")
    checks.integers("names", names)
    if names.shape[1] == 0:
        raise ValueError("names must have at least one column, got none")
    kinds = np.stack([_numbered(column) for column in names.T], axis=1)
    fewest = int(min(kinds.max(axis=0))) + 1
    if batch_size > fewest:
        raise ValueError(
            f"batch_size must be at most the {fewest} distinct names, got {batch_size}"
        )
    if kinds.shape[1] == 1:
        counts = np.bincount(kinds[:, 0])
        length = most_batches(counts, batch_size)

        def planned(epoch):
            return _dealt_rows(kinds[:, 0], counts, length, batch_size, _random(seed, epoch))

    else:
        length = rows // batch_size

        def planned(epoch):
            return _fitted_rows(kinds, length, batch_size, _random(seed, epoch))

    return as_dataset(columns, planned, length, steps, epochs, batch_size, shard)


def task_batches(
    sources: Mapping[str, Callable[..., Planned]],
    weights: Mapping[str, float],
    *,
    seed: int,
    steps: int,
) -> Planned:
    """Multi-task batches: each batch has one task, drawn by weight.

        task_batches({"sts": functools.partial(data.array_batches, sts, batch_size=64, seed=0), ...},
                     {"sts": 1, "retrieval": 3}, seed=0, steps=1000)

    Args:
      sources: {task: function of steps= to a dataset}, such as a sampler with all else given; they
        shard by process themselves.
      weights: {task: number}, > 0, for the same tasks; the draws are proportional to them.
      seed: of the draws.
      steps: how many batches.

    Returns: `Planned`. A batch is the source's, and "task" int32 [rows], the task's place in
    `sources`. Tasks with other columns or shapes are compiled separately.
    Raises: ValueError for weights of other tasks, or not > 0.
    Source: task-homogeneous batches as in CoDiEmb (2508.11442), section 3.
    """
    checks.whole("steps", steps)
    checks.whole("seed", seed, 0)
    for name, value in (("sources", sources), ("weights", weights)):
        if not isinstance(value, dict) or not value:
            raise ValueError(f"{name} must be a dict by task, got {value!r:.60}")
    if set(sources) != set(weights):
        raise ValueError(f"weights must be for {sorted(sources)}, got {sorted(weights)}")
    for task, source in sources.items():
        checks.function(f"sources[{task!r}]", source, "of steps= to a dataset")
        checks.positive(f"weights[{task!r}]", weights[task])
        checks.finite(f"weights[{task!r}]", weights[task])
    share = np.array([weights[task] for task in sources], float)
    drawn = np.random.default_rng(seed).choice(len(share), size=steps, p=share / share.sum())
    turns = np.zeros(steps, int)  # which of its task's batches each one is
    datasets = []
    for place, task in enumerate(sources):
        places_of_task = np.flatnonzero(drawn == place)
        turns[places_of_task] = np.arange(len(places_of_task))
        datasets.append(sources[task](steps=max(len(places_of_task), 1)))

    def batch(number):
        task = drawn[number]
        columns = datasets[task][int(turns[number])]
        return {**columns, "task": np.full(len(columns["where"]), task, np.int32)}

    return Planned(steps, batch)


def single_task_batches(
    tasks: Mapping[str, Mapping[str, Array]],
    batch_sizes: Mapping[str, int],
    *,
    seed: int,
    steps: int | None = None,
    epochs: int = 1,
    shard: tuple[int, int] | None = None,
) -> Planned:
    """Exact single-task batches: every set is cut into whole batches, and those of all sets are shuffled.

    An epoch shuffles each task's n examples and cuts them into n // batch_size batches; what is left over waits
    for another epoch. No weights: the ratio of the tasks follows from their sizes and batch sizes. Draws by
    weight are `task_batches`.

    Args:
      tasks: {task: {name: array [n, ...]}}; tasks with other columns or shapes are compiled separately.
      batch_sizes: {task: examples per batch, of all processes together}, for the same tasks.
      seed, steps, epochs, shard: as in `array_batches`.

    Returns: as `array_batches`; a batch has "task" too, int32 [rows], the task's place in `tasks`, and its ids
    are places in that task's columns.
    Raises: ValueError as there, and for batch sizes of other tasks.
    Source: CoDiEmb (2508.11442), the dynamic sampler, from the released code.
    """
    datasets, counts = _of_tasks(tasks, batch_sizes, seed, shard)
    owners = np.repeat(np.arange(len(counts)), counts)  # the task of each batch of an epoch
    turns = np.concatenate([np.arange(count) for count in counts])  # and which of its task's it is
    length = checked_steps(len(owners), steps, epochs)

    def batch(number):
        epoch, place = divmod(number, len(owners))
        chosen = _random(seed, epoch, len(counts)).permutation(len(owners))[place]
        task = owners[chosen]
        columns = datasets[task].batch(epoch * counts[task] + int(turns[chosen]))
        return {**columns, "task": np.full(len(columns["where"]), task, np.int32)}

    return Planned(length, batch)


def mixed_batches(
    tasks: Mapping[str, Mapping[str, Array]],
    batch_sizes: Mapping[str, int],
    *,
    seed: int,
    steps: int | None = None,
    epochs: int = 1,
    shard: tuple[int, int] | None = None,
) -> Planned:
    """Mixed-task batches: every step has a batch of each task, for a sum of their losses.

    Each task is shuffled and cut as in `single_task_batches`; an epoch is that of the task with the most
    batches, the others begin again within it. Every example comes once in each pass over its task, on one
    process: the released sampler of mixed batches draws an order for each process, so that they overlap and
    leave examples out.

    Args:
      tasks, batch_sizes, seed, steps, epochs, shard: as in `single_task_batches`.

    Returns: `Planned`. A batch is {task: its columns, with "where" and "ids"}, all with as many rows: a smaller
    task's are filled up with padding. "where" and "ids" next to the tasks are those of the largest.
    Raises: ValueError as `single_task_batches`.
    Source: the baseline of CoDiEmb (2508.11442), without the fault of the released code.
    """
    datasets, counts = _of_tasks(tasks, batch_sizes, seed, shard)
    largest = max(batch_sizes, key=lambda task: batch_sizes[task])

    def batch(number):
        parts = {task: dataset.batch(number) for task, dataset in zip(tasks, datasets, strict=True)}
        rows = len(parts[largest]["where"])
        filled = {
            task: {name: _filled(column, rows, name) for name, column in part.items()}
            for task, part in parts.items()
        }
        return {**filled, "where": filled[largest]["where"], "ids": filled[largest]["ids"]}

    return Planned(checked_steps(max(counts), steps, epochs), batch)


def negative_batches(
    queries: Mapping[str, Array],
    documents: Mapping[str, Array],
    positives: Array,
    negatives: Array,
    *,
    batch_size: int,
    per_query: int,
    seed: int,
    steps: int | None = None,
    epochs: int = 1,
    shard: tuple[int, int] | None = None,
) -> Planned:
    """Hard-negative batches: queries, each with its document and some of its mined negatives.

    Args:
      queries: {name: array [n, ...]}.
      documents: {name: array [m, ...]}.
      positives: int [n], each query's place in the documents.
      negatives: int [n, mined], a mined table of places, -1 where there are fewer.
      batch_size: queries per batch, of all processes together.
      per_query: negatives of each, drawn again in every epoch; a query with fewer repeats its own.
      seed, steps, epochs, shard: as in `array_batches`.

    Returns: as `array_batches`. A batch is {queries' columns [rows, ...], "documents": {documents'
    columns [rows, 1 + per_query, ...]}, "document_ids" int32 [rows, 1 + per_query], "where", "ids"}:
    what a loss over pairs takes, the positive first; ids are places in the queries, -1 for padding.
    Raises: ValueError as there, for places outside the documents, a positive among a query's
    negatives, a query without any.
    """
    checks.whole("batch_size", batch_size)
    checks.whole("per_query", per_query)
    checks.whole("seed", seed, 0)
    rows = rows_of_columns(queries, "queries")
    limit = rows_of_columns(documents, "documents")
    positives = checks.one_array("positives", positives)
    negatives = checks.one_array("negatives", negatives)
    checks.shaped("positives", positives, (rows,), "one per query")
    checks.shaped("negatives", negatives, (rows, None), "one row per query")
    check_batch_size(batch_size, rows)
    for name, places, lowest in (("positives", positives, 0), ("negatives", negatives, -1)):
        checks.integers(name, places)
        if places.size and (places.min() < lowest or places.max() >= limit):
            raise ValueError(f"{name} must be places from {lowest} to {limit - 1} in the documents")
    known = negatives >= 0
    if not known.any(axis=1).all():
        raise ValueError(
            f"negatives has none for query {int(np.argmin(known.any(axis=1)))}: mine more, or leave "
            "the query out"
        )
    if (negatives == positives[:, None]).any():
        query = int(np.argmax((negatives == positives[:, None]).any(axis=1)))
        raise ValueError(f"negatives has the positive of query {query} among its negatives")
    documents = {name: np.asarray(column) for name, column in documents.items()}
    length = -(-rows // batch_size)
    index, count = checked_shard(shard, batch_size)

    def planned(epoch):
        order = _random(seed, epoch).permutation(rows).astype(np.int32)
        return np.pad(order, (0, -rows % batch_size), constant_values=-1).reshape(-1, batch_size)

    plan = as_dataset(queries, planned, length, steps, epochs, batch_size, (index, count))

    def with_documents(number, batch):
        where, ids = batch["where"], np.maximum(batch["ids"], 0)
        # Drawn for the whole batch's place, so that processes do not change the draws.
        random = _random(seed, number, 1)
        draws = random.random((batch_size, negatives.shape[1]))
        draws = draws[index * len(where) :][: len(where)]
        order = np.argsort(np.where(known[ids], draws, 2.0), axis=1)
        have = known[ids].sum(axis=1, keepdims=True)
        turn = np.arange(per_query) % np.minimum(have, negatives.shape[1])
        chosen = np.take_along_axis(negatives[ids], np.take_along_axis(order, turn, 1), 1)
        places = np.concatenate([positives[ids][:, None], chosen], axis=1).astype(np.int32)
        columns = {}
        for name, column in documents.items():
            columns[name] = column[places]
            columns[name][~where] = 0
        places[~where] = -1
        return {**batch, "documents": columns, "document_ids": places}

    return Planned(len(plan), lambda number: with_documents(number, plan[number]))


def _of_tasks(tasks, batch_sizes, seed, shard):
    """([batches of any number of epochs of each task], [how many of them an epoch has])."""
    for name, value in (("tasks", tasks), ("batch_sizes", batch_sizes)):
        if not isinstance(value, dict) or not value:
            raise ValueError(f"{name} must be a dict by task, got {value!r:.60}")
    if set(tasks) != set(batch_sizes):
        raise ValueError(f"batch_sizes must be for {sorted(tasks)}, got {sorted(batch_sizes)}")
    checks.whole("seed", seed, 0)
    datasets, counts = [], []
    for place, (task, columns) in enumerate(tasks.items()):
        size = batch_sizes[task]
        checks.whole(f"batch_sizes[{task!r}]", size)
        rows = rows_of_columns(columns, f"tasks[{task!r}]")
        check_batch_size(size, rows, f"batch_sizes[{task!r}]")
        planned = functools.partial(_whole_batches, rows, size, [seed, place])
        counts.append(rows // size)
        datasets.append(_endless(columns, planned, counts[-1], size, shard))
    return datasets, counts


def _filled(column, rows, name):
    """A column with padding behind it, whose ids are -1."""
    widths = [(0, rows - len(column))] + [(0, 0)] * (column.ndim - 1)
    return np.pad(column, widths, constant_values=-1 if name == "ids" else 0)


def _endless(columns, planned, length, batch_size, shard):
    """Batches of any number of epochs, each planned as `planned(epoch)`."""
    index, count = checked_shard(shard, batch_size)
    columns = {name: np.asarray(column) for name, column in columns.items()}
    return ArrayBatches(columns, Epochs(planned, length, index, count))


def _whole_batches(rows, batch_size, seed, epoch):
    """An epoch's order of a task, without the rows that fill no batch: int32 [batches, batch_size]."""
    order = _random(*seed, epoch, 1).permutation(rows)[: rows // batch_size * batch_size]
    return order.astype(np.int32).reshape(-1, batch_size)


def _numbered(names):
    """A column's names from 0, those below 0 each a name that no other row has, so that they exclude nothing."""
    named = names >= 0
    distinct, numbers = np.unique(names[named], return_inverse=True)
    kinds = np.empty(len(names), int)
    kinds[named] = numbers
    kinds[~named] = len(distinct) + np.arange((~named).sum())
    return kinds


def _dealt_rows(kinds, counts, length, batch_size, random):
    """Equal names are next to each other in a row that is dealt to the batches in turn: none comes twice in one."""
    left = np.minimum(counts, length)
    left -= random.multivariate_hypergeometric(left, left.sum() - batch_size * length)
    order = random.permutation(len(kinds))
    order = order[np.argsort(random.permutation(len(counts))[kinds[order]], kind="stable")]
    # Each example's turn among those of its name: the first so many stay.
    ranked = kinds[order]
    starts = np.flatnonzero(np.diff(ranked, prepend=-1))
    sizes = np.diff(starts, append=len(ranked))
    turn = np.arange(len(ranked)) - np.repeat(starts, sizes)
    rows = order[turn < left[ranked]]
    batches = rows.reshape(batch_size, length).T.astype(np.int32)
    return random.permutation(random.permuted(batches, axis=1), axis=0)


def _fitted_rows(kinds, length, batch_size, random):
    """Each example into the first batch, from a place that moves on, that has none of its names."""
    frequent = np.stack([np.bincount(column)[column] for column in kinds.T]).max(axis=0)
    order = random.permutation(len(kinds))
    order = order[np.argsort(-frequent[order], kind="stable")]  # the hard ones while there is room
    batches = np.full((length, batch_size), -1, np.int32)
    filled = np.zeros(length, int)
    taken = [set() for _ in range(length)]
    place = 0
    for row in order:
        pairs = {(column, name) for column, name in enumerate(kinds[row].tolist())}
        for step in range(length):
            batch = (place + step) % length
            if filled[batch] < batch_size and not pairs & taken[batch]:
                batches[batch, filled[batch]] = row
                filled[batch] += 1
                taken[batch] |= pairs
                place = batch + 1
                break
    return random.permutation(batches, axis=0)


def _random(*numbers):
    return np.random.default_rng(list(numbers))
