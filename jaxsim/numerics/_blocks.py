"""Blocks of rows: applies a function to one block after another, which bounds its memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.numerics.types import ArrayTree


def by_blocks(function: Callable, tree: ArrayTree, size: int) -> Any:
    """Applies `function` to blocks of `size` rows of a pytree and concatenates the results.

    The last block is filled up with copies of the last row; what they give is dropped.

    Args:
      function: pytree with leading axes `size` -> pytree with the same leading axes.
      tree: pytree whose leaves share their leading axis.
      size: rows per block; a tree of no more is passed on whole.

    Returns: what `function` gives for all rows.
    """
    rows = jax.tree.leaves(tree)[0].shape[0]
    if rows <= size:
        return function(tree)
    padding = -rows % size
    blocks = jax.tree.map(
        lambda a: jnp.pad(a, [(0, padding)] + [(0, 0)] * (a.ndim - 1), mode="edge").reshape(
            -1, size, *a.shape[1:]
        ),
        tree,
    )
    results = jax.lax.map(function, blocks)
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:rows], results)
