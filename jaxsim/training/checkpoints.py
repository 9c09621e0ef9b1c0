"""Checkpoints by orbax: everything that a run needs to resume as if it had never stopped."""

import base64
import contextlib
import dataclasses
import functools
import logging
import math
import os
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from jax.sharding import SingleDeviceSharding

from jaxsim import storage
from jaxsim.numerics import checks
from jaxsim.training import manifest
from jaxsim.training.files import is_local
from jaxsim.training.guards import everywhere, on_first

LOG = logging.getLogger("jaxsim.training")
UNFINISHED = ".orbax-checkpoint-tmp"  # in the name of a folder that is being written


class Checkpoints:
    """The checkpoints of one run, in a folder or on an object store: `save`, `restore`, `close`.

    Saving returns when the arrays are copied; writing continues during the training. Several processes
    save and restore together. The last `keep` stay, and with `best` the best one too.

    What is not a checkpoint that can be read is never deleted: it is named in the log and moved to the
    folder "damaged", next to this one. What a killed process did not finish writing is removed.

    Args:
      folder: of this run alone.
      keep: how many of the last stay.
      best: function of the figures that were saved to a number, larger is better; or None. NaN is never
        the best.

    Raises: ValueError where `folder` is a file, or where `best` fails on figures that were saved.
    """

    def __init__(self, folder, *, keep=2, best=None):
        self.folder, self.best = _absolute(folder), best
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"{self.folder}: must be a folder of checkpoints, got a file")
        checks.whole("keep", keep)
        self.saving, self.failed = None, False  # the step that is being written
        on_first(self._sweep, str(self.folder))
        self.newest_and_best = _NewestAndBest(keep)
        for step in _steps(self.folder) if best is not None else []:
            figures = _read_meta(self.folder / str(step)).figures
            self.newest_and_best.add(step, best, figures)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=self.newest_and_best,
            create=True,
            async_options=ocp.options.AsyncOptions(post_finalization_callback=self._describe),
        )
        with contextlib.ExitStack() as stack, _named(self.folder):
            stack.enter_context(_quiet())
            self.manager = ocp.CheckpointManager(self.folder, options=options)
            self.stack = stack.pop_all()  # until `close`

    def save(self, step, tree, position, figures=None):
        """Saves a tree of arrays, the data's position and figures after `step` steps; once for a step.

        Raises: ValueError where `best` gives no number for the figures; OSError where this checkpoint or
        the one before cannot be written, such as on a full disk.
        """
        if step in self.manager.all_steps():
            return
        if self.best is not None:
            self.newest_and_best.add(step, self.best, figures)
        # A separate copy: the next step is given the carry's memory to write into.
        copy = _copied(_once(tree))
        meta = Meta(step, position, figures, _leaves(tree)).to_json()
        args = ocp.args.Composite(tree=ocp.args.StandardSave(copy), meta=ocp.args.JsonSave(meta))
        self.failed = True  # until it is known to have begun
        with _named(self.folder):
            self.manager.wait_until_finished()
            self.saving = step
            self.manager.save(step, args=args)
        self.failed = False

    def restore(self, like):
        """The newest checkpoint that can be read: (step, tree, position), or None where there is none.

        Damaged ones are named in the log, passed over and moved to the folder "damaged".

        Args:
          like: a tree of arrays, of the structure, shapes and dtypes that were saved; what is restored
            is placed as they are, on however many devices.

        Raises: ValueError where what was saved is another tree, such as that of another optimiser.
        """
        for step in sorted(_steps(self.folder), reverse=True):
            found = self._read(step, like)
            if found is not None:
                return step, *found
            on_first(functools.partial(self._move_aside, str(step)), str(self.folder / str(step)))
            self.manager.reload()
        return None

    def close(self):
        """Waits until everything is written.

        Raises: OSError where it cannot be written, such as on a full disk.
        """
        try:
            with _named(self.folder):
                try:
                    self.manager.wait_until_finished()
                finally:
                    self.manager.close()
        except BaseException:
            self.failed = True
            raise
        finally:
            if not self.failed:  # otherwise orbax's threads have more to say
                self.stack.close()

    def _read(self, step, like):
        """(tree, position), or None with a line in the log where it is damaged."""
        folder, problem, found, meta = self.folder / str(step), None, {}, None
        if jax.process_index() == 0 and is_local(folder):
            problem = manifest.problem_of(folder)
        if problem is None:
            try:
                meta = _read_meta(folder)
            except (OSError, ValueError) as error:
                problem = error
        if not everywhere(problem is None):
            _pass_over(step, problem or "another process could not read it")
            return None
        _check_leaves(folder, meta.leaves, _leaves(like))
        wanted = jax.tree.map(_abstract, like)
        try:
            found = self.manager.restore(
                step, args=ocp.args.Composite(tree=ocp.args.StandardRestore(wanted))
            )
        except Exception as error:  # orbax raises many kinds for a damaged folder
            problem = error
        if not everywhere(problem is None):
            _pass_over(step, problem or "another process could not read it")
            return None
        return found["tree"], meta.position

    def _sweep(self):
        """Removes what a killed process left unfinished, moves aside what is not a checkpoint."""
        for path in sorted(self.folder.iterdir()) if self.folder.exists() else []:
            if UNFINISHED in path.name and is_local(path):
                if path.is_dir() and not os.path.islink(path) and _is_orbaxs(path):
                    LOG.info("%s: removed, a killed process did not finish it", path)
                    path.rmtree()
                else:
                    self._move_aside(path.name)
            elif path.name.isdecimal() and (problem := _no_checkpoint(path)):
                _pass_over(path.name, problem)
                self._move_aside(path.name)

    def _move_aside(self, name):
        """Out of the way of the checkpoint that will be saved in its place; nothing is deleted."""
        aside = self.folder.parent / "damaged"
        aside.mkdir(parents=True, exist_ok=True)
        number = 0
        while (aside / f"{name}-{number}").exists():
            number += 1
        (self.folder / name).rename(aside / f"{name}-{number}")

    def _describe(self):
        """Writes the checksums of a checkpoint's files, before it gets its name."""
        unfinished = self.folder / f"{self.saving}{UNFINISHED}"
        if jax.process_index() == 0 and is_local(unfinished) and unfinished.is_dir():
            manifest.write_manifest(unfinished)


