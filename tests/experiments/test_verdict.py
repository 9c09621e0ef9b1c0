"""Whether a claim held: what is paired, what decides, and what the sentence says."""

import numpy as np
import pytest

from experiments import runner
from experiments.frame.tables import grids, interval
from experiments.frame.verdict import Comparison, judged


def test_one_number_has_no_interval_and_decides_nothing():
    rows = [{"arm": arm, "seed": 0, "figure": value} for arm, value in (("a", 1.0), ("b", 0.0))]
    found = runner.difference(rows, "a", over="b", on="figure")
    assert (found.mean, found.low, found.verdict) == (1.0, None, "not decided")


def test_pairs_are_compared_within_their_seed_and_keys():
    rows = [
        {"arm": arm, "seed": seed, "k": k, "figure": 100.0 * seed + 10 * k + (arm == "a")}
        for arm in "ab"
        for seed in range(4)
        for k in (1, 2)
        if not (arm == "b" and seed == 3)  # unpaired: left out
    ]
    found = runner.difference(rows, "a", over="b", on="figure")
    np.testing.assert_allclose([found.mean, found.low, found.high], 1.0)


def test_seeds_are_resampled_with_the_examples():
    apart = np.repeat([[0.0], [1.0], [2.0]], 50, axis=1)
    low, high = interval(apart)
    assert low < 0.5
    assert high > 1.5


def test_only_arms_that_ran_are_compared():
    rows = [{"arm": arm, "seed": seed, "figure": float(arm)} for arm in "123" for seed in (0, 1)]
    found = runner.above(rows, "3", "1", "none", "2", on="figure")
    assert [(one.over, one.mean) for one in found] == [("1", 2.0), ("2", 1.0)]
    assert runner.above(rows, "none", "1", on="figure") == []
    (lower,) = runner.above(rows, "1", "2", on="figure", smaller=True)
    assert lower.verdict == "held"


def test_arms_that_ran_are_close_or_not():
    rows = [{"arm": arm, "seed": seed, "figure": float(arm)} for arm in "123" for seed in (0, 1)]
    found = runner.close(rows, "1", "2", "none", "3", on="figure", by=1.5)
    assert [(one.over, one.verdict) for one in found] == [("2", "held"), ("3", "not held")]
    (lower,) = runner.close(rows, "3", "2", on="figure", by=0.5, smaller=True)
    assert lower.verdict == "not held"


def test_several_claims_are_one():
    claims = [judged("a is better", [compared("a", 0.5)]), judged("so is b", [compared("b", 0.0)])]
    found = runner.joined(claims)
    assert (found.verdict, found.question) == ("not decided", "a is better; so is b")
    assert found.sentence == f"{claims[0].sentence} {claims[1].sentence}"
    assert [one.over for one in found.comparisons] == ["a", "b"]


def compared(over, mean, reach=0.1):
    return Comparison("ours", over, "recall", mean, mean - reach, mean + reach)


def test_the_sentence_says_what_decides_and_does_not_contradict_itself():
    found = judged(
        "ours is better",
        [compared("a", 0.5), compared("b", 0.2), compared("c", 0.0), compared("d", -0.3)],
        needed=("a", "b"),
    )
    assert found.verdict == "held"
    assert found.sentence == (
        "ours is better: held here. "
        "Decisive: in recall, ours is higher than a (+0.500, 95 % interval +0.400 to +0.600); "
        "higher than b (+0.200, 95 % interval +0.100 to +0.300). "
        "Reported only: in recall, ours is not clearly different from c (+0.000, 95 % interval -0.100 to "
        "+0.100); lower than d (-0.300, 95 % interval -0.400 to -0.200)."
    )
    assert found.sentence.count("held") == 1
    lost = judged("ours is better", [compared("a", 0.5), compared("d", -0.3)], needed=("a", "d"))
    assert lost.verdict == "not held"
    assert lost.sentence.count("held") == 1


def test_a_baseline_of_the_claim_that_did_not_run_is_named():
    found = judged("ours is better", [compared("a", 0.5)], needed=("a", "b"))
    assert found.sentence.endswith("Not run: b.")
    assert judged("ours is better", [], needed=("a",)).verdict == "not decided"


