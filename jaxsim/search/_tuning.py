"""Tuning of a search on held-out anchor queries, whose scores are complete: no calls are paid."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from jaxsim.evaluation import top_k_recall
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Center
from jaxsim.search._ask_and_tell import Found
from jaxsim.search._budgeted import anncur
from jaxsim.search._cur import cur_index, global_mean, item_means
from jaxsim.search._matrices import matrix

REGULARIZATIONS = ((1e-2, 0.0), (5e-2, 0.0), (0.0, 1e-2), (0.0, 5e-2))  # (rtol, ridge)


@dataclasses.dataclass(frozen=True)
class CurSettings:
    """Settings of an annCUR index for one budget and k."""

    anchors: int  # anchor items, k_i: what is left of the budget re-scores
    rtol: float
    ridge: float
    center: Callable | None


def best_settings(
    candidates: Iterable, find: Callable[[Any], Found], held_out_scores: Array, *, ks: Sequence[int]
) -> tuple[dict[int, Any], dict[int, float]]:
    """Returns the settings with the highest recall for each k.

    Args:
      candidates: settings, of any kind.
      find: setting -> `Found` for the held-out queries, at least max(ks) items.
      held_out_scores: [h, n], complete rows of anchor queries, never of test queries.
      ks: the k to choose for.

    Returns: ({k: setting}, {k: its recall on the held-out queries}). Of equal recalls the first wins.
    Raises: ValueError for no candidates, scores that are not finite, k that is not a number of items.
    """
    candidates, held_out_scores = list(candidates), matrix("held_out_scores", held_out_scores)
    if not candidates:
        raise ValueError("candidates must not be empty, got 0")
    checks.function("find", find, "setting -> Found")
    ks = _ks(ks, held_out_scores.shape[1])
    best = {k: (None, -1.0) for k in ks}
    for candidate in candidates:
        result = find(candidate)
        for k in ks:
            recall = float(top_k_recall(held_out_scores, result.ids, k))
            if recall > best[k][1]:
                best[k] = candidate, recall
    return {k: v[0] for k, v in best.items()}, {k: v[1] for k, v in best.items()}


def cur_settings(
    budget: int,
    *,
    shares: Sequence[float] = (0.3, 0.5, 0.7),
    regularizations: Sequence[tuple[float, float]] = REGULARIZATIONS,
    centers: Sequence[Center | None] = (global_mean, item_means),
) -> list[CurSettings]:
    """Grid of annCUR settings at a budget: every combination, as a list of `CurSettings`.

    Args:
      budget: calls per query, at least 2.
      shares: parts of the budget that go to anchor items.
      regularizations: pairs (rtol, ridge).
      centers: offsets, as `cur_index` takes them.
    """
    checks.whole("budget", budget, 2)
    for name, values in (
        ("shares", shares),
        ("regularizations", regularizations),
        ("centers", centers),
    ):
        if not isinstance(values, (list, tuple)) or not values:
            raise ValueError(f"{name} must list at least one, got {checks.shown(values)}")
    for share in shares:
        checks.positive("shares", share)
        checks.probability("shares", share)
    for pair in regularizations:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise ValueError(
                f"regularizations must be pairs (rtol, ridge), got {checks.shown(pair)}"
            )
        for value in pair:
            checks.not_negative("regularizations", value)
            checks.finite("regularizations", value)
    return [
        CurSettings(min(max(round(share * budget), 1), budget - 1), rtol, ridge, center)
        for share in shares
        for (rtol, ridge), center in itertools.product(regularizations, centers)
    ]


def tune_anncur(
    anchor_scores: Array,
    held_out_scores: Array,
    anchor_items: Callable[[int], Array],
    *,
    ks: Sequence[int],
    budget: int,
    shares: Sequence[float] = (0.3, 0.5, 0.7),
    regularizations: Sequence[tuple[float, float]] = REGULARIZATIONS,
    centers: Sequence[Center | None] = (global_mean, item_means),
) -> tuple[dict[int, CurSettings], dict[int, float]]:
    """Tunes annCUR: the best settings for each k at one budget, by top-k recall on held-out queries.

    Args:
      anchor_scores: R, [k_q, n], what the index is built from.
      held_out_scores: [h, n], complete rows of other anchor queries, never of test queries.
      anchor_items: count -> int [count], the anchor items to use for each count.
      ks: the k to choose for.
      budget: calls per query, at least 2.
      shares: parts of the budget that go to anchor items.
      regularizations: pairs (rtol, ridge) to try.
      centers: offsets to try, as `cur_index` takes them.

    Returns: ({k: CurSettings}, {k: recall on the held-out queries}). Of equal recalls the first in
    the order given wins.
    Raises: ValueError for shapes that do not fit.
    """
    anchor_scores = matrix("anchor_scores", anchor_scores, "one row per anchor query")
    held_out = matrix("held_out_scores", held_out_scores)
    items = anchor_scores.shape[1]
    checks.shaped("held_out_scores", held_out, (None, items), "a column per item")
    checks.function("anchor_items", anchor_items, "count -> int [count]")
    checks.whole("budget", budget, 2)
    ks, budget = _ks(ks, items), min(budget, items)

    def find(settings):
        index = cur_index(
            anchor_scores,
            anchor_items(settings.anchors),
            rtol=settings.rtol,
            ridge=settings.ridge,
            center=settings.center,
        )
        return anncur(index, lambda q, i: held_out[q, i], len(held_out), k=max(ks), budget=budget)

    options = cur_settings(budget, shares=shares, regularizations=regularizations, centers=centers)
    return best_settings(options, find, held_out, ks=ks)


def _ks(ks, count):
    """The k to choose for: a tuple, not empty, each at most the number of items."""
    if not isinstance(ks, (list, tuple, range, np.ndarray)) or len(ks) == 0:
        raise ValueError(f"ks must list at least one number of items, got {checks.shown(ks)}")
    for k in ks:
        checks.at_most("ks", k, count, "the number of items")
    return tuple(ks)
