"""One loss of the catalog: what it is given, ours, and theirs."""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Entry:
    """A loss as both sides are timed."""

    data: Callable  # (random, batch, dim) -> arrays
    ours: Callable  # (*arrays) -> loss
    theirs: Callable | None = None  # peers.py
    batch: int = 1024
    dim: int = 128
    moved: tuple[int, ...] = (0,)  # the arrays along which the gradient is taken
    apart: str = ""  # why values differ, where they do

    def arrays(self, batch=None, dim=None):
        """The same on both sides."""
        return self.data(np.random.default_rng(0), batch or self.batch, dim or self.dim)
