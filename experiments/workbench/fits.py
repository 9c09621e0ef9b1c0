"""One way to train for all experiments: the start, the optimizer, the key, and the workdir of a run."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import optax

from jaxsim import training
from jaxsim.numerics.types import ArrayTree, Objective

MAPPINGS = Path("/proc/self/maps")


def initial(module: Any, seed: int, *inputs: ArrayTree) -> ArrayTree:
    """Initial parameters of a Linen module for some inputs: the same for every arm of a seed."""
    start, _ = jax.random.split(jax.random.key(seed))
    return jax.jit(module.init)(start, *inputs)


def fitted(
    objective: Objective,
    params: ArrayTree,
    batches: Any,
    *,
    rate: float,
    seed: int,
    workdir: Path,
    label: str,
    about: Mapping[str, Any] | None = None,
    state: ArrayTree | None = None,
    rule: Callable[[optax.Schedule], optax.GradientTransformation] = training.adamw,
    schedule: Callable[..., optax.Schedule] = training.linear_warmup_decay,
    warmup: float = 0.1,
) -> Any:
    """Fits parameters with `training.fit`, by AdamW with warm-up and linear decay unless another rule is given.

    The rate is a number in the optimizer's state, and an arm's settings belong in the objective's:
    runs that differ in numbers alone are then one program, compiled once. A finished run returns at once.

    Args:
      objective, params, batches, state, label: as in `training.fit`; there are as many steps as batches.
      rate: the learning rate at its highest.
      seed: of what the objective draws, dropout and views.
      workdir: for the checkpoints; a killed run resumes there.
      about: what the run depends on besides rate, seed and steps, numbers and strings by name; a workdir of
        another run is refused, naming what differs.
      rule: function of a schedule to an optax transformation, such as `optax.adam`.
      schedule: (peak, *, steps, warmup) -> optax schedule.
      warmup: the part of the steps in which the rate rises.

    Returns: the parameters; with a state, (params, state).
    """
    steps = len(batches)
    _, key = jax.random.split(jax.random.key(seed))
    optimizer = optax.chain(
        rule(schedule(1.0, steps=steps, warmup=warmup)),
        optax.inject_hyperparams(optax.scale)(step_size=rate),
    )
    free_programs()
    return training.fit(
        objective,
        params,
        batches,
        optimizer=optimizer,
        state=state,
        key=key,
        workdir=workdir,
        fingerprint={"rate": rate, "seed": seed, **(about or {})},
        save_every=min(steps, 1000),
        label=label,
    )


def free_programs(most: int = 20_000) -> None:
    """Lets compiled programs go when there are many: each is mapped, and Linux maps 65,530 pieces per process.

    A run of hundreds of fits dies of it otherwise. Programs that are needed again come from the compilation cache.

    Args:
      most: pieces that may stay mapped.
    """
    if MAPPINGS.exists() and MAPPINGS.read_bytes().count(b"\n") > most:
        jax.clear_caches()
