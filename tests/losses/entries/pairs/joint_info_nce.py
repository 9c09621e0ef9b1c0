"""Several directions in one softmax: losses/pairs/_joint_info_nce.py. Rows of equal labels share their document."""

import numpy as np
from entry import Entry, documents_of, groups_of
from loops import log_sum_exp, mean, scores

from jaxsim import losses


def joint(x, labels, where, large):
    documents, rows, values = groups_of(x), np.flatnonzero(where), []
    positives = documents[:, 0]
    for i in rows:
        own = [j for j in rows if labels[j] == labels[i]]
        others = [j for j in rows if labels[j] != labels[i]]
        away = documents[[j for j in rows if j != i], 1:].reshape(-1, 4)
        to_documents = scores(x[[i]], documents[rows].reshape(-1, 4), large)
        to_queries = scores(x[[i]], x[others], large)
        from_document = scores(positives[[i]], x[rows], large)
        between = scores(positives[[i]], np.concatenate([positives[others], away]), large)
        every = np.concatenate([to_documents, to_queries, from_document, between], axis=1)
        picked = scores(x[[i]], positives[own], large)
        values.append(log_sum_exp(every[0] / 0.05) - log_sum_exp(picked[0] / 0.05))
    return mean(values)


def expanded(x, labels, where, large):
    documents, rows, values = groups_of(x), np.flatnonzero(where), []
    positives = documents[:, 0]
    for i in rows:
        own = [j for j in rows if labels[j] == labels[i]]
        others = [j for j in rows if labels[j] != labels[i]]
        to_documents = scores(x[[i]], documents[rows].reshape(-1, 4), large)
        to_queries = scores(x[[i]], x[others], large)
        between = scores(positives[[i]], positives[others], large)
        every = np.concatenate([to_documents, to_queries, between], axis=1)
        picked = scores(x[[i]], positives[own], large)
        values.append(log_sum_exp(every[0] / 0.05) - log_sum_exp(picked[0] / 0.05))
    return mean(values)


def with_extra(x, labels, where, large):
    documents, extra = documents_of(x), groups_of(x)[:, 1:]
    rows, values = np.flatnonzero(where), []
    for i in rows:
        s = scores(x[[i]], documents[rows], large)[0] / 0.05
        own = [place for place, j in enumerate(rows) if labels[j] == labels[i]]
        kept = [0, 1] if labels[i] % 2 else [1]
        more = scores(x[[i]], extra[i, kept], large)[0] / 0.05
        values.append(log_sum_exp([*s, *more]) - log_sum_exp(s[own]))
    return mean(values)


def call(loss):
    def called(x, labels, where, **settings):
        return loss(x, groups_of(x), document_ids=labels, where=where, temperature=0.05, **settings)

    return called


def call_with_extra(x, labels, where, **settings):
    kept = np.array([False, True]) | (labels[:, None] % 2 == 1)
    return losses.info_nce_with_extra(
        x,
        documents_of(x),
        groups_of(x)[:, 1:],
        extra_where=kept,
        document_ids=labels,
        where=where,
        temperature=0.05,
        **settings,
    )


LOSSES = {
    "joint_info_nce": Entry(call(losses.joint_info_nce), joint),
    "expanded_info_nce": Entry(call(losses.expanded_info_nce), expanded),
    "info_nce_with_extra": Entry(call_with_extra, with_extra),
}
