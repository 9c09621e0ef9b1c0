"""Composition where no table reaches: sums of losses, traced sizes, draws on devices, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import losses

Q = np.array([[1.0, 2, 0, 1], [0, 1, 2, -1]])
D = np.array([[[2.0, 1, 1, 0], [1, 0, 1, 1]], [[0, 2, 1, -1], [1, -1, 1, 2]]])


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


@jax.jit
def base(z):
    return losses.info_nce(z["q"], z["d"], temperature=0.1)


def test_sums_of_losses_are_losses():
    z = np.random.default_rng(0).normal(size=(6, 8))
    small, large = jnp.var, jnp.sum
    both = losses.weighted_sum(small, large, weights=(0.5, 2.0))
    np.testing.assert_allclose(both(z), 0.5 * small(z) + 2 * large(z), rtol=1e-14)
    plain = losses.weighted_sum(small, large)
    # Sums and sizes nest.
    sizes = losses.matryoshka(plain, dims=(8, 4))
    np.testing.assert_allclose(sizes(z), plain(z) + plain(z[:, :4]), rtol=1e-14)
    with pytest.raises(ValueError, match="weights must be one per losses, 2 in all, got 3"):
        losses.weighted_sum(small, large, weights=(1, 2, 3))


def test_a_size_may_be_traced():
    z = {"q": Q, "d": D}
    cut = jax.jit(lambda z, size: base(losses.parts.leading(z, size)))
    np.testing.assert_allclose(cut(z, 3), base(losses.parts.leading(z, 3)), rtol=1e-14)
    assert losses.parts.leading(z, 3)["d"].shape == (2, 2, 3)
    zeroed = losses.parts.leading(z, jnp.asarray(3))["d"]
    np.testing.assert_array_equal(zeroed[..., 3:], 0)


def test_draws_agree_on_all_devices():
    x = np.random.default_rng(1).normal(size=(8, 2, 4))
    key = jax.random.key(0)

    def loss(x, key, axis_name=None):
        pair = lambda z: losses.info_nce(z, z[:, ::-1], axis_name=axis_name)  # noqa: E731
        return losses.matryoshka_drawn(pair, dims=(4, 3, 2), draws=2)(x, key)

    many = jax.pmap(lambda x: loss(x, key, "devices"), "devices")(x)
    np.testing.assert_allclose(many, jax.jit(loss)(x.reshape(16, 4), key), rtol=1e-12)


def test_dims_that_are_no_sizes():
    with pytest.raises(
        ValueError, match="each of dims must be a whole number of at least 1, got 0"
    ):
        losses.matryoshka(base, dims=(4, 0))
    with pytest.raises(ValueError, match="draws must be at most 2, the number of dims, got 3"):
        losses.matryoshka_drawn(base, dims=(4, 2), draws=3)
    with pytest.raises(ValueError, match="num_layers must be a whole number of at least 2, got 1"):
        losses.parts.draw_layer_dim(jax.random.key(0), num_layers=1, dims=(4,))
