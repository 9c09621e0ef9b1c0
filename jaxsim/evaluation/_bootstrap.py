"""Bootstrap confidence intervals: resampling along every axis that was drawn at random."""

from collections.abc import Sequence

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
