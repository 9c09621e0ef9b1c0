"""Rows of scores, block by block: what every pairwise loss runs on.

Blocks of anchors are walked with `lax.map` over a checkpointed body: memory is O(block * references),
never [batch, references], forward and backward.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.devices import row_ids

# Scores that a block may hold when `block` is None. On CPU what a core's cache holds, which pays for taking
# every score twice, unless vectors are long: WHOLE grows with them. Each block adds to the gradient of all
# references, so that blocks grow with vectors too, to half of what the references hold at most
# (benchmarks/README.md has the times).
WHOLE, WHOLE_PER_DIMENSION, IN_CACHE, LEAST_ROWS = 2**20, 2**13, 2**19, 128
# On accelerators, and of anything else that is walked in blocks: 16 MiB of float32.
BLOCK_ENTRIES = 2**22


class Rows(NamedTuple):
    """One side of the score matrix; all leaves have the same leading axis."""

    embeddings: Any  # pytree, as the similarity takes it
    keys: Any  # pytree, what decides which pairs are positives
    ids: jax.Array | None  # int; an anchor never meets the reference of its own id
    where: jax.Array  # bool, False for padding
    inputs: Any = ()  # pytree, what further inputs of the rule are built from


def lift(
    rule, anchors, references, *, similarity, same, builders=(), block=None, axis_name=None
):  # fmt: skip
    """Values and weights of a rule, walking blocks of anchors: what a loss is before its reduction.

    Args:
      rule: (scores, positives, where, *inputs, keys) -> (values, weights), or a list of them; `keys`
        is a function that gives a key per row of a key.
      anchors, references: `Rows`.
      similarity: (x [n, ...], y [m, ...]) -> [n, m].
      same: (anchor keys, reference keys) -> bool [n, m], which pairs are positives.
      builders: (mine, theirs) -> [n, m], one for each of the `inputs` of Rows.
      block: anchors per block; None chooses it from the sizes, see `block_of`.
      axis_name: over which the anchors are split; it numbers the rows for their keys.

    Returns: a list of (values, weights), [batch] each. An anchor that is padding has weight 0. A rule's
    values may have further axes, for a reduction of its own.
    """
    batch, size = anchors.where.shape[0], references.where.shape[0]
    if block is None:
        leaves = jax.tree.leaves(references.embeddings)
        block = block_of(batch, size, sum(a.shape[-1] for a in leaves if a.ndim > 1))
    checks.whole("block", block)
    by_id = anchors.ids is not None and references.ids is not None

    def rows(some, numbers):
        where = some.where[:, None] & references.where
        if by_id:
            where = where & (some.ids[:, None] != references.ids)
        scores = similarity(some.embeddings, references.embeddings)
        if scores.shape != where.shape:
            raise ValueError(
                f"similarity must give scores of shape {where.shape}, got {scores.shape}"
            )
        positives = where & same(some.keys, references.keys)
        inputs = (
            f(*ends) for f, *ends in zip(builders, some.inputs, references.inputs, strict=True)
        )
        parts = rule(scores, positives, where, *inputs, keys=lambda key: _key_of_each(key, numbers))
        return [_counted(some.where, *part) for part in _as_list(parts)]

    numbers = row_ids(batch, axis_name)
    if batch == 0 or size == 0:
        shapes = jax.eval_shape(rows, *jax.tree.map(_one_row, (anchors, numbers)))
        return jax.tree.map(lambda a: jnp.zeros((batch, *a.shape[1:]), a.dtype), shapes)
    if block >= batch:
        return rows(anchors, numbers)
    padding = -batch % block
    blocks = jax.tree.map(
        lambda a: jnp.pad(a, [(0, padding)] + [(0, 0)] * (a.ndim - 1)).reshape(
            -1, block, *a.shape[1:]
        ),
        (anchors, numbers),
    )
    lifted = jax.lax.map(lambda some: jax.checkpoint(rows)(*some), blocks)
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:batch], lifted)


def block_of(batch, size, dim):
    """Anchors per block of scores [batch, size] of vectors [dim] where nothing was asked for."""
    if jax.default_backend() != "cpu":
        return max(1, min(batch, BLOCK_ENTRIES // max(size, 1)))
    if batch * size <= max(WHOLE, WHOLE_PER_DIMENSION * dim):
        return max(1, batch)
    return min(batch, max(LEAST_ROWS, dim // 2, IN_CACHE // size))


def _counted(where, values, weights):
    weights = jnp.where(where, weights, 0).astype(values.dtype)
    counted = (weights > 0).reshape(-1, *[1] * (values.ndim - 1))
    return jnp.where(counted, values, 0), weights


def _as_list(parts):
    return parts if isinstance(parts, list) else [parts]


def _one_row(a):
    return jax.ShapeDtypeStruct((1, *a.shape[1:]), a.dtype)


def keyed(rule, settings):
    """The rule with its hyperparameters; a key among them becomes one key per row."""

    def keyed(scores, positives, where, *inputs, keys):
        own = dict(settings)
        if own.get("key") is not None:
            own["key"] = keys(own["key"])
        return rule(scores, positives, where, *inputs, **own)

    return keyed


def _key_of_each(key, numbers):
    return jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)


def reduced(parts, weights, axis_name, reduce_fn):
    """From the rows' values and weights to what the loss returns."""
    if weights is not None:
        weights = jnp.asarray(weights)
        checks.shaped("weights", weights, parts[0][1].shape, "one per anchor")
        parts = [(values, counts * weights) for values, counts in parts]
    if reduce_fn is None:
        return parts[0] if len(parts) == 1 else parts
    return functools.reduce(jnp.add, [reduce_fn(*part, axis_name) for part in parts])


def without_padding(rows):
    """Padding zeroed: NaN in it must not reach a product."""
    zeroed = functools.partial(_zeroed, rows.where)
    return rows._replace(
        embeddings=jax.tree.map(zeroed, rows.embeddings), inputs=jax.tree.map(zeroed, rows.inputs)
    )


def _zeroed(where, leaf):
    zero = jnp.zeros((), leaf.dtype)  # of its own type: a mask among the leaves stays one
    return jnp.where(where.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, zero)
