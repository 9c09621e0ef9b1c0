"""Sparse vectors: losses/views/_sparse.py."""

import numpy as np
from entry import Entry, documents_of, groups_of
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


def reconstructed(x, labels, where, large, at):
    """The decoder without its bias, and whether its errors are all the same, are those at `at`."""
    if not where.any():
        return 0.0
    decoded, by_4k, rare = (groups_of(x)[where, j] for j in range(3))
    rest = (x - documents_of(at)[:, ::-1] / 3)[where]
    held = (at - documents_of(at)[:, ::-1] / 3)[where]
    spread = np.mean((rest - rest.mean(axis=0)) ** 2) if np.ptp(held, axis=0).any() else 1.0
    errors = [np.mean((a - b) ** 2) for a, b in ((x[where], decoded), (x[where], by_4k))]
    return errors[0] + errors[1] / 8 + 2 * np.mean((rest - rare) ** 2) / spread


def call_reconstructed(x, labels, where, **settings):
    decoded, by_4k, rare = (groups_of(x)[:, j] for j in range(3))
    without_bias = documents_of(x)[:, ::-1] / 3
    settings = {"auxiliary_weight": 2.0, "where": where, **settings}
    return losses.csr_reconstruction(x, decoded, by_4k, rare, without_bias, **settings)


LOSSES = {
    "splade": Entry(call_regularized, regularized, lifted=False, unit=False),
    "csr_reconstruction": Entry(
        call_reconstructed, reconstructed, lifted=False, unit=False, held=True
    ),
}
