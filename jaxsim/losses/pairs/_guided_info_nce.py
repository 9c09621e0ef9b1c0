"""InfoNCE without the candidates that a guide takes for positives (GISTEmbed).

    queries [batch, dim], documents [batch, dim] or [batch, 1 + negatives, dim] -> loss

The guide is another encoder, whose vectors of the same texts are given too and carry no gradient.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import REFERENCES, sharing
from jaxsim.losses._lift._lifters import vectors_of
from jaxsim.losses.pairs._info_nce import info_nce
from jaxsim.losses.pairs._joint_info_nce import (
    Direction,
    joint,
    positives_to_positives,
    queries_to_queries,
)
from jaxsim.numerics.types import ArrayTree, Numeric


@sharing(info_nce, without=REFERENCES)
def guided_info_nce(
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    guide: tuple[ArrayTree, ArrayTree],
    directions: Sequence[Direction] = (queries_to_queries, positives_to_positives),
    margin: Numeric = 0.0,
    temperature: Numeric = 0.01,
    **shared: Any,
) -> jax.Array:
    """GISTEmbed loss: InfoNCE without candidates that a guide scores above the positive, in nats.

        a candidate of query i stays if guide score <= guide(q_i, d_i) - margin

    That holds in all directions of `joint_info_nce`: query against query, and positive against positive,
    are scored by the guide too and compared with the same level. The positives themselves always stay.
    With several of them the level is the highest. Counts the queries that have a positive.

    Args:
      guide: the guide's vectors of both, [batch, d] and [batch, d] or [batch, 1 + negatives, d], which
        are compared by their cosine.
      directions: as in `joint_info_nce`; () for the queries' scores of the documents alone.
      margin: in units of the guide's cosine; 0 is the paper.
      temperature: divides the scores, > 0; may be traced. 0.01 is the paper.

    Source: Solatorio 2024 (2402.16829), GISTEmbed; the margin is sentence-transformers' absolute one.
    Data: pairs, pairs with negatives, teacher embeddings.
    Memory: block x the columns of all directions.
    """
    settings = {"temperature": temperature, "margin": margin}
    return _guided(_less, queries, documents, guide, directions, settings, shared)


@sharing(info_nce, without=REFERENCES)
def relatively_guided_info_nce(
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    guide: tuple[ArrayTree, ArrayTree],
    directions: Sequence[Direction] = (queries_to_queries, positives_to_positives),
    margin: Numeric = 0.05,
    temperature: Numeric = 0.01,
    **shared: Any,
) -> jax.Array:
    """GISTEmbed loss with a relative margin: a share of the positive's guide score, in nats.

        a candidate of query i stays if guide score <= g - margin |g|,    g = guide(q_i, d_i)

    Args:
      margin: a share; 0.05 leaves out what reaches 95 % of the positive's score, as in NV-Retriever.
      guide, directions, temperature: as in `guided_info_nce`.

    Source: Moreira et al. 2024 (2407.15831), the share of the positive's score, in GISTEmbed's place
    for it; the relative margin of sentence-transformers.
    Data: pairs, pairs with negatives, teacher embeddings.
    Memory: block x the columns of all directions.
    """
    settings = {"temperature": temperature, "margin": margin}
    return _guided(_less_a_share, queries, documents, guide, directions, settings, shared)


def _less(level, margin):
    return level - margin


def _less_a_share(level, margin):
    return level - margin * jnp.abs(level)


def _guided(limit, queries, documents, guide, directions, settings, shared):
    if not hasattr(guide, "__len__") or isinstance(guide, dict) or len(guide) != 2:
        raise ValueError(
            f"guide must be its vectors of both, (queries, documents), got {type(guide).__name__}"
        )
    guide = tuple(vectors_of(f"guide[{place}]", a)[0] for place, a in enumerate(guide))
    return joint(queries, documents, directions, settings, limit, guide=guide, **shared)
