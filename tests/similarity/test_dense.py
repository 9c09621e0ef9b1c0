"""Similarities against float64 NumPy, with gradients, and at the awkward places."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import similarity

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 4)), RNG.normal(size=(7, 4))


def pairwise(distance):
    return lambda x, y: np.array([[distance(a, b) for b in y] for a in x])


REFERENCES = {
    "dot": pairwise(lambda a, b: a @ b),
    "cosine": pairwise(lambda a, b: a @ b / np.sqrt((a @ a) * (b @ b))),
    "squared_euclidean": pairwise(lambda a, b: ((a - b) ** 2).sum()),
    "euclidean": pairwise(lambda a, b: np.sqrt(((a - b) ** 2).sum())),
    "negative_squared_euclidean": pairwise(lambda a, b: -((a - b) ** 2).sum()),
    "negative_euclidean": pairwise(lambda a, b: -np.sqrt(((a - b) ** 2).sum())),
    "negative_manhattan": pairwise(lambda a, b: -np.abs(a - b).sum()),
    "negative_unit_euclidean": pairwise(
        lambda a, b: -np.linalg.norm(a / np.linalg.norm(a) - b / np.linalg.norm(b))
    ),
    "negative_noise_to_signal": pairwise(
        lambda a, b: (
            -np.var(a / np.linalg.norm(a) - b / np.linalg.norm(b)) / np.var(a / np.linalg.norm(a))
        )
    ),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", REFERENCES)
def test_value_and_gradient(name, float64):
    kernel, weights = getattr(similarity, name), RNG.normal(size=(5, 7))
    np.testing.assert_allclose(kernel(X, Y), REFERENCES[name](X, Y), rtol=1e-11)

    def total(x, y):
        return (REFERENCES[name](x, y) * weights).sum()

    gradients = jax.grad(lambda x, y: (kernel(x, y) * weights).sum(), (0, 1))(X, Y)
    for which, gradient in enumerate(gradients):
        points = [X, Y]
        for place in [(0, 0), (3, 2)]:
            ends = []
            for step in (1e-6, -1e-6):
                moved = [p.copy() for p in points]
                moved[which][place] += step
                ends.append(total(*moved))
            np.testing.assert_allclose(gradient[place], (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("x", [np.zeros((3, 4)), np.ones((3, 4)), 1e4 * X[:3]])
def test_finite_where_it_is_awkward(name, x):
    x = np.float32(x)
    value, gradient = jax.value_and_grad(lambda x: getattr(similarity, name)(x, x).sum())(x)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_a_common_offset_costs_no_digits():
    x = np.float32(X + 1000)
    y = np.float32(Y + 1000)
    exact = REFERENCES["squared_euclidean"](x.astype(float), y.astype(float))
    np.testing.assert_allclose(similarity.squared_euclidean(x, y), exact, rtol=1e-5)


@pytest.mark.parametrize("dim", [3, 128, 1024])
def test_copies_in_a_crowd_are_at_distance_zero_with_slope_zero(dim):
    x = RNG.normal(size=(40, dim)).astype(np.float32)
    x = np.concatenate([x, 3 * x])
    for kernel in (similarity.negative_unit_euclidean, similarity.negative_noise_to_signal):
        distance, slope = jax.jit(
            jax.value_and_grad(lambda x, f=kernel: jnp.sum(jnp.diag(f(x, x), 40)))
        )(x)
        assert distance == 0
        assert not slope.any()


def test_a_crowd_of_copies_is_at_distance_zero_though_a_center_is_rounded():
    """Nothing but the last digit of the center is left of the rows: it may differ from side to side."""
    y = np.repeat(np.float32(RNG.normal(size=(1, 4))), 5, axis=0)
    x = np.nextafter(y, np.float32(np.inf))
    distance, slope = jax.value_and_grad(lambda x: jnp.sum(similarity.euclidean(x, y)))(x)
    assert distance == 0
    assert not slope.any()


def test_rows_in_a_narrow_cone_keep_their_distances():
    x = np.float32(1 + 1e-3 * X)
    exact = REFERENCES["negative_unit_euclidean"](x.astype(float), x.astype(float))
    np.testing.assert_allclose(
        similarity.negative_unit_euclidean(x, x), exact, rtol=2e-4, atol=1e-7
    )
    from_cosine = -np.sqrt(np.maximum(2 - 2 * np.float32(similarity.cosine(x, x)), 0))
    assert np.abs(from_cosine - exact).max() > 0.05 * np.abs(exact).max()


def test_an_anchor_of_equal_coordinates_has_no_signal():
    x = np.float32([[0.3, 0.3, 0.3], [1, 2, 3]])
    scores = similarity.negative_noise_to_signal(x, x)
    np.testing.assert_array_equal(scores[0], 0)
    np.testing.assert_allclose(scores[1, 0], -1, rtol=1e-6)


def test_bfloat16_is_summed_in_float32():
    x = jnp.asarray(X, jnp.bfloat16)
    scores = similarity.dot(x, x)
    assert scores.dtype == jnp.float32
    np.testing.assert_allclose(scores, np.float64(x) @ np.float64(x).T, rtol=1e-6, atol=1e-6)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"got shapes \(5, 4\), \(7, 3\)"):
        similarity.cosine(X, Y[:, :3])


def test_scores_of_own_candidates():
    random = np.random.default_rng(5)
    queries, candidates = random.normal(size=(4, 3)), random.normal(size=(4, 6, 3))
    expected = [
        [q @ c / np.linalg.norm(q) / np.linalg.norm(c) for c in own]
        for q, own in zip(queries, candidates, strict=True)
    ]
    found = jax.jit(similarity.list_scores)(np.float32(queries), np.float32(candidates))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"candidates must be \[4, any, any\], some per query"):
        similarity.list_scores(queries, candidates[:3])
