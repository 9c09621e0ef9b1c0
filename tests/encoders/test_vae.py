"""The variational autoencoder, against its definition in NumPy."""

import jax
import numpy as np
import pytest

from jaxsim import encoders, losses

INPUTS = np.float32(np.random.default_rng(0).normal(size=(8, 5)))
IDS = np.arange(8)
VAE = encoders.Vae(features=5, dim=3, widths=(7, 4))
KEY = jax.random.key(1)
PARAMS = VAE.init(jax.random.key(0), INPUTS, KEY, IDS)


def through(name, x):
    """What the layers of the encoder or decoder make of x, in float64."""
    layers = PARAMS["params"][name]
    for number in range(2):
        layer = layers[f"dense_{number}"]
        x = np.maximum(x @ np.float64(layer["kernel"]) + np.float64(layer["bias"]), 0)
    return x @ np.float64(layers["head"]["kernel"]) + np.float64(layers["head"]["bias"])


def test_the_network_is_its_definition():
    means, log_variances = VAE.apply(PARAMS, INPUTS, method="encode")
    encoded = through("encoder", np.float64(INPUTS))
    np.testing.assert_allclose(means, encoded[:, :3], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(log_variances, encoded[:, 3:], rtol=1e-4, atol=1e-6)
    samples = VAE.apply(PARAMS, means, log_variances, KEY, IDS, method="sample")
    decoded, *same = jax.jit(VAE.apply)(PARAMS, INPUTS, KEY, IDS)
    for array, again in zip((means, log_variances), same, strict=True):
        np.testing.assert_allclose(array, again, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        decoded, through("decoder", np.float64(samples)), rtol=1e-4, atol=1e-6
    )
    kernels = PARAMS["params"]["decoder"]
    assert [kernels[f"dense_{n}"]["kernel"].shape for n in range(2)] == [(3, 4), (4, 7)]


def test_samples_have_the_means_and_variances_asked_for():
    count = 20_000
    means, log_variances = np.float32([[1.0, -2.0, 0.0]]), np.log(np.float32([[4.0, 0.25, 1.0]]))
    many = (np.tile(array, (count, 1)) for array in (means, log_variances))
    samples = VAE.apply(PARAMS, *many, KEY, np.arange(count), method="sample")
    np.testing.assert_allclose(samples.mean(axis=0), means[0], atol=0.05)
    np.testing.assert_allclose(samples.var(axis=0), np.exp(log_variances[0]), rtol=0.05)
    assert np.abs(np.corrcoef(samples.T) - np.eye(3)).max() < 0.03


def test_noise_belongs_to_the_id_and_the_key():
    order = np.random.default_rng(0).permutation(8)
    decoded = VAE.apply(PARAMS, INPUTS, KEY, IDS)[0]
    turned = VAE.apply(PARAMS, INPUTS[order], KEY, IDS[order])[0]
    np.testing.assert_allclose(turned, decoded[order], rtol=1e-5, atol=1e-6)
    parts = [VAE.apply(PARAMS, INPUTS[half], KEY, IDS[half])[0] for half in np.split(IDS, 2)]
    np.testing.assert_allclose(np.concatenate(parts), decoded, rtol=1e-5, atol=1e-6)
    other = VAE.apply(PARAMS, INPUTS, jax.random.key(2), IDS)[0]
    assert np.abs(other - decoded).max() > 0.01


def test_the_bound_reaches_encoder_and_decoder():
    def loss(params):
        decoded, means, log_variances = VAE.apply(params, INPUTS, KEY, IDS)
        return losses.gaussian_elbo(INPUTS, decoded, means, log_variances)

    slopes = jax.jit(jax.grad(loss))(PARAMS)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(slopes))


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"inputs must be \[\.\.\., 5\], got shape \(8, 4\)"):
        VAE.apply(PARAMS, INPUTS[:, :4], KEY, IDS)
    with pytest.raises(ValueError, match=r"ids must be \[8\], one per row"):
        VAE.apply(PARAMS, INPUTS, KEY, IDS[:3])
    with pytest.raises(ValueError, match="dim must be a whole number"):
        encoders.Vae(features=5, dim=0).init(KEY, INPUTS, KEY, IDS)
