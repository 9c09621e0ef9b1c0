"""The table of losses: each with an independent float64 reference. A new loss joins by adding its name.

Every entry is brought to one form, `call(x, labels, where, **settings)` and `reference(x, labels,
where)`, so that one set of tests serves all: its equation, devices, blocks, jit, awkward cases.
The references are loops over the equation in NumPy; they share no code with jaxsim.
"""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from jaxsim import losses
from jaxsim.similarity import dot


@dataclasses.dataclass(frozen=True)
class Entry:
    call: Callable  # (x, labels, where, **settings) -> loss
    reference: Callable  # the same in float64 NumPy, for similarity "default" or "dot"
    lifted: bool = True  # takes block= and similarity=


def positives_first(x):
    """Three candidate scores a row: what a cross-encoder would give."""
    return x[:, :3]


def nca(x, labels, where, large):
    values = []
    for i in np.flatnonzero(where):
        others = [j for j in np.flatnonzero(where) if j != i]
        s = {j: -np.sum((x[i] - x[j]) ** 2) for j in others}
        if large:
            s = {j: x[i] @ x[j] for j in others}
        own = [s[j] for j in s if labels[j] == labels[i]]
        if own:
            values.append(np.logaddexp.reduce(list(s.values())) - np.logaddexp.reduce(own))
    return np.mean(values) if values else 0.0


def documents_of(x):
    """Another vector for each row; a zero row keeps a zero document."""
    return x[:, ::-1] * 1.5


def cosine_or_dot(a, b, large):
    if large:
        return a @ b
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return a @ b / norms if norms > 0 else 0.0


def info_nce(queries, documents, labels, where, large):
    values, rows = [], np.flatnonzero(where)
    for i in rows:
        s = {j: cosine_or_dot(queries[i], documents[j], large) / 0.05 for j in rows}
        own = [s[j] for j in rows if labels[j] == labels[i] or j == i]
        values.append(np.logaddexp.reduce(list(s.values())) - np.logaddexp.reduce(own))
    return np.mean(values) if values else 0.0


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


def call_list(x, labels, where, **settings):
    kept = (jnp.arange(3) != 1) | (jnp.asarray(labels)[:, None] != 1)
    return losses.list_softmax(positives_first(x), candidate_where=kept, where=where, **settings)


LOSSES = {
    "nca": Entry(
        lambda x, labels, where, **settings: losses.nca(x, labels, where=where, **settings), nca
    ),
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
    "list_softmax": Entry(
        call_list,
        lambda x, labels, where, large: list_softmax(x, labels, where, large),
        lifted=False,
    ),
}

ROWS, DIM = 16, 4
X = np.random.default_rng(0).normal(size=(ROWS, DIM))
PAIRS = np.arange(ROWS) // 2
ALL = np.ones(ROWS, bool)
UNEVEN = np.array([1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1], bool)


def first(count):
    return np.arange(ROWS) < count


ONE_ZERO = X * (np.arange(ROWS) != 3)[:, None]

# name: (x, labels, where, scores are large); every case has one shape, so that they share a compilation
CASES = {
    "ordinary": (X, PAIRS, ALL, False),
    "uneven padding": (X, PAIRS, UNEVEN, False),
    "a class of one": (X, np.maximum(PAIRS, 1 + (np.arange(ROWS) == 0) * 20), ALL, False),
    "no positives": (X, np.arange(ROWS), ALL, False),
    "no negatives": (X, np.zeros(ROWS, int), ALL, False),
    "identical rows": (np.ones_like(X), PAIRS, ALL, False),
    "zero rows": (0 * X, PAIRS, ALL, False),
    "one zero row": (ONE_ZERO, PAIRS, ALL, False),
    "batch of one": (X, PAIRS, first(1), False),
    "all padding": (X, PAIRS, first(0), False),
    "scores of 1e4": (100 * X, PAIRS, ALL, True),
}


def settings_of(entry, large):
    return {"similarity": dot} if large and entry.lifted else {}
