"""Pair weights of a loss: its gradient by the score of every pair (general pair weighting).

scores [rows, references], positives bool [rows, references] -> weights [rows, references]
"""

import functools
import inspect
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._blocks import reduced
from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, Rule


def pair_weights(
    rule: Rule | Sequence[Rule],
    scores: Array,
    positives: Array,
    where: Array | None = None,
    *,
    inputs: Sequence[Array] = (),
    weights: Array | None = None,
) -> jax.Array:
    """Pair weights: the derivative of a loss by each of its scores, dL/dS.

        pair_weights(losses.multi_similarity, scores, positives, where)
        pair_weights(functools.partial(losses.info_nce, temperature=0.1), scores, positives)

    Below 0 a pair is pulled together, above 0 it is pushed apart. Two losses on the same scores are
    compared by these numbers and nothing else: the gradient of any parameter is their sum over the
    pairs, each times the gradient of its score.

    Args:
      rule: a rule, a lifted loss (its rule is taken, with its first pass where it has one), one of
        them in functools.partial with hyperparameters, or a tuple or list of them, which are added.
      scores: [rows, references].
      positives: bool [rows, references].
      where: bool [rows, references], False for what is not a pair: padding, and each anchor with itself
        where a batch meets itself (`~jnp.eye(n, dtype=bool)`). None keeps all.
      inputs: what the rule takes after `where`, arrays [rows, references].
      weights: [rows], how much each anchor counts, 0 for padding; None counts every one.

    Returns: float32 at least, [rows, references]; 0 outside `where`.
    Raises: ValueError for shapes that do not fit.

    Examples:
      >>> import functools
      >>> import numpy as np
      >>> from jaxsim import analysis, losses
      >>> rule = functools.partial(losses.info_nce, temperature=1.0)
      >>> scores, positives = np.array([[1.0, 0.0]]), np.array([[True, False]])
      >>> print(np.round(analysis.pair_weights(rule, scores, positives), 4))
      [[-0.2689  0.2689]]

    Source: Wang et al. 2019 (1904.06627), section 3, general pair weighting.
    """
    scores = at_least_float32(checks.reals("scores", scores))
    checks.shaped("scores", scores, (None, None), "one row per anchor")
    positives, where = _masks(scores, positives, where)
    if weights is not None:
        weights = checks.reals("weights", weights)
        checks.shaped("weights", weights, scores.shape[:1], "one per anchor")
        checks.not_negative("weights", weights)
    several = rule if isinstance(rule, (tuple, list)) else (rule,)
    for one in several:
        checks.function("rule", one, "of jaxsim.losses, or a tuple of them")
    rules = [_with_first_pass(one) for one in several]

    def value(scores):
        parts = []
        for one in rules:
            result = one(scores, positives, where, *inputs)
            parts += result if isinstance(result, list) else [result]
        parts = [(values, counts.astype(values.dtype)) for values, counts in parts]
        return reduced(parts, weights, None, mean)

    return jnp.where(where, jax.grad(value)(scores), 0)


def on_cosines(loss: Rule) -> Rule:
    """Turns a loss on distances into a rule on cosines, so that pair weights of both kinds compare.

        s -> -D = -sqrt(2 - 2 s), the distance of rows of norm 1;   dL/ds = dL/d(-D) / D

    Args:
      loss: a rule or lifted loss whose scores are minus Euclidean distances between rows of norm 1,
        such as `losses.triplet`, or a partial of one.

    Returns: a rule (scores, positives, where) -> (values, weights). At s = 1 it has slope 0.
    """
    rule = _with_first_pass(loss)

    def of_cosines(scores, positives, where, *inputs):
        square = 2 - 2 * scores
        distances = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
        return rule(-distances, positives, where, *inputs)

    return of_cosines


def gpw_surrogate(weights: Array, scores: Array, positives: Array) -> jax.Array:
    """General pair weighting (GPW): a weighted sum of similarities with the gradient of the original loss.

        F = sum over negatives of |w| s - sum over positives of |w| s,    |w| held constant

    Its gradient is the loss's wherever the loss pulls every positive and pushes every negative, which
    `wrong_way` checks. When the scores are of one batch with itself, pass them as the function of the
    embeddings that they are: a pair then moves by both of its places.

    Args:
      weights: [rows, references], as `pair_weights` gives them; 0 for what is not a pair.
      scores: [rows, references].
      positives: bool [rows, references].

    Returns: a scalar.
    Raises: ValueError for shapes that do not fit.
    Source: Wang et al. 2019 (1904.06627), equations 4 and 5.
    """
    scores, weights = checks.reals("scores", scores), checks.reals("weights", weights)
    checks.shaped("scores", scores, (None, None), "one row per anchor")
    positives, _ = _masks(scores, positives, None)
    checks.shaped("weights", weights, scores.shape, "one per score")
    pull = jax.lax.stop_gradient(jnp.abs(weights))
    return jnp.sum(jnp.where(positives, -pull, pull) * scores)


def wrong_way(weights: Array, positives: Array) -> jax.Array:
    """Finds pairs that a loss moves the wrong way: pushed positives and pulled negatives.

    Supervised contrastive does so with an easy positive among several, tuplet margin within its
    angle, intra-pair variance by design; the others of the family never.

    Args:
      weights: [rows, references], as `pair_weights` gives them.
      positives: bool [rows, references].

    Returns: bool [rows, references].
    """
    weights = checks.reals("weights", weights)
    positives, _ = _masks(weights, positives, None)
    return jnp.where(positives, weights > 0, weights < 0)


def _with_first_pass(rule):
    """The rule of a loss, preceded by its first pass, as the lifter runs it."""
    settings = {}
    while isinstance(rule, functools.partial):
        if rule.args:
            raise ValueError(f"rule must be given its settings by keyword, got {rule.args!r:.80}")
        settings, rule = {**rule.keywords, **settings}, rule.func
    first = rule.lift.keywords.get("first") if hasattr(rule, "lift") else None
    rule = getattr(rule, "rule", rule)
    chosen = functools.partial(rule, **settings)
    if first is None:
        return chosen
    named = inspect.signature(first).parameters
    first = functools.partial(first, **{n: v for n, v in settings.items() if n in named})

    def with_statistics(scores, positives, where, *inputs):
        # Square scores are of a batch with itself: a reference's statistic is that of the same row.
        mine, _ = first(scores, positives, where)
        square = scores.shape[0] == scores.shape[1]
        theirs = mine if square else first(scores.T, positives.T, where.T)[0]
        return chosen(scores, positives, where, *inputs, mine[:, None], theirs[None])

    return with_statistics


def _masks(scores, positives, where):
    positives = checks.given_mask("positives", positives, scores.shape, "one per score")
    where = checks.mask("where", where, scores.shape, "one per score")
    return positives & where, where
