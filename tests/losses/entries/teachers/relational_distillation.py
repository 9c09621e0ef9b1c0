"""Relations copied from a teacher: losses/teachers/_relational_distillation.py. The teacher is another reading of the rows."""

import numpy as np
from entry import Entry
from loops import units

from jaxsim import losses

WIDER = np.array([1.0, 0.5, -2.0])


def huber(x):
    return np.where(np.abs(x) <= 1, x**2 / 2, np.abs(x) - 0.5)


def reference(x, labels, where, large, at):
    sides = [a[:, None] - a for a in (x[where], at[where, 1:] * WIDER)]
    n = where.sum()
    other = ~np.eye(n, dtype=bool)
    value = 0.0
    if n > 1:
        lengths = [np.linalg.norm(a, axis=2) for a in sides]
        scales = [a[other].mean() or 1 for a in lengths]
        value += huber(lengths[0] / scales[0] - lengths[1] / scales[1])[other].mean()
    if n > 2:
        sides = [units(a.reshape(n * n, -1)).reshape(a.shape) for a in sides]
        cosines = [np.einsum("ijd,kjd->jik", a, a) for a in sides]
        different = other[:, :, None] & other[:, None] & other
        value += huber(cosines[0] - cosines[1])[different].mean()
    return value


def call(x, labels, where, **settings):
    teacher, settings = x[:, 1:] * WIDER.astype("float32"), {"where": where, **settings}
    return losses.relational_distances(x, teacher, **settings) + losses.relational_angles(
        x, teacher, **settings
    )


LOSSES = {
    "relational_distances + relational_angles": Entry(
        call, reference, lifted=False, unit=False, held=True
    ),
}
