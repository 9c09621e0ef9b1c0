"""Row-sparse optimizers of lookup tables: they touch only the rows that a step used.

A table of a million rows is updated where it was read, in time and memory of the rows. It is also a
different algorithm from the dense one: dense Adam moves rare rows by old momentum in every step.

    optimizer = adagrad_rows(0.05, lookup=lambda batch, key: {"in": batch["target"], "out": ...})
    training.fit(objective, {"in": table, "out": table}, batches, optimizer=optimizer)

The objective then gets the rows that `lookup` named instead of the tables: leaves [rows, dim].
Rows that were named several times are updated once, with the sum of their gradients.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxsim.numerics import checks
from jaxsim.numerics.types import ArrayTree, Batch, PRNGKey
from jaxsim.training._optimizers import Rate, check_rate


class RowOptimizer(NamedTuple):
    """A row-sparse optimizer: what `training.fit` takes instead of an optax transformation."""

    lookup: Callable  # (batch, key) -> int ids [rows], a tree like the parameters
    init: Callable  # (params) -> state
    update: Callable  # (ids, gradients, state, params) -> (params, state)


Optimizer = optax.GradientTransformation | RowOptimizer


class RowState(NamedTuple):
    """How many steps were taken, and one tree of tables per statistic."""

    count: jax.Array  # int32
    tables: tuple[Any, ...]


def sgd_rows(learning_rate: Rate, lookup: Callable[[Batch, PRNGKey], ArrayTree]) -> RowOptimizer:
    """Row-sparse SGD for lookup tables.

    Args:
      learning_rate: a number, or a schedule of the step.
      lookup: (batch, key) -> ids, a tree like the parameters; the key is the step's, as the
        objective gets it, so that both can draw the same negatives.

    Returns: `RowOptimizer`.
    """

    def change(rate, count, gradient):
        return -rate * gradient, ()

    # A sum of changes is the change by their sum: sorting the rows would be as long as all the rest.
    return _optimizer(learning_rate, lookup, change, 0, 0.0, merge=_as_named)


def momentum_rows(
    learning_rate: Rate, lookup: Callable[[Batch, PRNGKey], ArrayTree], *, momentum: Rate = 0.9
) -> RowOptimizer:
    """Row-sparse SGD with momentum: a row's velocity decays and moves it only in steps that used the row.

        v <- momentum v + gradient,  row <- row - learning_rate v

    Dense momentum (`optax.sgd`) decays and moves every row in every step, which for rare rows is another
    algorithm.

    Args:
      learning_rate, lookup: as in `sgd_rows`.
      momentum: from 0 to 1, or a schedule of the step.

    Returns: `RowOptimizer`.
    Source: TensorFlow's MomentumOptimizer for sparse gradients, without Nesterov.
    """

    if not callable(momentum):
        checks.probability("momentum", momentum)

    def change(rate, count, gradient, velocity):
        decay = momentum(count) if callable(momentum) else momentum
        velocity = decay * velocity + gradient
        return -rate * velocity, (velocity,)

    return _optimizer(learning_rate, lookup, change, 1, 0.0)


def adagrad_rows(
    learning_rate: Rate,
    lookup: Callable[[Batch, PRNGKey], ArrayTree],
    *,
    initial: float = 1e-6,
    eps: float = 1e-7,
) -> RowOptimizer:
    """Row-sparse AdaGrad for lookup tables, an accumulator per entry.

    Args:
      learning_rate, lookup: as in `sgd_rows`.
      initial: of the accumulators. optax starts at 0.1, which stalls losses that are averaged over a
        batch: a row's gradient is small there.
      eps: added under the root.

    Returns: `RowOptimizer`.
    Source: Duchi et al. 2011.
    """

    checks.not_negative("initial", initial)
    checks.not_negative("eps", eps)

    def change(rate, count, gradient, squares):
        squares = squares + gradient**2
        return -rate * gradient * jax.lax.rsqrt(squares + eps), (squares,)

    return _optimizer(learning_rate, lookup, change, 1, initial)


def adam_rows(
    learning_rate: Rate,
    lookup: Callable[[Batch, PRNGKey], ArrayTree],
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> RowOptimizer:
    """Lazy Adam for lookup tables: moments move only in steps that used the row; the bias correction counts all steps.

    Args:
      learning_rate, lookup: as in `sgd_rows`.
      b1, b2: decay of the moments.
      eps: added to the root.

    Returns: `RowOptimizer`.
    Source: Kingma and Ba 2015 (1412.6980), for sparse rows as TensorFlow's LazyAdam.
    """

    checks.probability("b1", b1)
    checks.probability("b2", b2)
    checks.not_negative("eps", eps)

    def change(rate, count, gradient, first, second):
        first = b1 * first + (1 - b1) * gradient
        second = b2 * second + (1 - b2) * gradient**2
        steps = count + 1
        root = jnp.sqrt(second / (1 - b2**steps)) + eps
        return -rate * first / (1 - b1**steps) / root, (first, second)

    return _optimizer(learning_rate, lookup, change, 2, 0.0)


def check_lookup(ids: ArrayTree, params: ArrayTree) -> None:
    """Refuses ids that are not a tree like the tables, not integers, or beyond a table's rows.

    JAX itself would read the last row instead of a missing one.
    """
    tables, structure = jax.tree.flatten(params)
    if jax.tree.structure(ids) != structure:
        raise ValueError(
            f"lookup must give a tree like the parameters, {structure}, got {jax.tree.structure(ids)}"
        )
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(params)]
    for path, rows, table in zip(paths, jax.tree.leaves(ids), tables, strict=True):
        rows = np.asarray(rows)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise ValueError(
                f"lookup must give int ids [rows] for params{path}, got {rows.dtype}{list(rows.shape)}"
            )
        if rows.size and (rows.min() < -table.shape[0] or rows.max() >= table.shape[0]):
            wrong = rows.max() if rows.max() >= table.shape[0] else rows.min()
            raise ValueError(
                f"lookup gives id {wrong} for params{path}, which has {table.shape[0]} rows"
            )


def rows_of(params: ArrayTree, ids: ArrayTree) -> ArrayTree:
    """The rows of tables: leaves [size, dim] and int [rows] -> [rows, dim]."""
    return jax.tree.map(lambda table, rows: table[rows], params, ids)


def unique_rows(ids: jax.Array, gradients: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Merges rows that were named several times: each once, with the sum of its gradients.

    Args:
      ids: int [rows].
      gradients: [rows, ...].
      size: rows of the table.

    Returns: (ids [rows], sums [rows, ...]); where rows were repeated, the places left over have the
    id `size`, past the end, and 0.
    """
    order = jnp.argsort(ids)
    ranked = ids[order]
    fresh = jnp.concatenate([jnp.ones_like(ranked[:1], bool), ranked[1:] != ranked[:-1]])
    group = jnp.cumsum(fresh) - 1
    sums = jax.ops.segment_sum(
        gradients[order], group, num_segments=len(ids), indices_are_sorted=True
    )
    names = jnp.full_like(ids, size).at[group].set(ranked, indices_are_sorted=True)
    return names, sums


