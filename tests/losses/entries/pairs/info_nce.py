"""Softmax cross-entropies: losses/pairs/_info_nce.py."""

import jax.numpy as jnp
import numpy as np
from entry import Entry, cosine_or_dot, documents_of, groups_of
from loops import log_sum_exp, mean, scores

from jaxsim import losses


def positives_first(x):
    """Three candidate scores a row: what a cross-encoder would give."""
    return x[:, :3]


def info_nce(queries, documents, labels, where, large):
    values, rows = [], np.flatnonzero(where)
    for i in rows:
        s = {j: cosine_or_dot(queries[i], documents[j], large) / 0.05 for j in rows}
        own = [s[j] for j in rows if labels[j] == labels[i] or j == i]
        values.append(np.logaddexp.reduce(list(s.values())) - np.logaddexp.reduce(own))
    return np.mean(values) if values else 0.0


def multi_positive(x, labels, where, large):
    s, values, rows = scores(x, documents_of(x), large) / 0.05, [], np.flatnonzero(where)
    for i in rows:
        own = [j for j in rows if labels[j] == labels[i]]
        values.append(np.mean([log_sum_exp(s[i, rows]) - s[i, j] for j in own]))
    return mean(values)


def group(x, labels, where, large):
    documents, values = groups_of(x), []
    for i in np.flatnonzero(where):
        s = scores(x[i : i + 1], documents[i], False)[0] / 0.01
        kept = [0, 1, 2] if labels[i] % 2 else [0, 2]
        values.append(log_sum_exp(s[kept]) - s[0])
    return mean(values)


def list_softmax(x, labels, where, large):
    # The row's label says which of its three candidates counts as missing: 1 drops the second.
    values = []
    for i in np.flatnonzero(where):
        s = [x[i, c] for c in range(3) if not (c == 1 and labels[i] == 1)]
        values.append(np.logaddexp.reduce(s) - x[i, 0])
    return np.mean(values) if values else 0.0


def call_info_nce(x, labels, where, **settings):
    return losses.info_nce(x, documents_of(x), document_ids=labels, where=where, **settings)


def call_symmetric(x, labels, where, **settings):
    return losses.symmetric_info_nce(
        x, documents_of(x), document_ids=labels, where=where, **settings
    )


def call_multi_positive(x, labels, where, **settings):
    return losses.multi_positive_info_nce(
        x, documents_of(x), document_ids=labels, where=where, **settings
    )


def call_group(x, labels, where, **settings):
    kept = (jnp.arange(3) != 1) | (jnp.asarray(labels)[:, None] % 2 == 1)
    return losses.group_info_nce(x, groups_of(x), document_where=kept, where=where, **settings)


def call_list(x, labels, where, **settings):
    kept = (jnp.arange(3) != 1) | (jnp.asarray(labels)[:, None] != 1)
    return losses.list_softmax(positives_first(x), candidate_where=kept, where=where, **settings)


LOSSES = {
    "info_nce": Entry(
        call_info_nce,
        lambda x, labels, where, large: info_nce(x, documents_of(x), labels, where, large),
    ),
    "symmetric_info_nce": Entry(
        call_symmetric,
        lambda x, labels, where, large: (
            (
                info_nce(x, documents_of(x), labels, where, large)
                + info_nce(documents_of(x), x, labels, where, large)
            )
            / 2
        ),
    ),
    "multi_positive_info_nce": Entry(call_multi_positive, multi_positive),
    "group_info_nce": Entry(call_group, group, lifted=False),
    "list_softmax": Entry(
        call_list,
        lambda x, labels, where, large: list_softmax(x, labels, where, large),
        lifted=False,
        unit=False,
    ),
}
