"""Rows that are split over a named axis: gathering them, numbering them, and functions of all of them."""

import functools

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks


def gather(tree, axis_name=None):
    """Every device's rows of a pytree, in the order of the devices; the tree itself without an axis.

    leaves [rows, ...] -> leaves [devices * rows, ...]. Gather ids and labels in the same call as the
    embeddings: labels that are rebuilt from offsets come out wrong sooner or later.
    """
    if axis_name is None:
        return tree
    return jax.lax.all_gather(tree, axis_name, tiled=True)


def row_ids(rows, axis_name=None):
    """The global numbers of this device's rows: int32 [rows], the same numbering as `gather` gives."""
    ids = jnp.arange(rows, dtype=jnp.int32)
    return ids if axis_name is None else ids + rows * jax.lax.axis_index(axis_name)


def gathered(function):
    """Makes any function of arrays [rows, ...] a global one: it gains `axis_name=`.

    Every device gathers the arrays and computes the whole; gradients of parameters stay exact after
    the training step's pmean. For small functions, and for a newcomer's own.

        spread = gathered(lambda x: jnp.var(x))
        spread(x, axis_name="devices")
    """

    @functools.wraps(function)
    def over_devices(*arrays, axis_name=None, **settings):
        if axis_name is None:
            return function(*arrays, **settings)
        checks.bound(axis_name)
        value = function(*gather(arrays, axis_name), **settings)
        return jax.lax.pmean(value, axis_name)

    return over_devices
