"""The lifter: a rule on rows of scores becomes a loss on embeddings.

    rule(scores [rows, references], positives, where, *, ...) -> (values [rows], weights [rows])

`where` says which pairs take part (an anchor with itself and padding are out), `positives` is a part
of it, the negatives are `where & ~positives`. The loss is sum(values * weights) / sum(weights) over
the rows of all devices. `over_labels` lifts for labelled rows, `over_pairs` for queries with their
documents; both see to devices, masks, queues, ids and memory, so that a rule reads like its equation.

Blocks of anchors are walked with `lax.map` over a checkpointed body: memory is O(block * references),
never [batch, references], forward and backward.
"""

import functools
import inspect
import textwrap
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.devices import gather, row_ids
from jaxsim.numerics.reductions import mean
from jaxsim.similarity import cosine

BLOCK_ENTRIES = 2**22  # scores that a block may hold when `block` is None: 16 MiB of float32


class Rows(NamedTuple):
    """One side of the score matrix; all leaves have the same leading axis."""

    embeddings: Any  # pytree, as the similarity takes it
    keys: Any  # pytree, what decides which pairs are positives
    ids: jax.Array | None  # int; an anchor never meets the reference of its own id
    where: jax.Array  # bool, False for padding


def over_labels(rule=None, *, similarity=cosine):
    """Makes `loss(embeddings, labels, *, ...)` of a rule: equal labels are positives.

        @over_labels
        def nca(scores, positives, where, *, temperature=1.0): ...

    Args:
      rule: the rule; its keyword-only arguments become the loss's hyperparameters.
      similarity: the loss's default similarity.

    Returns: the loss, with the rule at `loss.rule`; without `rule`, a decorator.
    """
    if rule is None:
        return functools.partial(over_labels, similarity=similarity)
    default = similarity

    def loss(
        embeddings,
        labels,
        *,
        similarity=default,
        references=None,
        reference_labels=None,
        reference_where=None,
        reference_ids=None,
        ids=None,
        where=None,
        weights=None,
        axis_name=None,
        block=None,
        reduce_fn=mean,
        **settings,
    ):
        _only_known(loss, settings)
        embeddings = jax.tree.map(jnp.asarray, embeddings)
        batch = _rows_of_embeddings("embeddings", embeddings)
        labels = _column("labels", labels, batch, "one per row of embeddings")
        _axis(axis_name)
        ids = row_ids(batch, axis_name) if ids is None else _column("ids", ids, batch)
        anchors = others = Rows(embeddings, labels, ids, _mask("where", where, batch))
        if references is not None:
            references = jax.tree.map(jnp.asarray, references)
            size = _rows_of_embeddings("references", references)
            if reference_labels is None:
                raise ValueError("references need reference_labels, got None")
            others = Rows(
                references,
                _column("reference_labels", reference_labels, size, "one per row of references"),
                None if reference_ids is None else _column("reference_ids", reference_ids, size),
                _mask("reference_where", reference_where, size),
            )
        else:
            others = gather(others, axis_name)
        return _reduced(
            rule, settings, anchors, others, _same_labels, similarity, block, weights, axis_name,
            reduce_fn,
        )  # fmt: skip

    return _dressed(loss, rule, _OVER_LABELS)


