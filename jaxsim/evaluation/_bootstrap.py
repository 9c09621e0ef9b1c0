"""Bootstrap confidence intervals: resampling along every axis that was drawn at random."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


def interval(
    samples: Array,
    axes: int | Sequence[int],
    *,
    level: float = 0.95,
    repeats: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap confidence interval of the mean of all samples.

    Each axis in `axes` is resampled as a whole, independently of the others: with samples [draws,
    queries] and axes=(0, 1), a repeat takes draws with replacement and queries with replacement, and
    all their pairs. The interval of a paired difference is that of the differences.

    Args:
      samples: float [...], such as recall per draw of anchors and query.
      axes: the axes along which the samples were drawn; the others are averaged as they are.
      level: the probability that the interval is meant to cover.
      repeats: of the resampling.
      seed: of the resampling.

    Returns: (low, high), float.
    Raises: ValueError for no samples, samples that are not finite, or an axis that is not there.
    Source: Efron and Tibshirani 1993, chapter 13; crossed axes as Owen 2007's pigeonhole bootstrap.
    """
    samples = checks.one_array("samples", samples)
    if samples.dtype.kind not in "biuf":
        raise ValueError(f"samples must be real numbers, got {samples.dtype}")
    samples = samples.astype(np.float64)
    axes = tuple(axes) if isinstance(axes, (tuple, list)) else (axes,)
    if samples.size == 0 or not np.isfinite(samples).all():
        raise ValueError(f"samples must be finite and not empty, got shape {samples.shape}")
    known = all(type(axis) is int and 0 <= axis < samples.ndim for axis in axes)
    if not axes or not known or len(set(axes)) < len(axes):
        raise ValueError(f"axes must be distinct, from 0 to {samples.ndim - 1}, got {axes}")
    checks.probability("level", level)
    checks.whole("repeats", repeats)
    checks.whole("seed", seed, 0)
    random = np.random.default_rng(seed)
    others = tuple(axis for axis in range(samples.ndim) if axis not in axes)
    means = np.moveaxis(samples.mean(axis=others, keepdims=True), axes, range(len(axes)))
    means = means.reshape(1, *(samples.shape[axis] for axis in axes))
    for axis in axes:  # takes one axis away, each repeat with its own counts
        size = samples.shape[axis]
        counts = random.multinomial(size, np.full(size, 1 / size), repeats) / size
        means = np.einsum(
            "rs...,rs->r...", np.broadcast_to(means, (repeats, *means.shape[1:])), counts
        )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled(
    statistic: Callable[..., Any],
    *arrays: Array,
    groups: Array | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> tuple[float, np.ndarray]:
    """Bootstrap of a statistic that is not a mean of examples: its value, and its values on resampled examples.

        value, repeats = evaluation.resampled(evaluation.roc_auc, scores, labels)

    Two systems on the same examples, with the same seed, are resampled equally: the interval of their
    difference is that of the differences of the repeats.

    Args:
      statistic: function of the arrays and the keyword `where`, bool [n], to a number.
      arrays: [n, ...] each, an example per row.
      groups: [n], what the examples belong to, such as their image: groups are drawn whole; None draws
        examples.
      repeats: of the resampling.
      seed: of the resampling.

    Returns: (value, float64 [repeats]).
    Raises: ValueError for arrays of different lengths.
    Source: Efron and Tibshirani 1993, chapters 6 and 8; groups as Davison and Hinkley 1997, section 3.8.
    """
    checks.function("statistic", statistic, "of arrays and where= to a number")
    checks.whole("repeats", repeats)
    checks.whole("seed", seed, 0)
    if not arrays:
        raise ValueError("arrays must be one at least, got none")
    columns = [checks.one_array(f"arrays[{place}]", array) for place, array in enumerate(arrays)]
    count = checks.rows_of("arrays[0]", columns[0])
    for place, column in enumerate(columns):
        checks.shaped(
            f"arrays[{place}]", column, (count, *column.shape[1:]), "as many rows as the first"
        )
    if not count:
        raise ValueError("arrays must not be empty, got 0 rows")
    if groups is None:
        members = list(np.arange(count)[:, None])
    else:
        names = checks.names("groups", groups)
        checks.shaped("groups", names, (count,), "one per example")
        numbers = np.unique(names, return_inverse=True)[1]
        members = np.split(np.argsort(numbers, kind="stable"), np.cumsum(np.bincount(numbers))[:-1])
    random = np.random.default_rng(seed)
    draws = random.integers(len(members), size=(repeats, len(members)))
    sizes = np.array([len(rows) for rows in members])
    most = int(sizes[draws].sum(axis=1).max())  # one shape for all repeats: one compilation
    values = np.empty(repeats)
    for repeat, drawn in enumerate(draws):
        rows = np.concatenate([members[number] for number in drawn])
        where = np.arange(most) < len(rows)
        rows = np.pad(rows, (0, most - len(rows)))
        values[repeat] = float(statistic(*(column[rows] for column in columns), where=where))
    whole = float(statistic(*columns, where=np.ones(count, bool)))
    return whole, values