def best_of(workdir, params, *, best):
    """The parameters of a run's best checkpoint.

    Args:
      workdir: that `fit` was given, with `validate` and `best`.
      params: arrays of the structure, shapes and dtypes of the parameters.
      best: as `fit` was given.

    Returns: (step, parameters, figures); the moving average, where the run kept one.
    Raises: FileNotFoundError where no checkpoint has figures of which `best` is a number; ValueError for a
    best checkpoint that is damaged, or that holds other parameters.
    """
    checks.function("best", best, "of figures to a number")
    folder = _absolute(epath.Path(workdir) / "checkpoints")
    scores = _NewestAndBest(keep=0)
    figures = {}
    for step in _steps(folder):
        try:
            figures[step] = _read_meta(folder / str(step)).figures
        except (OSError, ValueError) as error:
            _pass_over(step, error)
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
        found = _read_params(folder, step)
    except Exception as error:  # orbax raises many kinds for a damaged folder
        raise ValueError(
            f"{folder / str(step)}: the best checkpoint cannot be read: {_words(error)}; {remedy}"
        ) from error
    return step, _like(params, found, folder / str(step)), figures[step]


def _read_params(folder, step):
    """The average or the parameters of a checkpoint, on a local device: dicts and lists of arrays.

    The devices may be others than those that saved it, and the optimiser's moments are not read.
    """
    handlers = {name: ocp.JsonCheckpointHandler() for name in ("meta", "metrics")}
    handlers["tree"] = ocp.PyTreeCheckpointHandler()
    with _quiet(), ocp.CheckpointManager(folder, item_handlers=handlers) as manager:
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


@dataclasses.dataclass(frozen=True)
class Meta:
    """What a checkpoint holds next to its arrays."""

    step: int
    position: Any  # of the data, after this step: a JSON tree, or bytes
    figures: dict | None
    leaves: list | None  # path, dtype and shape of each array

    def to_json(self):
        position = {"tree": self.position}
        if isinstance(self.position, bytes):
            position = {"bytes": base64.b64encode(self.position).decode()}
        figures = self.figures and {
            name: value if math.isfinite(value) else str(value)
            for name, value in self.figures.items()
        }
        return {"step": self.step, "position": position, "figures": figures, "leaves": self.leaves}


def _read_meta(folder):
    """The `Meta` of a checkpoint.

    Raises: OSError, ValueError for one that is damaged.
    """
    path = folder / "meta" / "metadata"
    if is_local(folder) and (problem := manifest.problem_of(folder, within="meta/")):
        raise ValueError(problem)
    # Earlier versions wrote NaN as it is.
    known = storage.Fields(path, storage.parsed_json(path, path.read_bytes(), constants=True))
    step = known.whole("step", int(folder.name))
    if step != int(folder.name):
        raise known.wrong("step", f"{folder.name}, as its folder is named")
    position = known.object("position")
    if "bytes" in position:
        position = base64.b64decode(position.text("bytes"), validate=True)
    elif "tree" in list(position):
        position = position.raw("tree")
    else:
        raise known.wrong("position", "an object with tree or bytes")
    if (figures := known.object("figures", None)) is not None:
        wanted = 'numbers, "nan", "inf" or "-inf"'
        for name in figures:
            value = figures.raw(name)
            if isinstance(value, bool) or not (
                isinstance(value, (int, float)) or value in ("nan", "inf", "-inf")
            ):
                raise known.wrong("figures", wanted)
        figures = {name: float(figures.raw(name)) for name in figures}
    return Meta(step, position, figures, known.strings("leaves", None))


