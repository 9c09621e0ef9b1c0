"""Bucketed batches of token ids: shuffled, padded, the same on every host and after every resume."""

import bisect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxsim.data._planned import Epochs, Planned
from jaxsim.data._samplers import check_batch_size, checked_shard, checked_steps
from jaxsim.data._tokens import padded
from jaxsim.numerics import checks
from jaxsim.numerics._buckets import bucket_of

MULTIPLE = 16  # of the lengths that are chosen where none are given


def batches(
    examples: Sequence[dict[str, Any]] | Mapping[str, Sequence],
    *,
    batch_size: int,
    buckets: Mapping[str, Sequence[int]] | None = None,
    seed: int,
    steps: int | None = None,
    epochs: int = 1,
    shard: tuple[int, int] | None = None,
) -> Planned:
    """Bucketed batches of token ids, shuffled and padded, in an order planned from the seed, with a known length.

    Each epoch shuffles the examples, groups them by the buckets of their columns, cuts the groups
    into batches and shuffles those. An epoch sees every example once; a group's last batch is padded.

    Args:
      examples: sequence of dicts of columns: a column is an int array [length], or a list of such
        arrays (as many in every example). Or a dict of columns, {"query": model.tokens(queries), ...}.
      batch_size: examples per batch, of all processes together.
      buckets: {column: increasing lengths}, one entry for every column; few, for each combination
        that occurs is compiled. None takes two for each column, which hold half of its texts and all of
        them, rounded up to multiples of 16.
      seed: of the order.
      steps: how many batches; None takes `epochs` whole epochs.
      epochs: how often the examples are seen where `steps` is None.
      shard: (index, count): this process takes that part of each batch; None asks jax.

    Returns: `Planned`: `len`, `[i]`, and iterators with `get_state` and `set_state`. A batch
    is {column: {"tokens", "where"}, "where" bool [rows], "ids" int32 [rows]}: tokens [rows, length],
    or [rows, items, length] for a list; ids are places in `examples`, -1 for padding.

    Raises: ValueError for no examples, a column missing from an example or from `buckets`, a column that
    is not an array of tokens or a list of these, a text longer than its last bucket, a batch size below 1,
    above the number of examples or not a multiple of the processes, `steps` and `epochs` together.
    """
    checks.whole("batch_size", batch_size)
    checks.whole("seed", seed, 0)
    index, count = checked_shard(shard, batch_size)
    examples = _checked_examples(examples)
    check_batch_size(batch_size, len(examples))
    buckets = _usual_buckets(examples) if buckets is None else buckets
    _check_buckets(buckets)
    token_batches = TokenBatches(examples, batch_size, buckets, seed, index, count)
    length = checked_steps(token_batches.epochs.length, steps, epochs)
    return Planned(length, token_batches.batch)


