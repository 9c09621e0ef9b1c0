"""Soft targets: divergences between a row's scores over its own candidates and a judge's.

scores [batch, candidates], judge [batch, candidates] -> loss

No document of another row is a candidate. The judge is constant: no gradient flows to it.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.losses.teachers._divergences import kl_of_softmaxes
from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array, Numeric


@over_examples(lists=True, constant=["judge"])
def symmetric_kl(
    scores: Array,
    judge: Array,
    where: jax.Array,
    *,
    temperature: Numeric = 0.02,
    judge_temperature: Numeric = 0.02,
):
    """Symmetric KL divergence between the scores' softmax and the judge's, the mean of both ways, in nats.

        value_i = ( KL(P_i || Q_i) + KL(Q_i || P_i) ) / 2,
        P = softmax_j(u / judge_temperature),  Q = softmax_j(z / temperature)

    Half of Jeffreys' divergence. With equal temperatures scores that equal the judge's, up to an offset
    of the row, are an optimum; at 0.02 a gap of 0.1 is 5 nats, and the targets are nearly one-hot.
    Counts the rows that have a candidate; copies of one may be left out with candidate_where.

    Args:
      scores: z [batch, candidates].
      judge: u [batch, candidates], such as the probability of a yes.
      temperature, judge_temperature: divide the scores, > 0; may be traced. 0.02 is the paper's.

    Source: UniME-V2 (2510.13515), its embedding loss, with exact logarithms.
    Data: teacher scores.
    """
    q, p = _tempered(scores, judge, temperature, judge_temperature)
    return (kl_of_softmaxes(p, q, where) + kl_of_softmaxes(q, p, where)) / 2


@over_examples(lists=True, constant=["judge"])
def symmetric_kl_released(
    scores: Array,
    judge: Array,
    where: jax.Array,
    *,
    temperature: Numeric = 0.02,
    judge_temperature: Numeric = 0.02,
    eps: Numeric = 1e-8,
):
    """Symmetric KL as UniME-V2 released it: `symmetric_kl` with eps inside two of its logarithms.

        value_i = ( sum_j P (log P - log(Q + eps)) + sum_j Q (log Q - log(P + eps)) ) / 2

    A term is capped at -log eps (18.4 nats), candidates whose probability is below eps lose their
    gradient, and at P = Q the value is a little below 0. What the published models were trained with.

    Args:
      scores: z [batch, candidates].
      judge: u [batch, candidates], such as the probability of a yes.
      temperature, judge_temperature: divide the scores, > 0; may be traced. 0.02 is the paper's.
      eps: > 0.

    Source: UniME-V2 (2510.13515), the released code.
    Data: teacher scores.
    """
    checks.positive("eps", eps)
    q, p = _tempered(scores, judge, temperature, judge_temperature)
    return (_capped_kl(p, q, where, eps) + _capped_kl(q, p, where, eps)) / 2


@over_examples(lists=True, constant=["judge"])
def jensen_shannon(
    scores: Array,
    judge: Array,
    where: jax.Array,
    *,
    temperature: Numeric = 0.02,
    judge_temperature: Numeric = 0.02,
):
    """Jensen-Shannon divergence of the scores' softmax and the judge's, in nats: at most log 2.

        value_i = ( KL(P_i || M_i) + KL(Q_i || M_i) ) / 2,    M = (P + Q) / 2

    Where `symmetric_kl` grows without bound as one saturates, this levels off, and so does its pull.
    Counts the rows that have a candidate.

    Args:
      scores: z [batch, candidates].
      judge: u [batch, candidates], such as the probability of a yes.
      temperature, judge_temperature: divide the scores, > 0; may be traced.

    Source: Lin 1991, with equal weights; what a figure of UniME-V2 (2510.13515) calls its loss.
    Data: teacher scores.
    """
    q, p = _tempered(scores, judge, temperature, judge_temperature)
    log_p, log_q = masked.log_softmax(p, where), masked.log_softmax(q, where)
    log_m = jnp.logaddexp(log_p, log_q) - jnp.log(2)
    terms = jnp.exp(log_p) * (log_p - log_m) + jnp.exp(log_q) * (log_q - log_m)
    return masked.sum(terms, where) / 2


def _tempered(scores, judge, temperature, judge_temperature):
    checks.positive("temperature", temperature)
    checks.positive("judge_temperature", judge_temperature)
    return scores / temperature, judge / judge_temperature


def _capped_kl(targets, scores, where, eps):
    log_p, q = masked.log_softmax(targets, where), masked.softmax(scores, where)
    return masked.sum(jnp.exp(log_p) * (log_p - jnp.log(q + eps)), where)
