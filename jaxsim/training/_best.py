"""The best checkpoint of a run: which one is preserved, and its parameters read back."""

import math
import os
from collections.abc import Callable, Container, Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from jax.sharding import SingleDeviceSharding

from jaxsim.numerics import checks
from jaxsim.numerics.types import ArrayTree
from jaxsim.training import _manifest as manifest
from jaxsim.training._checkpoint_files import (
    absolute,
    pass_over,
    quiet,
    read_meta,
    steps_of,
    words_of,
)
from jaxsim.training._files import is_local


def best_of(
    workdir: str | os.PathLike, params: ArrayTree, *, best: Callable[[Mapping[str, float]], float]
) -> tuple[int, Any, dict[str, float]]:
    """Loads the parameters of a run's best checkpoint.

    Args:
      workdir: that `fit` was given, with `validate` and `best`.
      params: arrays of the structure, shapes and dtypes of the parameters.
      best: as `fit` was given.

    Returns: (step, parameters, figures); the moving average, where the run kept one.
    Raises: FileNotFoundError where no checkpoint has figures of which `best` is a number; ValueError for a
    best checkpoint that is damaged, or that holds other parameters.
    """
    checks.function("best", best, "of figures to a number")
    folder = absolute(epath.Path(workdir) / "checkpoints")
    scores = NewestAndBest(keep=0)
    figures = {}
    for step in steps_of(folder):
        try:
            figures[step] = read_meta(folder / str(step)).figures
        except (OSError, ValueError) as error:
            pass_over(step, error)
        else:
            scores.add(step, best, figures[step])
    if (step := scores.best_step()) is None:
        raise FileNotFoundError(
            f"{folder}: no checkpoint has figures of which best is a number (NaN is not one)"
        )
    remedy = "move it out of the folder, and the next best is taken"
    if is_local(folder) and (problem := manifest.problem_of(folder / str(step))):
        raise ValueError(
            f"{folder / str(step)}: the best checkpoint is damaged: {problem}; {remedy}"
        )
    try:
        restored = _read_params(folder, step)
    except Exception as error:  # orbax raises many kinds for a damaged folder
        raise ValueError(
            f"{folder / str(step)}: the best checkpoint cannot be read: {words_of(error)}; {remedy}"
        ) from error
    return step, _like(params, restored, folder / str(step)), figures[step]


def _read_params(folder, step):
    """The average or the parameters of a checkpoint, on a local device: dicts and lists of arrays.

    The devices may be others than those that saved it, and the optimizer's moments are not read.
    """
    handlers = {name: ocp.JsonCheckpointHandler() for name in ("meta", "metrics")}
    handlers["tree"] = ocp.PyTreeCheckpointHandler()
    with quiet(), ocp.CheckpointManager(folder, item_handlers=handlers) as manager:
        saved = manager.item_metadata(step)["tree"].tree
        name = "params" if saved.get("average") is None else "average"
        here = SingleDeviceSharding(jax.local_devices()[0])
        like = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here),
            {name: saved[name]},
        )
        restored = ocp.args.PyTreeRestore(
            item=like,
            restore_args=ocp.checkpoint_utils.construct_restore_args(like),
            partial_restore=True,
        )
        return manager.restore(step, args=ocp.args.Composite(tree=restored))["tree"][name]


class NewestAndBest:
    """Which checkpoints stay: orbax's protocol of a preservation policy."""

    def __init__(self, keep: int) -> None:
        self.keep, self.scores = keep, {}

    def add(
        self,
        step: int,
        best: Callable[[Mapping[str, float]], float],
        figures: Mapping[str, Any] | None,
    ) -> None:
        """Notes the score of a checkpoint; NaN counts as none."""
        score = math.nan if figures is None else score_of(best, figures)
        if not math.isnan(score):
            self.scores[step] = score

    def best_step(self, among: Container[int] | None = None) -> int | None:
        """The step of the best score, of equals the last; None where there is none."""
        steps = [step for step in self.scores if among is None or step in among]
        return max(steps, key=lambda step: (self.scores[step], step), default=None)

    def should_preserve(self, checkpoints: Any, *, context: Any) -> list[bool]:
        steps = [info.step for info in checkpoints]
        staying = {*sorted(steps)[-self.keep :], self.best_step(steps)}
        return [step in staying for step in steps]


def score_of(
    best: Callable[[Mapping[str, float]], float], figures: Mapping[str, Any] | None
) -> float:
    """What `best` makes of figures, as a float.

    Raises: ValueError where it fails, or gives anything but a number.
    """
    try:
        score = best(figures)
    except Exception as error:  # whatever a function of the caller's raises
        raise ValueError(
            f"best failed on the figures {figures}: {type(error).__name__}: {error}"
        ) from error
    array = np.asarray(score)
    if array.shape != () or array.dtype.kind not in "iuf":
        raise ValueError(
            f"best must give a number, larger is better, got {score!r:.60} for the figures {figures}"
        )
    return float(score)


def _like(params, restored, folder):
    """What orbax read, dicts and lists by names and places, as a tree like `params`."""
    leaves, structure = jax.tree.flatten(params)
    paths = [path for path, _ in jax.tree.leaves_with_path(params)]
    values = []
    for path, leaf in zip(paths, leaves, strict=True):
        value = restored
        for key in path:
            value = _child(value, key)
        if value is None or isinstance(value, (dict, list)):
            raise ValueError(
                f"{folder} has no parameter {jax.tree_util.keystr(path)}: params must be as the run's"
            )
        if np.shape(value) != np.shape(leaf):
            raise ValueError(
                f"params must have the shapes of the run's parameters: {jax.tree_util.keystr(path)} is "
                f"{list(np.shape(leaf))}, {folder} has {list(np.shape(value))}"
            )
        values.append(value)
    if len(jax.tree.leaves(restored)) != len(values):
        raise ValueError(
            f"{folder} has {len(jax.tree.leaves(restored))} parameters, params has {len(values)}"
        )
    return structure.unflatten(values)


def _child(tree, key):
    """The part of a tree of dicts and lists at a key of jax's; None where there is none."""
    name = next(getattr(key, kind) for kind in ("key", "name", "idx") if hasattr(key, kind))
    if isinstance(tree, dict):
        return tree.get(name, tree.get(str(name)))
    if isinstance(tree, (list, tuple)) and isinstance(name, int) and name < len(tree):
        return tree[name]
    return None
