"""Checks of arguments, made while tracing, so that bad input costs no compilation.

Each raises ValueError with one sentence: which argument, what was wanted, what came. Values that
are traced pass: their numbers are not known yet.
"""

import math
import numbers

import jax
import numpy as np


def positive(name, value):
    """A number above zero."""
    if _known(value) and not np.all(np.asarray(value) > 0):
        raise ValueError(f"{name} must be > 0, got {value}")


def not_negative(name, value):
    """A number of zero or more."""
    if _known(value) and not np.all(np.asarray(value) >= 0):
        raise ValueError(f"{name} must be >= 0, got {value}")


def whole(name, value, minimum=1):
    """A whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")


def probability(name, value):
    """A number from 0 to 1."""
    if _known(value) and not np.all((np.asarray(value) >= 0) & (np.asarray(value) <= 1)):
        raise ValueError(f"{name} must be between 0 and 1, got {value}")


def one_of(name, value, choices):
    """One of a few names."""
    if value not in choices:
        wanted = ", ".join(map(repr, choices))
        raise ValueError(f"{name} must be one of {wanted}, got {value!r}")


def at_most(name, value, limit, what):
    """A whole number from 1 to a limit that has a name."""
    whole(name, value)
    if value > limit:
        raise ValueError(f"{name} must be at most {limit}, {what}, got {value}")


def shaped(name, array, shape, why=""):
    """An array of a shape; None in `shape` stands for any length.

    shaped("labels", labels, (32,), "one per row of embeddings")
    """
    got = np.shape(array)
    fits = len(got) == len(shape) and all(
        w is None or g == w for g, w in zip(got, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if w is None else str(w) for w in shape)
        why = f", {why}," if why else ","
        raise ValueError(f"{name} must be [{wanted}]{why} got shape {got}")


def rows_of(name, tree):
    """The leading axis that all leaves of a pytree share."""
    leaves = jax.tree.leaves(tree)
    lengths = {np.shape(leaf)[:1] for leaf in leaves}
    if not leaves or lengths & {()} or len(lengths) != 1:
        shapes = [np.shape(leaf) for leaf in leaves]
        raise ValueError(
            f"{name} must be arrays that share their leading axis, got shapes {shapes}"
        )
    return lengths.pop()[0]


def integers(name, array):
    """An array of integers."""
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must be integers, got {array.dtype}")


def booleans(name, array):
    """An array of booleans: a mask of 0.0 and 1.0 would be taken for weights."""
    if array.dtype != bool:
        raise ValueError(f"{name} must be boolean, True for what counts, got {array.dtype}")


def bound(axis_name):
    """A named axis that is there."""
    try:
        jax.lax.axis_size(axis_name)
    except NameError as error:
        raise ValueError(
            f"axis_name={axis_name!r} is not bound: "
            "call inside pmap, shard_map or vmap with that axis"
        ) from error


def finite(name, value):
    """A finite number that is known."""
    if _known(value) and not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")


def _known(value):
    return not isinstance(value, jax.core.Tracer)
