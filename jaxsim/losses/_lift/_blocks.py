"""Rows of scores, block by block: what every pairwise loss runs on.

Blocks of anchors are walked with `lax.map` over a checkpointed body: memory is O(block * references),
never [batch, references], forward and backward. A loss that is one sum over the rows has its gradient
taken on the way (_one_pass.py).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import reduced_parts, weighted
from jaxsim.losses._lift._one_pass import in_blocks, sum_with_slopes
from jaxsim.numerics import checks
from jaxsim.numerics._devices import block_entries, row_ids
from jaxsim.numerics._reductions import OF_SUMS
from jaxsim.numerics.masked import zeroed
from jaxsim.similarity._steps import steps_of

# Scores that a block may hold when `block` is None. On CPU what a core's cache holds, which pays for taking
# every score twice, unless vectors are long: WHOLE grows with them. Each block adds to the gradient of all
# references, so that blocks grow with vectors too, to half of what the references hold at most
# (benchmarks/README.md has the times).
WHOLE, WHOLE_PER_DIMENSION, IN_CACHE, LEAST_ROWS = 2**20, 2**13, 2**19, 128
# Of anything else that is walked in blocks, and the least on accelerators (`block_entries`): 16 MiB of float32.
BLOCK_ENTRIES = 2**22


class Rows(NamedTuple):
    """One side of the score matrix; all leaves have the same leading axis."""

    embeddings: Any  # pytree, as the similarity takes it
    keys: Any  # pytree, what decides which pairs are positives
    ids: jax.Array | None  # int; an anchor is not compared with the reference of its id
    where: jax.Array  # bool, False for padding
    inputs: Any = ()  # pytree, what further inputs of the rule are built from


class Walk(NamedTuple):
    """A walk over blocks of rows."""

    of_rows: Callable  # (rows of mine, theirs) -> [(values, weights), ...], [rows] each
    mine: Any  # pytree [batch, ...]
    theirs: Any  # pytree
    block: int  # rows at once; 0 where there is nothing to compare with


def lift(rule, anchors, references, **how):
    """Values and weights of a rule, walking blocks of anchors: what a loss is before its reduction.

    Args:
      rule: (scores, positives, where, *inputs, keys) -> (values, weights), or a list of them; `keys`
        is a function that gives a key per row of a key.
      anchors, references: `Rows`.
      similarity: (x [n, ...], y [m, ...]) -> [n, m].
      same: (anchor keys, reference keys) -> bool [n, m], which pairs are positives.
      builders: (mine, theirs) -> [n, m], one for each of the `inputs` of Rows.
      block: anchors per block; None chooses it from the sizes, see `block_of`.
      layers: how many times the scores' memory the rule takes.
      axis_name: over which the anchors are split; it numbers the rows for their keys.

    Returns: a list of (values, weights), [batch] each. An anchor that is padding has weight 0. An anchor
    with NaN, and every one that meets a reference with NaN, has the value NaN and weight 1: rules compare
    scores, where NaN would be lost. A rule's values may have further axes, which its own reduction takes.
    """
    return _parts_of(_walk_of(rule, anchors, references, **how))


def lift_and_reduce(rule, anchors, references, *, weights, reduce_fn, axis_name=None, **how):
    """The loss of a rule: `lift` and `reduced` in one.

    In blocks of anchors, where the reduction is one of the sum of the rows' values (`mean`, `total`), the
    gradient of that sum is taken with the value: three products of a block, where walking twice takes four.

    Args:
      weights: [batch], the user's; or None.
      reduce_fn: as in `reduced`.
      rule, anchors, references, axis_name, how: as in `lift`.
    """
    walk = _walk_of(rule, anchors, references, axis_name=axis_name, **how)
    return walk_and_reduce(walk, weights, reduce_fn, axis_name)


def walk_and_reduce(walk: Walk, weights, reduce_fn, axis_name):
    """The loss of a `Walk`: `lift_and_reduce` for other rows than those of scores."""
    batch = _batch_of(walk)
    of_sums = next((form for known, form in OF_SUMS.items() if known is reduce_fn), None)
    if of_sums is not None and 0 < walk.block < batch:
        if weights is not None:
            weights = checks.weights("weights", weights, batch, "one per anchor")
        sums = sum_with_slopes(*walk, weights, axis_name)
        if sums is not None:
            return of_sums(*sums, axis_name)
    return reduced(_parts_of(walk), weights, axis_name, reduce_fn)


def _walk_of(
    rule,
    anchors,
    references,
    *,
    similarity,
    same,
    builders=(),
    block=None,
    layers=1,
    axis_name=None,
):
    checks.function("similarity", similarity, "of jaxsim.similarity, such as similarity.cosine")
    checks.function("same", same, "of (labels of rows, labels of references)")
    batch, size = anchors.where.shape[0], references.where.shape[0]
    if block is None:
        leaves = jax.tree.leaves(references.embeddings)
        dim = sum(a.shape[-1] for a in leaves if a.ndim > 1)
        block = block_of(batch, size * layers, dim)
    checks.whole("block", block)

    bad = anchors.where
    if batch and size:
        bad = bad & meets_nan(anchors, references, similarity)
    if 0 < block < batch and size:
        similarity, anchors, references = first_step(similarity, anchors, references)

    def of_rows(mine, theirs):
        rows, numbers, bad = mine
        scores, positives, where = compared(similarity, same, rows, theirs)
        inputs = (f(*ends) for f, *ends in zip(builders, rows.inputs, theirs.inputs, strict=True))
        parts = rule(scores, positives, where, *inputs, keys=lambda key: _key_of_each(key, numbers))
        return [counted(rows.where, bad, *part) for part in _as_list(parts)]

    mine = anchors, row_ids(batch, axis_name), bad
    return Walk(of_rows, mine, references, block if size else 0)


def _parts_of(walk):
    """A list of (values, weights), [batch] each."""
    of_rows, mine, theirs, block = walk
    batch = _batch_of(walk)
    if batch == 0 or block == 0:
        shapes = jax.eval_shape(of_rows, jax.tree.map(_one_row, mine), theirs)
        return jax.tree.map(lambda a: jnp.zeros((batch, *a.shape[1:]), a.dtype), shapes)
    if block >= batch:
        return of_rows(mine, theirs)
    lifted = jax.lax.map(lambda part: jax.checkpoint(of_rows)(part, theirs), in_blocks(block, mine))
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:batch], lifted)


def _batch_of(walk):
    return jax.tree.leaves(walk.mine)[0].shape[0]


def block_of(batch, size, dim):
    """Anchors per block of scores [batch, size] of vectors [dim] where nothing was asked for."""
    if jax.default_backend() != "cpu":
        return max(1, min(batch, block_entries(BLOCK_ENTRIES) // max(size, 1)))
    if batch * size <= max(WHOLE, WHOLE_PER_DIMENSION * dim):
        return max(1, batch)
    return min(batch, max(LEAST_ROWS, dim // 2, IN_CACHE // size))


def spoiled(rows, others, similarity):
    """Which rows hold NaN, or a vector that is not finite: bool [rows].

    Looked for in the rows, once, and not in the scores. Of a pytree only the similarity knows what counts
    (padding tokens do not), so that one score of each row is looked at.

    Args:
      rows: `Rows`.
      others: what they are compared with.
      similarity: (embeddings of rows, embeddings of others) -> [rows, others].
    """
    if isinstance(rows.embeddings, jax.Array):
        bad = ~jnp.isfinite(rows.embeddings).reshape(len(rows.where), -1).all(axis=1)
    else:
        one = jax.tree.map(lambda a: a[jnp.argmax(others.where)][None], others.embeddings)
        scores = scored(similarity, rows.embeddings, one, (len(rows.where), 1))
        bad = jnp.isnan(jax.lax.stop_gradient(scores))[:, 0]
    for leaf in jax.tree.leaves((rows.keys, rows.inputs)):
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            bad = bad | jnp.isnan(leaf).any(axis=tuple(range(1, leaf.ndim)))
    return bad


def meets_nan(anchors, references, similarity):
    """Which anchors hold NaN, all where a reference that counts does: bool [rows]; arguments as in `lift`."""
    theirs = references.where & spoiled(references, anchors, _turned(similarity))
    return spoiled(anchors, references, similarity) | theirs.any()


def first_step(similarity, anchors, references):
    """What a similarity takes of rows alone, taken: (what is left of it, anchors, references)."""
    steps = steps_of(similarity)
    if steps is None:
        return similarity, anchors, references
    mine, theirs = steps.of_rows(anchors.embeddings, references.embeddings)
    return (
        steps.of_pairs,
        anchors._replace(embeddings=mine),
        references._replace(embeddings=theirs),
    )


def compared(similarity, same, anchors, references):
    """Scores [rows, references], which pairs are positives, and which take part; arguments as in `lift`."""
    where = anchors.where[:, None] & references.where
    if anchors.ids is not None and references.ids is not None:
        where = where & (anchors.ids[:, None] != references.ids)
    scores = scored(similarity, anchors.embeddings, references.embeddings, where.shape)
    return scores, where & same(anchors.keys, references.keys), where


def scored(similarity, x, y, shape):
    """Scores, of the shape that they must have."""
    scores = similarity(x, y)
    if jnp.shape(scores) != shape:
        raise ValueError(f"similarity must give scores of shape {shape}, got {jnp.shape(scores)}")
    return scores


def _turned(similarity):
    return lambda x, y: similarity(y, x).T


def counted(where, bad, values, weights):
    """A rule's values and weights [rows], 0 where a row is padding, NaN of weight 1 where it is bad."""
    one = jnp.ones((), values.dtype)
    weights = jnp.where(bad, one, jnp.where(where, weights, 0).astype(values.dtype))

    def of_each(row):
        return row.reshape(-1, *[1] * (values.ndim - 1))

    # A product, and no choice: the gradient is NaN too.
    values = values * of_each(jnp.where(bad, jnp.nan, one))
    return jnp.where(of_each(weights > 0), values, 0), weights


