"""One training step, written per device: it knows its named axis, and not how it is spread."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxsim.training.objective import evaluate
from jaxsim.training.row_sparse import RowOptimizer, rows_of


class Carry(NamedTuple):
    """What goes from step to step: all of it is in a checkpoint."""

    params: Any
    optimizer: Any  # optax's state
    state: Any  # the objective's, or None
    step: jax.Array  # int32, how many steps were taken
    sound: jax.Array  # bool, False from the first loss or gradient that is not finite


def make_step(objective, optimizer, *, axis_name="devices"):
    """The step of an objective: (carry, batch, key) -> (carry, loss, metrics).

    The loss is differentiated inside the per-device function, and the gradient of the parameters is
    averaged over the axis: exact under pmap, shard_map (either check_vma) and vmap. Metrics are
    averaged likewise. A step whose loss or gradient is not finite changes nothing, and neither does
    any after it, so that the parameters before the fault can be saved.

    Args:
      objective: see jaxsim.training.objective.
      optimizer: an optax transformation, or a `RowOptimizer`: the objective then gets the rows that
        it looks up in place of the tables.
      axis_name: of the devices.

    Returns: the per-device function. Its key is the run's: the step's number is folded in.
    """

    by_rows = isinstance(optimizer, RowOptimizer)

    def step(carry, batch, key):
        key = jax.random.fold_in(key, carry.step)
        ids = optimizer.lookup(batch, key) if by_rows else None

        def loss_of(params):
            return evaluate(objective, params, carry.state, batch, key=key, axis_name=axis_name)

        read = rows_of(carry.params, ids) if by_rows else carry.params
        (loss, (state, metrics)), gradient = jax.value_and_grad(loss_of, has_aux=True)(read)
        metrics = jax.lax.pmean(metrics, axis_name)
        if by_rows:
            # Every device's rows, with gradients that add up to the mean over devices.
            gradient = jax.tree.map(lambda g: g / jax.lax.axis_size(axis_name), gradient)
            ids, gradient = jax.lax.all_gather((ids, gradient), axis_name, tiled=True)
        else:
            gradient = jax.lax.pmean(gradient, axis_name)
        sound = carry.sound & jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(gradient))

        def unless_unsound(new, old):
            return jax.tree.map(lambda new, old: jnp.where(sound, new, old), new, old)

        if by_rows:  # the tables themselves are never copied
            ids = jax.tree.map(lambda i, t: jnp.where(sound, i, t.shape[0]), ids, carry.params)
            params, own = optimizer.update(ids, gradient, carry.optimizer, carry.params)
            own = own._replace(count=unless_unsound(own.count, carry.optimizer.count))
        else:
            updates, own = optimizer.update(gradient, carry.optimizer, carry.params)
            params = optax.apply_updates(carry.params, updates)
            params, own = unless_unsound((params, own), (carry.params, carry.optimizer))
        state, number = unless_unsound((state, carry.step + 1), (carry.state, carry.step))
        return Carry(params, own, state, number, sound), loss, metrics

    return step


def on_devices(step, devices, *, axis_name="devices"):
    """The step under pmap: the batch is split, everything else is the same everywhere, undecorated.

    Args:
      step: as `make_step` gives it.
      devices: the local devices to use.
      axis_name: of the devices.

    Returns: (carry, batch [devices, rows, ...], key) -> (carry, loss, metrics); the carry is donated.
    """
    return jax.pmap(
        step,
        axis_name,
        in_axes=(None, 0, None),
        out_axes=None,
        devices=devices,
        donate_argnums=0,
    )


def replicated(carry, devices, *, axis_name="devices"):
    """The carry placed as the step under pmap returns it: elsewhere, the second step compiles anew.

    Args:
      carry: of the start, or restored.
      devices: the local devices that `on_devices` was given.
      axis_name: of the devices.

    Returns: the carry; with several processes as it came.
    """
    if jax.process_count() > 1:
        return carry
    mesh = jax.sharding.Mesh(np.array(devices), (axis_name,))
    return jax.device_put(carry, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))
