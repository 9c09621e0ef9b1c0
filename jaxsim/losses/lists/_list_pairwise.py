"""More pairwise ranking losses over lists: hinge, soft zero-one, squared error, NDCG-Loss1, unique softmax.

scores [batch, candidates], labels [batch, candidates] -> loss
"""

import math

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.losses.lists._each_list import above, each_list, mean_over
from jaxsim.losses.lists._lambda_weights import discounts, gains_of, in_sight, ranks_of
from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array, Numeric


@over_examples(lists=True)
@each_list
def pairwise_hinge(scores: Array, labels: Array, where: jax.Array, *, margin: Numeric = 1.0):
    """Pairwise hinge loss: of two candidates with different labels, the better one ahead by a margin.

        mean over all pairs y_ij > y_il of all rows of  [margin - (s_ij - s_il)]+

    Counts the pairs. A few lists are computed at a time.

    Args:
      scores, labels: s, y [batch, candidates], larger labels belong further up.
      margin: by how much the better one should be ahead.

    Source: Herbrich et al. 1999; Joachims 2002, the ranking SVM.
    Data: lists.
    Memory: list x list.
    """
    return mean_over(above(labels, where), jax.nn.relu(margin - (scores[:, None] - scores)))


@over_examples(lists=True)
@each_list
def pairwise_soft_zero_one(
    scores: Array, labels: Array, where: jax.Array, *, temperature: Numeric = 1.0
):
    """Soft zero-one loss: the smoothed share of pairs in the wrong order; hopeless pairs stop pulling.

        mean over all pairs y_ij > y_il of all rows of  sigmoid(-(s_ij - s_il) / temperature)

    Counts the pairs. A few lists are computed at a time.

    Args:
      scores, labels: s, y [batch, candidates], larger labels belong further up.
      temperature: divides the scores, > 0; may be traced.

    Source: Qin et al. 2010, the sigmoid in place of the step.
    Data: lists.
    Memory: list x list.
    """
    checks.positive("temperature", temperature)
    wrong = jax.nn.sigmoid(-(scores[:, None] - scores) / temperature)
    return mean_over(above(labels, where), wrong)


@over_examples(lists=True, constant=["labels"])
def pairwise_mse(scores: Array, labels: Array, where: jax.Array):
    """Pairwise MSE: the squared error of the differences within a row; `score_mse` with free row offsets.

        mean over all j, l of all rows of ((s_ij - s_il) - (y_ij - y_il))^2

    j = l, which is 0, is among them. Counts the pairs. Labels carry no gradient, so that a teacher's
    scores may be labels; `margin_mse` has the pairs with the positive alone.

    Args:
      scores, labels: s, y [batch, candidates].

    Source: pairwise_mse_loss of rax.
    Data: lists, teacher scores.
    Memory: batch x list.
    """
    off = scores - labels
    off = off - masked.mean(off, where)[:, None]  # over all pairs it is twice the variance
    count = where.sum(axis=1).astype(scores.dtype)
    return 2 * masked.mean(jnp.square(off), where), jnp.square(count)


@over_examples(lists=True, limits={"labels": (0, math.inf)})
@each_list
def ndcg_loss_1(
    scores: Array,
    labels: Array,
    where: jax.Array,
    *,
    k: int | None = None,
    temperature: Numeric = 1.0,
):
    """NDCG-Loss1: each candidate against every other, by what its own place is worth to nDCG, in bits.

        mean over all j != l of all rows of  G_j / D(r_j) log2(1 + exp(-(s_j - s_l) / temperature))

    Gains G, ranks r and discounts D as in `lambda_loss`, without gradient. Unlike there, pairs count
    whatever their labels: a candidate without gain pushes no other. Counts the pairs. A few lists are
    computed at a time.

    Args:
      scores, labels: s, y [batch, candidates]; labels >= 0.
      k: use only pairs of which one is among the k candidates that now score best; None takes all.
      temperature: divides the scores, > 0; may be traced.

    Source: Wang et al. 2018 (CIKM), NDCG-Loss1.
    Data: lists.
    Memory: list x list.
    """
    checks.positive("temperature", temperature)
    if k is not None:
        checks.whole("k", k)
    ranks = ranks_of(scores, where)
    worth = jax.lax.stop_gradient(gains_of(labels, where, k) / discounts(ranks)) / math.log(2)
    pairs = where[:, None] & where & ~jnp.eye(len(where), dtype=bool) & in_sight(ranks, k)
    costs = worth[:, None] * jax.nn.softplus((scores - scores[:, None]) / temperature)
    return mean_over(pairs, costs)


@over_examples(lists=True, limits={"labels": (0, math.inf)})
@each_list
def unique_softmax(scores: Array, labels: Array, where: jax.Array):
    """Unique softmax: a softmax for each candidate, against those of smaller labels alone, in nats.

        value_i = sum_j (2^y_j - 1) ( log( exp(s_j) + sum_{l: y_l < y_j} exp(s_l) ) - s_j )

    Equal labels do not compete. Counts the rows that have a candidate. A few lists are computed at a time.

    Args:
      scores, labels: s, y [batch, candidates]; labels >= 0.

    Source: Zhu and Klabjan 2020 (WSDM), the unique rating softmax.
    Data: lists.
    Memory: list x list.
    """
    ahead = masked.log_one_plus_sum_exp(scores - scores[:, None], above(labels, where))
    return masked.sum((jnp.exp2(labels) - 1) * ahead, where)
