"""The Kullback-Leibler divergence between two softmaxes over the same candidates.

The kernel of score distillation, soft targets, rank targets and the pull between layers.
"""

import jax.numpy as jnp

from jaxsim.numerics import masked


def kl_of_softmaxes(targets, scores, where):
    """How far the softmax of `scores` is from that of `targets`, in nats, row by row.

        value_i = sum_j p_ij (log p_ij - log q_ij),    p = softmax_j(targets),  q = softmax_j(scores)

    Exact where either saturates: the logarithms are never taken of a rounded probability.

    Args:
      targets, scores: [..., candidates], both carry gradient.
      where: bool, broadcasts to them; False for candidates that are not there.

    Returns: [...], 0 for a row without candidates.
    """
    log_p, log_q = masked.log_softmax(targets, where), masked.log_softmax(scores, where)
    return masked.sum(jnp.exp(log_p) * (log_p - log_q), where)
