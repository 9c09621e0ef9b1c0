"""Search, figures and samplers against plain loops: ties, masks, NaN, infinities, ids of 64 bits."""

import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from jaxsim import data, evaluation, search, similarity

pytestmark = pytest.mark.thorough

ROUNDS = settings(derandomize=True, max_examples=60, deadline=None)
ONE = jax.devices()[:1]
WIDE = st.one_of(
    st.integers(-1, 9),
    st.sampled_from([2**32 + 3, 2**32 - 1, -(2**33), 2**62, 2**31, -(2**31)]),
)
BAD = st.sampled_from([np.nan, np.inf, -np.inf, 1e20])
NOT_A_COUNT = st.one_of(
    st.integers(max_value=0), st.floats(), st.booleans(), st.none(), st.text(max_size=3)
)


def arrays(shape, elements, dtype):
    return hnp.arrays(dtype, shape, elements=elements)


def small(shape):
    """Whole numbers: their products are exact, and tie everywhere."""
    return arrays(shape, st.integers(-2, 2), np.float32)


@st.composite
def spoiled(draw, shape, most=2):
    """Whole numbers, of which some rows have a value that is none."""
    array = draw(small(shape)).copy()
    for row in draw(st.lists(st.integers(0, shape[0] - 1), max_size=most)):
        array[row, draw(st.integers(0, shape[1] - 1))] = draw(BAD)
    return array


def masks(shape):
    return arrays(shape, st.booleans(), bool)


def wide(shape):
    return arrays(shape, WIDE, np.int64)


# Exact search


def best_by_loop(scores, k, where, exclude):
    """(scores, ids) of each row, NaN and minus infinity never found, ties to the lowest id."""
    found = []
    for row, mine in enumerate(scores):
        left = [
            i
            for i, s in enumerate(mine)
            if s > -np.inf and where[i] and i not in exclude[row].tolist()
        ]
        left = sorted(left, key=lambda i: (-mine[i], i))[:k]
        short = k - len(left)
        found.append(([*mine[left], *[-np.inf] * short], [*left, *[-1] * short]))
    return [np.array(side) for side in zip(*found, strict=True)]


@ROUNDS
@given(
    queries=small((4, 3)),
    items=spoiled((17, 3)),
    where=masks(17),
    exclude=wide((4, 2)),
    way=st.sampled_from([(1, {}), (5, {"block": 6, "query_block": 3, "devices": ONE}), (17, {})]),
)
def test_exact_is_the_loop(queries, items, where, exclude, way):
    k, settings = way
    with np.errstate(invalid="ignore"):
        scores = queries @ items.T
    expected = best_by_loop(scores, k, where, exclude)
    found = search.exact(queries, items, k, where=where, exclude=exclude, **settings)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)


@ROUNDS
@given(queries=small((4, 3)), items=spoiled((17, 3)), where=masks(17))
def test_exact_by_distances_is_the_loop_up_to_rounding(queries, items, where):
    kernel = similarity.negative_euclidean
    with np.errstate(all="ignore"):
        apart = np.sqrt(((queries[:, None].astype(float) - items) ** 2).sum(axis=2))
        apart[:, (np.abs(items) > 1e18).any(axis=1)] = np.inf  # their squares exceed float32
    expected, _ = best_by_loop(-apart, 17, where, np.full((4, 1), -1))
    scores, ids = (
        np.asarray(a) for a in search.exact(queries, items, 17, where=where, similarity=kernel)
    )
    np.testing.assert_allclose(scores, expected, atol=2e-3)
    assert where[ids[ids >= 0]].all()
    assert np.isfinite(items[ids[ids >= 0]]).all()


