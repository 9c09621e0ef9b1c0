"""What the references of pairwise losses loop over: scores in float64, and each anchor's two sides."""

import numpy as np


def units(x):
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, norms, out=np.zeros_like(x), where=norms > 0)


def cosines(x, large):
    return x @ x.T if large else units(x) @ units(x).T


def scores(x, y, large):
    """Cosines between the rows of two arrays, or their dot products."""
    return x @ y.T if large else units(x) @ units(y).T


def distances(x, large):
    """Between rows of norm 1, from their differences; minus dot products where those are asked for."""
    if large:
        return -x @ x.T
    u = units(x)
    return np.linalg.norm(u[:, None] - u[None], axis=2)


def sides(labels, where):
    """(anchor, its positives, its negatives) of every row that is not padding."""
    rows = np.flatnonzero(where)
    for i in rows:
        yield (
            i,
            [j for j in rows if j != i and labels[j] == labels[i]],
            [j for j in rows if labels[j] != labels[i]],
        )


def mean(values):
    return np.mean(values) if len(values) else 0.0


def mean_of_positive(values):
    return mean([v for v in values if v > 0])


def log_sum_exp(values):
    return np.logaddexp.reduce(values) if len(values) else -np.inf
