"""Candidates masked by a guide: losses/pairs/_guided_info_nce.py."""

import functools

import jax.numpy as jnp
import numpy as np
from entry import Entry, groups_of
from loops import log_sum_exp, mean, scores

from jaxsim import losses
from jaxsim.numerics import at_least_float32


def guides_of(x):
    """The guide's vectors, from what x is in full precision: [rows, 3] and [rows, 2, 3]."""
    queries = x[:, :3] + np.array([1.0, 2.0, 3.0])
    positives = x[:, 1:] * np.array([1.0, 0.5, 2.0]) + np.array([2.0, 2.0, 1.0])
    negatives = x[:, :3] * np.array([-0.5, 2.0, 1.0]) + np.array([0.0, 2.0, 2.0])
    stack = np.stack if isinstance(x, np.ndarray) else jnp.stack
    return queries, stack([positives, negatives], axis=1)


def guided(limit, x, labels, where, large, at):
    documents, rows, values = groups_of(x)[:, :2], np.flatnonzero(where), []
    guide_queries, guide_documents = guides_of(at)

    def stays(a, guide_a, others, guide_others, level):
        """The scores of a with what the guide does not put above the level."""
        if not len(others):
            return []
        kept = scores(guide_a, guide_others, False)[0] <= level
        return scores(a, others, large)[0, kept]

    for i in rows:
        own = [j for j in rows if labels[j] == labels[i]]
        others = [j for j in rows if labels[j] != labels[i]]
        q, gq = x[[i]], guide_queries[[i]]
        d, gd = documents[[i], 0], guide_documents[[i], 0]
        level = limit(max(scores(gq, guide_documents[own, 0], False)[0]))
        picked = scores(q, documents[own, 0], large)[0]
        every = [
            *picked,
            *stays(q, gq, documents[others, 0], guide_documents[others, 0], level),
            *stays(q, gq, documents[rows, 1], guide_documents[rows, 1], level),
            *stays(q, gq, x[others], guide_queries[others], level),
            *stays(d, gd, documents[others, 0], guide_documents[others, 0], level),
        ]
        values.append(log_sum_exp(np.array(every) / 0.05) - log_sum_exp(picked / 0.05))
    return mean(values)


def call(loss, margin):
    def called(x, labels, where, **settings):
        return loss(
            x,
            groups_of(x)[:, :2],
            guide=guides_of(at_least_float32(x)),
            document_ids=labels,
            where=where,
            margin=margin,
            temperature=0.05,
            **settings,
        )

    return called


LOSSES = {
    "guided_info_nce": Entry(
        call(losses.guided_info_nce, 0.02),
        functools.partial(guided, lambda level: level - 0.02),
        held=True,
    ),
    "relatively_guided_info_nce": Entry(
        call(losses.relatively_guided_info_nce, 0.1),
        functools.partial(guided, lambda level: level - 0.1 * abs(level)),
        held=True,
    ),
}
