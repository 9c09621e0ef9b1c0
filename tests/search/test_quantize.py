"""Codes of vectors: there and back, a first stage that rescoring puts right, stored with their quantizer."""

import numpy as np
import pytest

from jaxsim import search, similarity

RNG = np.random.default_rng(0)
SCALES = np.float32(10.0 ** RNG.uniform(-2, 2, 40))  # dimensions of unlike sizes
ITEMS = np.float32(RNG.normal(size=(600, 40))) * SCALES + 3 * SCALES
QUERIES = (ITEMS[:9] / SCALES**2 + np.float32(0.1) * RNG.normal(size=(9, 40)) / SCALES).astype(
    np.float32
)
FITS = {"int8": search.fit_int8, "binary": search.fit_binary}


# Bits compare directions, of dimensions with equal scales.
PLAIN = np.float32(RNG.normal(size=(600, 40)))
SIDES = {"int8": (QUERIES, ITEMS), "binary": (PLAIN[:9] + np.float32(0.3), PLAIN)}


def truth(queries, items, k, where=None):
    scores = np.float64(queries) @ items.T
    scores = scores if where is None else np.where(where, scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def test_int8_comes_back_within_half_a_step():
    quantizer = search.fit_int8(ITEMS)
    corpus = search.quantized(quantizer, ITEMS)
    assert corpus.codes.dtype == np.int8
    steps = (ITEMS.max(axis=0) - ITEMS.min(axis=0)) / 255
    error = np.abs(np.asarray(search.decoded(quantizer, corpus.codes)) - ITEMS)
    assert (error <= 0.505 * steps + 1e-6 * np.abs(ITEMS)).all()


def test_bits_stand_for_the_mean_of_their_side():
    quantizer = search.fit_binary(ITEMS)
    corpus = search.quantized(quantizer, ITEMS)
    assert corpus.codes.shape == (600, 2)
    result = np.asarray(search.decoded(quantizer, corpus.codes))
    high = ITEMS[:, 0] > np.median(ITEMS[:, 0])
    np.testing.assert_allclose(result[high, 0], ITEMS[high, 0].mean(), rtol=1e-5)
    np.testing.assert_allclose(result[~high, 0], ITEMS[~high, 0].mean(), rtol=1e-5)


@pytest.mark.parametrize(("kind", "oversample"), [("int8", 4), ("binary", 40)])
def test_rescoring_by_true_vectors_gives_the_true_order(tmp_path, kind, oversample):
    queries, items = SIDES[kind]
    corpus = search.quantized(FITS[kind](items), items)
    np.save(tmp_path / "items.npy", items)
    items = np.load(tmp_path / "items.npy", mmap_mode="r")
    where = np.arange(600) % 3 > 0
    scores, ids = search.coarse_to_fine(
        queries, corpus, 5, items=items, oversample=oversample, where=where
    )
    hits = [
        len(set(a) & set(b))
        for a, b in zip(
            np.asarray(ids).tolist(), truth(queries, items, 5, where).tolist(), strict=True
        )
    ]
    assert np.mean(hits) > 4.8
    exact = np.take_along_axis(queries @ items.T, np.asarray(ids), axis=1)
    np.testing.assert_allclose(scores, exact, rtol=1e-4, atol=1e-3)
    assert (np.diff(scores, axis=1) <= 0).all()


def test_without_vectors_codes_are_decoded():
    corpus = search.quantized(search.fit_int8(ITEMS), ITEMS)
    _, ids = search.coarse_to_fine(QUERIES, corpus, 5)
    decoded = np.asarray(search.decoded(corpus.quantizer, corpus.codes))
    expected = np.argsort(-QUERIES @ decoded.T, axis=1)[:, :5]
    assert (np.asarray(ids) == expected).mean() > 0.95


@pytest.mark.parametrize("kind", FITS)
@pytest.mark.parametrize("mmap", [False, True])
def test_codes_and_quantizer_come_back_from_their_file(tmp_path, kind, mmap):
    corpus = search.quantized(FITS[kind](ITEMS), ITEMS)
    search.save_quantized(tmp_path / "codes", corpus)
    loaded = search.load_quantized(tmp_path / "codes", mmap=mmap)
    assert type(loaded.quantizer) is type(corpus.quantizer)
    np.testing.assert_array_equal(loaded.codes, corpus.codes)
    result = [search.coarse_to_fine(QUERIES, c, 3, items=ITEMS)[1] for c in (corpus, loaded)]
    np.testing.assert_array_equal(*result)


def half_the_length(x, y):
    """A similarity of the user's own: of two rows of one direction the shorter is closer."""
    return similarity.cosine(x, y) / np.float32(2) / (y * y).sum(axis=1)


KERNELS = {
    f.__name__: f
    for f in (
        similarity.dot,
        similarity.cosine,
        similarity.negative_euclidean,
        similarity.negative_squared_euclidean,
        similarity.negative_unit_euclidean,
        half_the_length,
    )
}
UNLIKE = PLAIN * np.exp(RNG.normal(size=(600, 1))).astype(np.float32)  # norms of all sizes
NEAR = UNLIKE[:9] + np.float32(0.3)


def found_by_first_stage(kind, kernel, **settings):
    """recall@10 where the second stage orders what the first stage has found."""
    corpus = search.quantized(FITS[kind](UNLIKE), UNLIKE)
    truth = np.asarray(search.exact(NEAR, UNLIKE, 10, similarity=kernel)[1])
    _, ids = search.coarse_to_fine(NEAR, corpus, 10, items=UNLIKE, similarity=kernel, **settings)
    return np.mean(
        [
            len(set(a) & set(b)) / 10
            for a, b in zip(truth.tolist(), np.asarray(ids).tolist(), strict=True)
        ]
    )


@pytest.mark.thorough
@pytest.mark.parametrize("name", KERNELS)
def test_the_first_stage_follows_the_similarity(name):
    # Of the shortest rows a byte of the longest rows' range leaves little.
    least = 0.8 if name == "half_the_length" else 0.97
    assert found_by_first_stage("int8", KERNELS[name], oversample=4) > least
    if name in ("cosine", "negative_unit_euclidean"):  # bits know no norms
        assert found_by_first_stage("binary", KERNELS[name], oversample=10) > 0.85


@pytest.mark.thorough
@pytest.mark.parametrize("kind", FITS)
@pytest.mark.parametrize("name", ["cosine", "negative_euclidean"])
def test_the_first_stage_ranks_what_the_codes_stand_for(kind, name):
    """With as many candidates as are wanted nothing is left to the second stage."""
    corpus, kernel = search.quantized(FITS[kind](UNLIKE), UNLIKE), KERNELS[name]
    _, ids = search.coarse_to_fine(NEAR, corpus, 7, oversample=1, similarity=kernel)
    meant = np.asarray(search.decoded(corpus.quantizer, corpus.codes))
    expected = search.exact(NEAR, meant, 7, similarity=kernel)[1]
    assert (np.sort(ids, axis=1) == np.sort(expected, axis=1)).mean() > 0.95


def test_an_item_of_nan_is_never_found():
    corpus, items = search.quantized(search.fit_int8(PLAIN), PLAIN), PLAIN.copy()
    _, plain = search.coarse_to_fine(PLAIN[:9], corpus, 3, items=items)
    items[np.asarray(plain)[:, 0]] = np.nan
    _, ids = search.coarse_to_fine(PLAIN[:9], corpus, 3, items=items)
    assert not np.isin(np.asarray(ids), np.asarray(plain)[:, 0]).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: search.coarse_to_fine(PLAIN, PLAIN, 3), "corpus must be `Quantized`"),
        (
            lambda: search.coarse_to_fine(PLAIN, CODED, 0),
            "k must be a whole number of at least 1, got 0",
        ),
        (
            lambda: search.coarse_to_fine(PLAIN, CODED, 601),
            "k must be at most 600, the number of items",
        ),
        (
            lambda: search.coarse_to_fine(PLAIN, CODED, 3, oversample=0.5),
            "oversample must be a whole number",
        ),
        (
            lambda: search.coarse_to_fine(PLAIN, CODED, 3, similarity="dot"),
            "similarity must be a function",
        ),
        (
            lambda: search.coarse_to_fine(PLAIN * np.nan, CODED, 3),
            "queries must be finite: row 0 is not",
        ),
        (
            lambda: search.encoded(CODED.quantizer, spoiled(np.nan)),
            "vectors must be finite: row 3 is not",
        ),
        (
            lambda: search.encoded(None, PLAIN),
            "quantizer must be what search.fit_int8 or fit_binary gives",
        ),
        (
            lambda: search.decoded(CODED.quantizer, PLAIN),
            "codes must be int8, as `encoded` gives them, got float32",
        ),
        (lambda: search.decoded(CODED.quantizer, CODED.codes[:, 1:]), r"codes must be \[600, 40\]"),
        (
            lambda: search.fit_int8(spoiled(1e20)),
            r"vectors must be of similar sizes: row 3 has 1e\+20, the median",
        ),
        (lambda: search.fit_binary(PLAIN, threshold=np.nan), "threshold must be finite, got nan"),
        (
            lambda: search.fit_binary(PLAIN, threshold=np.zeros(3)),
            r"threshold must be \[40\], one per dimension",
        ),
        (lambda: search.fit_int8(PLAIN, fewest=0), "fewest must be a whole number of at least 1"),
    ],
)
def test_what_has_no_code_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


CODED = search.quantized(search.fit_int8(PLAIN), PLAIN)


def spoiled(value):
    vectors = PLAIN.copy()
    vectors[3, 1] = value
    return vectors


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="at least 100 rows to calibrate on, got 1"):
        search.fit_int8(ITEMS[:1])
    with pytest.raises(ValueError, match="vectors must be finite"):
        search.fit_binary(ITEMS * np.nan)
    with pytest.raises(ValueError, match=r"queries must be \[any, 40\]"):
        search.coarse_to_fine(QUERIES[:, 1:], search.quantized(search.fit_int8(ITEMS), ITEMS), 3)
