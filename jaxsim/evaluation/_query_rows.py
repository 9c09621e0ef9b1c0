"""Scores of queries against references in blocks of queries, shared by the metrics of neighbors."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxsim.evaluation._numbering import together
from jaxsim.numerics import block_entries, checks
from jaxsim.numerics._blocks import by_blocks
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array, ArrayTree, Similarity
from jaxsim.similarity._dense import OF_VECTORS

BLOCK_ENTRIES = (
    2**22
)  # scores of a block when `block` is None, on accelerators at least: 16 MiB of float32


def by_query(
    figure: Callable,
    embeddings: ArrayTree,
    labels: Array,
    references: ArrayTree | None,
    reference_labels: Array | None,
    *,
    ids: Array | None = None,
    reference_ids: Array | None = None,
    where: Array | None = None,
    reference_where: Array | None = None,
    similarity: Similarity,
    block: int | None = None,
    settings: tuple = (),
    k: int | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Computes a metric per query from its scores with all references, one block of scores at a time.

    Args:
      figure: (scores [rows, m], labels of rows, labels of references, where [rows, m], *settings, k)
        -> (values [rows], counted bool [rows]); a module-level function, so that it is compiled once.
      embeddings: [n, dim], the queries; labels: int [n].
      references: [m, dim], or None for the queries themselves; reference_labels: int [m].
      ids, reference_ids: int; a query never meets the reference with its id. Without references
        the rows are numbered; with them nothing is left out unless both are given.
      where, reference_where: bool, False for padding.
      similarity: (x, y) -> scores [n, m], larger is closer. A query with a NaN among the scores that
        count has the figure NaN; what padding holds has no influence.
      block: queries per block; None chooses it.
      settings: arrays that `figure` takes.
      k: a constant that `figure` takes.

    Returns: (values [n], counted bool [n]).
    Raises: ValueError for shapes that do not fit, or references without labels.
    """
    checks.function("similarity", similarity, "such as similarity.cosine")
    embeddings = checks.vectors("embeddings", embeddings)
    rows = checks.rows_of("embeddings", embeddings)
    where = checks.mask("where", where, (rows,))
    if similarity in OF_VECTORS:
        checks.shaped("embeddings", embeddings, (None, None), "one row per vector")
    if references is None:
        for name, column in {
            "reference_labels": reference_labels,
            "reference_ids": reference_ids,
            "reference_where": reference_where,
        }.items():
            if column is not None:
                raise ValueError(f"{name} need references, got None")
        (labels,) = together(labels=labels)
        ids = jnp.arange(rows) if ids is None else together(ids=ids)[0]
        references, theirs, reference_ids, reference_where = embeddings, labels, ids, where
    else:
        references = checks.vectors("references", references)
        if similarity in OF_VECTORS:
            wanted = (None, embeddings.shape[1])
            checks.shaped("references", references, wanted, "as wide as embeddings")
        if reference_labels is None:
            raise ValueError("references need reference_labels, got None")
        if (ids is None) != (reference_ids is None):
            raise ValueError("ids and reference_ids go together: give both or neither")
        count = checks.rows_of("references", references)
        reference_where = checks.mask("reference_where", reference_where, (count,))
        labels, theirs = together(labels=labels, reference_labels=reference_labels)
        if ids is None:  # numbers that never meet
            ids, reference_ids = jnp.full(rows, -1), jnp.arange(count)
        else:
            ids, reference_ids = together(ids=ids, reference_ids=reference_ids)
        checks.shaped("reference_labels", theirs, (count,), "one per row of references")
        checks.shaped("reference_ids", reference_ids, (count,), "one per row of references")
    checks.shaped("labels", labels, (rows,), "one per row of embeddings")
    checks.shaped("ids", ids, (rows,), "one per row of embeddings")
    others = _without_padding(references, reference_where), theirs, reference_ids, reference_where
    count = others[1].shape[0]
    if rows == 0 or count == 0:
        return jnp.zeros(rows, jnp.float32), jnp.zeros(rows, bool)
    if block is None:
        block = max(1, min(rows, block_entries(BLOCK_ENTRIES) // count))
    checks.whole("block", block)
    queries = _without_padding(embeddings, where), labels, ids, where
    return _walked(queries, others, tuple(settings), figure, similarity, min(block, rows), k)


@functools.partial(jax.jit, static_argnames=("figure", "similarity", "block", "k"))
def _walked(queries, others, settings, figure, similarity, block, k):
    references, their_labels, their_ids, their_where = others

    def of_block(rows):
        embeddings, labels, ids, where = rows
        scores = similarity(embeddings, references)
        mask = where[:, None] & their_where & (ids[:, None] != their_ids)
        spoiled = jnp.isnan(scores)
        scores = jnp.where(spoiled, -jnp.inf, scores)
        values, counted = figure(scores, labels, their_labels, mask, *settings, k)
        return jnp.where((spoiled & mask).any(axis=1), jnp.nan, values), counted & where

    return by_blocks(of_block, queries, block)


def closest_others_first(
    scores: Array, same: Array, where: Array, k: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Top-k references of each row, with pessimistic ties: other classes come first.

    Args:
      scores: [rows, m].
      same: bool [rows, m], whether a reference is of the row's class.
      where: bool [rows, m].
      k: at most m.

    Returns: (scores [rows, k], ids [rows, k], hits bool [rows, k]); score -inf where nothing is left.
    """
    count = scores.shape[1]
    # top_k takes the lowest index among ties: two copies of the columns, the other classes' in front.
    sides = [jnp.where(where & side, scores, -jnp.inf) for side in (~same, same)]
    best, places = jax.lax.top_k(jnp.concatenate(sides, axis=1), k)
    return best, places % count, (places >= count) & (best > -jnp.inf)


def count(embeddings: ArrayTree, references: ArrayTree | None) -> int:
    """Returns the number of references, or of embeddings without references."""
    name, tree = ("embeddings", embeddings) if references is None else ("references", references)
    return checks.rows_of(name, checks.vectors(name, tree, streamed=True))


def _without_padding(tree, where):
    """Zeros in the place of padding, which may hold anything: some similarities mix rows."""
    return jax.tree.map(lambda leaf: zeroed(leaf, where), tree)
