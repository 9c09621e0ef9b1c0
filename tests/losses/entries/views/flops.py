"""FLOPS and SPLADE: losses/views/_flops.py."""

import numpy as np
from entry import Entry, groups_of
from loops import log_sum_exp, mean

from jaxsim import losses
from jaxsim.similarity import dot


def cost(x, where, threshold=0):
    x = np.where((x != 0).sum(axis=1, keepdims=True) > threshold, np.abs(x), 0)[where]
    return np.sum(x.mean(axis=0) ** 2) if len(x) else 0.0


def regularized(x, labels, where, large):
    groups, rows = groups_of(x), np.flatnonzero(where)
    kept = where[:, None] & ((np.arange(3) < 2) | (labels[:, None] % 2 == 1))
    ranked = [log_sum_exp(x[i] @ groups[kept].T / 4) - x[i] @ groups[i, 0] / 4 for i in rows]
    return mean(ranked) + 2 * cost(x, where, 2) + 3 * cost(groups[kept], kept[kept])


def call_regularized(x, labels, where, axis_name=None):
    kept = (np.arange(3) < 2) | (labels[:, None] % 2 == 1)
    shared = {"document_where": kept, "where": where, "axis_name": axis_name}

    def ranking(queries, documents):
        return losses.info_nce(queries, documents, temperature=4.0, similarity=dot, **shared)

    loss = losses.splade(
        ranking, query_weight=2.0, document_weight=3.0, query_threshold=2, **shared
    )
    return loss(x, groups_of(x))


LOSSES = {
    "splade": Entry(call_regularized, regularized, lifted=False, unit=False),
}
