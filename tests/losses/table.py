"""The table of losses: each with an independent float64 reference, and the cases that all must stand.

A loss joins by an entry in entries/FOLDER/, as its file is in jaxsim/losses/FOLDER; its form is in entry.py.
"""

import importlib
from pathlib import Path

import numpy as np

from jaxsim.similarity import dot

LOSSES = {}
for path in sorted(Path(__file__).parent.glob("entries/*/*.py")):
    found = importlib.import_module(f"entries.{path.parent.name}.{path.stem}").LOSSES
    assert not LOSSES.keys() & found, path
    LOSSES |= found

ROWS, DIM = 16, 4
X = np.random.default_rng(0).normal(size=(ROWS, DIM))
# int32 whatever the mode: jit mixes up buffers of int64 NumPy arrays across jax.enable_x64.
NUMBERS = np.arange(ROWS, dtype=np.int32)
PAIRS = NUMBERS // 2
ALL = np.ones(ROWS, bool)
UNEVEN = np.array([1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1], bool)


def first(count):
    return np.arange(ROWS) < count


ONE_ZERO = X * (np.arange(ROWS) != 3)[:, None]

# name: (x, labels, where, scores are large); every case has one shape, so that they share a compilation
CASES = {
    "ordinary": (X, PAIRS, ALL, False),
    "uneven padding": (X, PAIRS, UNEVEN, False),
    "a class of one": (X, np.maximum(PAIRS, 1 + np.int32(20) * (NUMBERS == 0)), ALL, False),
    "no positives": (X, NUMBERS, ALL, False),
    "no negatives": (X, 0 * PAIRS, ALL, False),
    "identical rows": (np.ones_like(X), PAIRS, ALL, False),
    "zero rows": (0 * X, PAIRS, ALL, False),
    "one zero row": (ONE_ZERO, PAIRS, ALL, False),
    "batch of one": (X, PAIRS, first(1), False),
    "all padding": (X, PAIRS, first(0), False),
    "scores of 1e4": (100 * X, PAIRS, ALL, True),
}


def settings_of(entry, large):
    return {"similarity": dot} if large and entry.lifted else {}