@ROUNDS
@given(items=spoiled((12, 3)), row=st.integers(0, 3), bad=BAD, k=NOT_A_COUNT)
def test_what_cannot_be_searched_is_refused_by_name(items, row, bad, k):
    queries = np.ones((4, 3), np.float32)
    with pytest.raises(ValueError, match=r"^k must be "):
        search.exact(queries, items, k)
    queries[row, 1] = bad
    if bad != 1e20:
        with pytest.raises(ValueError, match=f"^queries must be finite: row {row} is not$"):
            search.exact(queries, items, 2)
    with pytest.raises(ValueError, match=f"^queries must (be finite|have squares).* row {row} "):
        search.exact(queries, items, 2, similarity=similarity.negative_euclidean)


@ROUNDS
@given(
    queries=small((3, 3)),
    items=spoiled((15, 3)),
    texts=arrays(15, st.integers(0, 5), np.int64),
    positives=arrays((3, 2), st.integers(-1, 14), np.int64),
    where=masks(15),
)
def test_no_negative_is_a_positive_a_copy_of_one_or_nan(queries, items, texts, positives, where):
    def mined(**given):
        return search.mine_negatives(
            queries, items, positives, 4, depth=15, where=where, similarity=similarity.dot, **given
        )

    with np.errstate(invalid="ignore"):
        own = [[queries[q] @ items[p] for p in positives[q] if p >= 0] for q in range(3)]
    if np.isnan(np.concatenate([*own, [0]])).any():
        with pytest.raises(
            ValueError, match=r"^items must be finite: item \d+, a positive of query"
        ):
            mined()
        return
    found, by_text = mined().ids, mined(text_ids=texts * 2**40).ids
    for query in range(3):
        mine = [p for p in positives[query] if p >= 0]
        for ids in (found[query], by_text[query]):
            ids = ids[ids >= 0]
            assert len(set(ids)) == len(ids)
            assert where[ids].all()
            assert not set(ids) & set(mine)
            assert not any((items[i] == items[p]).all() for i in ids for p in mine)
            assert not np.isnan(items[ids]).any()
        kept = by_text[query][by_text[query] >= 0]
        assert not set(texts[kept]) & {texts[p] for p in mine}
        assert len(set(texts[kept])) == len(kept)


@ROUNDS
@given(rows=small((14, 3)), threshold=st.integers(-6, 6))
def test_groups_of_near_duplicates_are_chains(rows, threshold):
    scores, expected = rows @ rows.T, np.arange(14)
    for _ in range(14):
        expected = np.array(
            [min([expected[i], *expected[scores[i] >= threshold]]) for i in range(14)]
        )
    found = search.near_duplicates(rows, threshold, similarity=similarity.dot)
    np.testing.assert_array_equal(found, expected)


# Figures


def hits_of(ids, truth):
    """Which returned items are relevant and new."""
    seen, hits = set(), []
    for item in ids:
        hits.append(item >= 0 and item in truth and item not in seen)
        seen.add(item)
    return hits


def figures_by_loop(ids, truth, k):
    truth = {t for t in truth if t >= 0}
    if not truth:
        return None
    hits = hits_of(ids, truth)[:k]
    at = [sum(hits[: j + 1]) / (j + 1) for j in range(k) if hits[j]]
    gains = [1 / np.log2(2 + j) for j in range(k)]
    return {
        "recall": sum(hits) / len(truth),
        "precision": sum(hits) / k,
        "average_precision": sum(at) / min(k, len(truth)),
        "ndcg": np.dot(hits, gains) / sum(gains[: len(truth)]),
        "reciprocal_rank": max((1 / (j + 1) for j in range(k) if hits[j]), default=0),
    }


@ROUNDS
@given(ids=wide((3, 5)), truth=wide((3, 4)), k=st.sampled_from([1, 3, 5]))
def test_figures_of_rankings_are_loops_for_ids_of_any_size(ids, truth, k):
    expected = [figures_by_loop(i, t, k) for i, t in zip(ids.tolist(), truth.tolist(), strict=True)]
    for name in ("recall", "precision", "average_precision", "ndcg", "reciprocal_rank"):
        values, counts = getattr(evaluation, name)(ids, truth, k=k, reduce_fn=None)
        assert counts.tolist() == [mine is not None for mine in expected]
        for value, mine in zip(values, expected, strict=True):
            assert mine is None or value == pytest.approx(mine[name], abs=1e-6)


