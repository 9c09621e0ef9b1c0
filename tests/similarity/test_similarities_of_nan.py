"""NaN, infinity and rows of 1e20: what comes out is never the score of a good match."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import similarity

RNG = np.random.default_rng(0)
X, Y = (np.float32(RNG.normal(size=(n, 4))) for n in (5, 7))
KERNELS = {
    name: getattr(similarity, name)
    for name in (
        "angle_score",
        "cosine",
        "dot",
        "euclidean",
        "negative_cosine_distance",
        "negative_euclidean",
        "negative_manhattan",
        "negative_noise_to_signal",
        "negative_squared_euclidean",
        "negative_unit_euclidean",
        "squared_euclidean",
    )
}


def gated(kernel):
    return lambda x, y: kernel((x, jnp.ones_like(x)), y)


KERNELS |= {name: gated(getattr(similarity, name)) for name in ("gated_cosine", "gated_dot")}
DISTANCES = "euclidean", "negative_euclidean", "negative_squared_euclidean", "squared_euclidean"


@functools.cache
def compiled(name):
    return jax.jit(KERNELS[name])


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_spoils_its_own_scores_and_no_others(name, bad):
    x, y = X.copy(), Y.copy()
    x[2, 1] = y[3, 0] = bad
    scores, clean = (np.asarray(compiled(name)(*rows)) for rows in ((x, y), (X, Y)))
    spoiled = np.zeros(scores.shape, bool)
    spoiled[2] = spoiled[:, 3] = True
    np.testing.assert_allclose(scores[~spoiled], clean[~spoiled], rtol=1e-5, atol=1e-6)
    if np.isnan(bad):
        assert np.isnan(scores[spoiled]).all()
    else:  # farther than all others, or NaN
        assert (~np.isfinite(scores[spoiled])).all()


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("size", [1e20, 1e12])
def test_one_row_far_away_takes_no_digits_of_the_others(name, size):
    y = Y.copy()
    y[3] *= size
    scores, clean = (np.asarray(compiled(name)(X, rows)) for rows in (y, Y))
    others = np.arange(7) != 3
    np.testing.assert_allclose(scores[:, others], clean[:, others], rtol=1e-4)
    assert (np.abs(scores[:, 3]) > 1e3 * np.abs(clean).max()).all()
    assert (np.sign(scores[:, 3]) == np.sign(clean[:, 3])).all()


@pytest.mark.thorough
def test_the_gradient_is_nan_where_the_distance_is():
    x = X.copy()
    x[2, 1] = np.nan
    for name in ("euclidean", "squared_euclidean", "negative_noise_to_signal"):
        gradient = jax.grad(lambda x, f=KERNELS[name]: jnp.sum(f(x, Y)))(x)
        assert np.isnan(gradient[2]).any()
        assert np.isfinite(gradient[np.arange(5) != 2]).all()


def test_padding_tokens_may_hold_nan():
    where = np.array([[True, True, False]] * 2)
    vectors = np.float32(RNG.normal(size=(2, 3, 4)))
    spoiled = np.where(where[..., None], vectors, np.nan).astype(np.float32)

    def total(vectors):
        text = {"vectors": vectors, "where": where}
        return similarity.max_sim(text, text).sum()

    both = jax.jit(jax.value_and_grad(total))
    (value, gradient), (clean, expected) = both(spoiled), both(vectors)
    np.testing.assert_array_equal(value, clean)
    np.testing.assert_array_equal(gradient, expected)
    spoiled = np.where(where[..., None], np.nan, vectors).astype(np.float32)
    assert np.isnan(both(spoiled)[0])


@pytest.mark.thorough
def test_lists_are_arrays_and_what_is_not_is_named():
    x = [[1.0, 0.0], [0.0, 2.0]]
    for name in ("cosine", "negative_euclidean", "negative_manhattan", "angle_score"):
        kernel = getattr(similarity, name)
        np.testing.assert_array_equal(kernel(x, x), kernel(np.float32(x), np.float32(x)))
    with pytest.raises(ValueError, match=r"^x must be real numbers, got <U1$"):
        similarity.cosine([["a"]], [["b"]])
    with pytest.raises(ValueError, match=r"^x must be one array, got rows of different lengths$"):
        similarity.cosine([[1.0], [1.0, 2.0]], x)
    with pytest.raises(
        ValueError, match=r"must be \[n, dim\] and \[m, dim\], got shapes \(2, 2, 2\)"
    ):
        similarity.cosine((x, x), x)
    with pytest.raises(ValueError, match=r"x must be \{.vectors.: .* got ndarray"):
        similarity.max_sim(X, X)
