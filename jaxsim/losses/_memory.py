"""Embeddings of earlier batches to compare with: explicit state, passed in and returned.

    memory, batch -> memory with the batch         (remembered: a queue, cross-batch memory)
    bank, ids, rows -> bank with the rows          (averaged_bank: one moving average per example)

A memory is a part of the objective's state; it carries no gradient. On several devices the rows of all
of them enter in the order of the devices, so that every device holds the same memory:

    memory = remembered(memory, embeddings, labels, ids=ids, where=where, axis_name="devices")
    loss = multi_similarity(embeddings, labels, ids=ids, **as_references(memory), axis_name="devices")
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks
from jaxsim.numerics._norms import unit
from jaxsim.numerics.types import Array, ArrayTree, Numeric


class Memory(NamedTuple):
    """The last rows that were seen, the oldest overwritten first.

    Data: labels.
    Kind: state; memory capacity x dim.
    """

    embeddings: Any  # [capacity, dim], or a pytree
    labels: jax.Array  # [capacity] or [capacity, c]
    ids: jax.Array  # int32 [capacity], -1 where the row has none
    where: jax.Array  # bool [capacity], False for places that are still empty
    place: jax.Array  # int32, where the next row goes


def empty_memory(capacity: int, embeddings: ArrayTree, labels: Array) -> "Memory":
    """A memory with no rows, for rows like those given.

    Args:
      capacity: how many rows it holds, at least 1.
      embeddings: arrays, or their shapes, [batch, dim], or a pytree: only shapes and types matter.
      labels: [batch] or [batch, c] likewise.

    Returns: `Memory`.
    Raises: ValueError for a capacity below 1.
    Data: labels.
    Kind: state; memory capacity x dim.
    """
    checks.whole("capacity", capacity)

    def empty(like):
        return jnp.zeros((capacity, *jnp.shape(like)[1:]), jnp.result_type(like))

    return Memory(
        jax.tree.map(empty, embeddings),
        empty(labels),
        jnp.full(capacity, -1, jnp.int32),
        jnp.zeros(capacity, bool),
        jnp.zeros((), jnp.int32),
    )


@checked
def remembered(
    memory: "Memory",
    embeddings: ArrayTree,
    labels: Array,
    *,
    ids: Array | None = None,
    where: Array | None = None,
    axis_name: str | None = None,
) -> "Memory":
    """The memory with its oldest rows replaced by a batch.

    Padding is not stored. Of a batch larger than the memory the last rows are kept.

    Args:
      memory: `Memory`.
      embeddings: [batch, dim], or a pytree, as the memory's.
      labels: [batch] or [batch, c].
      ids: int [batch], which example a row is of: a loss that is given them leaves out an example's
        older copies, and itself if the batch enters before the loss. Without them nothing is left out.
      where: bool [batch], False for padding.
      axis_name: the named axis over which the batch is split.

    Returns: `Memory`, the same on every device.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: cross-batch memory, Wang et al. 2020 (1912.06798), algorithm 1.
    Data: labels.
    Kind: state; memory capacity x dim, and the batch of all devices.
    """
    embeddings = checks.vectors("embeddings", embeddings)
    batch = checks.rows_of("embeddings", embeddings)
    if jax.tree.structure(embeddings) != jax.tree.structure(memory.embeddings):
        raise ValueError(
            f"embeddings must be as the memory's, {jax.tree.structure(memory.embeddings)}, "
            f"got {jax.tree.structure(embeddings)}"
        )
    for new, old in zip(*map(jax.tree.leaves, (embeddings, memory.embeddings)), strict=True):
        checks.shaped("embeddings", new, (batch, *old.shape[1:]), "as the memory's")
    labels = checks.numbers_of("labels", labels)
    checks.shaped("labels", labels, (batch, *memory.labels.shape[1:]), "as the memory's")
    if not jnp.can_cast(labels.dtype, memory.labels.dtype, "same_kind"):
        raise ValueError(
            f"labels must be {memory.labels.dtype}, as the memory's, got {labels.dtype}"
        )
    if ids is None:
        ids = jnp.full(batch, -1, jnp.int32)
    ids = checks.column("ids", ids, batch, "one per row of embeddings")
    rows = embeddings, labels, ids, checks.mask("where", where, (batch,))
    rows = _of_all_devices(jax.lax.stop_gradient(rows), axis_name)
    embeddings, labels, ids, where = rows
    capacity, count = memory.where.shape[0], where.sum()
    turn = jnp.cumsum(where) - 1  # of a row among those that enter
    stays = where & (turn >= count - capacity)  # which of two rows won a place is not defined
    places = jnp.where(stays, (memory.place + turn) % capacity, capacity)

    def put(old, new):
        return old.at[places].set(new.astype(old.dtype), mode="drop")

    return Memory(
        jax.tree.map(put, memory.embeddings, embeddings),
        put(memory.labels, labels),
        put(memory.ids, ids),
        put(memory.where, where),
        ((memory.place + count) % capacity).astype(jnp.int32),
    )


def as_references(memory: "Memory") -> dict[str, jax.Array]:
    """What a loss over labels takes to compare with the memory: its arguments by name.

    Data: labels.
    Kind: state; memory that of the memory.
    """
    return {
        "references": memory.embeddings,
        "reference_labels": memory.labels,
        "reference_ids": memory.ids,
        "reference_where": memory.where,
    }


def cross_batch(loss: Callable) -> Callable:
    """Cross-batch memory (XBM) around a loss over labels: (embeddings, labels, memory) -> (loss, memory).

        queue = losses.memory.empty_memory(1024, embeddings, labels)
        loss, queue = losses.memory.cross_batch(losses.contrastive)(embeddings, labels, queue)

    The batch enters the memory, then each of its rows is compared with all rows there except itself.

    Args:
      loss: a loss over labels.

    Returns: function (embeddings, labels, memory, *, ids=None, where=None, axis_name=None, ...) -> (loss,
    memory with the batch), which `jax.value_and_grad` takes with has_aux=True. With `ids`, as `remembered` has
    them, an example's older copies are left out too. All else is of the loss.
    Source: cross-batch memory, Wang et al. 2020 (1912.06798), algorithm 1.
    Data: labels.
    Kind: state; memory that of the loss against the memory.
    """

    def remembering(
        embeddings, labels, memory, *, ids=None, where=None, axis_name=None, **settings
    ):
        known = memory
        numbers = ids
        if ids is None:  # numbers that no older row has
            numbers = jnp.arange(checks.rows_of("embeddings", embeddings))
            if axis_name is not None:
                checks.bound(axis_name)
                numbers = numbers + jax.lax.axis_index(axis_name) * numbers.size
            known = memory._replace(ids=jnp.full_like(memory.ids, -1))
        common = {"ids": numbers, "where": where, "axis_name": axis_name}
        known = remembered(known, embeddings, labels, **common)
        value = loss(embeddings, labels, **common, **as_references(known), **settings)
        if ids is None:
            known = known._replace(ids=jnp.full_like(known.ids, -1))
        return value, known

    return remembering


@checked
def averaged_bank(
    bank: Array,
    ids: Array,
    embeddings: ArrayTree,
    *,
    momentum: Numeric = 0.5,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """A bank of one unit vector per example, moved towards the batch's vectors of those examples.

        bank_id <- unit( momentum bank_id + (1 - momentum) z )

    A row of zeros, one never seen, becomes unit(z). Of several rows of one example the last counts.

    Args:
      bank: [examples, dim], rows of norm 1 or 0.
      ids: int [batch], from 0 to examples - 1. Others are refused; on a device they make the bank NaN.
      embeddings: z [batch, dim].
      momentum: how much of the old stays, from 0 to 1; may be traced. 0.5 is the source's code.
      where: bool [batch], False for padding.
      axis_name: the named axis over which the batch is split.

    Returns: [examples, dim], the same on every device.
    Raises: ValueError for shapes that do not fit, a momentum outside [0, 1], an axis that is not bound.
    Source: Wu et al. 2018 (1805.01978), section 3.2, as Wang and Liu 2021 (2012.09740) use it.
    Data: unlabeled, labels.
    Kind: state; memory examples x dim.
    """
    checks.probability("momentum", momentum)
    bank = matrix("bank", bank, "one row per example")
    embeddings = matrix("embeddings", embeddings, "as wide as the bank")
    checks.shaped("embeddings", embeddings, (None, bank.shape[-1]), "as wide as the bank")
    batch = embeddings.shape[0]
    outside = checks.within(
        "ids", ids, 0, len(bank) - 1, where=where, remedy="they are places in the bank"
    )
    ids = checks.column("ids", ids, batch, "one per row of embeddings")
    where = checks.mask("where", where, (batch,))
    rows = jax.lax.stop_gradient((ids, embeddings, where, outside & where))
    ids, embeddings, where, outside = _of_all_devices(rows, axis_name)
    turn = jnp.where(where, jnp.arange(ids.shape[0]), -1)
    examples = bank.shape[0]
    last = jnp.full(examples, -1).at[ids].max(turn, mode="drop")
    moved = unit(momentum * bank[ids] + (1 - momentum) * embeddings)
    places = jnp.where(where & (last[ids] == turn), ids, examples)
    bank = bank.at[places].set(moved.astype(bank.dtype), mode="drop")
    # An id on a device that is not a place in the bank: what it should have changed is unknown.
    return jnp.where(outside.any(), jnp.nan, bank)


def _of_all_devices(rows, axis_name):
    """Gathered in the order of the devices, and known to be equal on all: state must be."""
    if axis_name is None:
        return rows
    checks.bound(axis_name)
    return jax.lax.all_gather(rows, axis_name, tiled=True, to="invarying")