def orders(scores):
    """All orders that the scores allow."""
    groups = [np.flatnonzero(scores == s) for s in sorted(set(scores), reverse=True)]
    for parts in itertools.product(*(itertools.permutations(group) for group in groups)):
        yield [i for part in parts for i in part]


SCORES = st.one_of(st.integers(-1, 1), st.sampled_from([np.nan, np.inf, -np.inf]))


@ROUNDS
@given(
    scores=arrays((3, 5), SCORES, np.float32),
    relevant=masks((3, 5)),
    ties=st.sampled_from(["pessimistic", "expected"]),
)
def test_figures_of_scores_are_means_over_orders_and_nan_with_nan(scores, relevant, ties):
    values = {
        "recall": evaluation.score_recall(scores, relevant, 2, ties=ties, reduce_fn=None)[0],
        "rank": evaluation.score_reciprocal_rank(scores, relevant, ties=ties, reduce_fn=None)[0],
        "ndcg": evaluation.score_ndcg(scores, np.float32(relevant), 2, ties=ties, reduce_fn=None)[
            0
        ],
    }
    best = 1 / np.log2(np.arange(2, 4))
    for row in range(3):
        if not relevant[row].any():
            continue
        if np.isnan(scores[row]).any():
            assert all(np.isnan(figure[row]) for figure in values.values())
            continue
        each = {"recall": [], "rank": [], "ndcg": []}
        for order in orders(scores[row]):
            hits = relevant[row][order]
            each["recall"].append(hits[:2].sum() / hits.sum())
            each["rank"].append(1 / (1 + np.argmax(hits)))
            each["ndcg"].append(hits[:2] @ best / best[: hits.sum()].sum())
        for name, found in each.items():
            expected = min(found) if ties == "pessimistic" else np.mean(found)
            assert values[name][row] == pytest.approx(expected, abs=1e-5)


@ROUNDS
@given(x=spoiled((9, 2), most=1), labels=wide(9), where=masks(9))
def test_figures_of_classes_are_loops_and_nan_with_nan(x, labels, where):
    """1e20 and infinity have scores; what they meet may be NaN, and then so is its query."""
    found, counts = evaluation.class_recall(
        x, labels, 2, where=where, similarity=similarity.dot, reduce_fn=None
    )
    with np.errstate(invalid="ignore", over="ignore"):
        scores = np.float32(x) @ np.float32(x).T
    for i in range(9):
        others = [j for j in np.flatnonzero(where) if j != i]
        same = [j for j in others if labels[j] == labels[i]]
        assert counts[i] == bool(where[i] and same)
        if not counts[i]:
            continue
        if np.isnan(scores[i, others]).any():
            assert np.isnan(found[i])
            continue
        order = sorted(others, key=lambda j: (-scores[i, j], labels[j] == labels[i]))
        assert found[i] == any(labels[j] == labels[i] for j in order[:2])


SIDE = st.one_of(st.integers(-2, 2), st.sampled_from([np.nan, 1e9, 1e9 + 1]))


@ROUNDS
@given(x=arrays(8, SIDE, np.float64), y=arrays(8, SIDE, np.float64), where=masks(8))
def test_correlations_are_scipys_and_nan_with_nan(x, y, where):
    found = evaluation.spearman(x, y, where=where), evaluation.pearson(x, y, where=where)
    x, y = x[where], y[where]
    if np.isnan(x).any() or np.isnan(y).any():
        assert np.isnan(found).all()
        return
    constant = len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0
    expected = 0 if constant else stats.spearmanr(x, y)[0]
    assert found[0] == pytest.approx(expected, abs=1e-5)
    if constant or max(np.abs(x).max(), np.abs(y).max()) < 1e8:  # the others float32 rounds
        expected = 0 if constant else stats.pearsonr(x, y)[0]
        assert found[1] == pytest.approx(expected, abs=1e-4)


