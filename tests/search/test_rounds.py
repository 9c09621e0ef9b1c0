"""Search under a budget: what is found, what is charged, what happens when the scorer fails."""

import jax
import numpy as np
import pytest

from jaxsim import evaluation, search

SCORES = np.random.default_rng(0).normal(size=(30, 4)) @ np.random.default_rng(1).normal(
    size=(4, 60)
)
SCORES = np.float32(SCORES + 0.2 * np.random.default_rng(2).normal(size=SCORES.shape))
ANCHORS, TESTS = SCORES[:20], SCORES[20:]


class Counted:
    """A scorer that remembers every pair it was asked for."""

    def __init__(self, scores):
        self.scores, self.pairs = scores, []

    def __call__(self, rows, items):
        self.pairs += list(zip(rows.tolist(), items.tolist(), strict=True))
        return self.scores[rows, items]


def scorer_of_tests(rows, items):
    return TESTS[rows, items]


def index(count=10, **settings):
    items = search.anchors.uniform(jax.random.key(0), 60, count)
    return search.cur_index(ANCHORS, items, **settings)


@pytest.mark.parametrize("budget", [10, 11, 25, 60, 99])
def test_every_distinct_call_is_charged_and_none_is_made_twice(budget):
    scorer = Counted(TESTS)
    result = search.anncur(index(), scorer, 10, k=5, budget=budget)
    assert len(scorer.pairs) == len(set(scorer.pairs)) == result.calls.sum()
    assert (result.calls == min(budget, 60)).all()


def test_answer_is_the_best_of_anchors_and_of_the_best_estimates():
    built = index()
    result = search.anncur(built, lambda q, i: TESTS[q, i], 10, k=5, budget=25)
    anchors = np.asarray(built.anchor_items)
    estimates = np.array(search.cur_scores(built, TESTS[:, anchors]))
    estimates[:, anchors] = -np.inf
    for row in range(10):
        scored = [*anchors, *np.argsort(-estimates[row], kind="stable")[:15]]
        best = sorted(scored, key=lambda i: (-TESTS[row, i], i))[:5]
        assert result.ids[row].tolist() == best
        np.testing.assert_array_equal(result.scores[row], TESTS[row, best])
        assert sorted(result.scored.ids[row]) == sorted(scored)


def test_the_whole_budget_finds_everything():
    result = search.anncur(index(), lambda q, i: TESTS[q, i], 10, k=10, budget=60)
    assert evaluation.top_k_recall(TESTS, result.ids, 10) == 1


def test_blocks_of_queries_change_nothing():
    whole = search.anncur(index(), lambda q, i: TESTS[q, i], 10, k=5, budget=25)
    split = search.anncur(index(), lambda q, i: TESTS[q, i], 10, k=5, budget=25, query_block=3)
    np.testing.assert_array_equal(whole.ids, split.ids)


def test_more_wanted_than_paid_for_is_filled_with_nothing():
    result = search.anncur(index(), lambda q, i: TESTS[q, i], 10, k=30, budget=12)
    assert (result.ids[:, :12] >= 0).all()
    assert (result.ids[:, 12:] == -1).all()
    assert np.isneginf(result.scores[:, 12:]).all()


def test_rerank_takes_the_first_stages_best_and_is_charged_for_them():
    first = np.float32(TESTS + np.random.default_rng(5).normal(size=TESTS.shape))
    scorer = Counted(TESTS)
    result = search.rerank(first, scorer, k=3, budget=8)
    for row in range(10):
        best = np.argsort(-first[row], kind="stable")[:8]
        assert {i for r, i in scorer.pairs if r == row} == set(best.tolist())
        assert result.ids[row].tolist() == sorted(best, key=lambda i: -TESTS[row, i])[:3]
    assert (result.calls == 8).all()


def test_a_round_that_repeats_pairs_pays_once():
    asks = [
        lambda scored, state: (np.tile([3, 3, 5], (2, 1)), state),
        lambda scored, state: (np.tile([5, -1, 7], (2, 1)), state),
    ]
    scorer = Counted(TESTS)
    result = search.ask_and_tell(asks, scorer, 2, num_items=60, k=2, budget=5)
    assert sorted(scorer.pairs) == [(0, 3), (0, 5), (0, 7), (1, 3), (1, 5), (1, 7)]
    assert result.calls.tolist() == [3, 3]


