"""Codes of real vectors, made after training: signs at the mean, random hyperplanes, a learned rotation.

Each is fitted on the vectors of a collection and gives bits of its items and of others: (items [n, dim],
others [m, dim]) -> bool [n, bits], bool [m, bits].
"""

from collections.abc import Callable

import numpy as np

Sides = tuple[np.ndarray, np.ndarray]
Hash = Callable[[np.ndarray, np.ndarray, int, int], Sides]  # (items, others, bits, seed)


def step(items: np.ndarray, others: np.ndarray) -> Sides:
    """The bits [x > 0], as binary layers have them."""
    return items > 0, others > 0


def sign_at_mean(items: np.ndarray, others: np.ndarray) -> Sides:
    """Whether each number is above its mean over the items."""
    mean = items.mean(axis=0)
    return items > mean, others > mean


def hyperplanes(items: np.ndarray, others: np.ndarray, bits: int, *, seed: int) -> Sides:
    """Locality-sensitive hashing of angles: the sides of random hyperplanes through the items' mean.

    Source: Charikar 2002, "Similarity estimation techniques from rounding algorithms".
    """
    normals = np.random.default_rng(seed).normal(size=(items.shape[1], bits))
    mean = items.mean(axis=0)
    return (items - mean) @ normals > 0, (others - mean) @ normals > 0


def rotated(
    items: np.ndarray, others: np.ndarray, bits: int, *, seed: int, rounds: int = 50
) -> Sides:
    """Iterative quantization (ITQ): principal axes, rotated until their signs say most of the numbers.

    Args:
      items, others: vectors of at least `bits` numbers.
      bits: how many.
      seed: of the rotation at the start.
      rounds: of fitting signs to numbers, and the rotation to signs.

    Source: Gong and Lazebnik 2011, "Iterative quantization".
    """
    mean = items.mean(axis=0)
    axes = np.linalg.svd(items - mean, full_matrices=False)[2][:bits].T
    known, asked = (items - mean) @ axes, (others - mean) @ axes
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(bits, bits)))[0]
    for _ in range(rounds):
        signs = np.where(known @ rotation > 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(known.T @ signs)
        rotation = left @ right
    return known @ rotation > 0, asked @ rotation > 0


HASHES: dict[str, Hash] = {
    "step": lambda items, others, bits, seed: step(items, others),
    "at_mean": lambda items, others, bits, seed: sign_at_mean(items, others),
    "planes": lambda items, others, bits, seed: hyperplanes(items, others, bits, seed=seed),
    "rotated": lambda items, others, bits, seed: rotated(items, others, bits, seed=seed),
}
