"""Search under a budget of calls: a round asks for pairs, the scorer answers, the next round sees the scores.

One host loop, `ask_and_tell`, runs every budgeted search, so that all are charged equally: a call is a
distinct (query, item) pair that the scorer was asked for, and nothing else is counted. A search is
a sequence of pure functions `ask(scored, state) -> (item ids, state)`, one per round; what
happens with the scores is the same for all.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Scorer


class Scored(NamedTuple):
    """Scores paid for so far: each query's items, in the order of asking. A pytree."""

    scores: jax.Array  # float32 [m, budget], -inf where nothing is yet
    ids: jax.Array  # int32 [m, budget], -1 there


class Found(NamedTuple):
    """Result of a budgeted search."""

    scores: np.ndarray  # float32 [m, k], exact, best first; -inf where fewer than k were scored
    ids: np.ndarray  # int32 [m, k]; -1 there
    calls: np.ndarray  # int [m], distinct items of each query that the scorer was asked for
    scored: Scored  # everything that was paid for


class ScorerError(RuntimeError):
    """Error of a scorer. `scored` holds the finished rounds, where there are rounds."""

    def __init__(self, message: str, scored: Scored | None = None) -> None:
        super().__init__(message)
        self.scored = scored


def ask_and_tell(
    asks: Sequence[Callable],
    scorer: Scorer,
    num_queries: int,
    *,
    num_items: int,
    k: int,
    budget: int,
    state: Any = None,
) -> Found:
    """Budgeted search loop: each round asks for items, which are scored and passed to the next round.

    Args:
      asks: one function per round, (Scored, state) -> (ids int [m, quota], state); the id -1 asks for
        nothing, and what was scored before (or twice in a round) is not paid for again.
      scorer: (query_rows int [p], item_ids int [p]) -> float [p].
      num_queries: m.
      num_items: n.
      k: how many of the scored items to return, best exact score first, ties to the lowest id.
      budget: distinct calls that a query may make.
      state: what the first round gets; a pytree of the search's own, such as a factorization that
        rounds append to.

    Returns: `Found`.
    Raises: ValueError where a round asks for more than is left or for an unknown item; `ScorerError`.
    """
    checks.whole("num_queries", num_queries)
    checks.whole("num_items", num_items)
    checks.at_most("k", k, num_items, "the number of items")
    checks.whole("budget", budget)
    checks.function("scorer", scorer, "(query_rows int [p], item_ids int [p]) -> float [p]")
    if not isinstance(asks, (list, tuple)) or not all(map(callable, asks)):
        raise ValueError(
            f"asks must be a list of functions, one per round, got {checks.shown(asks)}"
        )
    scored = Scored(
        np.full((num_queries, budget), -np.inf, np.float32),
        np.full((num_queries, budget), -1, np.int32),
    )
    calls = np.zeros(num_queries, int)
    for number, ask in enumerate(asks):
        answer = ask(jax.tree.map(jnp.asarray, scored), state)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise ValueError(
                f"round {number} of asks must return (ids, state), got {checks.shown(answer)}"
            )
        ids, state = answer
        ids = checks.one_array(f"the ids of asks (round {number})", ids)
        checks.integers(f"the ids of asks (round {number})", ids)
        checks.shaped(
            f"the ids of asks (round {number})", ids, (num_queries, None), "one row per query"
        )
        if ids.size and ids.max() >= num_items:
            raise ValueError(f"round {number} asked for item {ids.max()} of {num_items}")
        ids = np.maximum(ids, -1).astype(np.int32)
        rows, places = np.nonzero(_fresh(ids, scored.ids))
        if len(rows) == 0:
            continue
        asked = ids[rows, places]
        counts = np.bincount(rows, minlength=num_queries)
        if (calls + counts).max() > budget:
            raise ValueError(
                f"round {number} asked for {counts.max()} items, which exceeds budget={budget}"
            )
        values = called(scorer, rows, asked, f" in round {number}", scored)
        # A query's new pairs go behind those it has: rows are sorted, so they are adjacent.
        order = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        scored = Scored(scored.scores.copy(), scored.ids.copy())
        scored.ids[rows, calls[rows] + order] = asked
        scored.scores[rows, calls[rows] + order] = values
        calls += counts
    return _answer(scored, calls, k)


def _fresh(ids, known):
    """Which of ids [m, q] are items not in known [m, b] nor earlier in their own row."""
    fresh = ids >= 0
    both = np.concatenate([known, ids], axis=1)
    order = np.argsort(both, axis=1, kind="stable")
    ranked = np.take_along_axis(both, order, axis=1)
    repeated = np.zeros_like(both, bool)
    again = np.concatenate([np.zeros((len(ids), 1), bool), ranked[:, 1:] == ranked[:, :-1]], axis=1)
    np.put_along_axis(repeated, order, again, axis=1)
    return fresh & ~repeated[:, known.shape[1] :]


def called(
    scorer: Scorer,
    rows: np.ndarray,
    items: np.ndarray,
    when: str = "",
    scored: Scored | None = None,
) -> np.ndarray:
    """Calls a scorer: its values float [p] of pairs, or an error that names what it returned.

    Args:
      scorer: (query_rows int [p], item_ids int [p]) -> float [p].
      rows, items: int [p].
      when: what the message says of the time, such as " in round 3".
      scored: what was paid for before, which the error keeps.

    Raises: `ScorerError`.
    """
    try:
        values = scorer(rows.astype(np.int32), items.astype(np.int32))
    except Exception as error:
        raise ScorerError(
            f"the scorer raised {type(error).__name__}{when}: {error}", scored
        ) from error
    try:
        values = score_per_pair(values, len(rows))
    except ValueError as error:
        raise ScorerError(str(error), scored) from error
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    for what, bad in (("NaN", np.isnan(values)), ("infinity", np.isinf(narrow))):
        if bad.any():
            first = int(np.argmax(bad))
            raise ScorerError(
                f"the scorer returned {what} for {bad.sum()} of {len(rows)} pairs{when}, "
                f"first for query {rows[first]} and item {items[first]}",
                scored,
            )
    return values


def score_per_pair(values: Any, pairs: int) -> np.ndarray:
    """Checks a scorer's result, and returns real numbers [pairs] as a NumPy array.

    Raises: ValueError for anything else.
    """
    values = checks.host_reals("what the scorer returns", values)
    if values.shape != (pairs,):
        raise ValueError(
            f"the scorer must return one score per pair, [{pairs}], got shape {values.shape}"
        )
    return values


def _answer(scored, calls, k):
    order = np.lexsort((scored.ids, -scored.scores, scored.ids < 0), axis=1)[:, :k]
    scores, ids = (np.take_along_axis(a, order, axis=1) for a in scored)
    short = k - ids.shape[1]
    if short > 0:
        ids = np.pad(ids, ((0, 0), (0, short)), constant_values=-1)
        scores = np.pad(scores, ((0, 0), (0, short)), constant_values=-np.inf)
    return Found(scores, ids, calls, scored)
