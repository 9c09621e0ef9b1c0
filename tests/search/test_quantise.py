"""Codes of vectors: there and back, a first stage that rescoring puts right, stored with their quantiser."""

import numpy as np
import pytest

from jaxsim import search

RNG = np.random.default_rng(0)
SCALES = np.float32(10.0 ** RNG.uniform(-2, 2, 40))  # dimensions of unlike sizes
ITEMS = np.float32(RNG.normal(size=(600, 40))) * SCALES + 3 * SCALES
QUERIES = (ITEMS[:9] / SCALES**2 + np.float32(0.1) * RNG.normal(size=(9, 40)) / SCALES).astype(np.float32)  # fmt: skip
FITS = {"int8": search.fit_int8, "binary": search.fit_binary}


# Bits compare directions, of dimensions that are alike.
PLAIN = np.float32(RNG.normal(size=(600, 40)))
SIDES = {"int8": (QUERIES, ITEMS), "binary": (PLAIN[:9] + np.float32(0.3), PLAIN)}


def truth(queries, items, k, where=None):
    scores = np.float64(queries) @ items.T
    scores = scores if where is None else np.where(where, scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def test_int8_comes_back_within_half_a_step():
    quantiser = search.fit_int8(ITEMS)
    corpus = search.quantised(quantiser, ITEMS)
    assert corpus.codes.dtype == np.int8
    steps = (ITEMS.max(axis=0) - ITEMS.min(axis=0)) / 255
    error = np.abs(np.asarray(search.decoded(quantiser, corpus.codes)) - ITEMS)
    assert (error <= 0.505 * steps + 1e-6 * np.abs(ITEMS)).all()


def test_bits_stand_for_the_mean_of_their_side():
    quantiser = search.fit_binary(ITEMS)
    corpus = search.quantised(quantiser, ITEMS)
    assert corpus.codes.shape == (600, 2)
    found = np.asarray(search.decoded(quantiser, corpus.codes))
    high = ITEMS[:, 0] > np.median(ITEMS[:, 0])
    np.testing.assert_allclose(found[high, 0], ITEMS[high, 0].mean(), rtol=1e-5)
    np.testing.assert_allclose(found[~high, 0], ITEMS[~high, 0].mean(), rtol=1e-5)


@pytest.mark.parametrize(("kind", "oversample"), [("int8", 4), ("binary", 40)])
def test_rescoring_by_true_vectors_gives_the_true_order(tmp_path, kind, oversample):
    queries, items = SIDES[kind]
    corpus = search.quantised(FITS[kind](items), items)
    np.save(tmp_path / "items.npy", items)
    items = np.load(tmp_path / "items.npy", mmap_mode="r")
    where = np.arange(600) % 3 > 0
    scores, ids = search.coarse_to_fine(
        queries, corpus, 5, items=items, oversample=oversample, where=where
    )
    hits = [len(set(a) & set(b)) for a, b in zip(np.asarray(ids).tolist(), truth(queries, items, 5, where).tolist(), strict=True)]  # fmt: skip
    assert np.mean(hits) > 4.8
    exact = np.take_along_axis(queries @ items.T, np.asarray(ids), axis=1)
    np.testing.assert_allclose(scores, exact, rtol=1e-4, atol=1e-3)
    assert (np.diff(scores, axis=1) <= 0).all()


def test_without_vectors_codes_are_decoded():
    corpus = search.quantised(search.fit_int8(ITEMS), ITEMS)
    _, ids = search.coarse_to_fine(QUERIES, corpus, 5)
    decoded = np.asarray(search.decoded(corpus.quantiser, corpus.codes))
    expected = np.argsort(-QUERIES @ decoded.T, axis=1)[:, :5]
    assert (np.asarray(ids) == expected).mean() > 0.95


@pytest.mark.parametrize("kind", FITS)
@pytest.mark.parametrize("mmap", [False, True])
def test_codes_and_quantiser_come_back_from_their_file(tmp_path, kind, mmap):
    corpus = search.quantised(FITS[kind](ITEMS), ITEMS)
    search.save_quantised(tmp_path / "codes", corpus)
    loaded = search.load_quantised(tmp_path / "codes", mmap=mmap)
    assert type(loaded.quantiser) is type(corpus.quantiser)
    np.testing.assert_array_equal(loaded.codes, corpus.codes)
    found = [search.coarse_to_fine(QUERIES, c, 3, items=ITEMS)[1] for c in (corpus, loaded)]
    np.testing.assert_array_equal(*found)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="at least 100 rows to calibrate on, got 1"):
        search.fit_int8(ITEMS[:1])
    with pytest.raises(ValueError, match="vectors must be finite"):
        search.fit_binary(ITEMS * np.nan)
    with pytest.raises(ValueError, match=r"queries must be \[any, 40\]"):
        search.coarse_to_fine(QUERIES[:, 1:], search.quantised(search.fit_int8(ITEMS), ITEMS), 3)
