"""The contract of objectives, and the check that a loss is that of the whole batch.

objective(params, batch, *, key, axis_name) -> loss, or (loss, metrics)
objective(params, state, batch, *, key, axis_name) -> (loss, (state, metrics))      with a state

An objective of either form that has a parameter `step` gets it: how many steps were taken before this
one, an int32 scalar, traced, so that `jnp.where` and `jax.lax.cond` choose by it and `if` cannot. It is
in the checkpoint: a resumed run counts on.
"""

import inspect
import logging

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, PartitionSpec

from jaxsim.numerics import checks
from jaxsim.numerics.types import ArrayTree, Batch, Objective, PRNGKey

LOG = logging.getLogger("jaxsim.training")
AXIS = "devices"
RESERVED = "step", "loss", "examples/s", "validation"  # of lines in metrics.jsonl


def evaluate(
    objective: Objective,
    params: ArrayTree,
    state: ArrayTree | None,
    batch: Batch,
    *,
    key: PRNGKey,
    axis_name: str | None,
    step: jax.Array | None,
) -> tuple:
    """The objective's result in one form: (loss, (state, metrics)).

    Its step is passed to objectives that have a parameter of that name; None is passed to none.

    Raises: ValueError for a result of another form.
    """
    named = {"key": key, "axis_name": axis_name}
    if step is not None and takes_step(objective):
        named["step"] = step
    if state is not None:
        result = objective(params, state, batch, **named)
        if not (_is_pair(result) and _is_pair(result[1])):
            raise ValueError(
                f"with state= the objective must return (loss, (state, metrics)), got {_form(result)}"
            )
        return result
    result = objective(params, batch, **named)
    if not isinstance(result, tuple):
        return result, (None, {})
    if not _is_pair(result):
        raise ValueError(f"the objective must return loss or (loss, metrics), got {_form(result)}")
    return result[0], (None, result[1])


def takes_step(objective: Objective) -> bool:
    """Whether an objective has a parameter `step`; of callables without a signature, False."""
    try:
        return "step" in inspect.signature(objective).parameters
    except (TypeError, ValueError):
        return False


def check_objective(
    objective: Objective,
    params: ArrayTree,
    batch: Batch,
    *,
    key: PRNGKey,
    state: ArrayTree | None = None,
    logged: bool = False,
) -> None:
    """Refuses a loss that is not a scalar, or that was not reduced over the devices. Compiles nothing.

    Metrics must be a dict, and a state must come back with the shapes that it had.

    A loss of the local rows silently trains on local negatives, with gradients that are far off.
    It cannot distinguish a mean of local losses from a global loss: both are the same on every device.

    Args:
      objective: see above.
      params: its parameters.
      batch: one batch, not split.
      key: a jax.random key.
      state: its state, or None.
      logged: whether metrics must be scalars of names that a log can have, as those of `fit`.

    Raises: ValueError.
    """
    checks.function("objective", objective, "(params, batch, *, key, axis_name) -> loss")
    mesh = jax.sharding.Mesh(jax.devices()[:1], (AXIS,), axis_types=(AxisType.Auto,))
    here, split = PartitionSpec(), PartitionSpec(AXIS)

    def local(params, state, batch, key, step):
        loss, (new, metrics) = evaluate(
            objective, params, state, batch, key=key, axis_name=AXIS, step=step
        )
        loss = _number("the objective's loss", loss)
        if not jnp.issubdtype(loss.dtype, jnp.floating):
            raise ValueError(f"the objective's loss must be a float, got {loss.dtype}")
        _check_metrics(metrics, logged)
        if state is not None and (before := _shapes(state)) != (after := _shapes(new)):
            lost = [a for a in before if a not in after] or before
            came = [a for a in after if a not in before] or after
            raise ValueError(
                "the objective must return a state of the shapes that it got: it got "
                f"{', '.join(lost[:3])} and returned {', '.join(came[:3]) or 'none'}"
            )
        return loss

    mapped = jax.shard_map(
        local, mesh=mesh, in_specs=(here, here, split, here, here), out_specs=here, check_vma=True
    )
    try:
        jax.eval_shape(mapped, params, state, batch, key, jnp.int32(0))
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


def _check_metrics(metrics, logged):
    if not isinstance(metrics, dict):
        raise ValueError(
            f"the objective's metrics must be a dict {{name: scalar}}, got {_form(metrics)}"
        )
    for name, value in metrics.items() if logged else []:
        if not isinstance(name, str) or name in RESERVED:
            raise ValueError(
                f"the objective's metrics must have strings other than {', '.join(RESERVED)} as names, "
                f"got {name!r}"
            )
        _number(f"the objective's metric {name!r}", value)


def _number(name, value):
    """A scalar of numbers, as an array."""
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        got = "None" if value is None else f"a {type(value).__name__}"
        raise ValueError(f"{name} must be a scalar, got {got}") from None
    if array.shape != ():
        raise ValueError(f"{name} must be a scalar, got shape {array.shape}: reduce it")
    return array


def _shapes(tree):
    """Path, dtype and shape of each leaf, as texts."""
    return [
        f"state{jax.tree_util.keystr(path)} {jnp.result_type(leaf)}{list(jnp.shape(leaf))}"
        for path, leaf in jax.tree.leaves_with_path(tree)
    ]


def _is_pair(result):
    return isinstance(result, tuple) and len(result) == 2


def _form(result):
    if isinstance(result, tuple):
        return f"a tuple of {len(result)}"
    return "None" if result is None else f"a {type(result).__name__}"