def _as_named(ids, gradients, size):
    return ids, gradients


def _optimizer(learning_rate, lookup, change, statistics, initial, merge=unique_rows):
    """`change(rate, count, gradient, *statistics) -> (update, statistics)` on the rows that were used."""
    check_rate("learning_rate", learning_rate)
    checks.function("lookup", lookup, "(batch, key) -> ids, a tree like the parameters")

    def init(params):
        tables = jax.tree.map(lambda table: jnp.full_like(table, initial), params)
        return RowState(
            jnp.int32(0), tuple(jax.tree.map(jnp.copy, tables) for _ in range(statistics))
        )

    def update(ids, gradients, state, params):
        rate = learning_rate(state.count) if callable(learning_rate) else learning_rate
        leaves, structure = jax.tree.flatten(params)
        named, slopes = structure.flatten_up_to(ids), structure.flatten_up_to(gradients)
        moments = [structure.flatten_up_to(tree) for tree in state.tables]
        tables, statistics = [], []
        for place, table in enumerate(leaves):
            rows, gradient = merge(named[place], slopes[place], table.shape[0])
            stored = [tree[place] for tree in moments]
            step, fresh = change(
                rate, state.count, gradient, *(a.at[rows].get(mode="clip") for a in stored)
            )
            tables.append(table.at[rows].add(step.astype(table.dtype), mode="drop"))
            statistics.append(
                [a.at[rows].set(b, mode="drop") for a, b in zip(stored, fresh, strict=True)]
            )
        trees = tuple(structure.unflatten(column) for column in zip(*statistics, strict=True))
        return structure.unflatten(tables), RowState(state.count + 1, trees)

    return RowOptimizer(lookup, init, update)