# Samplers


@ROUNDS
@given(
    rows=st.integers(1, 40),
    size=st.integers(1, 40),
    seed=st.integers(0, 2**70),
    epochs=st.integers(1, 3),
)
def test_an_epoch_has_every_example_once(rows, size, seed, epochs):
    size = min(size, rows)
    dataset = data.array_batches({"x": np.arange(rows)}, batch_size=size, seed=seed, epochs=epochs)
    length = -(-rows // size)
    assert len(dataset) == epochs * length
    for epoch in range(epochs):
        batches = [dataset[epoch * length + place] for place in range(length)]
        ids = np.concatenate([batch["ids"][batch["where"]] for batch in batches])
        assert sorted(ids) == list(range(rows))
        assert all((batch["x"] == np.maximum(batch["ids"], 0)).all() for batch in batches)


@ROUNDS
@given(
    labels=arrays(24, st.integers(-3, 5), np.int64),
    classes=st.integers(1, 9),
    per_class=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_batches_of_classes_have_as_many_of_each(labels, classes, per_class, seed):
    def made():
        return data.class_batches(
            {"x": np.arange(24)}, labels, classes=classes, per_class=per_class, seed=seed
        )

    distinct = len(set(labels.tolist()))
    if classes > distinct:
        with pytest.raises(ValueError, match=f"^classes must be at most {distinct}"):
            made()
        return
    for batch in made():
        np.testing.assert_array_equal(batch["labels"], labels[batch["ids"]])
        names, counts = np.unique(batch["labels"], return_counts=True)
        assert counts.tolist() == [per_class] * classes
        for name in names:
            own = batch["ids"][batch["labels"] == name]
            assert len(set(own)) == min(per_class, (labels == name).sum())


@ROUNDS
@given(
    names=wide((16, 2)), columns=st.integers(1, 2), size=st.integers(1, 16), seed=st.integers(0, 99)
)
def test_no_name_comes_twice_in_a_batch(names, columns, size, seed):
    names = names[:, :columns]

    def made():
        return data.distinct_batches({"x": np.arange(16)}, names, batch_size=size, seed=seed)

    most = min(len(set(c[c >= 0].tolist())) + (c < 0).sum() for c in names.T)
    if size > most:
        with pytest.raises(ValueError, match=f"^batch_size must be at most the {most} distinct"):
            made()
        return
    seen = []
    for batch in made():
        ids = batch["ids"][batch["where"]]
        seen.extend(ids)
        for column in names[ids].T:
            known = column[column >= 0]
            assert len(set(known.tolist())) == len(known)
    assert len(set(seen)) == len(seen)


@ROUNDS
@given(
    positives=arrays(9, st.integers(0, 11), np.int64),
    negatives=arrays((9, 3), st.integers(-1, 11), np.int64),
    seed=st.integers(0, 99),
    per_query=st.integers(1, 4),
)
def test_negatives_are_the_querys_own(positives, negatives, seed, per_query):
    negatives = np.where(negatives == positives[:, None], -1, negatives)
    negatives[:, 0] = np.where((negatives < 0).all(axis=1), (positives + 1) % 12, negatives[:, 0])
    dataset = data.negative_batches(
        {"q": np.arange(9)},
        {"d": np.arange(12)},
        positives,
        negatives,
        batch_size=4,
        per_query=per_query,
        seed=seed,
    )
    for batch in dataset:
        for query, row in zip(batch["ids"], batch["document_ids"], strict=True):
            if query < 0:
                assert (row == -1).all()
                continue
            own = set(negatives[query][negatives[query] >= 0].tolist())
            assert row[0] == positives[query]
            assert set(row[1:].tolist()) <= own
            assert len(set(row[1:].tolist())) == min(per_query, len(set(own))) or len(own) < 3
