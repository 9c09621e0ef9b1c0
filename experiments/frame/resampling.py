"""The 95 % interval of a mean over seeds, keys and examples.

One number per seed: Student's t over the seeds, for a bootstrap of three numbers is too sure of itself.
Figures per example are resampled:

    the same examples for all seeds     crossed: seeds, and examples
    other examples for each seed        nested: seeds, then the examples of each
    keys with other examples            within each key; the mean over the keys gives each the same weight
    groups                              whole groups
    statistics with repeats             seeds; the repeats are the experiment's

Seeds with as many examples, in the same shape, count as having the same ones. Where these are others the interval
is wider than it need be, sqrt(3/2) times at most; `Grouped`, with the examples' numbers as groups, says so.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from experiments.frame import figures
from experiments.frame.figures import Grouped, Resampled
from jaxsim import evaluation

REPEATS = 2000
AT_ONCE = 1_000_000  # counts in memory
Terms = Mapping[Hashable, tuple[float, Any]]  # {key: (weight, figure)} of one seed


def spread(seeds: Sequence[Terms]) -> tuple[float, tuple[float, float] | None]:
    """The mean over seeds of a weighted sum of figures, with its 95 % interval.

    Args:
      seeds: for each seed its figures by their key, with the weight of each.

    Returns: (mean, (low, high)), without the interval where there is one number.
    Raises: ValueError for repeats among other figures, or for other numbers of repeats.
    """
    merged = [_merged(terms) for terms in seeds]
    mean = float(np.mean([sum(map(figures.middle, one.values())) for one in merged]))
    blocks = [block for one in merged for block in one.values()]
    if any(isinstance(block, Resampled) for block in blocks):
        if len({figures.layout(block) for block in blocks}) > 1:
            raise ValueError(
                "a statistic with repeats must have as many of them in all rows that are compared"
            )
        return mean, _of_repeats([block.repeats for block in blocks])
    same = len({figures.layout(b) for b in blocks}) == 1 and len(blocks) == len(seeds)
    if same and not isinstance(blocks[0], Grouped):
        samples = np.concatenate([np.atleast_2d(block) for block in blocks])
        return mean, interval(samples) if samples.size > 1 else None
    return mean, _crossed(merged) if len({tuple(one) for one in merged}) == 1 else _nested(merged)


def interval(samples: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the mean of samples [seeds or draws, examples].

    One number per seed: Student's t over the seeds. Figures per example: the bootstrap over examples and
    over what comes before them.
    """
    if samples.shape[-1] > 1:
        axes = tuple(axis for axis, size in enumerate(samples.shape) if size > 1)
        low, high = evaluation.interval(samples, axes=axes)
        return float(low), float(high)
    from scipy import stats

    error = samples.std(ddof=1) / np.sqrt(samples.size)
    reach = float(stats.t.ppf(0.975, samples.size - 1) * error)
    return float(samples.mean() - reach), float(samples.mean() + reach)


def _merged(terms: Terms) -> dict[Hashable, Any]:
    """Figures of one layout added up: they are of the same examples. {(keys, layout): figure}."""
    groups = {}
    for key, (weight, figure) in terms.items():
        groups.setdefault(figures.layout(figure), []).append((key, weight, figure))
    sums = {}
    for layout, members in groups.items():
        # One sum holds all keys of its seed: seeds that have other keys are resampled together.
        names = tuple(key for key, _, _ in members) if len(groups) > 1 else ()
        sums[names, layout] = figures.weighted_sum((w, figure) for _, w, figure in members)
    return sums


def _crossed(seeds: Sequence[Mapping[Hashable, Any]]) -> tuple[float, float]:
    """All seeds have the same examples: seeds are drawn once for all keys, examples within each key."""
    random, count = np.random.default_rng(0), len(seeds)
    drawn = _counts(count, random, REPEATS) / count
    total = np.zeros(REPEATS)
    for label, first in seeds[0].items():
        stacked = np.stack([figures.values(one[label]) for one in seeds])
        groups = first.groups if isinstance(first, Grouped) else None
        total += np.einsum("sr,rs->r", _resampled(stacked, groups, random, REPEATS, 1), drawn)
    return _ends(total)


def _nested(seeds: Sequence[Mapping[Hashable, Any]]) -> tuple[float, float]:
    """Each seed has other examples: these are drawn anew whenever the seed is."""
    random, count = np.random.default_rng(0), len(seeds)
    drawn = random.integers(count, size=(REPEATS, count))
    means = np.zeros((REPEATS, count))
    for seed, blocks in enumerate(seeds):
        places = drawn == seed
        for block in blocks.values():
            groups = block.groups if isinstance(block, Grouped) else None
            means[places] += _resampled(figures.values(block), groups, random, places.sum())
    return _ends(means.mean(axis=1))


def _resampled(
    values: np.ndarray, groups: Any, random: np.random.Generator, repeats: int, keep: int = 0
) -> np.ndarray:
    """Means of values [..., examples] with every axis resampled but the first `keep`: [keep, repeats]."""
    sums, sizes = values, np.ones(values.shape[-1])
    if groups is not None:
        _, place = np.unique(groups, return_inverse=True)
        sizes = np.bincount(place)
        sums = np.zeros((*values.shape[:-1], len(sizes)))
        for example, group in enumerate(place):
            sums[..., group] += values[..., example]
    means, step = [], max(1, AT_ONCE // len(sizes))
    for start in range(0, repeats, step):
        counts = _counts(len(sizes), random, min(step, repeats - start))
        means.append(sums @ counts.T / (counts @ sizes))
    found = np.concatenate(means, axis=-1) if means else np.zeros((*values.shape[:-1], 0))
    while found.ndim > keep + 1:
        draws = found.shape[-2]
        found = np.einsum("...sr,rs->...r", found, _counts(draws, random, repeats) / draws)
    return found


def _of_repeats(repeats: Sequence[np.ndarray]) -> tuple[float, float]:
    """Repeats of each seed: seeds are drawn anew for every repeat."""
    count, size = len(repeats), len(repeats[0])
    drawn = _counts(count, np.random.default_rng(0), size) / count
    return _ends(np.einsum("sr,rs->r", np.stack(repeats), drawn))


def _counts(size: int, random: np.random.Generator, repeats: int) -> np.ndarray:
    """How often each of `size` things is drawn, with replacement: [repeats, size]."""
    drawn = random.integers(size, size=(repeats, size)) + size * np.arange(repeats)[:, None]
    return np.bincount(drawn.ravel(), minlength=repeats * size).reshape(repeats, size)


def _ends(means: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
