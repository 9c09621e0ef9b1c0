"""One training step, written per device: it knows its named axis, but not how it is mapped."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxsim.numerics.types import ArrayTree, Objective
from jaxsim.training import _shards as shards
from jaxsim.training._objective import AXIS, evaluate
from jaxsim.training._row_sparse import RowOptimizer, rows_of


class Carry(NamedTuple):
    """Training state that goes from step to step: all of it is in a checkpoint."""

    params: Any
    optimizer: Any  # optax's state
    state: Any  # the objective's, or None
    step: jax.Array  # int32, how many steps were taken
    sound: jax.Array  # bool, False from the first loss or gradient that is not finite
    average: Any = None  # of the parameters over the steps, or None


def make_step(
    objective: Objective,
    optimizer: Any,
    *,
    axis_name: str = AXIS,
    layout: ArrayTree | None = None,
    average: float | None = None,
) -> Callable[..., tuple]:
    """Training step of an objective: (carry, batch, key) -> (carry, loss, metrics).

    The loss is differentiated inside the per-device function, and the gradient of the parameters is
    averaged over the axis: exact under pmap, shard_map (either check_vma) and vmap. Metrics are
    averaged likewise. A step whose loss or gradient is not finite changes nothing, and neither does
    any after it, so that the parameters before the fault can be saved.

    Args:
      objective: see jaxsim.training._objective.
      optimizer: an optax transformation, or a `RowOptimizer`: the objective then gets the rows that
        it looks up in place of the tables.
      axis_name: of the devices.
      layout: which axis of each parameter is split over the devices (jaxsim.training._shards): the
        carry then holds a device's parts; None has all whole.
      average: decay of the moving average of the parameters, or None for none.

    Returns: the per-device function. Its key is the run's: the step's number is folded in.
    """

    by_rows = isinstance(optimizer, RowOptimizer)
    norm = shards.norm_over(layout, axis_name)

    def step(carry, batch, key):
        key = jax.random.fold_in(key, carry.step)
        ids = optimizer.lookup(batch, key) if by_rows else None

        def loss_of(params):
            return evaluate(
                objective,
                params,
                carry.state,
                batch,
                key=key,
                axis_name=axis_name,
                step=carry.step,
            )

        if by_rows:
            read = rows_of(carry.params, ids)
        elif layout is not None:
            read = shards.whole_params(carry.params, layout, axis_name)
        else:
            read = carry.params
        (loss, (state, metrics)), gradient = jax.value_and_grad(loss_of, has_aux=True)(read)
        metrics = jax.lax.pmean(metrics, axis_name)
        if by_rows:
            # Every device's rows, with gradients that add up to the mean over devices.
            gradient = jax.tree.map(lambda g: g / jax.lax.axis_size(axis_name), gradient)
            ids, gradient = jax.lax.all_gather((ids, gradient), axis_name, tiled=True)
        else:
            gradient = shards.averaged(gradient, layout, axis_name)
        sound = carry.sound & jnp.isfinite(loss) & jnp.isfinite(norm(gradient))

        def unless_unsound(new, old):
            return jax.tree.map(lambda new, old: jnp.where(sound, new, old), new, old)

        if by_rows:  # the tables themselves are never copied
            ids = jax.tree.map(lambda i, t: jnp.where(sound, i, t.shape[0]), ids, carry.params)
            params, moments = optimizer.update(ids, gradient, carry.optimizer, carry.params)
            moments = moments._replace(count=unless_unsound(moments.count, carry.optimizer.count))
        else:
            update = optax.with_extra_args_support(optimizer).update
            updates, moments = update(gradient, carry.optimizer, carry.params, norm=norm)
            params = optax.apply_updates(carry.params, updates)
            params, moments = unless_unsound((params, moments), (carry.params, carry.optimizer))
        state, number = unless_unsound((state, carry.step + 1), (carry.state, carry.step))
        mean = carry.average
        if average is not None:
            moved = jax.tree.map(lambda a, p: average * a + (1 - average) * p, mean, params)
            mean = unless_unsound(moved, mean)
        return Carry(params, moments, state, number, sound, mean), loss, metrics

    return step
