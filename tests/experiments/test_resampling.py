"""Intervals of every kind of figure, against loops with the same draws and on simulated data."""

import numpy as np
import pytest

from experiments import runner
from experiments.frame import resampling
from experiments.frame.resampling import spread
from jaxsim import evaluation

REPEATS = resampling.REPEATS


def counted(random, size, repeats):
    """How often each of `size` things comes in draws with replacement: [repeats, size]."""
    drawn = random.integers(size, size=(repeats, size))
    return np.array([[list(one).count(place) for place in range(size)] for one in drawn])


def rows_of(shape, *, seeds, keys=(1, 2), arms="ab"):
    """Rows of two arms whose figures are correlated, as those of the same examples are."""
    random = np.random.default_rng(len(keys) + seeds)
    return [
        {"arm": arm, "seed": seed, "k": k, "x": np.sin(k + seed) + random.normal(size=shape)}
        for seed in range(seeds)
        for k in keys
        for arm in arms
    ]


@pytest.mark.parametrize("shape", [(), (40,), (3, 40), (2, 3, 10), (4, 1)])
@pytest.mark.parametrize(("seeds", "keys"), [(1, (1, 2)), (3, (1, 2)), (3, (7,))])
def test_equal_shapes_have_the_crossed_bootstrap_as_ever(shape, seeds, keys):
    rows = rows_of(shape, seeds=seeds, keys=keys)
    compared = runner.difference(rows, "a", over="b", on="x")
    # The formulas before there were others: the mean over keys, then seeds and draws as one axis.
    blocks = [
        np.atleast_2d(
            np.mean(
                [np.atleast_1d(r["x"]) for r in rows if (r["arm"], r["seed"]) == (arm, seed)],
                axis=0,
            )
        )
        for arm in "ab"
        for seed in range(seeds)
    ]
    samples = np.concatenate(blocks[:seeds]) - np.concatenate(blocks[seeds:])
    assert compared.mean == pytest.approx(samples.mean())
    if samples.size == 1:
        assert compared.low is None
        return
    if samples.shape[-1] > 1:
        axes = tuple(axis for axis, size in enumerate(samples.shape) if size > 1)
        ends = evaluation.interval(samples, axes=axes)
    else:
        from scipy import stats

        error = samples.std(ddof=1) / np.sqrt(samples.size)
        reach = stats.t.ppf(0.975, samples.size - 1) * error
        ends = samples.mean() - reach, samples.mean() + reach
    np.testing.assert_allclose([compared.low, compared.high], ends, atol=1e-12)


def test_seeds_with_other_examples_are_nested():
    random = np.random.default_rng(5)
    seeds = [
        {"a": (0.5, random.normal(size=n)), "b": (0.5, random.normal(size=(2, n + 1)))}
        for n in (4, 6, 5)
    ]
    mean, ends = spread(seeds)
    assert mean == pytest.approx(
        np.mean([(s["a"][1].mean() + s["b"][1].mean()) / 2 for s in seeds])
    )

    draws = np.random.default_rng(0)
    chosen = draws.integers(3, size=(REPEATS, 3))
    parts = [[0.0] * 3 for _ in range(REPEATS)]
    for number, seed in enumerate(seeds):
        slots = [
            (r, slot) for r in range(REPEATS) for slot in range(3) if chosen[r, slot] == number
        ]
        for weight, block in seed.values():
            size = block.shape[-1]
            examples = counted(draws, size, len(slots))
            by_draw = np.array([np.repeat(block, one, axis=-1).mean(axis=-1) for one in examples])
            if block.ndim == 2:
                rows = counted(draws, len(block), len(slots))
                by_draw = [np.repeat(m, c).mean() for m, c in zip(by_draw, rows, strict=True)]
            for (r, slot), value in zip(slots, by_draw, strict=True):
                parts[r][slot] += weight * value
    means = [sum(part) / 3 for part in parts]
    np.testing.assert_allclose(ends, np.quantile(means, [0.025, 0.975]))


def test_other_examples_of_the_same_number_have_wider_intervals_unless_they_are_named():
    values = np.random.default_rng(8).normal(size=(20, 300))
    named = [runner.Grouped(x, np.arange(300) + 300 * seed) for seed, x in enumerate(values)]
    widths = [
        np.diff(spread([{"a": (1.0, figure)} for figure in figures])[1])
        for figures in (values, named)
    ]
    np.testing.assert_allclose(widths[0] / widths[1], np.sqrt(3 / 2), rtol=0.1)