def test_rounds_see_what_was_scored_before():
    seen = []

    def ask(scored, state):
        seen.append(np.asarray(scored.scores))
        return np.full((2, 1), state), state + 1

    search.ask_and_tell(
        [ask, ask], lambda q, i: TESTS[q, i], 2, num_items=60, k=1, budget=2, state=1
    )
    np.testing.assert_array_equal(seen[1][:, 0], TESTS[:2, 1])
    assert np.isneginf(seen[0]).all()


def test_nan_from_the_scorer_ends_the_search_and_keeps_the_finished_rounds():
    built = index()
    anchors = set(np.asarray(built.anchor_items).tolist())

    def scorer(rows, items):
        return np.where(np.isin(items, list(anchors)), TESTS[rows, items], np.nan)

    with pytest.raises(
        search.ScorerError,
        match=r"NaN for 50 of 50 pairs in round 1, first for query 0 and item \d+",
    ) as caught:
        search.anncur(built, scorer, 10, k=5, budget=15)
    assert set(caught.value.scored.ids[0, :10].tolist()) == anchors
    assert (caught.value.scored.ids[:, 10:] == -1).all()


def test_a_scorer_that_raises_is_named_and_keeps_the_finished_rounds():
    def scorer(rows, items):
        raise ConnectionError("the server went away")

    with pytest.raises(search.ScorerError, match="ConnectionError in round 0: the server went"):
        search.anncur(index(), scorer, 10, k=5, budget=15)


def asked(ids, **answer):
    ask = lambda scored, state: answer.get("answer", (ids, state))  # noqa: E731
    return search.ask_and_tell([ask], scorer_of_tests, 1, num_items=60, k=1, budget=5)


RETURNED = {
    "an infinite score": (
        lambda q, i: np.full(len(q), np.inf),
        "returned infinity for 100 of 100 pairs",
    ),
    "beyond float32": (
        lambda q, i: np.full(len(q), 1e300),
        "returned infinity for 100 of 100 pairs",
    ),
    "one nan": (
        lambda q, i: np.where(np.arange(len(q)) == 7, np.nan, 1),
        "returned NaN for 1 of 100 pairs in round 0, first for query 0",
    ),
    "strings": (
        lambda q, i: ["a"] * len(q),
        "what the scorer returns must be real numbers, got <U1",
    ),
    "nothing": (lambda q, i: None, "what the scorer returns must be real numbers, got object"),
    "objects": (
        lambda q, i: [None] * len(q),
        "what the scorer returns must be real numbers, got object",
    ),
    "complex": (
        lambda q, i: np.ones(len(q)) * 1j,
        "what the scorer returns must be real numbers, got complex",
    ),
    "ragged": (lambda q, i: [[1], [1, 2]], "what the scorer returns must be one array"),
    "a column": (
        lambda q, i: np.zeros((len(q), 1)),
        r"one score per pair, \[100\], got shape \(100, 1\)",
    ),
}


@pytest.mark.parametrize("name", RETURNED)
def test_what_a_scorer_returns_is_checked(name):
    scorer, message = RETURNED[name]
    with pytest.raises(search.ScorerError, match=message):
        search.anncur(index(), scorer, 10, k=5, budget=15)


def test_a_scorer_may_return_lists_and_doubles():
    plain = search.anncur(index(), scorer_of_tests, 10, k=5, budget=15)
    for scorer in (lambda q, i: TESTS[q, i].tolist(), lambda q, i: TESTS[q, i].astype(float)):
        np.testing.assert_array_equal(
            search.anncur(index(), scorer, 10, k=5, budget=15).ids, plain.ids
        )


