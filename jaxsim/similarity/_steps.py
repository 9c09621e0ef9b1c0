"""Similarities in two steps: what depends on a row alone, and what on pairs of rows.

A loss that walks blocks of scores takes the first step once, not in each block.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxsim.numerics import unit
from jaxsim.numerics.types import Similarity
from jaxsim.similarity._dense import (
    cosine,
    distances_of_shifted,
    dot,
    euclidean,
    negative_cosine_distance,
    negative_euclidean,
    negative_squared_euclidean,
    negative_unit_euclidean,
    of_one_dim,
    shifted,
    squared_euclidean,
    squares_of_shifted,
)
from jaxsim.similarity._gated import (
    cosine_of_opened,
    gated_cosine,
    gated_dot,
    opened,
    weighted_by_gate,
)


class Steps(NamedTuple):
    """A similarity, taken of rows first and then of pairs."""

    of_rows: Callable[[Any, Any], tuple[Any, Any]]  # (x, y) -> pytrees [n, ...] and [m, ...]
    of_pairs: Callable[[Any, Any], Any]  # of these: scores [n, m]


def _units(x, y):
    x, y = of_one_dim(x, y)
    return unit(x), unit(y)


STEPS = {
    cosine: Steps(_units, dot),
    negative_cosine_distance: Steps(_units, lambda x, y: dot(x, y) - 1),
    squared_euclidean: Steps(shifted, squares_of_shifted),
    euclidean: Steps(shifted, distances_of_shifted),
    negative_squared_euclidean: Steps(shifted, lambda x, y: -squares_of_shifted(x, y)),
    negative_euclidean: Steps(shifted, lambda x, y: -distances_of_shifted(x, y)),
    negative_unit_euclidean: Steps(
        lambda x, y: shifted(*_units(x, y)), lambda x, y: -distances_of_shifted(x, y)
    ),
    gated_cosine: Steps(opened, cosine_of_opened),
    gated_dot: Steps(weighted_by_gate, dot),
}


def steps_of(similarity: Similarity) -> Steps | None:
    """The two steps of a similarity of this folder with its defaults; None of any other."""
    return next((steps for known, steps in STEPS.items() if known is similarity), None)
