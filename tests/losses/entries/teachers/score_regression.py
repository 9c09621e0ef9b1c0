"""A teacher's scores by value: losses/teachers/_score_regression.py. The teacher is another reading of the rows, held fixed."""

import jax.numpy as jnp
import numpy as np
from entry import Entry

from jaxsim import losses


def matched(x, labels, where, large, at):
    errors, margins = [], []
    for i in np.flatnonzero(where):
        there = [j for j in range(3) if not (j == 1 and labels[i] == 1)]
        off = x[i, :3] - at[i, 1:]
        errors += [off[j] ** 2 for j in there]
        margins += [(off[0] - off[j]) ** 2 for j in there if j > 0]
    return sum(np.mean(terms) for terms in (errors, margins) if terms)


def call_matched(x, labels, where, **settings):
    there = (jnp.arange(3) != 1) | (jnp.asarray(labels)[:, None] != 1)
    settings = {"candidate_where": there, "where": where, **settings}
    student, teacher = x[:, :3], x[:, 1:]
    return losses.score_mse(student, teacher, **settings) + losses.margin_mse(
        student, teacher, **settings
    )


def dse(x, labels, where, large, at):
    values = []
    for i in np.flatnonzero(where):
        o, t, y = x[i], at[i], labels[i]
        binary = np.logaddexp(0, -o[0] if y % 2 else o[0])
        several = np.logaddexp.reduce(o[:3]) - o[y % 3]
        values.append(0.5 * binary + 0.5 * (o[0] - t[1]) ** 2)
        values[-1] += 2 * (0.5 * several + 0.5 * np.sum((o[:3] - t[1:]) ** 2))
        values[-1] += 3 * (0.25 * (o[2] - y) ** 2 + 0.75 * (o[2] - t[3]) ** 2)
    return np.mean(values) if values else 0.0


def call_dse(x, labels, where, **settings):
    settings = {"where": where, **settings}
    return (
        losses.dse_binary(x[:, 0], x[:, 1], labels % 2, **settings)
        + 2 * losses.dse_multiclass(x[:, :3], x[:, 1:], labels % 3, **settings)
        + 3 * losses.dse_regression(x[:, 2], x[:, 3], labels, alpha=0.75, **settings)
    )


LOSSES = {
    "score_mse + margin_mse": Entry(call_matched, matched, lifted=False, unit=False, held=True),
    "dse": Entry(call_dse, dse, lifted=False, unit=False, held=True),
}
