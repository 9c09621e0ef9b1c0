"""Graded pairs, with a number for how similar they are: cosine regression, rank losses, correlation.

    queries, documents [pairs, dim], labels [pairs] -> loss    (cosine_regression, cosent, angle)
    scores [pairs], labels [pairs] -> loss                     (the others)

Larger labels are more similar. All but the regression stay outside the lifter: they compare the pairs of
all devices, whose scores and labels are gathered, a few bytes per pair; memory is linear in the pairs.
Scores of pairs are `similarity.paired(cosine)(queries, documents)`, or a cross-encoder's.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._blocks import Rows, keyed, lift_and_reduce
from jaxsim.losses._lift._examples import of_rows, spoiled_by
from jaxsim.losses._lift._one_pass import varying_numbers
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.teachers._divergences import kl_of_softmaxes
from jaxsim.numerics import checks, masked
from jaxsim.numerics._devices import gather, gathered
from jaxsim.numerics._norms import unit
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, Numeric, ReduceFn
from jaxsim.similarity import angle_score, cosine, paired


@over_examples(axes={"queries": "pairs, dim", "documents": "pairs, dim", "labels": "pairs"})
def cosine_regression(queries: Array, documents: Array, labels: Array):
    """Cosine similarity regression: the squared error of each pair's cosine against its label.

        value_i = (cos(q_i, d_i) - y_i)^2

    Also known as CosineSimilarityLoss.

    Args:
      queries, documents: [pairs, dim].
      labels: y [pairs], on the cosine's scale.

    Source: Sentence-BERT (Reimers and Gurevych 2019, 1908.10084), its regression objective.
    Data: graded pairs.
    Memory: batch x dim.
    """
    return jnp.square(paired(cosine)(queries, documents) - labels)


@checked
def cosent(
    queries: Array,
    documents: Array,
    labels: Array,
    *,
    temperature: Numeric = 0.05,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """CoSENT: `pair_rank` of the pairs' cosines, so that pairs with larger labels get larger cosines.

        log( 1 + sum_{i, j: y_i < y_j} exp((S_i - S_j) / temperature) ),   S_i = cos(q_i, d_i)

    Also known as CoSENTLoss (scale = 1 / temperature).

    Args:
      queries, documents: [pairs, dim].
      labels, temperature, where, axis_name, result, kind and errors: as in `pair_rank`.

    Source: Su 2022, "CoSENT"; the cosine objective of AnglE (2309.12871).
    Data: graded pairs.
    Kind: batch statistics; memory batch x dim, and one number of each pair from all devices.
    """
    scores, where = _scores(cosine, queries, documents, where, axis_name)
    return pair_rank(scores, labels, temperature=temperature, where=where, axis_name=axis_name)


@checked
def angle(
    queries: Array,
    documents: Array,
    labels: Array,
    *,
    temperature: Numeric = 0.05,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """AnglE: `pair_rank` of the pairs' complex angles (`similarity.angle_score`), which do not saturate.

        log( 1 + sum_{i, j: y_i < y_j} exp((a_i - a_j) / temperature) ),   a_i = angle_score(q_i, d_i)

    Also known as AnglELoss (scale = 1 / temperature). 2DMSE takes temperature=1. Used together with `cosent`.

    Args:
      queries, documents: [pairs, dim], dim even.
      labels, temperature, where, axis_name, result, kind and errors: as in `pair_rank`.

    Source: AnglE (Li and Li 2023, 2309.12871), its angle objective.
    Data: graded pairs.
    Kind: batch statistics; memory batch x dim, and one number of each pair from all devices.
    """
    scores, where = _scores(angle_score, queries, documents, where, axis_name)
    return pair_rank(scores, labels, temperature=temperature, where=where, axis_name=axis_name)


@checked
def pair_rank(
    scores: Array,
    labels: Array,
    *,
    temperature: Numeric = 0.05,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Pairwise rank loss: penalizes pairs that score above a pair with a larger label, in nats.

        log( 1 + sum_{i, j: y_i < y_j} exp((s_i - s_j) / temperature) )

    All labels equal: 0. One pass in the order of the labels: time O(pairs log pairs), memory O(pairs).

    Args:
      scores, labels: s, y [pairs], finite.
      temperature: divides the scores, > 0; may be traced. 0.05 is CoSENT's scale of 20.
      where: bool [pairs], False for padding. What is there has no influence, NaN included.
      axis_name: the named axis over which the pairs are split.

    Returns: a float32 scalar (float64 for float64 input), the same on every device.
    Raises: ValueError for shapes that do not fit, a temperature that is not > 0, an unbound axis.
    Source: as `cosent`.
    Data: graded pairs, lists.
    Kind: batch statistics; memory linear in the pairs.
    """
    checks.positive("temperature", temperature)
    return _of_all(_pair_rank, scores, labels, where, axis_name, temperature=temperature)


