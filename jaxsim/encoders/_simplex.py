"""The d-simplex head: features to the space in which class vectors are fixed."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


class SimplexHead(nn.Module):
    """d-simplex head: a linear map without a bias onto the space of a regular simplex of classes.

    features float [..., features] -> float32 [..., classes - 1], not normalized

    What it gives is the embedding. Logits are its dot products with the fixed class vectors, which are not
    parameters: `similarity.dot(embeddings, similarity.simplex_vertices(classes))`. Models can be compared
    where they agree on `classes` and on which class has which row.

    Source: Pernici et al. 2021, and Biondi et al. 2024 (2405.02581), released code.
    """

    classes: int  # class vectors, those that have no examples yet among them; at least 2

    @nn.compact
    def __call__(self, features: Array) -> jax.Array:
        """Embeddings.

        Args:
          features: float [..., features], of a backbone.
        """
        checks.whole("classes", self.classes, 2)
        linear = nn.Dense(self.classes - 1, use_bias=False, name="junction")
        return linear(features.astype(jnp.float32))