def test_all_comparisons_decide_where_none_is_named():
    other = Comparison("theirs", "b", "time", -0.3, -0.4, -0.2)
    found = judged("ours is better", [compared("a", 0.5), other])
    assert found.verdict == "not held"
    assert "Decisive: in recall, ours is higher than a (" in found.sentence
    assert "; in time, theirs is lower than b (" in found.sentence
    assert judged("ours is better", []).sentence == (
        "ours is better: not decided here. Nothing was compared."
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_decides_nothing(bad):
    rows = [
        {"arm": arm, "seed": seed, "figure": np.linspace(0, 1, 20) + (arm == "a")}
        for arm in "ab"
        for seed in range(3)
    ]
    rows[1]["figure"][7] = bad
    found = runner.difference(rows, "a", over="b", on="figure")
    assert (found.mean, found.verdict) == (None, "not decided")
    kind = "NaN" if np.isnan(bad) else "infinity"
    assert found.words == f"not comparable with b ({kind} in 'figure' of arm 'a', seed = 1)"


def test_the_best_setting_is_never_one_of_nan():
    scores = {"a": np.nan, "b": 0.1, "c": 0.3, "d": 0.3}
    assert runner.best(list(scores), scores.get) == "c"
    with pytest.raises(ValueError, match="all 1 settings scored NaN, 'a' among them"):
        runner.best(["a"], scores.get)


def one(arm, seed, **more):
    return {"arm": arm, "seed": seed, "k": 1, **more}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [one("a", 0, x=1.0), one("b", 0, y=1.0)],
            "row of arm 'b', seed = 0, k = 1 lacks the figure 'x'",
        ),
        (
            [one("a", 0, x=np.ones(3)), one("b", 0, x=np.ones(4))],
            r"'x' must have one shape, got \(3,\) in the row of arm 'a', seed = 0, k = 1 and \(4,\) in the "
            "row of arm 'b'",
        ),
        (
            [one("a", s, x=np.ones(3 + s)) for s in range(2)]
            + [one("b", s, x=1.0) for s in range(2)],
            r"got \(3,\) in the row of arm 'a', seed = 0, k = 1 and \(\) in the row of arm 'b', seed = 0",
        ),
        (
            [one("a", 0, x=1.0)] * 2 + [one("b", 0, x=1.0)],
            "two rows of arm 'a', seed = 0, k = 1 have",
        ),
    ],
)
def test_rows_that_do_not_pair_are_named(rows, message):
    with pytest.raises(ValueError, match=message):
        runner.difference(rows, "a", over="b", on="x")


def test_a_table_has_every_figure_and_key_of_every_row():
    rows = runner.summary(
        [
            {"arm": "a", "seed": 0, "k": 10, "x": 0.5},
            {"arm": "b", "seed": 0, "k": "none", "x": np.nan, "y": 0.25},
        ]
    )
    tables = {grid.title: grid for grid in grids(rows)}
    assert tables["x"].across == ("10", "none")
    assert tables["x"].lines == {"a": ("0.500", ""), "b": ("", "not finite")}
    assert tables["y"].lines == {"b": ("0.250",)}


def test_an_empty_key_is_in_no_title_and_no_heading():
    """An arm that varies nothing has "" where the others name what they vary, and its values."""
    rows = [
        {"arm": "a", "data": "news", "varied": "", "value": "", "x": 0.5},
        {"arm": "b", "data": "news", "varied": "size", "value": "10", "x": 0.25},
    ]
    plain, varied = grids(rows)
    assert (plain.title, plain.corner, plain.across) == ("x, data = news", "arm", ("x",))
    assert plain.lines == {"a": ("0.500",)}
    assert varied.title == "x, data = news, varied = size"
    assert (varied.corner, varied.across) == ("arm \\ value", ("10",))


def test_seeds_of_other_kinds_are_named_in_the_summary():
    rows = [{"arm": "a", "seed": seed, "x": x} for seed, x in enumerate((np.ones(3), 1.0))]
    with pytest.raises(
        ValueError, match=r"'x' must have one shape, got \(3,\) .*seed = 0 and \(\)"
    ):
        runner.summary(rows)
