"""One way to train for all experiments: the start, the optimizer, the key, and the workdir of a run."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import optax

from jaxsim import storage, training
from jaxsim.numerics.types import ArrayTree, Objective

MAPPINGS = Path("/proc/self/maps")
FILE, KEPT = "params.jaxsim", {"kind": "parameters of an arm", "version": 1}


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


def keep(params: ArrayTree, folder: Path) -> None:
    """Writes parameters into a folder, for arms that read others."""
    leaves = {str(place): leaf for place, leaf in enumerate(jax.tree.leaves(params))}
    storage.save_arrays(folder / FILE, leaves, **KEPT)


def kept(like: ArrayTree, folder: Path) -> ArrayTree:
    """The parameters that `keep` has written into a folder, as a tree like another."""
    leaves, _ = storage.load_arrays(folder / FILE, **KEPT)
    structure = jax.tree.structure(like)
    return jax.tree.unflatten(structure, [leaves[str(n)] for n in range(structure.num_leaves)])


def free_programs(most: int = 20_000) -> None:
    """Lets compiled programs go when there are many: each is mapped, and Linux maps 65,530 pieces per process.

    A run of hundreds of fits dies of it otherwise. Programs that are needed again come from the compilation cache.

    Args:
      most: pieces that may stay mapped.
    """
    if MAPPINGS.exists() and MAPPINGS.read_bytes().count(b"\n") > most:
        jax.clear_caches()
