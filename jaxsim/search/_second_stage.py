"""Retrieve and rerank: a cheap first stage proposes, the expensive scorer decides."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics._topk import top_k
from jaxsim.numerics.types import Array, Scorer
from jaxsim.search._ask_and_tell import Found, ask_and_tell


def rerank(first_scores: Array, scorer: Scorer, *, k: int, budget: int) -> Found:
    """Retrieve and rerank: scores the best `budget` items of a first stage, and returns the best k of them.

    Args:
      first_scores: [m, n] of any first stage (dual encoder, TF-IDF, item means); larger is closer,
        ties go to the lowest id; -inf comes last.
      scorer: (query_rows int [p], item_ids int [p]) -> float [p].
      k: how many items to return, at most n. Where k > budget the rest are -1.
      budget: calls per query; what exceeds n is not used.

    Returns: `Found`; every one of its calls is counted.
    Raises: ValueError for shapes that do not fit, `ScorerError` for a scorer that raises or returns NaN.
    """
    first_scores = checks.reals("first_scores", first_scores)
    checks.shaped("first_scores", first_scores, (None, None), "one row per query")
    rows, count = first_scores.shape
    if 0 in first_scores.shape:
        raise ValueError(f"first_scores must not be empty, got shape {first_scores.shape}")
    checks.at_most("k", k, count, "the number of items")
    checks.whole("budget", budget)
    bad = np.asarray(jnp.isnan(first_scores).any(axis=1))
    if bad.any():
        raise ValueError(f"first_scores must be numbers: row {int(np.argmax(bad))} has NaN")
    budget = min(budget, count)
    ids = jax.jit(top_k, static_argnums=1)(first_scores, budget)[1]
    return ask_and_tell(
        [lambda scored, state: (ids, state)], scorer, rows, num_items=count, k=k, budget=budget
    )
