"""Many small runs at once: one step, vmapped over seeds and hyperparameters, scanned on the device."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import ArrayTree, Batch, Objective, PRNGKey
from jaxsim.storage import bar
from jaxsim.training._arguments import check_signature, check_state
from jaxsim.training._objective import AXIS, check_objective
from jaxsim.training._row_sparse import RowOptimizer, rows_of
from jaxsim.training._step import Carry, make_step


def fit_seeds(
    objective: Callable[[Any], Objective],
    params: ArrayTree,
    draw: Callable[[Any], Callable[[PRNGKey], Batch]],
    *,
    optimizer: Callable[[Any], Any],
    settings: ArrayTree,
    keys: PRNGKey,
    steps: int,
    state: ArrayTree | None = None,
    snapshots: int = 1,
    label: str = "training",
) -> tuple[Any, np.ndarray]:
    """Trains several small models at once: the step of `fit`, vmapped over seeds and hyperparameters.

        params, losses = fit_seeds(objective, params, draw, optimizer=lambda s: optax.adam(s["rate"]),
                          settings={"rate": rates}, keys=jax.random.split(key, len(rates)), steps=500)

    A run gives the same as by itself, up to the rounding of batched arithmetic. Nothing is saved: small
    runs are repeated instead.

    Args:
      objective: function of one run's settings to an objective of `fit`, which may have a parameter
        `step`; with a state it takes and returns one run's.
      params: parameters of the start, leaves [runs, ...].
      draw: function of one run's settings to (key) -> batch, traced; called once a step with a key of
        the run and step, so that runs draw their own examples.
      optimizer: function of one run's settings to an optax transformation or a `RowOptimizer`.
      settings: pytree of hyperparameters, leaves [runs]; they are traced.
      keys: jax.random keys [runs].
      steps: how many, the same for all.
      state: the objective's states at the start, leaves [runs, ...], or None.
      snapshots: at how many equally spaced steps the parameters are kept; the last is the end.
      label: of the progress bar.

    Returns: (parameters, losses): leaves [snapshots, runs, ...] and float [snapshots, runs], the mean
    loss of the steps since the snapshot before; with a state, ((parameters, states), losses).
    Raises: ValueError for leading axes that differ, an objective that is not reduced over its axis;
    FloatingPointError naming the runs whose loss or gradient is not finite.
    """
    for name, value, what in (
        ("objective", objective, "of one run's settings to an objective"),
        ("draw", draw, "of one run's settings to (key) -> batch"),
        ("optimizer", optimizer, "of one run's settings to an optax transformation"),
    ):
        checks.function(name, value, what)
    checks.whole("steps", steps)
    checks.whole("snapshots", snapshots)
    if steps % snapshots:
        raise ValueError(f"steps must be a multiple of snapshots={snapshots}, got {steps}")
    runs = checks.rows_of("keys", keys)
    check_state(state)
    trees = {"params": params, "settings": settings} | ({} if state is None else {"state": state})
    for name, tree in trees.items():
        if (rows := checks.rows_of(name, tree)) != runs:
            raise ValueError(f"{name} must have a leading axis of {runs}, one per key, got {rows}")

    def started(params, state, setting):
        moments = optimizer(setting).init(params)
        return Carry(params, moments, state, jnp.int32(0), jnp.asarray(True))

    def one(carry, setting, key, count):
        """Some steps of one run; the named axis holds one device."""
        step = make_step(objective(setting), optimizer(setting))
        sampling, training = jax.random.split(key)

        def on_device(carry, batch):
            carry, loss, _ = step(carry, batch, training)
            return carry._replace(state=None), carry.state, loss

        def next_step(carry, _):
            batch = draw(setting)(jax.random.fold_in(sampling, carry.step))
            batch = jax.tree.map(lambda a: a[None], batch)
            # A state need not be reduced over the axis: as in `fit`, the first device's is carried.
            on_axis = jax.vmap(on_device, (None, 0), out_axes=(None, 0, None), axis_name=AXIS)
            carry, states, loss = on_axis(carry, batch)
            return carry._replace(state=jax.tree.map(lambda a: a[0], states)), loss

        return jax.lax.scan(next_step, carry, None, length=count)

    _check(objective, optimizer, params, state, draw, settings, keys)
    between = steps // snapshots
    chunk = max(d for d in range(1, min(between, 200) + 1) if between % d == 0)
    several = jax.jit(jax.vmap(lambda *run: one(*run, chunk)), donate_argnums=0)
    carry = jax.jit(jax.vmap(started))(params, state, settings)
    saved, losses, recent = [], [], []
    with bar(steps * runs, label, "steps") as progress:
        for number in range(0, steps, chunk):
            carry, loss = several(carry, settings, keys)
            recent.append(np.asarray(loss))
            progress.advance(chunk * runs, loss=float(recent[-1][:, -1].mean()))
            if not (sound := np.asarray(carry.sound)).all():
                raise FloatingPointError(
                    f"{label}: the loss or its gradient is not finite before step {number + chunk} "
                    f"in the runs {np.flatnonzero(~sound).tolist()}"
                )
            if (number + chunk) % between == 0:
                end = carry.params if state is None else (carry.params, carry.state)
                saved.append(jax.tree.map(np.asarray, end))
                losses.append(np.concatenate(recent, axis=1).mean(axis=1))
                recent = []
    return jax.tree.map(lambda *a: np.stack(a), *saved), np.stack(losses)


def _check(objective, optimizer, params, state, draw, settings, keys):
    """Refuses a loss that is not global, on the first run."""
    one, before, setting, key = jax.tree.map(lambda a: a[0], (params, state, settings, keys))
    check_signature(objective(setting), state is not None)
    batch = jax.eval_shape(draw(setting), key)
    batch = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), batch)
    rule = optimizer(setting)
    if isinstance(rule, RowOptimizer):
        one = rows_of(one, rule.lookup(batch, key))
    check_objective(objective(setting), one, batch, key=key, state=before)
