"""Several score matrices of the same rows in one walk: queries, their positives and all documents, crossed.

A rule of several matrices takes those of a block while they are there, so that a row's sums over all of them
are complete before its value is, and the gradient is taken with the value (_one_pass.py).
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._blocks import (
    Walk,
    block_of,
    compared,
    counted,
    first_step,
    meets_nan,
    walk_and_reduce,
    without_padding,
    without_weight,
)
from jaxsim.losses._lift._lifters import (
    rows_of_pairs,
    same_number,
    same_pair,
    sources_of_pairs,
)
from jaxsim.losses._lift._one_pass import varying_numbers
from jaxsim.numerics import checks
from jaxsim.numerics._devices import gather
from jaxsim.similarity import cosine

# Queries and the positive of each are rows or columns, all documents are columns.
Side = Literal["queries", "positives", "documents"]


class Scores(NamedTuple):
    """Rows of one score matrix: all [rows, columns]."""

    scores: jax.Array
    positives: jax.Array  # bool
    where: jax.Array  # bool
    own: jax.Array  # bool, which columns came with the row
    guide: jax.Array | None  # another encoder's cosines


def lift_sides(
    rule: Callable[..., tuple[jax.Array, jax.Array]],
    crossed: tuple[tuple[Side, Side], ...],
    queries: Any,
    documents: Any,
    settings: dict[str, Any],
    *,
    guide: tuple[Any, Any] | None = None,
    similarity,
    query_ids,
    document_ids,
    document_where,
    where,
    weights,
    axis_name,
    block,
    reduce_fn,
):
    """The loss of a rule of several score matrices.

    Args:
      rule: (scores_of, **settings) -> (values [rows], weights [rows]), where scores_of(rows, columns)
        gives the `Scores` of two sides.
      crossed: which (rows, columns) the rule asks for.
      queries, documents, and the others: as every loss over pairs takes them, without references.
      settings: the rule's hyperparameters.
      guide: another encoder's vectors of the queries and of the documents, without gradient; or None.
    """
    checks.function("similarity", similarity, "of jaxsim.similarity, such as similarity.cosine")
    rows, columns = _sides(
        queries, documents, guide, query_ids, document_ids, document_where, where, axis_name
    )
    columns = gather({name: columns[name] for _, name in crossed}, axis_name)
    columns = {
        name: without_padding(jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), side))
        for name, side in columns.items()
    }
    anchors = [
        without_weight(rows[mine], weights, columns[theirs], similarity) for mine, theirs in crossed
    ]
    references = [columns[theirs] for _, theirs in crossed]
    where, of_pairs = rows["queries"].where, similarity
    batch, size = len(where), sum(len(side.where) for side in references)
    if block is None:
        leaves = jax.tree.leaves(references[0].embeddings)
        block = block_of(batch, size, sum(a.shape[-1] for a in leaves if a.ndim > 1))
    checks.whole("block", block)

    bad = where
    if batch:
        ends = zip(anchors, references, strict=True)
        bad = bad & jnp.any(jnp.stack([meets_nan(*both, similarity) for both in ends]), axis=0)
    if 0 < block < batch:
        for place, both in enumerate(zip(anchors, references, strict=True)):
            of_pairs, anchors[place], references[place] = first_step(similarity, *both)
    settings = varying_numbers(settings, axis_name)

    def of_rows(mine, theirs):
        anchors, bad = mine
        blocks = map(lambda *both: _scores(of_pairs, *both), anchors, theirs)
        blocks = dict(zip(crossed, blocks, strict=True))
        values, weights = rule(lambda *sides: blocks[sides], **settings)
        return [counted(anchors[0].where, bad, values, weights)]

    walk = Walk(of_rows, (anchors, bad), references, block)
    return walk_and_reduce(walk, weights, reduce_fn, axis_name)


def _sides(queries, documents, guide, query_ids, document_ids, document_where, where, axis_name):
    """The sides as rows: `Rows` [batch], and as columns: `Rows` [batch, each]."""
    ids = query_ids, document_ids
    queries, documents, numbers = rows_of_pairs(
        queries, documents, *ids, document_where, where, axis_name
    )
    batch, each = documents.where.shape
    guide = {} if guide is None else {"guide": jax.lax.stop_gradient(guide)}
    of_queries, of_documents, _ = sources_of_pairs(guide, batch, each, None)
    of_documents = jnp.broadcast_to(numbers[:, None], (batch, each)), *of_documents
    queries = queries._replace(inputs=(numbers, *of_queries))
    documents = documents._replace(inputs=of_documents)
    first = jax.tree.map(lambda a: a[:, :1], documents)
    # A positive that is missing is a row without candidates.
    positives = jax.tree.map(lambda a: a[:, 0], documents)._replace(keys=queries.keys)
    rows = {"queries": without_padding(queries), "positives": without_padding(positives)}
    of_queries = jax.tree.map(lambda a: a[:, None], queries)
    columns = {
        "queries": of_queries._replace(keys=first.keys),
        "positives": first,
        "documents": documents,
    }
    return rows, columns


def _scores(similarity, mine, theirs):
    guide = [
        jax.lax.stop_gradient(cosine(*both))
        for both in zip(mine.inputs[1:], theirs.inputs[1:], strict=True)
    ]
    own = same_number(mine.inputs[0], theirs.inputs[0])
    return Scores(*compared(similarity, same_pair, mine, theirs), own, *(guide or [None]))