def test_keys_with_other_examples_are_resampled_within_each():
    random = np.random.default_rng(6)
    seeds = [
        {"a": (0.5, random.normal(size=4)), "b": (0.5, random.normal(size=9))} for _ in range(3)
    ]
    _, ends = spread(seeds)
    draws = np.random.default_rng(0)
    chosen = counted(draws, 3, REPEATS)
    means = np.zeros(REPEATS)
    for name in "ab":
        blocks = np.stack([seed[name][1] for seed in seeds])
        size = blocks.shape[1]
        examples = counted(draws, size, REPEATS)
        for r in range(REPEATS):
            crossed = np.repeat(np.repeat(blocks, examples[r], axis=1), chosen[r], axis=0)
            means[r] += crossed.mean() / 2
    np.testing.assert_allclose(ends, np.quantile(means, [0.025, 0.975]))


@pytest.mark.parametrize("together", [True, False])
def test_groups_are_drawn_as_a_whole(together):
    random = np.random.default_rng(7)
    groups = np.array(["x", "y", "x", "z", "z", "z"])
    others = groups if together else np.array(["x", "y", "y", "z", "z", "w"])
    blocks = [random.normal(size=6), random.normal(size=6)]
    seeds = [
        {(): (1.0, runner.Grouped(b, g))} for b, g in zip(blocks, (groups, others), strict=True)
    ]
    _, ends = spread(seeds)
    draws, means = np.random.default_rng(0), []

    def mean_of(block, names, counts):
        taken = [
            value
            for group, count in zip(sorted(set(names)), counts, strict=True)
            for value in list(block[names == group]) * count
        ]
        return np.mean(taken)

    if together:
        chosen = counted(draws, 2, REPEATS)
        counts = counted(draws, 3, REPEATS)
        for r in range(REPEATS):
            each = [mean_of(block, groups, counts[r]) for block in blocks]
            means.append(np.repeat(each, chosen[r]).mean())
    else:
        chosen = draws.integers(2, size=(REPEATS, 2))
        parts = np.zeros((REPEATS, 2))
        for seed, (block, names) in enumerate(zip(blocks, (groups, others), strict=True)):
            slots = [
                (r, slot) for r in range(REPEATS) for slot in range(2) if chosen[r, slot] == seed
            ]
            size = len(set(names))
            counts = counted(draws, size, len(slots))
            for place, count in zip(slots, counts, strict=True):
                parts[place] = mean_of(block, names, count)
        means = parts.mean(axis=1)
    np.testing.assert_allclose(ends, np.quantile(means, [0.025, 0.975]))


def test_the_interval_of_a_statistic_is_that_of_its_repeats():
    random = np.random.default_rng(8)
    repeats = {arm: random.normal(size=(3, 200)) for arm in "ab"}
    rows = [
        {
            "arm": arm,
            "seed": seed,
            "x": runner.Resampled(10 * (arm == "a") + seed, repeats[arm][seed]),
        }
        for arm in "ab"
        for seed in range(3)
    ]
    one = runner.difference(rows, "a", over="b", on="x", where=lambda row: row["seed"] == 1)
    apart = repeats["a"] - repeats["b"]
    assert one.mean == 10
    np.testing.assert_allclose([one.low, one.high], np.quantile(apart[1], [0.025, 0.975]))
    every = runner.difference(rows, "a", over="b", on="x")
    counts = counted(np.random.default_rng(0), 3, 200)
    means = [np.repeat(apart[:, r], counts[r]).mean() for r in range(200)]
    np.testing.assert_allclose([every.low, every.high], np.quantile(means, [0.025, 0.975]))
    (first, _) = runner.summary(rows)
    assert first["x"] == 11


def test_a_median_with_shared_draws_is_paired():
    random = np.random.default_rng(9)
    numbers = random.normal(size=200)
    draws = np.random.default_rng(0).integers(200, size=(500, 200))
    rows = [
        {"arm": arm, "seed": 0, "x": runner.Resampled(np.median(x), np.median(x[draws], axis=1))}
        for arm, x in (("a", numbers + 0.05), ("b", numbers))
    ]
    compared = runner.difference(rows, "a", over="b", on="x")
    assert compared.verdict == "held", "the noise that both share is not counted"
    np.testing.assert_allclose([compared.low, compared.high], 0.05)