class TokenBatches:
    """Batches of examples of similar lengths: `batch(i)` for any i."""

    def __init__(self, examples, batch_size, buckets, seed, index, count):
        self.examples, self.batch_size, self.buckets = examples, batch_size, buckets
        self.seed = seed
        kinds = np.zeros(len(examples), int)
        for column, ends in buckets.items():
            lengths = [_longest(_column(e, column, i)) for i, e in enumerate(examples)]
            if max(lengths) > ends[-1]:
                raise ValueError(
                    f"examples[{int(np.argmax(lengths))}][{column!r}] has {max(lengths)} tokens, above the "
                    f"largest bucket, {ends[-1]}: cut the texts or add a bucket"
                )
            kinds = kinds * len(ends) + bucket_of(lengths, ends)
        for place, example in enumerate(examples):
            if extra := set(example) - set(buckets):
                raise ValueError(
                    f"buckets has no column {sorted(extra)[0]!r}, example {place} does"
                )
        self.groups = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
        length = sum(-(-len(group) // batch_size) for group in self.groups)
        self.epochs = Epochs(self._planned, length, index, count)

    def batch(self, number: int) -> dict:
        """Batch `number`, counted over the epochs."""
        whole, ids = self.epochs.ids(number)
        rows = [self.examples[place] for place in whole[whole >= 0]]
        sizes = {column: self._size(column, rows) for column in self.buckets}
        where = ids >= 0
        columns = {
            column: self._stacked(column, ids[where], len(ids), sizes[column]) for column in sizes
        }
        return {**columns, "where": where, "ids": ids}

    def _planned(self, epoch):
        random = np.random.default_rng([self.seed, epoch])
        cut = []
        for group in self.groups:
            order = random.permutation(group).astype(np.int32)
            order = np.pad(order, (0, -len(order) % self.batch_size), constant_values=-1)
            cut += [*order.reshape(-1, self.batch_size)]
        return np.stack([cut[place] for place in random.permutation(len(cut))])

    def _size(self, column, rows):
        """The bucket of a whole batch: every process pads to the same."""
        ends = self.buckets[column]
        longest = max(_longest(row[column]) for row in rows)
        return ends[bisect.bisect_left(ends, longest)]

    def _stacked(self, column, places, share, size):
        texts = [self.examples[place][column] for place in places]
        first = self.examples[0][column]
        if not isinstance(first, (list, tuple)):
            return padded([*texts, *[[]] * (share - len(texts))], size)
        each = len(first)
        flat = [text for row in texts for text in row]
        if len(flat) != each * len(texts):
            raise ValueError(f"{column} must have {each} texts in every example, as the first has")
        flat = padded([*flat, *[[]] * (share * each - len(flat))], size)
        return {name: array.reshape(share, each, size) for name, array in flat.items()}


def _rows_of(columns):
    """A dict of columns as a list of dicts."""
    sizes = {name: len(column) for name, column in columns.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"examples must have columns of one length, got {sizes}")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _usual_buckets(examples):
    """Two lengths for each column: {column: increasing lengths}."""
    buckets = {}
    for column in examples[0]:
        lengths = [_longest(_column(e, column, i)) for i, e in enumerate(examples)]
        ends = {int(np.median(lengths)), max(lengths)}
        buckets[column] = tuple(sorted({max(MULTIPLE, end + -end % MULTIPLE) for end in ends}))
    return buckets


def _checked_examples(examples):
    """The examples as a list of dicts."""
    if isinstance(examples, Mapping):
        examples = _rows_of(examples)
    if isinstance(examples, str) or not hasattr(examples, "__getitem__"):
        raise ValueError(
            f"examples must be a sequence of dicts of columns, got {type(examples).__name__}"
        )
    if len(examples) == 0:
        raise ValueError("examples must not be empty, got 0")
    examples = [examples[place] for place in range(len(examples))]
    for place, example in enumerate(examples):
        if not isinstance(example, dict):
            raise ValueError(
                f"examples[{place}] must be a dict of columns, got {type(example).__name__}"
            )
    return examples


def _check_buckets(buckets):
    if not isinstance(buckets, dict) or not buckets:
        raise ValueError(
            f"buckets must be {{column: increasing lengths}}, one entry for every column, got {buckets!r:.60}"
        )
    for column, ends in buckets.items():
        whole = isinstance(ends, (tuple, list, np.ndarray)) and all(
            isinstance(end, (int, np.integer)) and not isinstance(end, bool) for end in ends
        )
        if not whole or not len(ends) or ends[0] < 1 or (np.diff(ends) <= 0).any():
            raise ValueError(
                f"buckets[{column!r}] must be increasing lengths of at least 1, such as (32, 64), got "
                f"{ends!r:.60}"
            )


def _column(example, column, place):
    if column not in example:
        raise ValueError(f"example {place} has no column {column!r}: it has {', '.join(example)}")
    value = example[column]
    for text in value if isinstance(value, (list, tuple)) else [value]:
        if getattr(text, "ndim", None) != 1 or text.dtype.kind not in "iu":
            got = (
                f"{text.dtype}{list(text.shape)}" if hasattr(text, "dtype") else type(text).__name__
            )
            raise ValueError(
                f"examples[{place}][{column!r}] must be an int array of tokens, or a list of these, got "
                f"{got} in it"
                if text is not value
                else f"examples[{place}][{column!r}] must be an int array of tokens, or a list of these, got {got}"
            )
    return value


def _longest(texts):
    return max(map(len, texts), default=0) if isinstance(texts, (list, tuple)) else len(texts)
