"""Places in lists: losses/lists/_list_ranks.py. A row's numbers are the scores of its candidates."""

import numpy as np
from entries.lists.list_net import grades, lists, there
from entry import Entry

from jaxsim import losses


def reference(x, labels, where, large):
    ordered, errors = [], []
    for s, y, kept in lists(x, labels, where):
        s, y, n = s[kept], y[kept], len(kept)
        if n:
            best = s[np.argsort(-y, kind="stable")]
            costs = [np.logaddexp.reduce(best[k:]) - best[k] for k in range(n)]
            shares = 2.0 ** (n - 1 - np.arange(n)) - 1
            ordered.append(costs @ shares / max(shares.sum(), 1))
        for j in range(n):
            rank = np.sum(y > y[j]) + (np.sum(y == y[j]) + 1) / 2
            soft = 1 + sum(1 / (1 + np.exp((s[j] - s[m]) / 2)) for m in range(n) if m != j)
            errors.append((rank - soft) ** 2 / np.log2(1 + rank))
    return sum(np.mean(terms) for terms in (ordered, errors) if terms)


def call(x, labels, where, **settings):
    lists = x, grades(labels)
    settings = {"candidate_where": there(labels), "where": where, **settings}
    return losses.p_list_mle(*lists, **settings) + losses.adr_mse(
        *lists, temperature=2.0, **settings
    )


LOSSES = {"p_list_mle + adr_mse": Entry(call, reference, lifted=False, unit=False)}