def over_pairs(rule=None, *, similarity=cosine):
    """Makes `loss(queries, documents, *, ...)` of a rule: document i is query i's positive.

        @over_pairs
        def info_nce(scores, positives, where, *, temperature=0.05): ...

    Args:
      rule: the rule; its keyword-only arguments become the loss's hyperparameters.
      similarity: the loss's default similarity.

    Returns: the loss, with the rule at `loss.rule`; without `rule`, a decorator.
    """
    if rule is None:
        return functools.partial(over_pairs, similarity=similarity)
    default = similarity

    def loss(
        queries,
        documents,
        *,
        similarity=default,
        query_ids=None,
        document_ids=None,
        document_where=None,
        references=None,
        reference_where=None,
        reference_ids=None,
        where=None,
        weights=None,
        axis_name=None,
        block=None,
        reduce_fn=mean,
        **settings,
    ):
        _only_known(loss, settings)
        queries, documents = jax.tree.map(jnp.asarray, (queries, documents))
        batch = _rows_of_embeddings("queries", queries)
        if (rows := _rows_of_embeddings("documents", documents)) != batch:
            raise ValueError(
                f"documents must be [{batch}, dim] or [{batch}, 1 + negatives, dim], "
                f"one row per query, got {rows} rows"
            )
        _axis(axis_name)
        where = _mask("where", where, batch)
        row = row_ids(batch, axis_name)
        query_ids = row if query_ids is None else _column("query_ids", query_ids, batch)
        listed = jax.tree.leaves(documents)[0].ndim > jax.tree.leaves(queries)[0].ndim
        each = jax.tree.leaves(documents)[0].shape[1] if listed else 1
        if not listed:
            documents = jax.tree.map(lambda a: a[:, None], documents)
        known = document_ids is not None
        if known:
            document_ids = jnp.asarray(document_ids)
            if document_ids.ndim == 1:  # of the positives; the negatives have none
                _column("document_ids", document_ids, batch, "one per document")
            else:
                checks.shaped("document_ids", document_ids, (batch, each), "one per document")
            checks.integers("document_ids", document_ids)
        own = document_ids if known else row
        own = own.reshape(batch, -1)[:, 0]
        # A column is [own document, its negatives]; only the first belongs to the row's query.
        first = jnp.broadcast_to(jnp.arange(each) == 0, (batch, each))
        if known and document_ids.ndim == 2:
            columns, named = document_ids, jnp.ones((batch, each), bool)
        else:
            columns, named = jnp.broadcast_to(own[:, None], (batch, each)), first
        kept = where[:, None]
        if document_where is not None:
            document_where = jnp.asarray(document_where)
            checks.shaped("document_where", document_where, (batch, each), "one per document")
            checks.booleans("document_where", document_where)
            kept = kept & document_where
        keys = jnp.broadcast_to(query_ids[:, None], (batch, each)), first, columns, named
        others = Rows(documents, keys, None, jnp.broadcast_to(kept, (batch, each)))
        others = jax.tree.map(lambda a: a.reshape(batch * each, *a.shape[2:]), others)
        others = gather(others, axis_name)
        if references is not None:
            others = _with_references(others, references, reference_where, reference_ids)
        anchors = Rows(queries, (query_ids, own), None, where)
        return _reduced(
            rule, settings, anchors, others, _same_pair, similarity, block, weights, axis_name,
            reduce_fn,
        )  # fmt: skip

    return _dressed(loss, rule, _OVER_PAIRS)


def lift(rule, anchors, references, *, similarity, same, block=None):
    """Values and weights [batch] of a rule, walking blocks of anchors.

    Args:
      rule: (scores, positives, where) -> (values, weights).
      anchors, references: `Rows`.
      similarity: (x [n, ...], y [m, ...]) -> [n, m].
      same: (anchor keys, reference keys) -> bool [n, m], which pairs are positives.
      block: anchors per block; None chooses it so that a block holds at most 2^22 scores.

    Returns: (values, weights), [batch] each. An anchor that is padding has weight 0.
    """
    batch, size = anchors.where.shape[0], references.where.shape[0]
    if batch == 0 or size == 0:
        return jnp.zeros(batch), jnp.zeros(batch)
    if block is None:
        block = max(1, min(batch, BLOCK_ENTRIES // size))
    checks.whole("block", block)
    by_id = anchors.ids is not None and references.ids is not None

    def rows(some):
        where = some.where[:, None] & references.where
        if by_id:
            where &= some.ids[:, None] != references.ids
        scores = similarity(some.embeddings, references.embeddings)
        if scores.shape != where.shape:
            raise ValueError(
                f"similarity must give scores of shape {where.shape}, got {scores.shape}"
            )
        values, weights = rule(scores, where & same(some.keys, references.keys), where)
        weights = jnp.where(some.where, weights, 0).astype(values.dtype)
        return jnp.where(weights > 0, values, 0), weights

    if block >= batch:
        return rows(anchors)
    padding = -batch % block
    blocks = jax.tree.map(
        lambda a: jnp.pad(a, [(0, padding)] + [(0, 0)] * (a.ndim - 1)).reshape(
            -1, block, *a.shape[1:]
        ),
        anchors,
    )
    lifted = jax.lax.map(jax.checkpoint(rows), blocks)
    return jax.tree.map(lambda a: a.reshape(-1)[:batch], lifted)


def _reduced(
    rule, settings, anchors, others, same, similarity, block, weights, axis_name, reduce_fn
):
    """From rows to what the loss returns. Padding is zeroed first: NaN in it must not reach a product."""
    anchors, others = (
        rows._replace(embeddings=jax.tree.map(functools.partial(_zeroed, rows.where), rows.embeddings))
        for rows in (anchors, others)
    )  # fmt: skip
    values, counts = lift(
        functools.partial(rule, **settings),
        anchors,
        others,
        similarity=similarity,
        same=same,
        block=block,
    )
    if weights is not None:
        weights = jnp.asarray(weights)
        checks.shaped("weights", weights, counts.shape, "one per anchor")
        counts = counts * weights
    return (values, counts) if reduce_fn is None else reduce_fn(values, counts, axis_name)


def _same_labels(mine, theirs):
    return mine[:, None] == theirs


def _same_pair(mine, theirs):
    """Positives: the documents of the same query, and copies of the query's own document."""
    query, document = mine
    their_query, first, their_document, named = theirs
    by_query = (query[:, None] == their_query) & first
    return by_query | ((document[:, None] == their_document) & named)


def _with_references(others, references, where, ids):
    """The gathered documents followed by further ones, which belong to no query."""
    references = jax.tree.map(jnp.asarray, references)
    size = _rows_of_embeddings("references", references)
    named = jnp.full(size, ids is not None)
    ids = jnp.zeros(size, jnp.int32) if ids is None else _column("reference_ids", ids, size)
    keys = jnp.zeros(size, jnp.int32), jnp.zeros(size, bool), ids, named
    more = Rows(references, keys, None, _mask("reference_where", where, size))
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b.astype(a.dtype)]), others, more)


