"""Ridge regression of a query's row of scores on a basis, from a few entries, at once or by rounds.

    basis [p, n]      rows that explain a row of scores: anchor queries' scores (CUR), item factors (AXN)
    scored S, c [S]   the items whose exact scores are known
    w [p] = argmin |basis[:, S]^T w - c|^2 + ridge |w - prior|^2,   estimates w basis [n]

With ridge -> 0 it is the minimum-norm solution, which is what annCUR's pseudo-inverse computes. Never
a pseudo-inverse: where fewer items are known than the basis has rows, the Gram matrix of the items
[S, S]; otherwise that of the rows [p, p].
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve

from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.types import Array, Numeric


class Factor(NamedTuple):
    """State of one query's regression, to which rounds append. A pytree.

    Where at most p scores will be known: L^-1 with L L^T = V V^T + ridge, V [S, p] the known items'
    columns, and z = L^-1 c. Otherwise V^T V [p, p] and V^T c.
    """

    matrix: jax.Array  # [S, S] or [p, p]
    target: jax.Array  # [S] or [p]


def row_regression(
    basis: Array,
    scored_ids: Array,
    scored_values: Array,
    where: Array,
    *,
    ridge: float,
    prior: Array | None = None,
) -> jax.Array:
    """Ridge regression of each query's known scores on the rows of a basis: the weights.

    Args:
      basis: [p, n].
      scored_ids: int [..., S], items whose scores are known.
      scored_values: [..., S], those scores.
      where: bool [..., S], False for what is padding.
      ridge: >= 0, absolute: it is added to squared singular values. One that is lost in the rounding
        of the Gram matrix is raised to that.
      prior: [..., p], what the ridge pulls towards; 0 by default.

    Returns: [..., p], in the basis' dtype, float32 at least.
    Raises: ValueError for shapes that do not fit.
    Source: annCUR and ADACUR (2210.12579, 2305.02996) with basis R, AXN (2405.03651) with item factors.
    """
    basis = at_least_float32(checks.reals("basis", basis))
    ids = checks.numbers_of("scored_ids", scored_ids)
    checks.shaped("basis", basis, (None, None))
    if 0 in basis.shape:
        raise ValueError(f"basis must not be empty, got shape {basis.shape}")
    checks.integers("scored_ids", ids)
    scored_values = checks.reals("scored_values", scored_values)
    checks.shaped("scored_values", scored_values, ids.shape, "as scored_ids")
    where = checks.given_mask("where", where, ids.shape, "as scored_ids")
    if not any(isinstance(a, jax.core.Tracer) for a in (ids, where)):
        checks.outside("scored_ids", np.asarray(ids)[np.asarray(where)], basis.shape[1])
    checks.not_negative("ridge", ridge)
    checks.finite("ridge", ridge)
    lead, count, rows = ids.shape[:-1], ids.shape[-1], basis.shape[0]
    if prior is None:
        prior = jnp.zeros((*lead, rows), basis.dtype)
    prior = checks.reals("prior", prior)
    checks.shaped("prior", prior, (*lead, rows))
    flat = [jnp.reshape(a, (-1, count)) for a in (ids, scored_values, where)]

    def one(ids, values, where, prior):
        columns = jnp.where(where[:, None], basis[:, ids].T, 0)
        known = None if count > rows else columns
        factor = empty(count, rows, basis.dtype)
        factor = appended(factor, columns, values, where, prior, ridge, known, 0)
        return weights(factor, prior, ridge, known)

    return jax.vmap(one)(*flat, jnp.reshape(prior, (-1, rows))).reshape(*lead, rows)


def empty(
    most: int, rows: int, dtype: jax.typing.DTypeLike, *, places: int | None = None
) -> Factor:
    """Initial regression of a query without scores, for `most` scores in the end, on `rows` rows.

    `places`, at least `most`, pads the number of scores: a program then serves several.
    """
    size = rows if most > rows else places or most
    matrix = np.zeros((size, size), dtype) if most > rows else np.eye(size, dtype=dtype)
    return Factor(matrix, np.zeros(size, dtype))


def appended(
    factor: Factor,
    columns: Array,
    values: Array,
    where: Array,
    prior: Array,
    ridge: Numeric,
    known: Array | None,
    begin: Numeric,
) -> Factor:
    """Appends b scores to a regression: O(p S b + S^2 b), where from scratch it would be O(p S^2).

    Args:
      factor: `Factor` before.
      columns: [b, p], the basis' columns of the new items.
      values: [b], their scores.
      where: bool [b], False for padding.
      prior: [p].
      ridge: absolute, the same in every round.
      known: [S, p], the items' columns, of which those before `begin` are used; None where more scores
        than rows will be known.
      begin: how many places were filled before; may be traced.

    Returns: `Factor`.
    """
    columns = jnp.where(where[:, None], columns, 0)
    residuals = jnp.where(where, values - _product(columns, prior), 0)  # values may be -inf there
    matrix, target = factor
    if known is None:
        return Factor(
            matrix + _product(columns.T, columns), target + _product(columns.T, residuals)
        )
    before = jnp.arange(known.shape[0])[:, None] < begin
    cross = _product(matrix, jnp.where(before, _product(known, columns.T), 0))  # [S, b]
    gram = _product(columns, columns.T)
    ridge = jnp.maximum(ridge, _rounding(gram, known.shape[0]))
    gram += jnp.diag(jnp.where(where, ridge, 1))
    corner = jnp.linalg.cholesky(gram - _product(cross.T, cross))
    corner = _inverse(corner)
    solved = _product(corner, residuals - _product(cross.T, target))
    below = -_product(corner, _product(cross.T, matrix))
    matrix = jax.lax.dynamic_update_slice(matrix, below, (begin, 0))
    matrix = jax.lax.dynamic_update_slice(matrix, corner, (begin, begin))
    return Factor(matrix, jax.lax.dynamic_update_slice(target, solved, (begin,)))


def weights(factor: Factor, prior: Array, ridge: Numeric, known: Array | None) -> jax.Array:
    """Solves a regression: w [p]; `known` [S, p] of all that is known by now, or None, as before."""
    matrix, target = factor
    if known is None:
        ridge = jnp.maximum(ridge, _rounding(matrix, len(matrix)))
        lower = jnp.linalg.cholesky(matrix + ridge * jnp.eye(len(matrix), dtype=matrix.dtype))
        return prior + cho_solve((lower, True), target)
    return prior + _product(_product(target, matrix), known)


def _inverse(lower):
    """Inverts a lower triangular matrix row by row.

    The solver of BLAS starts its threads for each small matrix: on a busy machine that takes hundreds of times
    as long as the arithmetic (measured).
    """

    def with_row(i, inverse):
        row = jnp.where(jnp.arange(len(lower)) == i, 1, 0) - _product(lower[i], inverse)
        return inverse.at[i].set(row / lower[i, i])

    return jax.lax.fori_loop(0, len(lower), with_row, jnp.zeros_like(lower))


def _rounding(gram, terms):
    """The smallest ridge that the rounding of a Gram matrix leaves anything of."""
    return terms * jnp.finfo(gram.dtype).eps * jnp.max(jnp.diagonal(gram))


def _product(x, y):
    return jnp.matmul(x, y, precision="highest")
