"""A ring of devices: every anchor is compared with all references, and no device holds all of them.

Each device keeps its rows; blocks of references are passed from neighbor to neighbor, and every anchor adds
up what it needs of them. The backward pass is a second round, on which the gradient of a block travels with it
until it is back on its device. A device holds its rows, one neighbor's, and a tile of scores.
"""

import functools

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._blocks import block_of, compared, counted, spoiled
from jaxsim.losses._lift._one_pass import (
    added,
    float32_zeros,
    in_blocks,
    split,
    varying,
    varying_numbers,
)
from jaxsim.numerics import checks
from jaxsim.numerics.masked import NOTHING


def lift_in_ring(
    form, settings, anchors, passed, still, *, similarity, same, block=None, axis_name=None
):
    """Values and weights of a rule in its form for the ring: `lift`, where references stay split.

    Args:
      form: (walk, **settings) -> (values [batch], weights [batch]), of

            walk(of_tile, *statistics) -> (log-sums, sums)

        where of_tile(scores, positives, where, *statistics) -> (log-sums, sums) of a tile of scores
        [rows, references], two tuples of arrays [rows], and walk has both of all references: sums added,
        log-sums by the logarithm of their added exponentials, `masked.NOTHING` being that of nothing. The
        statistics [batch] are of the anchors, from an earlier walk, and come as [rows, 1].
      settings: the rule's hyperparameters.
      anchors: `Rows`.
      passed: a tuple of `Rows`, references of this device, for the anchors of all devices.
      still: a tuple of `Rows` that are the same on every device.
      similarity, same, block, axis_name: as in `lift`.

    Returns: a list of (values, weights), [batch] each, as `lift`; differentiable once, in reverse mode.
    """
    checks.function("similarity", similarity, "of jaxsim.similarity, such as similarity.cosine")
    checks.function("same", same, "of (labels of rows, labels of references)")
    if block is not None:
        checks.whole("block", block)

    bad = _any_spoiled(passed, anchors, similarity)
    if axis_name is not None:
        bad = jax.lax.pmax(bad.astype(jnp.int32), axis_name) > 0
    bad = bad | _any_spoiled(still, anchors, similarity)
    bad = anchors.where & (spoiled(anchors, (*passed, *still)[0], similarity) | bad)

    def walk(of_tile, *statistics):
        def of_rows(mine, theirs):
            rows, statistics = mine
            tile = compared(similarity, same, rows, theirs)
            return of_tile(*tile, *(a[:, None] for a in statistics))

        mine = anchors, statistics
        rounds = [_around(of_rows, mine, rows, block, axis_name, True) for rows in passed]
        rounds += [_around(of_rows, mine, rows, block, axis_name, False) for rows in still]
        return functools.reduce(_merged, rounds)

    return [counted(anchors.where, bad, *form(walk, **varying_numbers(settings, axis_name)))]


def _any_spoiled(several, anchors, similarity):
    """Whether references that count hold NaN: bool []."""

    def turned(x, y):
        return similarity(y, x).T

    bad = [(rows.where & spoiled(rows, anchors, turned)).any() for rows in several]
    return functools.reduce(jnp.logical_or, bad, jnp.zeros((), bool))


def _around(of_rows, mine, theirs, block, axis_name, passed):
    """What `of_rows` gives for all of mine, merged over the blocks of theirs that come by.

    Args:
      of_rows: (rows of mine, theirs) -> (log-sums, sums).
      mine, theirs: pytrees of rows.
      block: rows of mine at once.
      axis_name: over which both are split, or None.
      passed: whether theirs are passed around; else each device has all.
    """
    mine, theirs = varying((mine, theirs), axis_name)
    batch, size = (jax.tree.leaves(tree)[0].shape[0] for tree in (mine, theirs))
    if block is None:
        leaves = jax.tree.leaves(theirs.embeddings)
        block = block_of(batch, size, sum(a.shape[-1] for a in leaves if a.ndim > 1))
    block = min(block, batch)
    blocks = in_blocks(block, mine)
    # What similarity and rule close over, such as a traced temperature, has gradients too.
    tile, inside = jax.closure_convert(of_rows, jax.tree.map(lambda a: a[0], blocks), theirs)
    (blocks, still, joined), (theirs, their_still, their_joined) = split(blocks), split(theirs)
    count = jax.lax.axis_size(axis_name) if passed and axis_name is not None else 1

    def sums_of(rows, live, constants, inside):
        return tile(joined(*rows), their_joined(live, constants), *inside)

    def onward(tree):
        if count == 1:
            return tree
        return jax.lax.ppermute(tree, axis_name, [(i, (i + 1) % count) for i in range(count)])

    @jax.custom_vjp
    def summed(blocks, still, theirs, constants, inside):
        def step(state, _):
            theirs, constants, sums = state
            here = jax.lax.map(
                lambda rows: sums_of(rows, theirs, constants, inside), (blocks, still)
            )
            return (*onward((theirs, constants)), _merged(sums, here)), None

        first = [a[0] for a in blocks], [a[0] for a in still]
        shapes = jax.eval_shape(sums_of, first, theirs, constants, inside)
        rows = jax.tree.leaves(blocks)[0].shape[:1]
        logs, sums = jax.tree.map(lambda a: jnp.zeros((*rows, *a.shape), a.dtype), shapes)
        start = varying((tuple(a + NOTHING for a in logs), sums), axis_name)
        return jax.lax.scan(step, (theirs, constants, start), length=count)[0][-1]

    def forward(*arguments):
        sums = summed(*arguments)
        return sums, (arguments, sums[0])

    def backward(residuals, slopes):
        (blocks, still, theirs, constants, inside), logs = residuals

        def tile_back(so_far, rows):
            block, still, logs, (of_logs, of_sums), theirs, constants = rows
            (here, _), pull = jax.vjp(
                lambda block, theirs, inside: sums_of((block, still), theirs, constants, inside),
                *(block, theirs, inside),
            )
            shares = tuple(g * jnp.exp(a - b) for g, a, b in zip(of_logs, here, logs, strict=True))
            of_block, *others = pull((shares, of_sums))
            return added(so_far, tuple(others)), of_block

        def step(state, _):
            theirs, constants, of_theirs, of_blocks, of_inside = state
            (of_theirs, of_inside), here = jax.lax.scan(
                lambda so_far, rows: tile_back(so_far, (*rows, theirs, constants)),
                (of_theirs, of_inside),
                (blocks, still, logs, slopes),
            )
            theirs, constants, of_theirs = onward((theirs, constants, of_theirs))
            return (theirs, constants, of_theirs, added(of_blocks, here), of_inside), None

        nothing = jax.tree.map(float32_zeros, (theirs, blocks, inside))
        *_, of_theirs, of_blocks, of_inside = jax.lax.scan(
            step, (theirs, constants, *nothing), length=count
        )[0]
        gradients = jax.tree.map(
            lambda a, like: a.astype(like.dtype),
            (of_blocks, of_theirs, of_inside),
            (blocks, theirs, inside),
        )
        return gradients[0], None, gradients[1], None, gradients[2]

    summed.defvjp(forward, backward)
    sums = summed(blocks, still, theirs, their_still, inside)
    return jax.tree.map(lambda a: a.reshape(-1)[:batch], sums)


def _merged(one, other):
    logs = tuple(map(jnp.logaddexp, one[0], other[0]))
    return logs, tuple(map(jnp.add, one[1], other[1]))
