"""Evidence lower bound of variational autoencoders.

inputs, decoded [batch, ...], means, log_variances [batch, dim] -> loss
"""

import math

import jax.numpy as jnp

from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.numerics.types import Array, Numeric


@over_examples(
    axes={
        "inputs": "batch, ...",
        "decoded": "batch, ...",
        "means": "batch, dim",
        "log_variances": "batch, dim",
    }
)
def gaussian_elbo(
    inputs: Array,
    decoded: Array,
    means: Array,
    log_variances: Array,
    *,
    variance: Numeric = 1.0,
    divergence_weight: Numeric = 1.0,
):
    """Negative ELBO: the evidence lower bound of a variational autoencoder (VAE) with Gaussian noise, in nats.

        value_i = sum over numbers of  ((x - d)^2 / variance + log(2 pi variance)) / 2
                  + divergence_weight / 2  sum over dim of  m^2 + exp(s) - s - 1

    The first sum is minus the log-likelihood of the inputs under one sample, the second the KL
    divergence of N(m, exp(s)) from N(0, 1). Another divergence_weight makes a beta-VAE.

    Args:
      inputs: x [batch, ...], what was encoded.
      decoded: d, the same shape, the decoder's of one sample of each row.
      means, log_variances: m, s [batch, dim], the encoder's.
      variance: of the decoder's noise, > 0.
      divergence_weight: beta, >= 0; 1 is the bound.

    Source: Kingma and Welling 2014 (1312.6114), equation 10; beta: Higgins et al. 2017.
    Data: unlabeled.
    Kind: per example; memory that of its arguments.
    """
    numbers = tuple(range(1, inputs.ndim))
    noise = jnp.log(2 * math.pi * jnp.asarray(variance, inputs.dtype))
    fit = jnp.sum(jnp.square(inputs - decoded) / variance + noise, axis=numbers) / 2
    spread = jnp.square(means) + jnp.expm1(log_variances) - log_variances
    return fit + divergence_weight * jnp.sum(spread, axis=1) / 2
