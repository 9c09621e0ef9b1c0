"""Correlations of predicted and given scores: what sentence similarity tasks are measured by.

    predicted [n], given [n] -> one number from -1 to 1

A side that is constant has no correlation: 0.
"""

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks


def pearson(predicted, given, *, where=None):
    """How well a line fits.

    Args:
      predicted, given: [n].
      where: bool [n], False for pairs that do not count.

    Returns: float32 at least; 0 where a side is constant.
    Raises: ValueError for shapes that do not fit.
    """
    return _pearson(*_sides(predicted, given, where))


@jax.jit
def _pearson(predicted, given, where):
    count = jnp.maximum(where.sum(), 1)

    def centred(x):
        x = x - jnp.where(where, x, 0).sum() / count
        x = jnp.where(where, x, 0)
        largest = jnp.abs(x).max()
        return x / jnp.where(largest > 0, largest, 1)

    x, y = centred(predicted), centred(given)
    square = (x * x).sum() * (y * y).sum()
    return jnp.where(square > 0, (x * y).sum() / jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


def spearman(predicted, given, *, where=None):
    """`pearson` of the ranks; what ties shares the mean of its ranks.

    Args and result as in `pearson`.
    """
    predicted, given, where = _sides(predicted, given, where)
    return _pearson(_ranks(predicted, where), _ranks(given, where), where)


@jax.jit
def _ranks(x, where):
    """Mean ranks among the pairs that count; the others stand behind."""
    x = jnp.where(where, x, jnp.inf)
    ranked = jnp.sort(x)
    below, upto = (jnp.searchsorted(ranked, x, side=side) for side in ("left", "right"))
    return ((below + upto - 1) / 2).astype(jnp.result_type(float))


def _sides(predicted, given, where):
    predicted, given = jnp.asarray(predicted), jnp.asarray(given)
    checks.shaped("predicted", predicted, (None,), "one per pair")
    checks.shaped("given", given, predicted.shape, "one per predicted score")
    if where is None:
        where = jnp.ones(predicted.shape, bool)
    where = jnp.asarray(where)
    checks.shaped("where", where, predicted.shape, "one per pair")
    checks.booleans("where", where)
    wide = jnp.promote_types(jnp.result_type(predicted, given), jnp.float32)
    return predicted.astype(wide), given.astype(wide), where
