"""MNR-plus: losses/pairs/_mnr_plus.py."""

from entry import Entry, documents_of
from loops import log_sum_exp, mean, scores

from jaxsim import losses


def first_largest(values):
    """Of values that are equal but for rounding the first."""
    return next(
        i for i, v in enumerate(values) if v >= max(values) - 1e-6 * max(1, abs(max(values)))
    )


def mnr_plus(x, labels, where, large, at):
    here, there = at[where], documents_of(at)[where]
    targets = (scores(here, here, large) + scores(there, there, large)) / 2 * 2.0
    by_row = [first_largest(row) for row in targets]
    logs = [[t - log_sum_exp(row) for t in row] for row in targets]
    by_column = [first_largest([row[j] for row in logs]) for j in range(len(logs))]
    scored = scores(x[where], documents_of(x)[where], large) / 2.0
    one = [log_sum_exp(row) - row[j] for row, j in zip(scored, by_row, strict=True)]
    other = [log_sum_exp(row) - row[j] for row, j in zip(scored.T, by_column, strict=True)]
    return (mean(one) + mean(other)) / 2


def call(x, labels, where, **settings):
    return losses.mnr_plus(x, documents_of(x), temperature=2.0, where=where, **settings)


LOSSES = {"mnr_plus": Entry(call, mnr_plus, held=True)}
