"""Soft targets: losses/teachers/_soft_targets.py. The judge is another reading of the rows, held fixed."""

import jax.numpy as jnp
import numpy as np
from entry import Entry

from jaxsim import losses

EPS = 1e-8


def soft_targets(x, labels, where, large, at):
    values = []
    for i in np.flatnonzero(where):
        there = [j for j in range(3) if not (j == 1 and labels[i] == 1)]
        log_p, log_q = at[i, 1:][there] / 2.0, x[i, :3][there] / 0.5
        log_p, log_q = (a - np.logaddexp.reduce(a) for a in (log_p, log_q))
        p, q = np.exp(log_p), np.exp(log_q)
        log_m = np.logaddexp(log_p, log_q) - np.log(2)
        exact = np.sum(p * (log_p - log_q)) + np.sum(q * (log_q - log_p))
        capped = np.sum(p * (log_p - np.log(q + EPS))) + np.sum(q * (log_q - np.log(p + EPS)))
        to_middle = np.sum(p * (log_p - log_m)) + np.sum(q * (log_q - log_m))
        values.append(exact / 2 + 2 * capped / 2 + 3 * to_middle / 2)
    return np.mean(values) if values else 0.0


def call_soft_targets(x, labels, where, **settings):
    """All three in one sum, so that they share their compilations."""
    there = (jnp.arange(3) != 1) | (jnp.asarray(labels)[:, None] != 1)
    settings = {
        "temperature": 0.5,
        "judge_temperature": 2.0,
        "candidate_where": there,
        "where": where,
        **settings,
    }
    forms = losses.symmetric_kl, losses.symmetric_kl_released, losses.jensen_shannon
    terms = [form(x[:, :3], x[:, 1:], **settings) for form in forms]
    return terms[0] + 2 * terms[1] + 3 * terms[2]


LOSSES = {
    "symmetric_kl + released + jensen_shannon": Entry(
        call_soft_targets, soft_targets, lifted=False, unit=False, held=True
    ),
}
