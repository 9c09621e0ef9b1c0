"""The d-simplex head: features to the space in which class vectors are fixed."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array

START = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class SimplexHead(nn.Module):
    """d-simplex head: a linear map without a bias onto the space of a regular simplex of classes.

    features float [..., features] -> float32 [..., classes - 1], not normalized

    What it gives is the embedding. Logits are its dot products with the fixed class vectors, which are not
    parameters: `similarity.dot(embeddings, similarity.simplex_vertices(classes))`. Models can be compared
    where they agree on `classes` and on which class has which row. The start is that of torch's linear layers,
    uniform within 1 / sqrt(features): what it gives besides a class's direction fades slowly.

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
        size = self.classes - 1
        linear = nn.Dense(size, use_bias=False, kernel_init=START, name="junction")
        return linear(features.astype(jnp.float32))
