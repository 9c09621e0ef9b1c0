"""MNR-plus: in-batch negatives whose targets are what the texts of each side already resemble most.

queries [batch, dim], documents [batch, dim] -> loss
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import sharing
from jaxsim.losses._lift._examples import of_rows
from jaxsim.losses._lift._lifters import over_pairs
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks
from jaxsim.numerics._devices import gather, row_ids
from jaxsim.numerics.masked import log_sum_exp
from jaxsim.numerics.types import Array, Numeric, Similarity
from jaxsim.similarity import cosine


def _is_target(mine, theirs):
    return mine[:, None] == theirs[None]


@over_pairs(inputs={"targets": _is_target})
def _to_targets(scores, positives, where, targets, *, temperature):
    scores = scores / temperature
    picked = jnp.where(targets & where, scores, 0).sum(axis=1)
    return log_sum_exp(scores, where) - picked, (targets & where).any(axis=1)


SHARED = ("where", "axis_name", "block", "similarity")


@sharing(_to_targets, only=SHARED)
def mnr_plus(
    queries: Array,
    documents: Array,
    *,
    temperature: Numeric = 1.0,
    **shared: Any,
) -> jax.Array:
    """MNR-plus: multiple negatives ranking with pseudo-targets, both ways, in nats.

        S = (Q Q^T + D D^T) / 2 temperature,   P = softmax of S by rows
        ( CE(Q D^T / temperature, r) + CE(D Q^T / temperature, c) ) / 2,
        r_i = argmax_j P_ij,   c_j = argmax_i P_ij

    A row's target is the row that its two texts are most similar to. With cosines that is the row itself, and the
    loss is `symmetric_info_nce`, unless two rows are the same. With dot products (`similarity=dot`, as the
    released code has it with temperature 1) it may be another: of embeddings that share a direction the row with
    the largest norm is everyone's target. `parts.mnr_plus_targets` says what they are. The targets carry no
    gradient.

    Args:
      queries: Q [batch, dim].
      documents: D [batch, dim].
      temperature: divides the scores and multiplies S, > 0; may be traced. The released code of 2024 learns it
        from 0.7, that of 2025 has none.

    Source: 2401.15713, the loss named "clip" of its released code, after CLIP implementations with soft targets.
    Data: pairs.
    Memory: batch x batch for the targets, and block x documents.
    """
    checks.positive("temperature", temperature)
    where, axis_name = shared["where"], shared["axis_name"]
    similarity = shared["similarity"]
    of_targets = {"temperature": temperature, "similarity": similarity}
    rows, columns = mnr_plus_targets(
        queries, documents, where=where, axis_name=axis_name, **of_targets
    )
    numbers = row_ids(len(rows), axis_name)
    sides = (queries, documents, rows), (documents, queries, columns)
    return (
        sum(
            _to_targets(
                first, second, temperature=temperature, targets=(targets, numbers), **shared
            )
            for first, second, targets in sides
        )
        / 2
    )


@checked
def mnr_plus_targets(
    queries: Array,
    documents: Array,
    *,
    temperature: Numeric = 1.0,
    similarity: Similarity = cosine,
    where: Array | None = None,
    axis_name: str | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Pseudo-targets of `mnr_plus`: for each query and for each document a row of the whole batch.

    Softmax by rows breaks the symmetry of S: the two are not transposes of each other. The first of equal ones.

    Args:
      queries, documents, temperature, where, axis_name: as in `mnr_plus`.
      similarity: of queries with queries and documents with documents.

    Returns: int32 [batch] each, numbers of rows of all devices together; of padding any.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: the released code of 2401.15713.
    Data: pairs.
    Kind: part; memory batch x batch.
    """
    checks.positive("temperature", temperature)
    queries, documents, where = of_rows(
        where, axis_name, "batch, dim", queries=queries, documents=documents
    )
    constants = jax.lax.stop_gradient((queries, documents, where))
    queries, documents, where = gather(constants, axis_name)
    scores = (similarity(queries, queries) + similarity(documents, documents)) / 2
    scores = scores * jax.lax.stop_gradient(temperature)
    both = where[:, None] & where[None]
    logits = jnp.where(both, scores, -jnp.inf)
    of_row = scores - log_sum_exp(scores, both)[:, None]
    by_row = jnp.argmax(logits, axis=1)
    by_column = jnp.argmax(jnp.where(both, of_row, -jnp.inf), axis=0)
    rows = row_ids(len(constants[0]), axis_name)
    return by_row[rows].astype(jnp.int32), by_column[rows].astype(jnp.int32)