class _NewestAndBest:
    """Which checkpoints stay: orbax's protocol of a preservation policy."""

    def __init__(self, keep):
        self.keep, self.scores = keep, {}

    def add(self, step, best, figures):
        """Notes the score of a checkpoint; NaN counts as none."""
        score = math.nan if figures is None else score_of(best, figures)
        if not math.isnan(score):
            self.scores[step] = score

    def best_step(self, among=None):
        """The step of the best score, of equals the last; None where there is none."""
        steps = [step for step in self.scores if among is None or step in among]
        return max(steps, key=lambda step: (self.scores[step], step), default=None)

    def should_preserve(self, checkpoints, *, context):
        steps = [info.step for info in checkpoints]
        staying = {*sorted(steps)[-self.keep :], self.best_step(steps)}
        return [step in staying for step in steps]


def score_of(best, figures):
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


def _absolute(folder):
    return epath.Path(folder).expanduser().absolute() if is_local(folder) else epath.Path(folder)


def _steps(folder):
    """The steps of which there are checkpoints, or what may be one."""
    return [
        int(path.name)
        for path in (folder.iterdir() if folder.exists() else [])
        if path.name.isdecimal() and str(int(path.name)) == path.name and path.is_dir()
    ]


def _is_orbaxs(folder):
    """Whether a folder that was being written holds nothing but what orbax and we write."""
    names = "tree", "meta", "metrics", "_CHECKPOINT_METADATA", "commit_success", manifest.NAME
    return all(path.name.startswith(names) for path in folder.iterdir())


def _no_checkpoint(path):
    """Why something with the name of a step is not a checkpoint; None where it is one, maybe damaged."""
    if not path.is_dir():
        return "it is a file"
    if str(int(path.name)) != path.name:
        return f"its name is not {int(path.name)}"
    try:
        _read_meta(path)
    except (OSError, ValueError) as error:
        return error
    return None


def _pass_over(step, problem):
    LOG.warning(
        "passed over the checkpoint of step %s, which cannot be read: %s", step, _words(problem)
    )


def _words(problem):
    """The first line of an error."""
    words = str(problem).strip() or type(problem).__name__
    return words.splitlines()[0][:200]


@contextlib.contextmanager
def _named(folder):
    """Names the folder where it cannot be written to."""
    try:
        yield
    except (OSError, ValueError) as error:
        # tensorstore has no class for a full disk, and its messages are long.
        text = str(error)
        reason = getattr(error, "strerror", None) or _words(error)
        if "No space left" in text:
            reason = "no space left on the device"
        elif "Quota exceeded" in text or "quota" in text:
            reason = "the disk quota is exceeded"
        elif not isinstance(error, OSError):
            raise
        raise OSError(
            f"{folder}: a checkpoint could not be written: {reason}; the ones before are whole: make "
            "room and start the same command again"
        ) from error


@contextlib.contextmanager
def _quiet():
    """Without the tracebacks that orbax prints: what it raises reaches the caller."""

    def plain(record):
        if record.levelno < logging.ERROR:
            return True
        if record.name == "asyncio":  # tasks of orbax, whose errors another task has raised
            text = record.getMessage()
            return not ("never retrieved" in text and ("orbax" in text or "tensorstore" in text))
        return "orbax" not in record.pathname

    def unraisable(found):
        # tensorstore answers an event loop that orbax closed after another file had failed.
        if not (found.exc_type is RuntimeError and "loop is closed" in str(found.exc_value)):
            before(found)

    before, loggers = sys.unraisablehook, [logging.getLogger(name) for name in ("absl", "asyncio")]
    for logger in loggers:
        logger.addFilter(plain)
    sys.unraisablehook = unraisable
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(plain)
        if sys.unraisablehook is unraisable:
            sys.unraisablehook = before


def _once(tree):
    """The first device's arrays where all devices hold the whole of each.

    orbax would have every device write a part of each array, and compile the cutting for each shape.
    """
    leaves = jax.tree.leaves(tree)
    if jax.process_count() > 1 or not all(
        isinstance(a, jax.Array) and a.is_fully_replicated for a in leaves
    ):
        return tree
    return jax.tree.map(lambda a: a.addressable_data(0), tree)


@jax.jit
def _copied(tree):
    return jax.tree.map(jnp.copy, tree)


def _like(params, found, folder):
    """What orbax read, dicts and lists by names and places, as a tree like `params`."""
    leaves, structure = jax.tree.flatten(params)
    paths = [path for path, _ in jax.tree.leaves_with_path(params)]
    values = []
    for path, leaf in zip(paths, leaves, strict=True):
        value = found
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
    if len(jax.tree.leaves(found)) != len(values):
        raise ValueError(
            f"{folder} has {len(jax.tree.leaves(found))} parameters, params has {len(values)}"
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


def _abstract(leaf):
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None))


def _leaves(tree):
    return [
        f"{jax.tree_util.keystr(path)} {leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jax.tree.leaves_with_path(tree)
    ]


def _check_leaves(folder, saved, wanted):
    if saved is None or saved == wanted:
        return
    lost, new = [a for a in saved if a not in wanted], [a for a in wanted if a not in saved]
    raise ValueError(
        f"{folder} holds another tree than this run's: it has {lost[0] if lost else 'less'}, this run "
        f"{new[0] if new else 'has less'}; use the same model and optimizer, or another workdir"
    )
