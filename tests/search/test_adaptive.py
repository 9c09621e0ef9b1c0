"""ADACUR and AXN in rounds: float64 NumPy does the same, on 1 and 8 devices; and what is refused."""

import jax
import numpy as np
import pytest

from jaxsim import evaluation, search
from jaxsim.search import _brute_force
from jaxsim.search._adaptive_round import next_weights

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(26, 4)) @ RNG.normal(size=(4, 90)) + 0.2 * RNG.normal(size=(26, 90)) - 3
ANCHORS, TESTS = np.float32(SCORES[:16]), np.float32(SCORES[16:])
BASIS = search.row_basis(ANCHORS)
ONE = jax.devices()[:1]


def scorer(rows, items):
    return TESTS[rows, items]


def by_hand(basis, offsets, first, quotas, ridge, prior=None):
    """ADACUR from its definition, one query after another: which items are scored, in order."""
    basis, answer = np.float64(basis), []
    lam = (ridge * np.linalg.norm(basis, 2)) ** 2 * sum(quotas[:-1]) / basis.shape[1]
    for query, row in enumerate(np.float64(TESTS)):
        scored = list(first[: quotas[0]])
        start = np.zeros(len(basis)) if prior is None else np.float64(prior[query])
        for quota in quotas[1:]:
            v = basis[:, scored]
            residual = row[scored] - offsets[scored] - start @ v
            w = start + np.linalg.solve(v @ v.T + lam * np.eye(len(v)), v @ residual)
            estimates = w @ basis + offsets
            estimates[scored] = -np.inf
            scored += np.argsort(-estimates, kind="stable")[:quota].tolist()
        answer.append(scored)
    return np.array(answer)


@pytest.mark.thorough
def test_many_collectives_end_on_more_devices_than_cores():
    """As large as what once waited for good, when a loop over blocks of queries had a gather in each."""
    rng = np.random.default_rng(1)
    anchors, tests = np.float32(np.tanh(rng.normal(size=(2, 100, 6)) @ rng.normal(size=(6, 1597))))
    for budget in (25, 50, 100):
        result = search.adaptive(
            anchors, lambda q, i: tests[q, i], 100, k=10, budget=budget, rounds=4
        )
        assert (result.calls == budget).all()


@pytest.mark.thorough
@pytest.mark.parametrize("devices", [ONE, None])
@pytest.mark.parametrize(
    ("budget", "rounds", "share", "quotas"),
    [(14, 3, 0.0, [4, 4, 6]), (32, 2, 0.5, [8, 8, 16]), (45, 3, 0.0, [15, 15, 15])],
)
def test_rounds_are_their_definition(budget, rounds, share, quotas, devices):
    first = np.arange(0, 90, 4)
    result = search.adaptive(
        BASIS,
        scorer,
        10,
        k=5,
        budget=budget,
        rounds=rounds,
        rerank_share=share,
        first=first,
        ridge=0.1,
        devices=devices,
    )
    expected = by_hand(ANCHORS - ANCHORS.mean(), np.full(90, ANCHORS.mean()), first, quotas, 0.1)
    # Power iteration and float32 move the ridge and the estimates a little.
    assert (np.sort(result.scored.ids) == np.sort(expected)).mean() > 0.99
    assert (result.calls == budget).all()


@pytest.mark.thorough
def test_other_budgets_and_rounds_are_the_same_programs():
    first, programs = np.arange(90), (next_weights, _brute_force._search)
    before = None
    for budget, rounds in ((14, 3), (12, 3), (15, 5), (20, 4)):
        settings = {"k": 5, "budget": budget, "rounds": rounds, "first": first, "devices": ONE}
        assert (search.adaptive(BASIS, scorer, 10, **settings).calls == budget).all()
        compiled = [program._cache_size() for program in programs]
        assert compiled == (before or compiled)
        before = compiled


@pytest.mark.thorough
def test_more_rounds_find_more():
    recalls = [
        evaluation.top_k_recall(
            TESTS, search.adaptive(BASIS, scorer, 10, k=5, budget=20, rounds=r).ids, 5
        )
        for r in (1, 4)
    ]
    assert recalls[1] > recalls[0] + 0.2


def test_factors_with_a_prior_are_axn():
    _, values, right = np.linalg.svd(ANCHORS - ANCHORS.mean(), full_matrices=False)
    items = np.float32(right[:6].T * values[:6])
    prior = np.float32(TESTS - ANCHORS.mean()) @ np.float32(right[:6].T / values[:6])
    first = np.argsort(-prior @ items.T, axis=1)[:, :30]
    settings = {"k": 5, "budget": 15, "rounds": 3, "ridge": 0.3, "first": first, "prior": prior}
    result = search.adaptive(search.factor_basis(items), scorer, 10, **settings)
    basis = np.concatenate([items.T, np.ones((1, 90))])
    for query in range(10):
        expected = by_hand(
            basis, np.zeros(90), first[query], [5, 5, 5], 0.3, np.pad(prior, ((0, 0), (0, 1)))
        )
        assert len(set(result.scored.ids[query]) & set(expected[query].tolist())) >= 14


