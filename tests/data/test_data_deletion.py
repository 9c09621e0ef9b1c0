"""Deletion noise: what goes, what stays, in what order."""

import functools

import jax
import numpy as np
import pytest

from jaxsim import data

CLS, SEP, PAD = 1, 2, 0
# Lengths with both special tokens: the third text has no word, the fourth is empty.
LENGTHS = np.array([10, 3, 2, 0, 7])
PLACES = np.arange(10)
WHERE = LENGTHS[:, None] > PLACES
TOKENS = np.where(WHERE, 10 + PLACES + 20 * np.arange(5)[:, None], PAD)  # rising along each text
TOKENS[:, 0] = np.where(WHERE[:, 0], CLS, PAD)
TOKENS[[0, 1, 2, 4], LENGTHS[[0, 1, 2, 4]] - 1] = SEP
SPARED = (TOKENS == CLS) | (TOKENS == SEP)
WORDS = WHERE & ~SPARED


@functools.cache
def noise(**settings):
    """Of many keys: tokens and masks [keys, 5, 10]."""
    one = functools.partial(data.deleted, **settings)
    many = jax.jit(jax.vmap(lambda key: one(key, TOKENS, WHERE, spared=SPARED)))
    return jax.tree.map(np.asarray, many(jax.random.split(jax.random.key(0), 2000)))


def words_left(tokens, where):
    return (where & (tokens != CLS) & (tokens != SEP)).sum(axis=-1)


def test_what_stays_is_in_front_and_in_order():
    tokens, where = noise()
    np.testing.assert_array_equal(where, where.sum(axis=-1, keepdims=True) > PLACES)
    assert (tokens[~where] == PAD).all()
    for found, kept in zip(tokens[:50].reshape(-1, 10), where[:50].reshape(-1, 10), strict=True):
        words = found[kept & (found > SEP)]
        assert (np.diff(words) > 0).all()  # texts rise, so that a subsequence does
    assert set(np.unique(tokens[:, 0])) == {PAD, *TOKENS[0]}


def test_special_tokens_stay_at_both_ends():
    tokens, where = noise()
    for row in (0, 1, 2, 4):
        assert (tokens[:, row, 0] == CLS).all()
        last = where[:, row].sum(axis=-1) - 1
        assert (np.take_along_axis(tokens[:, row], last[:, None], axis=1) == SEP).all()
    assert not where[:, 3].any()  # nothing comes of nothing


def test_one_word_stays_at_least_and_each_as_likely():
    tokens, where = noise(ratio=1.0)
    left = words_left(tokens, where)
    np.testing.assert_array_equal(left, np.broadcast_to([1, 1, 0, 0, 1], left.shape))
    counts = np.unique(tokens[:, 0, 1], return_counts=True)[1]
    assert len(counts) == WORDS[0].sum()
    np.testing.assert_allclose(counts, 2000 / 8, rtol=0.25)


def test_the_share_that_goes_is_the_ratio():
    left = words_left(*noise())[:, 0]
    words = WORDS[0].sum()
    # 0.4 of 8 words stay, and one where all would go.
    np.testing.assert_allclose(left.mean(), 0.4 * words + 0.6**words, rtol=0.03)
    np.testing.assert_allclose(left.var(), 0.24 * words, rtol=0.15)
    none = words_left(*noise(ratio=0.0))
    np.testing.assert_array_equal(none, np.broadcast_to(WORDS.sum(axis=1), none.shape))


def test_the_noise_of_a_text_goes_with_its_id():
    delete = jax.jit(lambda tokens, where, ids: data.deleted(KEY, tokens, where, ids=ids))
    ids, turned = np.array([7, 3, 9, 1, 4]), np.array([4, 2, 0, 3, 1])
    there = delete(TOKENS, WHERE, ids)
    moved = delete(TOKENS[turned], WHERE[turned], ids[turned])
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[turned], b), there, moved)
    same = delete(np.tile(TOKENS[:1], (5, 1)), np.tile(WHERE[:1], (5, 1)), ids)[1]
    assert len(np.unique(same.sum(axis=1))) > 1


KEY = np.array(jax.random.key_data(jax.random.key(3)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ratio": 1.5}, "ratio must be"),
        ({"where": WHERE[:, :3]}, "where must be"),
        ({"where": WHERE.astype(int)}, "where must be"),
        ({"spared": WHERE[:3]}, "spared must be"),
        ({"tokens": TOKENS * 1.0}, "tokens must be"),
        ({"ids": np.arange(3)}, "ids must be"),
    ],
)
def test_what_does_not_fit_is_named(settings, said):
    with pytest.raises(ValueError, match=said):
        data.deleted(**{"key": KEY, "tokens": TOKENS, "where": WHERE} | settings)
