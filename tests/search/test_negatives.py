"""Mining: against loops, every rule, every count; pairs, groups and the threshold by hand."""

import jax
import numpy as np
import pytest

from jaxsim import search, similarity

RNG = np.random.default_rng(0)
ITEMS = np.float32(RNG.normal(size=(60, 6)))
ITEMS /= np.linalg.norm(ITEMS, axis=1, keepdims=True)
QUERIES = ITEMS[:8] + np.float32(0.3) * RNG.normal(size=(8, 6)).astype(np.float32)
COSINES = (QUERIES / np.linalg.norm(QUERIES, axis=1, keepdims=True)) @ ITEMS.T
POSITIVES = np.stack([np.arange(8), np.where(np.arange(8) % 2, -1, np.arange(8) + 20)], axis=1)


def positives_of(row):
    return [i for i in POSITIVES[row] if i >= 0]


def by_hand(k, keep):
    result = []
    for row in range(8):
        order = [i for i in np.argsort(-COSINES[row]) if i not in positives_of(row)][:40]
        lowest = min(COSINES[row, i] for i in positives_of(row))
        ids = [i for rank, i in enumerate(order, 1) if keep(row, i, rank, lowest)][:k]
        result.append(ids + [-1] * (k - len(ids)))
    return result


RULES = {
    "none": ((), lambda row, i, rank, lowest: True),
    "margin": (
        (search.mining.margin(0.2),),
        lambda row, i, rank, lowest: COSINES[row, i] <= lowest - 0.2,
    ),
    "relative": (
        (search.mining.relative_margin(0.5),),
        lambda row, i, rank, lowest: COSINES[row, i] <= 0.5 * lowest,
    ),
    "ranks": ((search.mining.ranks(3, 7),), lambda row, i, rank, lowest: 3 <= rank <= 7),
    "cap": ((search.mining.cap(0.4),), lambda row, i, rank, lowest: COSINES[row, i] <= 0.4),
    "veto": (
        (search.mining.veto(lambda q, i: -np.float32((7 * i + q) % 11)),),
        lambda row, i, rank, lowest: (
            -((7 * i + row) % 11) <= min(-((7 * p + row) % 11) for p in positives_of(row))
        ),
    ),
    "two": (
        (search.mining.cap(0.6), search.mining.ranks(2, 40)),
        lambda row, i, rank, lowest: COSINES[row, i] <= 0.6 and rank >= 2,
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_negatives_are_the_closest_that_the_rules_leave(name):
    rules, keep = RULES[name]
    mined = search.mine_negatives(QUERIES, ITEMS, POSITIVES, 6, rules=rules, depth=40)
    expected = by_hand(6, keep)
    np.testing.assert_array_equal(mined.ids, expected)
    table = mined.table
    removed = sum(count for what, count in table.items() if what.startswith("removed"))
    assert table["candidates"] == 8 * 40 == table["kept"] + removed
    assert table["queries that are short"] == sum(-1 in row for row in expected)
    known = mined.ids >= 0
    np.testing.assert_allclose(
        mined.scores[known],
        np.take_along_axis(COSINES, np.maximum(mined.ids, 0), 1)[known],
        atol=1e-5,
    )


def test_a_key_draws_among_what_is_left():
    one, two = (
        search.mine_negatives(QUERIES, ITEMS, POSITIVES, 6, depth=40, key=jax.random.key(s)).ids
        for s in (0, 1)
    )
    assert (one != two).any()
    for row in range(8):
        assert len(set(one[row].tolist())) == 6
        assert not set(one[row].tolist()) & set(positives_of(row))


@pytest.mark.parametrize("stride", [1, 2, 3, 7, 50])
def test_cyclic_negatives_are_every_so_many_th_survivor(stride):
    rules = [search.mining.cap(0.5), search.mining.ranks(3, 30)]
    settings = {"rules": rules, "depth": 40}
    survivors = search.mine_negatives(QUERIES, ITEMS, POSITIVES, 40, **settings).ids
    for k in (4, 12, 35):
        found = search.mine_negatives(QUERIES, ITEMS, POSITIVES, k, stride=stride, **settings)
        for row in range(8):
            ids = found.ids[row][found.ids[row] >= 0]
            assert len(set(ids.tolist())) == len(ids) == min(k, (survivors[row] >= 0).sum())
            turns = [survivors[row][survivors[row] >= 0][start::stride] for start in range(stride)]
            assert ids.tolist() == np.concatenate(turns)[:k].tolist()
        known = found.ids >= 0
        cosines = np.take_along_axis(COSINES, np.maximum(found.ids, 0), 1)
        np.testing.assert_allclose(found.scores[known], cosines[known], atol=1e-5)
    with pytest.raises(ValueError, match="give a key or a stride, got both: a key, and stride=2"):
        search.mine_negatives(QUERIES, ITEMS, POSITIVES, 4, key=jax.random.key(0), stride=2)


@pytest.mark.thorough
def test_a_query_is_consistent_where_its_positive_is_near():
    for top in (1, 2, 5, 20, 60, 99):
        found = search.consistency_filter(QUERIES, ITEMS, POSITIVES, top)
        for row in range(8):
            best = max(COSINES[row, i] for i in positives_of(row))
            assert found[row] == ((COSINES[row] > best).sum() < top)
    assert not search.consistency_filter(QUERIES, ITEMS, np.full(8, -1), 60).any()
    far = np.argmin(COSINES, axis=1)
    assert not search.consistency_filter(QUERIES, ITEMS, far, 59).any()
    where = COSINES.max(axis=0) < 0.4
    found = search.consistency_filter(QUERIES, ITEMS, far, 3, where=where)
    np.testing.assert_array_equal(
        found, (COSINES[:, where] > COSINES.min(axis=1)[:, None]).sum(axis=1) < 3
    )
    # Copies of a positive are as close as it is, up to rounding.
    copies = np.repeat(ITEMS[:1], 40, axis=0) * RNG.uniform(0.5, 2, size=(40, 1)).astype(np.float32)
    assert search.consistency_filter(QUERIES[:1], copies, [17], 1).all()
    with pytest.raises(ValueError, match="top must be a whole number of at least 1, got 0"):
        search.consistency_filter(QUERIES, ITEMS, POSITIVES, 0)


def test_scores_of_own_candidates():
    ids = RNG.integers(-1, 60, size=(8, 5))
    expected = np.where(ids >= 0, np.take_along_axis(COSINES, np.maximum(ids, 0), 1), -np.inf)
    found = search.candidate_scores(QUERIES, ITEMS, ids)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    dots = search.candidate_scores(QUERIES, ITEMS, ids, similarity=similarity.dot)
    gathered = similarity.list_scores(QUERIES, ITEMS[ids], similarity=similarity.dot)
    np.testing.assert_allclose(dots[ids >= 0], np.asarray(gathered)[ids >= 0], atol=1e-5)
    with pytest.raises(ValueError, match="ids must be below 60, got 60"):
        search.candidate_scores(QUERIES, ITEMS, np.full((8, 1), 60))
    spoiled = ITEMS.copy()
    spoiled[3] = np.nan
    with pytest.raises(ValueError, match="item 3, a candidate of query 0, has the similarity NaN"):
        search.candidate_scores(QUERIES, spoiled, np.full((8, 1), 3))


def on_circle(*cosines):
    """Unit vectors with the given cosines to (1, 0)."""
    return np.float32([[c, np.sqrt(1 - c * c)] for c in cosines])


@pytest.mark.parametrize("share", [1.0, 0.95, 0.9])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_share_of_a_negative_score_is_below_it(share, sign):
    """The positive at sign/2: what is closer goes, what is far enough below it stays."""
    items = on_circle(sign * 0.5, sign * 0.5 + 0.01, sign * 0.5 - 0.3)
    mined = search.mine_negatives(
        [[1.0, 0.0]], items, [0], 2, rules=[search.mining.relative_margin(share)]
    )
    assert mined.ids.tolist() == [[2, -1]]
    assert mined.table["removed by below_a_share"] == 1


@pytest.mark.parametrize(
    "rule", [search.mining.margin(0.0), search.mining.relative_margin(1.0), search.mining.cap(0.6)]
)
def test_scores_that_equal_a_threshold_up_to_rounding_fall_on_one_side(rule):
    """40 items around a query, all at a cosine of 0.6 but for the last digit; the first is its positive."""
    query, sides = np.eye(64)[0], RNG.normal(size=(40, 64)) * (np.arange(64) > 0)
    sides /= np.linalg.norm(sides, axis=1, keepdims=True)
    items = np.float32(0.6 * query + 0.8 * sides)
    mined = search.mine_negatives(query[None], items, [0], 39, rules=[rule])
    assert len(np.unique(mined.scores)) > 1  # rounding moved them
    assert sorted(mined.ids[0]) == list(range(1, 40))


COPIED = np.concatenate([ITEMS, ITEMS[:8] * np.float32(1 + 1e-6), ITEMS[:3]])  # 60 to 70


def test_a_copy_of_a_positive_is_never_a_negative():
    rules = [search.mining.margin(0.0)]  # a copy is not above its positive
    for items in (COPIED, jax.numpy.asarray(COPIED)):
        mined = search.mine_negatives(QUERIES, items, POSITIVES, 6, depth=60)
        assert mined.table["copies of a positive"] == 8 + 3
        for row in range(8):
            taken = set(mined.ids[row].tolist()) - {-1}
            assert not taken & {row, 60 + row, 68 + row if row < 3 else row}
        with_rule = search.mine_negatives(
            QUERIES, items, POSITIVES[:, :1], 6, depth=60, rules=rules
        )
        assert not (with_rule.ids % 60 == np.arange(8)[:, None])[with_rule.ids >= 60].any()


TEXTS = np.array([f"text {i % 60 if i < 60 else i - 60 if i < 68 else i - 68}" for i in range(71)])


@pytest.mark.parametrize(
    "ids", [TEXTS, TEXTS.tolist(), np.unique(TEXTS, return_inverse=True)[1] * 2**40]
)
def test_what_is_equal_by_text_to_a_positive_is_never_a_negative(ids):
    noise = np.random.default_rng(1).normal(size=COPIED.shape)
    items = COPIED + np.float32(0.02) * noise.astype(np.float32)  # an encoder that drops out
    mined = search.mine_negatives(QUERIES, items, POSITIVES, 50, depth=60, text_ids=ids)
    for row in range(8):
        taken = [TEXTS[i] for i in mined.ids[row] if i >= 0]
        assert not {TEXTS[p] for p in positives_of(row)} & set(taken)
        assert len(set(taken)) == len(taken) == 50  # each text once
    # The item that `where` keeps represents its text.
    where = np.arange(71) >= 3
    mined = search.mine_negatives(
        QUERIES, items, POSITIVES, 50, depth=60, text_ids=ids, where=where
    )
    assert set(mined.ids[7].tolist()) & {60, 61, 62}
    assert not set(mined.ids[0].tolist()) & {0, 60, 68}


def test_ranks_count_what_is_left_and_equal_rules_add_up():
    def first_ranks(candidates):
        assert (candidates.ranks[:, 0] == 1).all()
        assert (candidates.ids[:, :30] >= 0).all()  # copies went, the others moved up
        return candidates.ranks <= 3

    mined = search.mine_negatives(
        QUERIES,
        COPIED,
        POSITIVES,
        6,
        depth=60,
        rules=[first_ranks, search.mining.cap(2.0), search.mining.cap(-2.0)],
    )
    assert mined.table["removed by below_the_cap"] == 8 * 3
    assert mined.table["candidates"] == mined.table["removed by first_ranks"] + 8 * 3
    assert mined.table["queries that are short"] == 8


def test_a_negative_of_nan_is_never_mined_and_a_positive_of_nan_is_named():
    items = ITEMS.copy()
    items[40:50] = np.nan
    mined = search.mine_negatives(QUERIES, items, POSITIVES, 30, depth=60)
    assert not np.isin(mined.ids, np.arange(40, 50)).any()
    assert np.isfinite(mined.scores[mined.ids >= 0]).all()
    items[25] = np.nan
    with pytest.raises(
        ValueError, match="items must be finite: item 25, a positive of query 4, has"
    ):
        search.mine_negatives(QUERIES, items, np.arange(21, 29), 3)


def test_paraphrases_are_the_closest_pairs_once():
    scores, pairs = search.paraphrases(ITEMS, 15)
    cosines = ITEMS @ ITEMS.T
    left, right = np.triu_indices(60, 1)
    order = np.argsort(-cosines[left, right])[:15]
    expected = np.stack([left[order], right[order]], axis=1)
    np.testing.assert_array_equal(pairs, expected)
    np.testing.assert_allclose(scores, cosines[left, right][order], atol=1e-5)


def test_near_duplicates_are_chains():
    angles = np.radians([0, 10, 20, 90, 95, 180, 30])  # 0-10-20-30 is a chain
    vectors = np.float32(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    groups = search.near_duplicates(vectors, np.cos(np.radians(11)))
    assert groups.tolist() == [0, 0, 0, 3, 3, 5, 0]
    many = np.repeat(ITEMS, 10, axis=0)  # more than a block
    np.testing.assert_array_equal(
        search.near_duplicates(many, 0.9999), np.repeat(np.arange(60) * 10, 10)
    )


@pytest.mark.parametrize(
    "kernel",
    [
        "cosine",
        "negative_euclidean",
        "negative_squared_euclidean",
        "negative_unit_euclidean",
        "negative_cosine_distance",
    ],
)
def test_copies_are_one_group_at_the_highest_threshold(kernel):
    kernel = getattr(similarity, kernel)
    highest = 1.0 if kernel is similarity.cosine else 0.0
    for dim in (7, 16, 384):
        rows = RNG.normal(size=(3, dim)).astype(np.float32) + 2
        groups = search.near_duplicates(np.repeat(rows, 40, axis=0), highest, similarity=kernel)
        np.testing.assert_array_equal(groups, np.repeat([0, 40, 80], 40))


def test_many_equal_rows_take_memory_for_their_number_and_not_for_its_square():
    import tracemalloc

    rows = np.ones((6000, 4), np.float32)  # 36 million pairs
    search.near_duplicates(rows, 1.0)
    tracemalloc.start()
    groups = search.near_duplicates(rows, 1.0)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (groups == 0).all()
    assert most < 80e6  # NumPy's arrays; the pairs alone would be 576e6


def test_near_duplicates_are_those_of_a_plain_loop():
    rows = RNG.integers(-2, 3, size=(300, 3)).astype(
        np.float32
    )  # more than a block, groups of all sizes
    scores = rows @ rows.T
    expected = np.arange(300)
    for _ in range(300):  # the lowest id spreads along the chains
        spread = np.array([min([expected[i], *expected[scores[i] >= 9]]) for i in range(300)])
        if (spread == expected).all():
            break
        expected = spread
    np.testing.assert_array_equal(
        search.near_duplicates(rows, 9, similarity=similarity.dot), expected
    )


def test_equal_scores_of_other_rounding_are_on_one_side_of_the_threshold():
    scores = np.float32([0.9, 0.9 - 1e-7, 0.9 + 1e-7, 0.5])
    same = np.array([True, False, True, True])
    threshold, precision, _ = search.mining.same_threshold(scores, same, precision=0.6)
    assert (precision, threshold) == (0.75, 0.5)
    assert search.mining.same_threshold(scores, same, precision=0.7)[0] == 0.5
    assert search.mining.same_threshold(scores, same, precision=0.9)[0] == np.inf


def test_the_threshold_by_hand():
    scores = [0.9, 0.8, 0.8, 0.7, 0.6, 0.5]
    same = [True, True, False, True, True, False]
    # From the top, ties together: 1/1, 2/3, 3/4, 4/5, 4/6.
    assert search.mining.same_threshold(scores, np.array(same), precision=0.75) == (0.6, 0.8, 1.0)
    assert search.mining.same_threshold(scores, np.array(same), precision=0.9) == (0.9, 1.0, 0.25)
    flipped = search.mining.same_threshold(scores, ~np.array(same), precision=0.9)
    assert flipped == (float("inf"), 1.0, 0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: search.mine_negatives(QUERIES, ITEMS, [60] * 8, 2),
            "positives must be below 60, got 60",
        ),
        (lambda: search.mine_negatives(QUERIES, ITEMS, [1], 2), r"positives must be \[8, any\]"),
        (
            lambda: search.mine_negatives(QUERIES, ITEMS, POSITIVES, 9, depth=8),
            "depth must be a whole number of at least 9",
        ),
        (
            lambda: search.mine_negatives(QUERIES, ITEMS, POSITIVES, 2, rules=[lambda c: [True]]),
            r"the mask of rule 0 must be \[8, 60\]",
        ),
        (lambda: search.mining.same_threshold([1.0], np.array([False])), "same must hold a pair"),
        (
            lambda: search.mining.same_threshold([1.0, np.nan], np.array([True, False])),
            "scores must be finite: row 1 is not",
        ),
        (
            lambda: search.mine_negatives(QUERIES * np.nan, ITEMS, POSITIVES, 2),
            "queries must be finite: row 0 is not, nor are 7 others",
        ),
        (
            lambda: search.mine_negatives(QUERIES, ITEMS, POSITIVES + 2**32, 2),
            "positives must be below 60, got 4294967322",
        ),
        (
            lambda: search.mine_negatives(QUERIES, ITEMS, POSITIVES * 1.0, 2),
            "positives must be integers, got float64",
        ),
        (
            lambda: search.mine_negatives(QUERIES, ITEMS, POSITIVES > 0, 2),
            "positives must be integers, got bool",
        ),
        (
            lambda: search.mine_negatives(QUERIES, ITEMS, POSITIVES - 5, 2),
            "positives must be items, or -1 for padding, got -6",
        ),
        (
            lambda: search.mine_negatives(QUERIES, ITEMS, POSITIVES, 61, depth=99),
            "k must be at most 60, the number of items",
        ),
        (
            lambda: search.mine_negatives(QUERIES, ITEMS, POSITIVES, 2, rules=["margin"]),
            "rule 0 of rules must be a function",
        ),
        (
            lambda: search.mine_negatives(QUERIES, ITEMS, POSITIVES, 2, rules=[lambda c: c.scores]),
            "the mask of rule 0 must be boolean",
        ),
        (
            lambda: search.mine_negatives(QUERIES, ITEMS, POSITIVES, 2, text_ids=[1, 2]),
            r"text_ids must be \[60\], one per item",
        ),
        (lambda: search.mine_negatives(QUERIES, ITEMS, POSITIVES, 2, key=3), "key must be a key"),
        (lambda: search.mining.margin(np.nan), "gap must be finite, got nan"),
        (lambda: search.mining.relative_margin(1.5), "share must be between 0 and 1, got 1.5"),
        (lambda: search.mining.ranks(3, 2), "last must be a whole number of at least 3, got 2"),
        (lambda: search.mining.cap(np.nan), "highest must be a number, got nan"),
        (lambda: search.mining.veto(None), "scorer must be a function"),
        (
            lambda: search.near_duplicates(ITEMS * np.inf, 0.9),
            "vectors must be finite: row 0 is not",
        ),
        (lambda: search.near_duplicates(ITEMS, np.nan), "threshold must be a number, got nan"),
        (
            lambda: search.paraphrases(ITEMS, 3, neighbors=0),
            "neighbors must be a whole number of at least 1",
        ),
        (lambda: search.paraphrases(ITEMS, 3, lowest=np.nan), "lowest must be a number, got nan"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
