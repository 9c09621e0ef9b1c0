"""The objective contract, and the check that a loss is that of the whole batch.

objective(params, batch, *, key, axis_name) -> loss, or (loss, metrics)
objective(params, state, batch, *, key, axis_name) -> (loss, (state, metrics))      with a state
"""

import logging

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, PartitionSpec

from jaxsim.numerics import checks

LOG = logging.getLogger("jaxsim.training")
AXIS = "devices"


def evaluate(objective, params, state, batch, *, key, axis_name):
    """The objective's result in one form: (loss, (state, metrics))."""
    if state is not None:
        loss, (state, metrics) = objective(params, state, batch, key=key, axis_name=axis_name)
        return loss, (state, metrics)
    result = objective(params, batch, key=key, axis_name=axis_name)
    loss, metrics = result if isinstance(result, tuple) else (result, {})
    return loss, (None, metrics)


def check_objective(objective, params, batch, *, key, state=None):
    """Refuses a loss that is not a scalar, or that was not reduced over the devices. Compiles nothing.

    A loss of the local rows trains on local negatives in silence, with gradients that are far off.
    It cannot tell a mean of local losses from a global loss: both are the same on every device.

    Args:
      objective: see above.
      params: its parameters.
      batch: one batch, not split.
      key: a jax.random key.
      state: its state, or None.

    Raises: ValueError.
    """
    mesh = jax.sharding.Mesh(jax.devices()[:1], (AXIS,), axis_types=(AxisType.Auto,))
    here, split = PartitionSpec(), PartitionSpec(AXIS)

    def local(params, state, batch, key):
        loss, _ = evaluate(objective, params, state, batch, key=key, axis_name=AXIS)
        loss = jnp.asarray(loss)
        checks.shaped("the objective's loss", loss, (), "a scalar")
        if not jnp.issubdtype(loss.dtype, jnp.floating):
            raise ValueError(f"the objective's loss must be a float, got {loss.dtype}")
        return loss

    mapped = jax.shard_map(
        local, mesh=mesh, in_specs=(here, here, split, here), out_specs=here, check_vma=True
    )
    try:
        jax.eval_shape(mapped, params, state, batch, key)
    except ValueError as error:
        # The loss is the only output, so that this can only be about it.
        if "out_specs" not in str(error):
            raise
        raise ValueError(
            "the objective's loss was not reduced over the devices: each would train on its own "
            f"rows; pass axis_name={AXIS!r} to the loss, or reduce with "
            "jaxsim.numerics.mean(values, weights, axis_name)"
        ) from None
    except TypeError as error:
        if "carry" not in str(error):
            raise
        # A scan whose carry starts from constants: the check's own strictness, no fault of the loss.
        LOG.warning("could not check that the loss is global: a scan in it has a constant start")