@pytest.mark.thorough
def test_intervals_over_seeds_with_other_examples_cover_the_truth():
    random, count, covered = np.random.default_rng(10), 120, 0
    for _ in range(count):
        sizes = random.integers(8, 16, size=6)
        values = [0.5 * random.normal() + random.normal(size=size) for size in sizes]
        _, (low, high) = spread([{(): (1.0, one)} for one in values])
        covered += low <= 0 <= high
    assert 0.88 <= covered / count <= 0.99


@pytest.mark.thorough
def test_groups_of_one_seed_cover_and_examples_do_not():
    random, count = np.random.default_rng(11), 120
    covered = np.zeros(2)
    for _ in range(count):
        values = np.repeat(random.normal(size=30), 5) + 0.1 * random.normal(size=150)
        for place, figure in enumerate((runner.Grouped(values, np.arange(150) // 5), values)):
            _, (low, high) = spread([{(): (1.0, figure)}])
            covered[place] += low <= 0 <= high
    assert 0.88 <= covered[0] / count <= 0.99
    assert covered[1] / count < 0.75, "examples of one group are no separate evidence"


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ((runner.Resampled(1.0, [1.0, 2.0]), runner.Resampled(1.0, [1.0] * 3)), "got 2 repeats in"),
        ((runner.Resampled(1.0, [1.0, 2.0]), 1.0), r"got 2 repeats in .* and \(\) in the row of"),
        (
            (runner.Grouped([1.0, 2.0], [0, 1]), np.ones(2)),
            r"got \(2,\) in groups in .* and \(2,\) in",
        ),
        (
            (runner.Grouped([1.0, 2.0], [0, 1]), runner.Grouped([1.0, 2.0], [0, 0])),
            "'x' must have the same groups in the row of arm 'a', seed = 0 and in the row of arm 'b'",
        ),
    ],
)
def test_figures_of_other_kinds_do_not_pair(figures, message):
    rows = [{"arm": arm, "seed": 0, "x": x} for arm, x in zip("ab", figures, strict=True)]
    with pytest.raises(ValueError, match=message):
        runner.difference(rows, "a", over="b", on="x")


def test_statistics_of_keys_have_as_many_repeats():
    rows = [
        {"arm": arm, "seed": 0, "k": k, "x": runner.Resampled(1.0, np.ones(2 + k))}
        for arm in "ab"
        for k in (1, 2)
    ]
    with pytest.raises(ValueError, match="repeats must have as many of them in all rows"):
        runner.difference(rows, "a", over="b", on="x")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: runner.Resampled([1.0], [1.0, 2.0]), "value must be a number, got"),
        (lambda: runner.Resampled(1.0, [1.0]), r"repeats must be numbers .* of shape \(1,\)"),
        (lambda: runner.Grouped(1.0, [1]), r"values must be numbers \[..., examples\]"),
        (
            lambda: runner.Grouped([1.0, 2.0], [1]),
            r"groups must be strings or integers, one for each of 2",
        ),
        (lambda: runner.Grouped([1.0], [0.5]), "groups must be .* got float64"),
    ],
)
def test_a_figure_that_is_none_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind", ["repeats", "groups", "examples"])
def test_what_is_not_finite_is_said_of_every_kind(kind):
    numbers = {"a": np.array([1.0, np.nan, 2.0]), "b": np.ones(3)}
    make = {
        "repeats": lambda x: runner.Resampled(1.0, x),
        "groups": lambda x: runner.Grouped(x, [0, 1, 1]),
        "examples": lambda x: x,
    }[kind]
    rows = [{"arm": arm, "seed": 0, "x": make(x)} for arm, x in numbers.items()]
    compared = runner.difference(rows, "a", over="b", on="x")
    assert compared.words == "not comparable with b (NaN in 'x' of arm 'a', seed = 0)"
    assert [row["x"] for row in runner.summary(rows)] == [None, 1.0]


def test_the_summary_of_other_examples_is_the_mean_of_the_seeds():
    rows = [{"arm": "a", "seed": seed, "x": np.full(size, seed)} for seed, size in ((0, 2), (1, 6))]
    (found,) = runner.summary(rows)
    assert found["x"] == 0.5
    np.testing.assert_allclose(found["x interval"], [0, 1])


def test_many_examples_are_counted_in_pieces(monkeypatch):
    values = np.random.default_rng(12).normal(size=(2, 30))
    seeds = [{(): (1.0, values[0])}, {(): (1.0, values[1][:29])}]
    _, whole = spread(seeds)
    monkeypatch.setattr(resampling, "AT_ONCE", 29 * 7)
    np.testing.assert_allclose(spread(seeds)[1], whole)
