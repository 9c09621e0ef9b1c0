"""The k-th largest against a sort: ties, infinities, NaN, both precisions, a k for each row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.numerics import kth_largest

KTH = jax.jit(kth_largest)


def cases():
    random = np.random.default_rng(0)
    rows = random.normal(size=(7, 12))
    rows[1] = 0.5
    rows[2] = np.round(rows[2])
    rows[3, :4] = [np.inf, -np.inf, np.nan, -0.0]
    rows[4] = -np.abs(rows[4])
    rows[5] *= 1e-40  # subnormal in float32
    rows[6] = -np.inf
    return rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_what_a_sort_gives(dtype, request):
    if dtype == np.float64:
        request.getfixturevalue("float64")
    rows = cases().astype(dtype)
    ranked = -np.sort(-np.where(np.isnan(rows), -np.inf, rows), axis=1)
    for k in (1, 3, 12):
        result = KTH(rows, k)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, ranked[:, [k - 1]])
    each = np.array([[1], [2], [3], [4], [12], [0], [99]])
    places = np.clip(each, 1, 12) - 1
    np.testing.assert_array_equal(KTH(rows, each), np.take_along_axis(ranked, places, axis=1))


def test_it_has_no_gradient_and_can_be_mapped():
    rows = jnp.float32(np.random.default_rng(1).normal(size=(3, 2, 5)))
    assert not jax.grad(lambda x: kth_largest(x, 2).sum())(rows).any()
    mapped = jax.vmap(lambda x: kth_largest(x, 2))(rows)
    np.testing.assert_array_equal(mapped, kth_largest(rows, 2))