def _as_list(parts):
    return parts if isinstance(parts, list) else [parts]


def _one_row(a):
    return jax.ShapeDtypeStruct((1, *a.shape[1:]), a.dtype)


def keyed(rule, settings):
    """The rule with its hyperparameters; a key among them becomes one key per row."""

    def keyed(scores, positives, where, *inputs, keys):
        arguments = dict(settings)
        if arguments.get("key") is not None:
            arguments["key"] = keys(arguments["key"])
        return rule(scores, positives, where, *inputs, **arguments)

    return keyed


def _key_of_each(key, numbers):
    return jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)


def reduced(parts, weights, axis_name, reduce_fn):
    """From the rows' values and weights to what the loss returns."""
    if weights is not None:
        weights = checks.weights("weights", weights, len(parts[0][1]), "one per anchor")
        parts = [(values, weighted(counts, weights)) for values, counts in parts]
    return reduced_parts(parts, axis_name, reduce_fn)


def without_padding(rows):
    """Padding zeroed: NaN in it must not reach a product."""
    return _kept(rows, rows.where)


def without_weight(anchors, weights, references, similarity):
    """Anchors of weight 0 zeroed, if they hold NaN: as anchors they do not count.

    Those without NaN stay: another row's statistic may be made of them.
    """
    if weights is None:
        return anchors
    weights = checks.weights("weights", weights, len(anchors.where), "one per anchor")
    return _kept(anchors, (weights != 0) | ~spoiled(anchors, references, similarity))


def _kept(rows, where):
    embeddings, keys, inputs = jax.tree.map(
        lambda leaf: zeroed(leaf, where), (rows.embeddings, rows.keys, rows.inputs)
    )
    return rows._replace(embeddings=embeddings, keys=keys, inputs=inputs)
