"""nDCG with graded relevance: of a returned ranking, or of scores with ties.

    DCG@k = sum_{places j <= k} gain(grade_j) / log2(1 + j),   nDCG@k = DCG@k / that of the best order

The gain is the grade itself, as in trec_eval; `gain=exponential_gain` is 2^grade - 1 (Burges et al.
2005). Grades of 0 and below are irrelevant. A query with a NaN among its scores or grades has the figure
NaN. Ties as in _ranking.py.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxsim.evaluation._ranking import TIES, _groups, returned_and_truth
from jaxsim.evaluation._reduced import reduced
from jaxsim.numerics import checks
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, ReduceFn


def linear_gain(grades: jax.Array) -> jax.Array:
    """Linear gain of nDCG: the grade itself."""
    return grades


def exponential_gain(grades: Array) -> jax.Array:
    """Exponential gain of nDCG: 2^grade - 1 (Burges et al. 2005)."""
    return jnp.exp2(grades) - 1


def ndcg(
    ids: Array,
    truth: Array,
    k: int,
    *,
    grades: Array | None = None,
    gain: Callable[[jax.Array], jax.Array] = linear_gain,
    reduce_fn: ReduceFn | None = mean,
) -> jax.Array:
    """nDCG@k of a returned ranking, whose order is kept.

    Args:
      ids: int [queries, returned], best first; -1 is nothing, a repeated item counts once.
      truth: int [queries, judged], the judged items; -1 is nothing. Of a repeated one the first counts.
      k: how many of the returned count, at most `returned`.
      grades: [queries, judged], of the items of `truth`; None makes all of them 1.
      gain: grades -> gains, at least 0 for grades above 0.
      reduce_fn: (values, counts, axis_name) -> number; None gives both.

    Returns: float32, the mean over the queries that have a relevant item.
    Raises: ValueError for shapes that do not fit, a k above the number returned.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import evaluation
      >>> ids, truth = np.array([[2, 0, 1]]), np.array([[0]])
      >>> round(float(evaluation.ndcg(ids, truth, k=3)), 4)  # second: 1 / log2(3)
      0.6309
    """
    ids, truth = returned_and_truth(ids, truth)
    checks.at_most("k", k, ids.shape[1], "the number of items returned")
    grades = jnp.ones(truth.shape) if grades is None else checks.reals("grades", grades)
    checks.shaped("grades", grades, truth.shape, "one per item of truth")
    gains = _gains(jnp.where((truth >= 0) & ~_again(truth), grades, 0), gain)
    returned = _gains_of_returned(ids, truth, gains)[:, :k]
    return _normalized(returned @ _discounts(returned.shape[1]), gains, k, reduce_fn)


def score_ndcg(
    scores: Array,
    grades: Array,
    k: int,
    *,
    gain: Callable[[jax.Array], jax.Array] = linear_gain,
    ties: str = "pessimistic",
    reduce_fn: ReduceFn | None = mean,
) -> jax.Array:
    """nDCG@k of scores, with a policy for ties.

    Args:
      scores: [queries, items], larger is better.
      grades: [queries, items].
      k: at most the number of items.
      gain: as in `ndcg`.
      ties: "pessimistic", the lower grade first; "trec_eval", the highest item number first;
        "expected", the mean over all orders of what ties.
      reduce_fn: as in `ndcg`.

    Returns: float32, the mean over the queries that have a relevant item.
    Raises: ValueError for shapes that do not fit, an unknown policy, a k above the number of items.
    """
    checks.one_of("ties", ties, TIES)
    scores, grades = checks.reals("scores", scores), checks.reals("grades", grades)
    checks.shaped("scores", scores, (None, None), "one row per query")
    checks.shaped("grades", grades, scores.shape, "one per score")
    checks.at_most("k", k, scores.shape[1], "the number of items")
    spoiled = jnp.isnan(scores)
    scores = jnp.where(spoiled, -jnp.inf, scores)
    gains, size = _gains(grades, gain), scores.shape[1]
    discounts = jnp.where(jnp.arange(size) < k, _discounts(size), 0)
    if ties == "expected":
        # Each of the tied items is at each of their ranks equally often.
        before = jnp.concatenate([jnp.zeros(1), jnp.cumsum(discounts)])
        better, tied = _groups(scores)
        value = (gains * (before[better + tied] - before[better]) / tied).sum(axis=1)
    else:
        items = jnp.broadcast_to(jnp.arange(size), scores.shape)
        later = gains if ties == "pessimistic" else -items
        order = jax.vmap(lambda s, t: jnp.lexsort((t, -s)))(scores, later)
        value = jnp.take_along_axis(gains, order, axis=1) @ discounts
    return _normalized(value, gains, k, reduce_fn, spoiled.any(axis=1))


def _gains(grades, gain):
    checks.function("gain", gain, "of grades, such as evaluation.exponential_gain")
    grades = grades.astype(jnp.promote_types(grades.dtype, jnp.float32))
    return jnp.where((grades > 0) | jnp.isnan(grades), gain(grades), 0)


@jax.jit
@jax.vmap
def _again(ids):
    """Which ids came before in their row."""
    order = jnp.argsort(ids, stable=True)
    return jnp.zeros(ids.shape, bool).at[order[1:]].set(ids[order[1:]] == ids[order[:-1]])


@jax.jit
@jax.vmap
def _gains_of_returned(ids, truth, gains):
    """The gain of each returned item [returned]; of a repeated one once."""
    order = jnp.argsort(ids, stable=True)
    again = jnp.zeros(ids.shape, bool).at[order[1:]].set(ids[order[1:]] == ids[order[:-1]])
    if len(truth) == 0:
        return jnp.zeros(ids.shape, gains.dtype)
    order = jnp.argsort(truth, stable=True)
    truth, gains = truth[order], gains[order]
    place = jnp.searchsorted(truth, ids).clip(0, len(truth) - 1)
    return jnp.where((truth[place] == ids) & ~again & (ids >= 0), gains[place], 0)


def _discounts(size):
    return 1 / jnp.log2(2.0 + jnp.arange(size))


def _normalized(value, gains, k, reduce_fn, spoiled=False):
    return reduced(*_shares(value, gains, k), reduce_fn, spoiled | jnp.isnan(gains).any(axis=1))


@functools.partial(jax.jit, static_argnames="k")
def _shares(value, gains, k):
    """(each query's part of the best DCG that there is, whether there is any)."""
    best = -jnp.sort(-gains, axis=1)[:, :k]
    most = best @ _discounts(best.shape[1])
    relevant = (most > 0) | jnp.isnan(gains).any(axis=1)
    return value / jnp.where(relevant, most, 1), relevant
