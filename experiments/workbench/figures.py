"""Figures per example, as rows of results hold them."""

from collections.abc import Callable
from typing import Any

import numpy as np


def each(figure: Callable[..., Any], *args: Any, **kwargs: Any) -> np.ndarray:
    """A figure of evaluation for each example, not their mean: float64 [examples]."""
    values, _ = figure(*args, reduce_fn=None, **kwargs)
    return np.asarray(values, float)
