"""The other words of a claim: smaller, no worse, interaction, reproduced, against, several sentences."""

import numpy as np
import pytest

from experiments import runner


def rows_of(arms, seeds=4, **more):
    """A row per arm and seed: the arm's number with a small deviation of the seed."""
    return [
        {"arm": arm, "seed": seed, "figure": value + 0.01 * seed + 0.001 * (seed % 2), **more}
        for arm, value in arms.items()
        for seed in range(seeds)
    ]


@pytest.mark.parametrize(("arm", "verdict"), [("a", "held"), ("b", "not held")])
def test_smaller_asks_for_the_lower_one(arm, verdict):
    rows = rows_of({"a": 1.0, "b": 2.0})
    rows[0]["figure"] -= 0.01
    over = "b" if arm == "a" else "a"
    compared = runner.difference(rows, arm, over=over, on="figure", smaller=True)
    assert compared.verdict == verdict
    side = "lower than b (-1.00" if arm == "a" else "higher than a (+1.00"
    assert compared.words.startswith(side)


@pytest.mark.parametrize("smaller", [False, True])
@pytest.mark.parametrize(
    ("worse", "by", "verdict", "words"),
    [
        (0.005, 0.05, "held", "no worse than b by more than 0.05 ("),
        (-1.0, 0.05, "held", "no worse than b by more than 0.05 ("),
        (0.5, 0.05, "not held", "worse than b by more than 0.05 ("),
        (0.05, 0.05, "not decided", "not clearly no worse than b by more than 0.05 ("),
    ],
)
def test_no_worse_is_held_where_the_interval_excludes_the_margin(
    worse, by, verdict, words, smaller
):
    sign = 1 if smaller else -1
    noise = np.tile([0.001, -0.001], 50)
    rows = [
        {"arm": arm, "seed": 0, "figure": value + noise * (arm == "a")}
        for arm, value in (("a", 3 + sign * worse), ("b", 3.0))
    ]
    compared = runner.no_worse(rows, "a", over="b", on="figure", by=by, smaller=smaller)
    assert compared.verdict == verdict
    assert compared.words.startswith(words)


def test_a_margin_is_a_number_from_0():
    rows = rows_of({"a": 1.0, "b": 2.0})
    with pytest.raises(ValueError, match="by must be at least 0, got -1"):
        runner.no_worse(rows, "a", over="b", on="figure", by=-1)
    with pytest.raises(ValueError, match="within must be at least 0, got -1"):
        runner.reproduced(rows, {"a": 1.0}, on="figure", within=-1)


def test_against_compares_with_every_arm_that_has_the_figure():
    rows = [*rows_of({"a": 3.0, "b": 2.0, "c": 1.0}), {"arm": "d", "seed": 0, "other": 1.0}]
    rows[1]["figure"] += 0.01
    claim = runner.against(rows, "a", on="figure", needed=("b", "e"), question="a is best")
    assert [c.over for c in claim.comparisons] == ["b", "c"]
    assert claim.sentence.startswith(
        "a is best: held here. Decisive: in figure, a is higher than b"
    )
    assert "Reported only: in figure, a is higher than c" in claim.sentence
    assert claim.sentence.endswith("Not run: e.")
    assert runner.against(rows, "e", on="figure", question="e is best").verdict == "not decided"


def test_sentences_hold_together():
    rows = rows_of({"a": 2.0, "b": 1.0})
    rows[0]["figure"] += 0.01
    one = runner.difference(rows, "a", over="b", on="figure")
    other = runner.difference(rows, "b", over="a", on="figure")
    held = runner.sentences([("a beats b", [one]), ("b is lower", [one])])
    assert held.verdict == "held"
    lost = runner.sentences([("a beats b", [one]), ("b beats a", [other])])
    assert lost.verdict == "not held"
    assert lost.comparisons == (one, other)
    assert lost.sentence.startswith(
        "All 2 sentences: not held here. a beats b: held here. Decisive: in figure, a is higher than b"
    )
    assert "b beats a: not held here." in lost.sentence
    with pytest.raises(ValueError, match="one question at least"):
        runner.sentences([])


def test_rows_of_other_figures_are_left_out_and_half_a_pair_is_named():
    rows = [
        {
            "arm": arm,
            "seed": seed,
            "task": task,
            figure: float(arm == "a") + 0.1 * seed * (arm == "a"),
        }
        for arm in "ab"
        for seed in range(3)
        for task, figure in (("search", "nDCG"), ("pairs", "Spearman"))
    ]
    assert runner.difference(rows, "a", over="b", on="nDCG").mean == pytest.approx(1.1)
    del rows[0]["nDCG"]
    with pytest.raises(
        ValueError,
        match="the row of arm 'a', seed = 0, task = search lacks the figure 'nDCG', which the row of arm 'b'",
    ):
        runner.difference(rows, "a", over="b", on="nDCG")


@pytest.mark.parametrize(
    ("expected", "verdict", "words"),
    [
        ({"a": 1.5, ("b", 2): 4.02}, "held", "within 0.05 of all 2 expected numbers"),
        ({("a", 1): 1.0, ("b", 1): 3.5}, "not held", "off by more than 0.05 at 1 of 2 "),
        ({"a": 1.5, "c": 1.0}, "not decided", "no row of arm 'c' has 'x'"),
        (
            {"n": 1.0},
            "not decided",
            "not comparable with expected numbers (NaN in 'x' of arm 'n')",
        ),
    ],
)
def test_reproduced_numbers_are_within_reach(expected, verdict, words):
    numbers = {("a", 1): 1.0, ("a", 2): 2.0, ("b", 1): 3.0, ("b", 2): 4.0, ("n", 1): np.nan}
    rows = [{"arm": arm, "seed": 0, "k": k, "x": value} for (arm, k), value in numbers.items()]
    compared = runner.reproduced(rows, expected, on="x", within=0.05)
    assert compared.verdict == verdict
    assert words in compared.words
    assert runner.judged("the numbers are the paper's", [compared]).verdict == verdict


def test_an_interaction_is_a_difference_of_differences():
    random = np.random.default_rng(0)
    of_example = random.normal(size=40)
    rows = [
        {
            "arm": arm,
            "seed": seed,
            "noise": noise,
            "x": of_example + 10.0 * seed + value * noise + 0.01 * random.normal(size=40),
        }
        for arm, value in (("a", 3.0), ("b", 1.0))
        for seed in range(3)
        for noise in (0, 1)
    ]
    with_noise, without = (lambda row, n=n: row["noise"] == n for n in (1, 0))
    found = runner.interaction(rows, ("a", "b"), ("a", "b"), on="x", where=(with_noise, without))
    assert found.mean == pytest.approx(2, abs=0.02)
    assert found.verdict == "held"
    assert found.words.startswith("higher than (a - b) of the other rows (+")
    none = runner.interaction(rows, ("a", "b"), ("a", "b"), on="x")
    assert (none.mean, none.verdict) == (pytest.approx(0), "not decided")


def test_an_interaction_of_other_examples_resamples_each_side():
    random = np.random.default_rng(0)
    rows = [
        {"arm": arm, "seed": seed, "x": random.normal(size=400), "y": random.normal(size=100)}
        for arm in "ab"
        for seed in range(2)
    ]
    found = runner.interaction(rows, ("a", "b"), ("a", "b"), on=("x", "y"))
    sides = [
        np.mean([rows[seed][name].mean() - rows[2 + seed][name].mean() for seed in range(2)])
        for name in "xy"
    ]
    assert found.figure == "x and y"
    assert found.mean == pytest.approx(sides[0] - sides[1])
    assert 0.2 < found.high - found.low < 1.5
