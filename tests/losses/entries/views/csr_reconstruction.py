"""Reconstruction from sparse codes: losses/views/_csr_reconstruction.py."""

import numpy as np
from entry import Entry, documents_of, groups_of

from jaxsim import losses


def reconstructed(x, labels, where, large, at):
    """The decoder without its bias, and whether its errors are all the same, are those at `at`."""
    if not where.any():
        return 0.0
    decoded, by_4k, rare = (groups_of(x)[where, j] for j in range(3))
    rest = (x - documents_of(at)[:, ::-1] / 3)[where]
    held = (at - documents_of(at)[:, ::-1] / 3)[where]
    spread = np.mean((rest - rest.mean(axis=0)) ** 2) if np.ptp(held, axis=0).any() else 1.0
    errors = [np.mean((a - b) ** 2) for a, b in ((x[where], decoded), (x[where], by_4k))]
    return errors[0] + errors[1] / 8 + 2 * np.mean((rest - rare) ** 2) / spread


def call_reconstructed(x, labels, where, **settings):
    decoded, by_4k, rare = (groups_of(x)[:, j] for j in range(3))
    without_bias = documents_of(x)[:, ::-1] / 3
    settings = {"auxiliary_weight": 2.0, "where": where, **settings}
    return losses.csr_reconstruction(x, decoded, by_4k, rare, without_bias, **settings)


LOSSES = {
    "csr_reconstruction": Entry(
        call_reconstructed, reconstructed, lifted=False, unit=False, held=True
    ),
}