@pytest.mark.thorough
@pytest.mark.parametrize("devices", [ONE, None])
def test_samples_follow_their_key_and_not_the_devices(devices):
    settings = {"k": 5, "budget": 20, "rounds": 2, "temperature": 1.0}
    one, same, other = (
        search.adaptive(
            BASIS, scorer, 10, key=jax.random.key(seed), first=np.arange(10), devices=d, **settings
        )
        for seed, d in ((1, ONE), (1, devices), (2, devices))
    )
    np.testing.assert_array_equal(one.scored.ids, same.scored.ids)
    assert (np.sort(one.scored.ids) != np.sort(other.scored.ids)).any()
    # A low temperature takes the best estimates.
    cold, best = (
        search.adaptive(BASIS, scorer, 10, first=np.arange(10), **{**settings, "temperature": t})
        for t in (1e-4, None)
    )
    np.testing.assert_array_equal(np.sort(cold.scored.ids), np.sort(best.scored.ids))


@pytest.mark.thorough
@pytest.mark.parametrize("budget", [15, 45])  # fewer items known than the basis has rows, and more
def test_a_basis_in_its_file_is_streamed_and_answers_alike(tmp_path, budget):
    search.save_basis(tmp_path / "basis", BASIS)
    settings = {"k": 5, "budget": budget, "rounds": 3, "first": np.arange(0, 90, 4), "ridge": 0.1}
    expected = search.adaptive(BASIS, scorer, 10, devices=ONE, **settings)
    for mmap in (False, True):
        basis = search.load_basis(tmp_path / "basis", mmap=mmap)
        assert isinstance(basis.vectors, np.memmap) == mmap
        result = search.adaptive(basis, scorer, 10, devices=ONE, **settings)
        same = np.sort(result.scored.ids) == np.sort(expected.scored.ids)
        assert same.mean() > 0.99  # the last digit of an estimate may differ
        assert (result.calls == budget).all()
    with pytest.raises(ValueError, match="temperature needs a basis in memory"):
        search.adaptive(basis, scorer, 10, temperature=1.0, **settings)
    with pytest.raises(ValueError, match="basis"):
        search.load_index(tmp_path / "basis")


def test_scores_may_be_given_for_the_basis_and_a_draw_is_the_default():
    result = search.adaptive(ANCHORS, scorer, 10, k=5, budget=12, rounds=2)
    again = search.adaptive(BASIS, scorer, 10, k=5, budget=12, rounds=2)
    np.testing.assert_array_equal(result.scored.ids, again.scored.ids)
    assert len(set(result.scored.ids[0, :6])) == 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rounds": 13}, "rounds must be at most 12, the calls of the rounds, got 13"),
        ({"first": [1, 2]}, "first must name at least the 6 items of the first round, got 2"),
        ({"first": [1] * 6}, "first must name distinct items"),
        ({"ridge": -1.0}, "ridge must be >= 0"),
        ({"prior": np.zeros((10, 3))}, r"prior must be \[10, 16\]"),
        ({"rerank_share": 1.5}, "rerank_share must be between 0 and 1"),
        ({"temperature": 0}, "temperature must be > 0, got 0"),
        ({"temperature": np.nan}, "temperature must be > 0, got nan"),
        ({"ridge": np.inf}, "ridge must be finite, got inf"),
        ({"k": 0}, "k must be a whole number of at least 1, got 0"),
        ({"budget": True}, "budget must be a whole number of at least 1, got True"),
        ({"rounds": 0}, "rounds must be a whole number of at least 1, got 0"),
        ({"first": np.arange(6) + 10**6}, "first must be below 90, the number of items"),
        (
            {"first": np.arange(6) + 2**32},
            "first must be below 90, the number of items, got 4294967301",
        ),
        ({"first": np.arange(6.0)}, "first must be integers, got float64"),
        ({"prior": np.full((10, 16), np.nan)}, "prior must be finite: row 0 is not"),
        ({"key": 3}, r"key must be a key, such as jax.random.key\(0\), got 3"),
        ({"devices": []}, "devices must be devices"),
    ],
)
def test_bad_input_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        search.adaptive(BASIS, scorer, 10, **{"k": 5, "budget": 12, "rounds": 2, **settings})
    with pytest.raises(ValueError, match="anchor_scores must be finite"):
        search.row_basis(ANCHORS * np.nan)
