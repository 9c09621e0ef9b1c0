"""Soft targets: a row's scores over its own candidates against a judge's, both ways.

scores [batch, candidates], judge [batch, candidates] -> loss

No document of another row is a candidate. The judge is constant: no gradient flows to it.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import of_lists, reduced
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.teachers._divergences import kl_of_softmaxes
from jaxsim.numerics import checks, masked
from jaxsim.numerics._reductions import mean


@checked
def symmetric_kl(
    scores,
    judge,
    *,
    temperature=0.02,
    judge_temperature=0.02,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """How far the scores' softmax and the judge's are from each other, the mean of both ways, in nats.

        value_i = ( KL(P_i || Q_i) + KL(Q_i || P_i) ) / 2,
        P = softmax_j(u / judge_temperature),  Q = softmax_j(z / temperature)

    Half of Jeffreys' divergence. With equal temperatures scores that equal the judge's, up to an offset
    of the row, are an optimum; at 0.02 a gap of 0.1 is 5 nats, and the targets are nearly one-hot.
    Counts the rows that have a candidate.

    Args:
      scores: z [batch, candidates].
      judge: u [batch, candidates], such as the probability of a yes.
      temperature, judge_temperature: divide the scores, > 0; may be traced. 0.02 is the paper's.
      candidate_where: bool [batch, candidates], False where a row has fewer candidates, or for copies.
      where: bool [batch], False for padding. What stands there has no influence, NaN included.
      weights: [batch].
      axis_name: the named axis over which the batch is split.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, a temperature that is not > 0, an unbound axis.
    Source: UniME-V2 (2510.13515), its embedding loss, with exact logarithms.
    Data: teacher scores.
    Kind: per example; memory batch x candidates.
    """
    q, p, kept = _tempered(
        scores, judge, temperature, judge_temperature, candidate_where, where, weights, axis_name
    )
    values = (kl_of_softmaxes(p, q, kept) + kl_of_softmaxes(q, p, kept)) / 2
    return reduced(values, kept.any(axis=1), weights, axis_name, reduce_fn)


@checked
def symmetric_kl_released(
    scores,
    judge,
    *,
    temperature=0.02,
    judge_temperature=0.02,
    eps=1e-8,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """`symmetric_kl` with a small number added to the probabilities inside two of its logarithms.

        value_i = ( sum_j P (log P - log(Q + eps)) + sum_j Q (log Q - log(P + eps)) ) / 2

    A term is capped at -log eps (18.4 nats), candidates whose probability is below eps lose their
    gradient, and at P = Q the value is a little below 0. What the published models were trained with.

    Args, result, kind and errors as `symmetric_kl`; eps is > 0.
    Source: UniME-V2 (2510.13515), the released code.
    Data: teacher scores.
    Kind: per example; memory batch x candidates.
    """
    checks.positive("eps", eps)
    q, p, kept = _tempered(
        scores, judge, temperature, judge_temperature, candidate_where, where, weights, axis_name
    )
    values = (_capped_kl(p, q, kept, eps) + _capped_kl(q, p, kept, eps)) / 2
    return reduced(values, kept.any(axis=1), weights, axis_name, reduce_fn)


@checked
def jensen_shannon(
    scores,
    judge,
    *,
    temperature=0.02,
    judge_temperature=0.02,
    candidate_where=None,
    where=None,
    weights=None,
    axis_name=None,
    reduce_fn=mean,
):
    """How far the scores' softmax and the judge's are from their mean, in nats: at most log 2.

        value_i = ( KL(P_i || M_i) + KL(Q_i || M_i) ) / 2,    M = (P + Q) / 2

    Where `symmetric_kl` grows without bound as one saturates, this levels off, and so does its pull.

    Args, result, kind and errors as `symmetric_kl`.
    Source: Lin 1991, with equal weights; what a figure of UniME-V2 (2510.13515) calls its loss.
    Data: teacher scores.
    Kind: per example; memory batch x candidates.
    """
    q, p, kept = _tempered(
        scores, judge, temperature, judge_temperature, candidate_where, where, weights, axis_name
    )
    log_p, log_q = masked.log_softmax(p, kept), masked.log_softmax(q, kept)
    log_m = jnp.logaddexp(log_p, log_q) - jnp.log(2)
    terms = jnp.exp(log_p) * (log_p - log_m) + jnp.exp(log_q) * (log_q - log_m)
    return reduced(masked.sum(terms, kept) / 2, kept.any(axis=1), weights, axis_name, reduce_fn)


def _tempered(
    scores, judge, temperature, judge_temperature, candidate_where, where, weights, axis_name
):
    checks.positive("temperature", temperature)
    checks.positive("judge_temperature", judge_temperature)
    scores, judge, kept = of_lists(
        candidate_where, where, axis_name, weights=weights, scores=scores, judge=judge
    )
    return scores / temperature, jax.lax.stop_gradient(judge) / judge_temperature, kept


def _capped_kl(targets, scores, where, eps):
    log_p, q = masked.log_softmax(targets, where), masked.softmax(scores, where)
    return masked.sum(jnp.exp(log_p) * (log_p - jnp.log(q + eps)), where)
