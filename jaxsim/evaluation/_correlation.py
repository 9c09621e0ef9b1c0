"""Pearson and Spearman correlation of predicted and gold scores, the measures of sentence similarity tasks.

    predicted [n], gold [n] -> one number from -1 to 1

A side that is constant has no correlation: 0. A NaN among the pairs that count makes it NaN.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


def pearson(predicted: Array, gold: Array, *, where: Array | None = None) -> jax.Array:
    """Pearson correlation of predicted and gold scores.

    Args:
      predicted, gold: [n].
      where: bool [n], False for pairs that do not count.

    Returns: float32 at least; 0 where a side is constant.
    Raises: ValueError for shapes that do not fit.
    """
    sides = (
        _centered_where_wide(name, x) for name, x in (("predicted", predicted), ("gold", gold))
    )
    return _pearson(*_sides(*sides, where))


@jax.jit
def _pearson(predicted, gold, where):
    count = jnp.maximum(where.sum(), 1)

    def centered(x):
        x = x - jnp.where(where, x, 0).sum() / count
        x = jnp.where(where, x, 0)
        largest = jnp.abs(x).max()
        return x / jnp.where(largest == 0, 1, largest)

    x, y = centered(predicted), centered(gold)
    square = (x * x).sum() * (y * y).sum()
    return jnp.where(square == 0, 0, (x * y).sum() / jnp.sqrt(jnp.where(square == 0, 1, square)))


def spearman(predicted: Array, gold: Array, *, where: Array | None = None) -> jax.Array:
    """Spearman rank correlation: `pearson` of the ranks; ties get the mean of their ranks.

    Args and result as in `pearson`.
    """
    sides = (_numbered_where_wide(n, x) for n, x in (("predicted", predicted), ("gold", gold)))
    predicted, gold, where = _sides(*sides, where)
    return _pearson(_ranks(predicted, where), _ranks(gold, where), where)


@jax.jit
def _ranks(x, where):
    """Mean ranks among the pairs that count, NaN for a NaN; the others come last."""
    x = jnp.where(where, x, jnp.inf)
    ranked = jnp.sort(x)
    below, upto = (jnp.searchsorted(ranked, x, side=side) for side in ("left", "right"))
    upto = jnp.minimum(upto, where.sum())  # an infinite score does not tie with what does not count
    ranks = ((below + upto - 1) / 2).astype(jnp.result_type(float))
    return jnp.where(jnp.isnan(x), jnp.nan, ranks)


def _sides(predicted, gold, where):
    predicted, gold = checks.reals("predicted", predicted), checks.reals("gold", gold)
    checks.shaped("predicted", predicted, (None,), "one per pair")
    checks.shaped("gold", gold, predicted.shape, "one per predicted score")
    where = checks.mask("where", where, predicted.shape, "one per pair")
    wide = jnp.promote_types(jnp.result_type(predicted, gold), jnp.float32)
    return predicted.astype(wide), gold.astype(wide), where


def _centered_where_wide(name, x):
    """Scores whose digits float32 cannot hold, such as times in seconds, as differences from their middle."""
    x = x if isinstance(x, jax.Array) else checks.one_array(name, x)
    if not _cut(x):
        return x
    with np.errstate(all="ignore"):
        x = x.astype(np.float64)
        x = x - np.nanmedian(x)
        return x / max(np.nanmax(np.abs(x)), 1e-300)


def _numbered_where_wide(name, x):
    """Scores whose digits float32 cannot hold as numbers of the same order; NaN stays."""
    x = x if isinstance(x, jax.Array) else checks.one_array(name, x)
    if not _cut(x):
        return x
    order = np.unique(x, return_inverse=True)[1].reshape(x.shape).astype(np.float32)
    return np.where(np.isnan(x), np.nan, order) if x.dtype.kind == "f" else order


def _cut(x):
    """Whether different scores of the host would be equal after JAX narrows them, or infinite."""
    if isinstance(x, jax.Array) or x.dtype.kind not in "iuf" or not x.size:
        return False
    narrow = jax.dtypes.canonicalize_dtype(x.dtype)
    if narrow.itemsize >= x.dtype.itemsize:
        return False
    with np.errstate(over="ignore"):
        cut = x.astype(np.float32)
    lost = len(np.unique(x)) != len(np.unique(cut))
    return lost or bool((np.isinf(cut) & np.isfinite(x)).any())
