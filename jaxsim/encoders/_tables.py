"""Lookup tables as parameters: items that are embedded by their number."""

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import PRNGKey


def in_out_tables(key: PRNGKey, items: int, dim: int) -> dict[str, jax.Array]:
    """word2vec's input and output tables: what an item predicts with, and what it is predicted by.

    Args:
      key: a jax.random key.
      items: how many.
      dim: of an embedding.

    Returns: {"in": uniform in +-1 / (2 dim), "out": zeros}, float32 [items, dim] each.
    Source: the word2vec program, as fastText and gensim start.
    """
    checks.whole("items", items)
    checks.whole("dim", dim)
    start = jax.random.uniform(key, (items, dim), jnp.float32, -0.5, 0.5) / dim
    return {"in": start, "out": jnp.zeros((items, dim), jnp.float32)}
