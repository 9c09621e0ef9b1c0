"""Class vectors to train networks to: a simplex that stays, the same rotated, or vectors that are learned."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import encoders, similarity
from jaxsim.numerics.types import Array

NEVER = -1e9  # the logit of a class that is not there


class Network(nn.Module):
    """A backbone, whose features are the embeddings; with slots a d-simplex head on it, which gives them."""

    backbone: Any
    slots: int

    @nn.compact
    def __call__(self, pixels: Array, *, features: bool = False, **batch: Any) -> Any:
        seen = self.backbone(pixels, **batch)
        embeddings = encoders.SimplexHead(self.slots)(seen) if self.slots else seen
        return (embeddings, seen) if features else embeddings


def start(kind: str, slots: int, dim: int, seed: int) -> Array:
    """The simplex, the simplex rotated at random, or the start of class vectors that are learned: torch's.

    Args:
      kind: simplex, rotated or learned.
      slots: how many vectors; a simplex has slots - 1 dimensions.
      dim: of the embeddings.
      seed: of the rotation and of the start.

    Returns: float32 [slots, dim].
    """
    random = np.random.default_rng([seed, 1])
    if kind == "learned":
        return random.uniform(-(dim**-0.5), dim**-0.5, (slots, dim)).astype(np.float32)
    vertices = np.asarray(similarity.simplex_vertices(slots))
    if kind == "rotated":
        rotation, _ = np.linalg.qr(random.normal(size=(dim, dim)))
        vertices = (vertices @ rotation).astype(np.float32)
    return vertices


def among(seen: Array) -> Callable[[Array, Array], jax.Array]:
    """(embeddings, class vectors) -> logits of the classes that are there.

    Args:
      seen: bool [slots].
    """

    def logits(embeddings, classes):
        return jnp.where(seen, similarity.dot(embeddings, classes), NEVER)

    return logits
