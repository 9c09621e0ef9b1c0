"""Masking of tokens: counts and shares, what is spared, what each text's noise depends on."""

import functools

import jax
import numpy as np
import pytest

from jaxsim import data

CLS, SEP, PAD, MASK, VOCABULARY = 1, 2, 0, 4, 50
LENGTHS = np.array([20, 10, 3, 2, 0])
WHERE = np.arange(20) < LENGTHS[:, None]
TOKENS = np.where(WHERE, 5 + np.arange(20) + 5 * np.arange(5)[:, None], PAD)
TOKENS[:4, 0] = CLS
TOKENS[np.arange(4), LENGTHS[:4] - 1] = SEP
SPARED = (TOKENS == CLS) | (TOKENS == SEP)
COMMON = {"mask": MASK, "vocabulary": VOCABULARY, "spared": SPARED}
KEYS = 3000


@functools.cache
def noise(how, **settings):
    """Of many keys: a tuple of arrays [keys, 5, ...]."""
    one = functools.partial(getattr(data, how), **COMMON, **settings)
    many = jax.jit(jax.vmap(lambda key: one(key, TOKENS, WHERE)))
    return [np.asarray(a) for a in many(jax.random.split(jax.random.key(0), KEYS))]


def test_counts_are_exact():
    tokens, places, labels, where = noise("masked_by_count", most=4)
    # 15 % of 20, 10, 3, 2 and 0 tokens, at least one where there is a word.
    np.testing.assert_array_equal(where.sum(axis=2), [[3, 2, 1, 0, 0]] * KEYS)
    np.testing.assert_array_equal(where, where.sum(axis=2)[..., None] > np.arange(4))
    texts = np.broadcast_to(TOKENS, tokens.shape)
    there = np.take_along_axis(texts, places, axis=2)
    np.testing.assert_array_equal(labels[where], there[where])
    assert not np.isin(labels[where], [CLS, SEP, PAD]).any()
    for row in (places[where.sum(axis=2) == 3], places[where.sum(axis=2) == 2][:, :2]):
        assert (
            np.diff(row[:, : (3 if row.shape[1] > 2 else 2)], axis=1) > 0
        ).all()  # no place twice
    changed = tokens != texts
    predicted = np.zeros_like(changed)
    np.put_along_axis(predicted, places, where, axis=2)
    assert not (changed & ~predicted)[:, :3, 1:].any()


def test_each_word_is_as_likely():
    _, places, _, where = noise("masked_by_count", most=4)
    for row, words, count in ((0, 18, 3), (1, 8, 2)):
        seen = np.bincount(places[:, row][where[:, row]], minlength=20)[1 : 1 + words]
        np.testing.assert_allclose(seen, KEYS * count / words, rtol=0.2)


def test_chances_are_those_asked_for():
    tokens, chosen = noise("masked_by_chance", ratio=0.4, masked=0.6, random=0.3)
    words = WHERE & ~SPARED
    assert not chosen[:, ~words].any()
    np.testing.assert_allclose(chosen[:, words].mean(), 0.4, atol=0.01)
    texts = np.broadcast_to(TOKENS, tokens.shape)
    np.testing.assert_array_equal(tokens[~chosen], texts[~chosen])
    assert tokens.min() >= 0
    assert tokens.max() < VOCABULARY
    of_chosen = tokens[chosen]
    np.testing.assert_allclose((of_chosen == MASK).mean(), 0.6 + 0.3 / VOCABULARY, atol=0.01)
    stayed = (of_chosen == texts[chosen]).mean()
    np.testing.assert_allclose(stayed, 0.1 + 0.3 / VOCABULARY, atol=0.01)
    drawn = of_chosen[(of_chosen != MASK) & (of_chosen != texts[chosen])]
    np.testing.assert_allclose(len(drawn) / len(of_chosen), 0.3 * 48 / 50, atol=0.01)
    assert set(drawn) == set(range(VOCABULARY)) - {MASK}


def test_shares_of_exact_counts_too():
    tokens, places, labels, where = noise("masked_by_count", most=4)
    there = np.take_along_axis(tokens, places, axis=2)[where]
    np.testing.assert_allclose((there == MASK).mean(), 0.8 + 0.1 / VOCABULARY, atol=0.01)
    stayed = (there == labels[where]).mean()
    np.testing.assert_allclose(stayed, 0.1 + 0.1 / VOCABULARY, atol=0.01)


@pytest.mark.parametrize(
    ("how", "more"), [("masked_by_chance", {}), ("masked_by_count", {"most": 3})]
)
def test_noise_is_a_texts_own(how, more):
    mask = jax.jit(functools.partial(getattr(data, how), mask=MASK, vocabulary=50, **more))
    ids = np.array([7, 3, 9, 1, 2])
    whole = mask(jax.random.key(1), TOKENS, WHERE, spared=SPARED, ids=ids)
    turned = mask(jax.random.key(1), TOKENS[::-1], WHERE[::-1], spared=SPARED[::-1], ids=ids[::-1])
    for mine, other in zip(whole, turned, strict=True):
        np.testing.assert_array_equal(mine, other[::-1])
    other = mask(jax.random.key(2), TOKENS, WHERE, spared=SPARED, ids=ids)
    assert (np.asarray(other[0]) != np.asarray(whole[0])).any()


def test_all_and_nothing():
    tokens, chosen = noise("masked_by_chance", ratio=1.0, masked=1.0, random=0.0)
    words = WHERE & ~SPARED
    np.testing.assert_array_equal(chosen, np.broadcast_to(words, chosen.shape))
    assert (tokens[chosen] == MASK).all()
    tokens, chosen = noise("masked_by_chance", ratio=0.0)
    assert not chosen.any()
    np.testing.assert_array_equal(tokens, np.broadcast_to(TOKENS, tokens.shape))


def test_arguments_that_are_refused():
    key = jax.random.key(0)
    settings = {"mask": MASK, "vocabulary": 50}
    with pytest.raises(ValueError, match=r"ratio must be between 0 and 1, got 1\.5"):
        data.masked_by_chance(key, TOKENS, WHERE, **settings, ratio=1.5)
    with pytest.raises(ValueError, match=r"at most 1 together, got 1\.2"):
        data.masked_by_chance(key, TOKENS, WHERE, **settings, masked=0.9, random=0.3)
    with pytest.raises(ValueError, match=r"where must be \[5, 20\], one per token"):
        data.masked_by_chance(key, TOKENS, WHERE[:, :3], **settings)
    with pytest.raises(ValueError, match="tokens must be integers"):
        data.masked_by_chance(key, TOKENS / 2, WHERE, **settings)
    with pytest.raises(
        ValueError, match="most must be at most 20, the length of the texts, got 21"
    ):
        data.masked_by_count(key, TOKENS, WHERE, **settings, most=21)
    with pytest.raises(ValueError, match="vocabulary must be a whole number"):
        data.masked_by_count(key, TOKENS, WHERE, mask=MASK, vocabulary=0, most=2)
