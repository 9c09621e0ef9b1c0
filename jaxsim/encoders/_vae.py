"""The variational autoencoder: vectors to distributions of embeddings, and back."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.encoders._perceptron import Mlp
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, PRNGKey


class Vae(nn.Module):
    """Variational autoencoder (VAE): an encoder and a decoder, each an `Mlp`, with a sample between them.

    inputs float [batch, features] -> (decoded [batch, features], means, log_variances [batch, dim])

    These with the inputs are what `losses.gaussian_elbo` takes; the means are the embeddings.

        vae = Vae(features=19, dim=6)
        params = vae.init(key, inputs, key, ids)
        decoded, means, log_variances = vae.apply(params, inputs, key, ids)
        embeddings = vae.apply(params, inputs, method="encode")[0]
    """

    features: int  # of the inputs
    dim: int  # of the embeddings
    widths: tuple[int, ...] = (
        256,
        256,
    )  # of the encoder's hidden layers; the decoder's are reversed
    activation: Callable[[Array], jax.Array] = nn.relu
    dtype: jnp.dtype | None = None  # as that of `Mlp`

    def setup(self) -> None:
        for name in ("features", "dim"):
            checks.whole(name, getattr(self, name))
        both = {"activation": self.activation, "dtype": self.dtype}
        self.encoder = Mlp(dim=2 * self.dim, widths=self.widths, **both)
        self.decoder = Mlp(dim=self.features, widths=self.widths[::-1], **both)

    def __call__(
        self, inputs: Array, key: PRNGKey, ids: Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Decodes a sample of each row.

        Args:
          inputs: float [batch, features].
          key, ids: as `sample` takes them.

        Returns: (decoded [batch, features], means [batch, dim], log_variances [batch, dim]), float32.
        """
        means, log_variances = self.encode(inputs)
        return self.decode(self.sample(means, log_variances, key, ids)), means, log_variances

    def encode(self, inputs: Array) -> tuple[jax.Array, jax.Array]:
        """Encodes inputs [..., features] as (means, log_variances), float32 [..., dim] each.

        Raises: ValueError for another number of features.
        """
        if inputs.shape[-1:] != (self.features,):
            raise ValueError(f"inputs must be [..., {self.features}], got shape {inputs.shape}")
        means, log_variances = jnp.split(self.encoder(inputs), 2, axis=-1)
        return means, log_variances

    def decode(self, embeddings: Array) -> jax.Array:
        """Decodes embeddings [..., dim]: float32 [..., features]."""
        return self.decoder(embeddings)

    def sample(self, means: Array, log_variances: Array, key: PRNGKey, ids: Array) -> jax.Array:
        """Samples embeddings: means + exp(log_variances / 2) noise, differentiable in both.

        A row's noise depends on the key and its id alone: not on its place in the batch, nor on how many
        devices the batch is split over.

        Args:
          means, log_variances: [batch, dim].
          key: a jax.random key.
          ids: int [batch].

        Raises: ValueError for shapes that do not fit.
        """
        checks.key("key", key)
        checks.shaped("means", means, (None, self.dim), "one row per example")
        checks.shaped("log_variances", log_variances, means.shape, "the shape of means")
        ids = checks.column("ids", ids, means.shape[0])
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, ids)
        noise = jax.vmap(lambda key: jax.random.normal(key, (self.dim,), means.dtype))(keys)
        return means + jnp.exp(log_variances / 2) * noise
