"""One training step, written per device: it knows its named axis, and not how it is spread."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxsim.training.objective import evaluate


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
      optimizer: an optax transformation.
      axis_name: of the devices.

    Returns: the per-device function. Its key is the run's: the step's number is folded in.
    """

    def step(carry, batch, key):
        def loss_of(params):
            return evaluate(
                objective,
                params,
                carry.state,
                batch,
                key=jax.random.fold_in(key, carry.step),
                axis_name=axis_name,
            )

        (loss, (state, metrics)), gradient = jax.value_and_grad(loss_of, has_aux=True)(carry.params)
        gradient, metrics = jax.lax.pmean((gradient, metrics), axis_name)
        sound = carry.sound & jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(gradient))
        updates, optimizer_state = optimizer.update(gradient, carry.optimizer, carry.params)
        fresh = Carry(
            optax.apply_updates(carry.params, updates),
            optimizer_state,
            state,
            carry.step + 1,
            sound,
        )
        kept = jax.tree.map(lambda new, old: jnp.where(sound, new, old), fresh, carry)
        return kept._replace(sound=sound), loss, metrics

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