def pearson(
    scores: Array, labels: Array, *, where: Array | None = None, axis_name: str | None = None
) -> jax.Array:
    """Pearson loss: one minus the correlation of scores and labels, from 0 to 2.

        1 - cov(s, y) / (std(s) std(y))

    0 where all labels are equal, or one pair is left; 1 with gradient 0 where all scores are equal.

    Args:
      scores, labels: [pairs].
      where, axis_name: as in `pair_rank`.

    Returns: a float32 scalar (float64 for float64 input), the same on every device.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: CoDiEmb (2508.11442), its Pearson term.
    Data: graded pairs.
    Kind: batch statistics; memory linear in the pairs.
    """
    return _of_all(_pearson, scores, labels, where, axis_name)


@checked
def rank_kl(
    scores: Array,
    labels: Array,
    *,
    temperature: Numeric = 0.05,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """RankKL of CoDiEmb: `rank_kl_total` divided by the number of pairs. CoDiEmb weights it with 5.

        KL( softmax(g / temperature) || softmax(s / temperature) ) / n,   g_i = (n - 1 - r_i) / (n - 1)

    Args, result, kind, errors and source as `rank_kl_total`.

    Data: graded pairs.
    Kind: batch statistics; memory linear in the pairs.
    """
    checks.positive("temperature", temperature)
    return _of_all(_rank_kl, scores, labels, where, axis_name, temperature=temperature)


@checked
def rank_kl_total(
    scores: Array,
    labels: Array,
    *,
    temperature: Numeric = 0.05,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """RankKL: the KL divergence from the softmax of the labels' ranks to that of the scores, in nats.

        KL( softmax(g / temperature) || softmax(s / temperature) ),   g_i = (n - 1 - r_i) / (n - 1),

    r the labels' `average_ranks`. Its optimum is scores evenly spaced over a range of 1, whatever the
    labels' gaps. All labels equal: the target is uniform, scores are pulled together.

    Args:
      scores, labels: [pairs], finite.
      temperature: divides both, > 0; may be traced.
      where, axis_name: as in `pair_rank`.

    Returns: a float32 scalar (float64 for float64 input), the same on every device; one pair: 0.
    Raises: ValueError for shapes that do not fit, a temperature that is not > 0, an unbound axis.
    Source: CoDiEmb (2508.11442), its RankKL term before the division by n.
    Data: graded pairs.
    Kind: batch statistics; memory linear in the pairs.
    """
    checks.positive("temperature", temperature)
    return _of_all(_rank_kl_total, scores, labels, where, axis_name, temperature=temperature)


@checked
def pro(
    scores: Array,
    labels: Array,
    *,
    temperature: Numeric = 0.05,
    eps: Numeric = 1e-8,
    where: Array | None = None,
    axis_name: str | None = None,
    block: int | None = None,
    reduce_fn: ReduceFn | None = mean,
) -> jax.Array:
    """PRO: each pair against all those of smaller labels, pushed harder the wider the gap of labels, in nats.

        value_k = -log( e_kk / (e_kk + sum_{i in D_k} e_ki) ),    D_k = {i: y_k - y_i > eps},
        e_ki = exp((y_k - y_i) s_i / temperature),
        e_kk = exp(max_{i in D_k} (y_k - y_i) s_k / temperature)

    Counts the pairs that have a smaller label. Scores are multiplied by gaps of labels, so that they should be
    positive: with negative scores a right order is penalized. Pass (1 + scores) / 2 for cosines that
    are not; scale labels to [0, 1], wider ones act as a lower temperature.

    Args:
      scores, labels: s, y [pairs].
      temperature: divides the scores, > 0; may be traced.
      eps: labels within eps of each other count as equal.
      where, axis_name: as in `pair_rank`.
      block: pairs k per block; None chooses it. Memory is O(pairs * block).
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input), the same on every device; 0 if none counts.
    Raises: ValueError for shapes that do not fit, a temperature that is not > 0, an unbound axis.
    Source: CoDiEmb (2508.11442), its PRO term, after preference ranking optimization
    (Song et al. 2023, 2306.17492).
    Data: graded pairs.
    Kind: pairwise; memory block x pairs.
    """
    checks.positive("temperature", temperature)
    scores, labels, where = of_rows(where, axis_name, "pairs", scores=scores, labels=labels)
    pairs = Rows(labels, labels, None, where, (scores, scores))
    return lift_and_reduce(
        keyed(_pro, varying_numbers({"temperature": temperature}, axis_name)),
        pairs,
        gather(pairs, axis_name),
        similarity=lambda mine, theirs: mine[:, None] - theirs,
        same=lambda mine, theirs: mine[:, None] - theirs > eps,
        builders=(lambda mine, theirs: mine[:, None], lambda mine, theirs: theirs[None]),
        block=block,
        weights=None,
        reduce_fn=reduce_fn,
        axis_name=axis_name,
    )


def average_ranks(values: Array, where: Array | None = None) -> jax.Array:
    """Average ranks: the place of each value from the largest, from 0; equal values share their mean place.

    average_ranks([1, 0, 0.5, 0.5]) is [0, 3, 1.5, 1.5].

    Args:
      values: [n], finite.
      where: bool [n]; False for what has no rank, and gets 0.

    Returns: float32 at least, [n].
    Raises: ValueError for shapes that do not fit.
    Data: graded pairs, lists.
    Kind: part; memory that of its argument.
    """
    values, where = of_rows(where, None, "n", values=values)
    ordered = jnp.sort(jnp.where(where, values, -jnp.inf))
    upto, below = (jnp.searchsorted(ordered, values, side=side) for side in ("right", "left"))
    ranks = values.shape[0] - upto + (upto - below - 1).astype(values.dtype) / 2
    return spoiled_by(jnp.where(where, ranks, 0), values[None])  # one NaN leaves no rank to any


def _scores(similarity, queries, documents, where, axis_name):
    """One score per pair, and `where`, never None."""
    queries, documents, where = of_rows(
        where, axis_name, "pairs, dim", queries=queries, documents=documents
    )
    return paired(similarity)(queries, documents), where


def _of_all(function, scores, labels, where, axis_name, **settings):
    """A function of all devices' (scores, labels, where)."""
    arrays = of_rows(where, axis_name, "pairs", scores=scores, labels=labels)

    def of_all(scores, labels, where):
        return spoiled_by(function(scores, labels, where, **settings), scores, labels)

    return gathered(of_all)(*arrays, axis_name=axis_name)


def _pair_rank(scores, labels, where, *, temperature):
    labels = jnp.where(where, labels, jnp.inf)  # padding last, below nothing
    order = jnp.argsort(labels)
    labels, scores = labels[order], scores[order] / temperature
    smaller = jnp.searchsorted(labels, labels)  # how many pairs have a smaller label
    upto = jax.lax.cumlogsumexp(scores)
    excess = upto[smaller - 1] - scores
    return masked.log_one_plus_sum_exp(excess, where[order] & (smaller > 0))


def _pearson(scores, labels, where):
    scores, labels = (unit(_deviations(a, where)) for a in (scores, labels))
    return jnp.where(labels.any(), 1 - jnp.sum(scores * labels), 0)


def _deviations(values, where):
    """Values minus their mean, exactly 0 where all are equal: a rounded mean would leave noise."""
    values = values - jax.lax.stop_gradient(masked.max(values, where))
    return jnp.where(where, values - masked.mean(values, where), 0)


def _rank_kl(scores, labels, where, *, temperature):
    total = _rank_kl_total(scores, labels, where, temperature=temperature)
    return total / jnp.maximum(where.sum(), 1)


def _rank_kl_total(scores, labels, where, *, temperature):
    last = jnp.maximum(where.sum() - 1, 1)
    goals = 1 - average_ranks(labels, where).astype(scores.dtype) / last
    return kl_of_softmaxes(goals / temperature, scores / temperature, where)


def _pro(gaps, lower, where, mine, theirs, *, temperature):
    highest = masked.max(gaps, lower) * mine[:, 0] / temperature
    others = masked.log_sum_exp(gaps * theirs / temperature, lower)
    return jax.nn.softplus(others - highest), lower.any(axis=1)