def test_a_scorer_of_the_wrong_length_is_named():
    with pytest.raises(search.ScorerError, match=r"one score per pair, \[100\], got shape \(3,\)"):
        search.anncur(index(), lambda q, i: np.zeros(3), 10, k=5, budget=15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: search.anncur(index(), None, 10, k=5, budget=9),
            "budget=9 is below the index's 10 anchor items: raise budget or build with fewer",
        ),
        (
            lambda: search.anncur(index(), None, 10, k=61, budget=20),
            "k must be at most 60, the number of items, got 61",
        ),
        (lambda: search.rerank(TESTS, None, k=61, budget=5), "k must be at most 60"),
        (
            lambda: search.rerank(TESTS[0], None, k=1, budget=5),
            r"first_scores must be \[any, any\]",
        ),
        (
            lambda: search.ask_and_tell(
                [lambda s, _: (np.array([[60]]), _)],
                scorer_of_tests,
                1,
                num_items=60,
                k=1,
                budget=5,
            ),
            "round 0 asked for item 60 of 60",
        ),
        (
            lambda: search.ask_and_tell(
                [lambda s, _: (np.arange(6)[None], _)],
                scorer_of_tests,
                1,
                num_items=60,
                k=1,
                budget=5,
            ),
            "round 0 asked for 6 items, which exceeds budget=5",
        ),
        (
            lambda: search.rerank(
                np.where(np.arange(60) == 3, np.nan, TESTS), scorer_of_tests, k=1, budget=5
            ),
            "first_scores must be numbers: row 0 has NaN",
        ),
        (
            lambda: search.anncur(TESTS, scorer_of_tests, 10, k=1, budget=20),
            "index must be a `CurIndex`",
        ),
        (lambda: search.cur_settings(10, shares=()), r"shares must list at least one, got \(\)"),
        (lambda: search.cur_settings(10, shares=(0.0,)), "shares must be > 0, got 0.0"),
        (
            lambda: search.cur_settings(10, regularizations=((-1, 0),)),
            "regularizations must be >= 0, got -1",
        ),
        (
            lambda: search.cur_settings(10, regularizations=((0,),)),
            r"regularizations must be pairs \(rtol, ridge\)",
        ),
        (lambda: search.best_settings([], len, TESTS, ks=(1,)), "candidates must not be empty"),
        (
            lambda: search.best_settings([1], len, TESTS, ks=(61,)),
            "ks must be at most 60, the number of items, got 61",
        ),
        (
            lambda: search.best_settings([1], len, TESTS, ks=()),
            "ks must list at least one number of items",
        ),
        (
            lambda: search.best_settings([1], len, TESTS * np.nan, ks=(1,)),
            "held_out_scores must be finite, got 600",
        ),
        (lambda: search.rerank(TESTS, "x", k=1, budget=5), "scorer must be a function .*got 'x'"),
        (
            lambda: asked(np.array([[1.5]])),
            r"the ids of asks \(round 0\) must be integers, got float64",
        ),
        (
            lambda: asked(np.array([[True]])),
            r"the ids of asks \(round 0\) must be integers, got bool",
        ),
        (lambda: asked(np.array([[2**32 + 1]])), "round 0 asked for item 4294967297 of 60"),
        (lambda: asked(None, answer=None), r"round 0 of asks must return \(ids, state\), got None"),
        (
            lambda: search.ask_and_tell("x", scorer_of_tests, 1, num_items=60, k=1, budget=5),
            "asks must be a list of functions",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_tuning_sees_held_out_queries_alone_and_picks_the_best():
    def items(count):
        return search.anchors.uniform(jax.random.key(0), 60, count)

    held_out = ANCHORS[15:]

    def recall_of(index, k):
        result = search.anncur(index, lambda q, i: held_out[q, i], 5, k=10, budget=20)
        return evaluation.top_k_recall(held_out, result.ids, k)

    settings, recalls = search.tune_anncur(
        ANCHORS[:15], held_out, items, ks=(1, 10), budget=20, shares=(0.25, 0.5)
    )
    for k, chosen in settings.items():
        built = search.cur_index(
            ANCHORS[:15],
            items(chosen.anchors),
            rtol=chosen.rtol,
            ridge=chosen.ridge,
            center=chosen.center,
        )
        assert recall_of(built, k) == pytest.approx(recalls[k])
        worst = search.cur_index(ANCHORS[:15], items(5), rtol=0.9)
        assert recalls[k] >= recall_of(worst, k)
