"""Losses over labels for two views of each example, which has no label."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, ArrayTree


def of_views(loss: Callable) -> Callable:
    """Self-supervised form of a loss over labels: the two views of an example are its class (SimCLR).

        loss = losses.of_views(losses.nt_xent)
        value = loss(first, second, temperature=0.1)

    Both views of the whole batch are anchors, each compared with all others.

    Args:
      loss: a loss over labels.

    Returns: function (first, second, *, where=None, axis_name=None, ...) of arrays [batch, dim] or pytrees, whose rows
    are of the same examples; where bool [batch] is False for padding, all else is of the loss.
    Source: SimCLR, Chen et al. 2020 (2002.05709), algorithm 1, with `nt_xent`.
    Data: pairs, unlabeled.
    Kind: composition; memory that of the loss on both views.
    """

    def viewed(
        first: ArrayTree,
        second: ArrayTree,
        *,
        where: Array | None = None,
        axis_name: str | None = None,
        **settings: Any,
    ) -> jax.Array:
        rows = checks.rows_of("first", first)
        if (other := checks.rows_of("second", second)) != rows:
            raise ValueError(f"second must have {rows} rows, one per row of first, got {other}")
        places = jnp.arange(rows)
        if axis_name is not None:
            checks.bound(axis_name)
            places = places + jax.lax.axis_index(axis_name) * rows
        if where is not None:
            settings["where"] = jnp.tile(checks.mask("where", where, (rows,)), 2)
        views = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, second)
        return loss(views, jnp.tile(places, 2), axis_name=axis_name, **settings)

    return viewed
