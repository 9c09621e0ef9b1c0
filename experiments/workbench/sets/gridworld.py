"""The grid world of SIRL: splits, what a simulated human is asked, and many small networks trained at once."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxsim import data, training
from jaxsim.numerics.types import ArrayTree

TRAJECTORIES = data.grid_trajectories()
FEATURES = data.grid_features(TRAJECTORIES)
# What networks see: cells and angle from -1 to 1. Cells of unit variance would drown the angle.
INPUTS = np.concatenate([TRAJECTORIES[:, :-1] / 2 - 1, TRAJECTORIES[:, -1:] / 90], axis=1)
# What is held out as a whole: single trajectories, whose paths and angles training has seen, or paths.
GROUPS = {"trajectories": np.arange(len(TRAJECTORIES)), "paths": np.arange(len(TRAJECTORIES)) // 7}


class Asked(NamedTuple):
    """Queries and their answers."""

    queries: np.ndarray  # int [queries, size], rows of the trajectories
    labels: np.ndarray  # float32 [queries]; 0 where the order of a query is its answer
    tasks: np.ndarray  # int32 [queries], which reward a preference is about
    valid: np.ndarray  # bool [queries], False where the answer says nothing


def stream(*numbers: int) -> int:
    """A separate seed for each sequence of numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def rewards_of(seed: int, count: int) -> np.ndarray:
    """Random rewards: what each feature costs, float [count, features], uniform from -1 to 1."""
    return np.random.default_rng(seed).uniform(-1, 1, size=(count, FEATURES.shape[1]))


def similarities(rows: np.ndarray, count: int, seed: int, beta: float | None = None) -> Asked:
    """Similarity answers: queries of three whose last is the odd one out; noisy where there is a beta."""
    queries = data.draw_queries(rows, count, size=3, seed=seed)
    if beta is None:
        pair, odd, valid = data.answer_similarity(FEATURES, queries)
    else:
        pair, odd, valid = data.sample_similarity(FEATURES, queries, beta=beta, seed=seed)
    return _asked(np.concatenate([pair, odd[:, None]], axis=1), valid=valid)


def preferences(rows: np.ndarray, count: int, seed: int, thetas: np.ndarray, beta: float) -> Asked:
    """Noisy preference answers about several rewards in turn."""
    queries = data.draw_queries(rows, count, size=2, seed=seed)
    labels = data.sample_preference(FEATURES, queries, thetas, beta=beta, seed=seed)
    tasks = np.arange(count) % len(thetas)
    return _asked(queries, labels[tasks, np.arange(count)], tasks)


def alone(rows: np.ndarray) -> Asked:
    """Trajectories one by one, without an answer."""
    return _asked(rows[:, None])


def _asked(queries, labels=None, tasks=None, valid=None):
    count = len(queries)
    return Asked(
        queries.astype(np.int32),
        np.zeros(count, np.float32) if labels is None else labels,
        np.zeros(count, np.int32) if tasks is None else tasks.astype(np.int32),
        np.ones(count, bool) if valid is None else valid,
    )


def _padded(asked, count):
    """Asked with further rows after its end, which are never drawn."""
    resized: list[Any] = [np.resize(a, (count, *a.shape[1:])) for a in asked]
    return Asked(*resized)


def standardized(arrays: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[n, dim] with mean 0 and deviation 1 over some rows; what is constant there becomes 0."""
    center, spread = arrays[rows].mean(axis=0), arrays[rows].std(axis=0)
    return ((arrays - center) / np.where(spread > 1e-6, spread, 1)).astype(np.float32)


def trained(
    loss: Callable[..., jax.Array],
    params: ArrayTree,
    inputs: Sequence[np.ndarray],
    asked: Sequence[Asked],
    *,
    settings: dict[str, np.ndarray],
    seeds: Sequence[int],
    batch: int,
    steps: int,
    snapshots: int = 1,
    label: str,
) -> Any:
    """Networks trained side by side by Adam, each on its inputs and answers.

    Args:
      loss: (params, batch, setting, key=, axis_name=) -> loss, where batch has "x" [batch, size, dim],
        "labels", "tasks", "where" and "ids" [batch].
      params: of the starts, leaves [runs, ...].
      inputs: [trajectories, dim] of each run.
      asked: of each run.
      settings: {"rate": [runs], ...}, what the loss gets of its run.
      seeds: of the batches of each run.
      batch, steps, snapshots, label: as in `training.fit_seeds`.

    Returns: parameters, leaves [snapshots, runs, ...].
    """
    counts = [len(one.queries) for one in asked]
    padded = [_padded(one, max(counts)) for one in asked]
    runs = {
        "setting": {name: jnp.asarray(a, jnp.float32) for name, a in settings.items()},
        "inputs": jnp.asarray(np.stack(inputs)),
        "asked": jax.tree.map(lambda *a: jnp.asarray(np.stack(a)), *padded),
        "count": jnp.asarray(counts),
    }

    def draw(run):
        def of(key):
            rows = jax.random.randint(key, (batch,), 0, run["count"])
            queries, labels, tasks, valid = (a[rows] for a in run["asked"])
            x = run["inputs"][queries]
            return {"x": x, "labels": labels, "tasks": tasks, "where": valid, "ids": rows}

        return of

    def objective(run):
        def of(params, batch, *, key, axis_name):
            return loss(params, batch, run["setting"], key=key, axis_name=axis_name)

        return of

    return training.fit_seeds(
        objective,
        params,
        draw,
        optimizer=lambda run: optax.adam(run["setting"]["rate"]),
        settings=runs,
        keys=jax.vmap(jax.random.key)(np.array(seeds, np.uint32)),
        steps=steps,
        snapshots=snapshots,
        label=label,
    )[0]
