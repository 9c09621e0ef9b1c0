"""Metrics of one threshold for all pairs: micro average precision, recall at a precision, ROC AUC, the best F1.

    scores [n], labels bool [n] -> one number from 0 to 1

What is pooled are all candidates of all queries, or any labeled pairs. Scores that tie have no order, so
that a policy has to choose one:

    "pessimistic"  what is wrong comes first: a constant scorer looks as bad as it is
    "together"     what ties is accepted or rejected as one, as a threshold does it and as scikit-learn does

NaN among the scores that count gives NaN. All functions can be jitted (`ties` static). They are not means
of examples: `resampled` gives what an interval of one, or of a difference of two, needs.
"""

import functools

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array

TIES = ("pessimistic", "together")


def micro_average_precision(
    scores: Array,
    labels: Array,
    *,
    positives: int | None = None,
    ties: str = "pessimistic",
    where: Array | None = None,
) -> jax.Array:
    """Micro average precision (uAP, GAP): average precision of all pairs in one ranking.

        sum_k (recall_k - recall_{k-1}) precision_k

    Args:
      scores: [n], larger is better; -inf is an answer that is never accepted before others.
      labels: bool [n], which pairs are right.
      positives: how many right pairs there are in all, the missed ones included; None counts `labels`.
      ties: "pessimistic" or "together".
      where: bool [n], False for pairs that do not count.

    Returns: float32 at least; NaN where there is no right pair at all.
    Source: Douze et al. 2021 (2106.09672), with scikit-learn's `average_precision_score` for "together".
    """
    hits, seen, right, total, spoiled = _curve(scores, labels, positives, ties, where)
    values = jnp.where(right, hits / jnp.maximum(seen, 1), 0)
    return _share(values.sum(), total, spoiled)


def recall_at_precision(
    scores: Array,
    labels: Array,
    *,
    precision: float = 0.9,
    positives: int | None = None,
    ties: str = "pessimistic",
    where: Array | None = None,
) -> jax.Array:
    """Recall at a precision: the largest share of right pairs that a threshold of this precision accepts.

    Args:
      precision: from 0 to 1; 0 where no threshold reaches it.
      scores, labels, positives, ties, where: as in `micro_average_precision`.

    Returns: float32 at least; NaN where there is no right pair at all.
    Source: Douze et al. 2021 (2106.09672).
    """
    checks.probability("precision", precision)
    hits, seen, _, total, spoiled = _curve(scores, labels, positives, ties, where)
    enough = (seen > 0) & (hits >= precision * seen - 1e-6 * seen)
    return _share(jnp.where(enough, hits, 0).max(initial=0), total, spoiled)


def f1_max(
    scores: Array,
    labels: Array,
    *,
    positives: int | None = None,
    ties: str = "together",
    where: Array | None = None,
) -> jax.Array:
    """Maximal F1 (F1max): the F1 score at the threshold where it is highest.

        max_k 2 hits_k / (accepted_k + positives)

    Of balanced pairs it is at least 2/3, by accepting everything. The threshold is chosen on the pairs
    that it is scored on.

    Args:
      scores, labels, positives, ties, where: as in `micro_average_precision`.

    Returns: float32 at least; NaN where there is no right pair at all.
    """
    hits, seen, _, total, spoiled = _curve(scores, labels, positives, ties, where)
    best = (2 * hits / jnp.maximum(seen + total, 1)).max(initial=0)
    return jnp.where(spoiled | (total == 0), jnp.nan, best)


def roc_auc(
    scores: Array, labels: Array, *, ties: str = "together", where: Array | None = None
) -> jax.Array:
    """ROC AUC: the probability that a right pair's score is above a wrong pair's.

    Args:
      scores, labels, where: as in `micro_average_precision`.
      ties: "together" counts a tie as a half, as scikit-learn's `roc_auc_score` does; "pessimistic" as lost.

    Returns: float32 at least; NaN where there is no right pair or no wrong one.
    Source: Mann and Whitney 1947.
    """
    checks.one_of("ties", ties, TIES)
    scores, labels, where = _sides(scores, labels, where)
    return _auc(scores, labels, where, 0.5 if ties == "together" else 0.0)


@jax.jit
def _auc(scores, labels, where, of_ties):
    right, wrong = where & labels, where & ~labels
    ranked = jnp.sort(jnp.where(wrong, scores, jnp.inf))
    below, upto = (jnp.searchsorted(ranked, scores, side=side) for side in ("left", "right"))
    count, others = right.sum(), wrong.sum()
    upto = jnp.minimum(upto, others)  # an infinite score does not tie with what does not count
    below = jnp.minimum(below, others)
    shares = (below + of_ties * (upto - below)) / jnp.maximum(others, 1)
    value = jnp.where(right, shares, 0).sum() / jnp.maximum(count, 1)
    spoiled = (jnp.isnan(scores) & where).any() | (count == 0) | (others == 0)
    return jnp.where(spoiled, jnp.nan, value.astype(scores.dtype))


def _curve(scores, labels, positives, ties, where):
    """The ranking of all pairs: (hits, accepted) up to each place, what is right, all right ones, NaN."""
    checks.one_of("ties", ties, TIES)
    on_host = checks.host(labels, where)
    scores, labels, where = _sides(scores, labels, where)
    if positives is not None:
        checks.whole("positives", positives, 0)
        if on_host and (count := int((labels & where).sum())) > positives:
            raise ValueError(
                f"positives must be at least {count}, the right pairs that are there, got {positives}"
            )
    hits, seen, right, count, spoiled = _ranked(scores, labels, where, ties == "together")
    total = count if positives is None else jnp.asarray(positives, scores.dtype)
    return hits, seen, right, total, spoiled


@functools.partial(jax.jit, static_argnums=3)
def _ranked(scores, labels, where, together):
    spoiled = (jnp.isnan(scores) & where).any()
    right = labels & where
    # Best first; among equal scores what is wrong first, and what does not count last of all.
    order = jnp.lexsort((right, -scores, ~where))
    right, counted = right[order], where[order]
    hits, seen = jnp.cumsum(right), jnp.cumsum(counted)
    if together:
        places = jnp.where(counted, -scores[order], jnp.inf)
        last = jnp.searchsorted(places, places, side="right") - 1
        hits, seen = hits[last], seen[last]
    hits, seen = hits.astype(scores.dtype), seen.astype(scores.dtype)
    return hits, seen, right, right.sum().astype(scores.dtype), spoiled


def _share(hits, total, spoiled):
    value = hits / jnp.where(total == 0, 1, total)
    return jnp.where(spoiled | (total == 0), jnp.nan, value)


def _sides(scores, labels, where):
    scores = checks.reals("scores", scores)
    checks.shaped("scores", scores, (None,), "one per pair")
    labels = checks.given_mask("labels", labels, scores.shape, "one per score")
    where = checks.mask("where", where, scores.shape, "one per score")
    return scores.astype(jnp.promote_types(scores.dtype, jnp.float32)), labels, where