def _zeroed(where, leaf):
    return jnp.where(where.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, 0)


def _rows_of_embeddings(name, tree):
    if not isinstance(tree, jax.Array):
        return checks.rows_of(name, tree)
    if tree.ndim < 2 or not jnp.issubdtype(tree.dtype, jnp.number):
        raise ValueError(f"{name} must be [batch, dim] numbers, got {tree.dtype} {tree.shape}")
    return tree.shape[0]


def _column(name, array, rows, why=""):
    array = jnp.asarray(array)
    checks.shaped(name, array, (rows,), why)
    checks.integers(name, array)
    return array


def _mask(name, where, rows):
    if where is None:
        return jnp.ones(rows, bool)
    where = jnp.asarray(where)
    checks.shaped(name, where, (rows,), "one per row")
    checks.booleans(name, where)
    return where


def _axis(axis_name):
    if axis_name is not None:
        checks.bound(axis_name)


def _only_known(loss, settings):
    if unknown := set(settings) - set(inspect.signature(loss).parameters):
        own = inspect.signature(loss.rule).parameters.values()
        own = ", ".join(p.name for p in own if p.kind is p.KEYWORD_ONLY) or "none of its own"
        raise TypeError(f"{loss.__name__} has no argument {unknown.pop()!r}; its rule takes {own}")


def _dressed(loss, rule, shared):
    """Gives the loss its rule's name, a signature of every argument, and the shared documentation."""
    own = [p for p in inspect.signature(rule).parameters.values() if p.kind is p.KEYWORD_ONLY]
    common = [p for p in inspect.signature(loss).parameters.values() if p.kind is not p.VAR_KEYWORD]
    functools.update_wrapper(loss, rule)
    del loss.__wrapped__  # inspect would show the rule's signature
    loss.__signature__ = inspect.Signature(common[:2] + own + common[2:])
    loss.__doc__ = f"{inspect.cleandoc(rule.__doc__ or '')}\n\n{textwrap.dedent(shared).strip()}\n"
    loss.rule = rule
    return loss


_EVERY = """
  similarity: (x [n, dim], y [m, dim]) -> scores [n, m], larger is closer.
  where: bool [batch], False for padding. What stands there has no influence, NaN included.
  weights: [batch], how much each anchor counts, besides what the rule says.
  axis_name: the named axis over which the batch is split, in pmap, shard_map or vmap. The result is
    then the loss of the whole batch, the same on every device; differentiate inside, then pmean the
    gradient of the parameters.
  block: anchors per block of scores; None chooses it from the sizes. The result does not depend on it.
  reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
Kind: pairwise.
Raises: ValueError for shapes that do not fit, an axis that is not bound, a block below 1.
"""

_OVER_LABELS = """
What every loss over labels takes:
  embeddings: [batch, dim], or a pytree that `similarity` takes.
  labels: int [batch]; rows of equal labels are positives.
  references: [m, dim], compared with in place of the batch (a queue): the same on every device.
  reference_labels: int [m].
  reference_where: bool [m], False for empty places.
  ids, reference_ids: int [batch], int [m]; equal ids are one example, never compared with itself.
    Without them each row of the batch is its own example, and no reference is.
""" + _EVERY[1:]

_OVER_PAIRS = """
What every loss over pairs takes:
  queries: [batch, dim], or a pytree that `similarity` takes.
  documents: [batch, dim], row i the positive of query i, or [batch, 1 + negatives, dim] with the
    positive first. All documents of all rows and devices are compared with every query.
  query_ids: int [batch]; the documents of equal queries are positives of each other's query.
  document_ids: int [batch] or [batch, 1 + negatives]; a copy of the positive is a positive.
  document_where: bool [batch, 1 + negatives], False where a row has fewer negatives.
  references: [m, dim], further documents, negatives to all: the same on every device.
  reference_where: bool [m], False for empty places.
  reference_ids: int [m], compared with document_ids: a copy of the positive is a positive.
""" + _EVERY[1:]
