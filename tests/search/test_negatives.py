"""Mining: against loops, every rule, every count; pairs, groups and the threshold by hand."""

import jax
import numpy as np
import pytest

from jaxsim import search

RNG = np.random.default_rng(0)
ITEMS = np.float32(RNG.normal(size=(60, 6)))
ITEMS /= np.linalg.norm(ITEMS, axis=1, keepdims=True)
QUERIES = ITEMS[:8] + np.float32(0.3) * RNG.normal(size=(8, 6)).astype(np.float32)
COSINES = (QUERIES / np.linalg.norm(QUERIES, axis=1, keepdims=True)) @ ITEMS.T
POSITIVES = np.stack([np.arange(8), np.where(np.arange(8) % 2, -1, np.arange(8) + 20)], axis=1)


def positives_of(row):
    return [i for i in POSITIVES[row] if i >= 0]


def by_hand(k, keep):
    found = []
    for row in range(8):
        order = [i for i in np.argsort(-COSINES[row]) if i not in positives_of(row)][:40]
        lowest = min(COSINES[row, i] for i in positives_of(row))
        kept = [i for rank, i in enumerate(order, 1) if keep(row, i, rank, lowest)][:k]
        found.append(kept + [-1] * (k - len(kept)))
    return found


RULES = {
    "none": ((), lambda row, i, rank, lowest: True),
    "margin": ((search.margin(0.2),), lambda row, i, rank, lowest: COSINES[row, i] <= lowest - 0.2),
    "relative": (
        (search.relative_margin(0.5),),
        lambda row, i, rank, lowest: COSINES[row, i] <= 0.5 * lowest,
    ),
    "ranks": ((search.ranks(3, 7),), lambda row, i, rank, lowest: 3 <= rank <= 7),
    "cap": ((search.cap(0.4),), lambda row, i, rank, lowest: COSINES[row, i] <= 0.4),
    "veto": (
        (search.veto(lambda q, i: -np.float32((7 * i + q) % 11)),),
        lambda row, i, rank, lowest: (
            -((7 * i + row) % 11) <= min(-((7 * p + row) % 11) for p in positives_of(row))
        ),
    ),
    "two": (
        (search.cap(0.6), search.ranks(2, 40)),
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


def test_paraphrases_are_the_closest_pairs_once():
    pairs, scores = search.paraphrases(ITEMS, 15)
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
    np.testing.assert_array_equal(search.near_duplicates(many, 0.9999), np.repeat(np.arange(60) * 10, 10))  # fmt: skip


def test_the_threshold_by_hand():
    scores = [0.9, 0.8, 0.8, 0.7, 0.6, 0.5]
    same = [True, True, False, True, True, False]
    # From the top, ties together: 1/1, 2/3, 3/4, 4/5, 4/6.
    assert search.same_threshold(scores, np.array(same), precision=0.75) == (0.6, 0.8, 1.0)
    assert search.same_threshold(scores, np.array(same), precision=0.9) == (0.9, 1.0, 0.25)
    flipped = search.same_threshold(scores, ~np.array(same), precision=0.9)
    assert flipped == (float("inf"), 1.0, 0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: search.mine_negatives(QUERIES, ITEMS, [60] * 8, 2), "positives must be below 60, got 60"),
        (lambda: search.mine_negatives(QUERIES, ITEMS, [1], 2), r"positives must be \[8, any\]"),
        (lambda: search.mine_negatives(QUERIES, ITEMS, POSITIVES, 9, depth=8), "depth must be a whole number of at least 9"),
        (
            lambda: search.mine_negatives(QUERIES, ITEMS, POSITIVES, 2, rules=[lambda c: [True]]),
            r"the mask of rule 0 must be \[8, 60\]",
        ),
        (lambda: search.same_threshold([1.0], np.array([False])), "same must hold a pair"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
