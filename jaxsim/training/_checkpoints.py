"""Orbax checkpoints: everything that a run needs to resume as if it had never stopped."""

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from jaxsim.numerics import checks
from jaxsim.numerics.types import ArrayTree
from jaxsim.training import _manifest as manifest
from jaxsim.training._best import NewestAndBest
from jaxsim.training._checkpoint_files import (
    Meta,
    absolute,
    pass_over,
    quiet,
    read_meta,
    steps_of,
    words_of,
)
from jaxsim.training._files import is_local
from jaxsim.training._guards import everywhere, on_first

LOG = logging.getLogger("jaxsim.training")
UNFINISHED = ".orbax-checkpoint-tmp"  # in the name of a folder that is being written


class Checkpoints:
    """Checkpoints of one run, in a folder or on an object store: `save`, `restore`, `close`.

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

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        keep: int = 2,
        best: Callable[[Mapping[str, float]], float] | None = None,
    ) -> None:
        self.folder, self.best = absolute(folder), best
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"{self.folder}: must be a folder of checkpoints, got a file")
        checks.whole("keep", keep)
        self.saving, self.failed = None, False  # the step that is being written
        on_first(self._sweep, str(self.folder))
        self.newest_and_best = NewestAndBest(keep)
        for step in steps_of(self.folder) if best is not None else []:
            figures = read_meta(self.folder / str(step)).figures
            self.newest_and_best.add(step, best, figures)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=self.newest_and_best,
            create=True,
            async_options=ocp.options.AsyncOptions(post_finalization_callback=self._describe),
        )
        with contextlib.ExitStack() as stack, _named(self.folder):
            stack.enter_context(quiet())
            self.manager = ocp.CheckpointManager(self.folder, options=options)
            self.stack = stack.pop_all()  # until `close`

    def save(
        self, step: int, tree: ArrayTree, position: Any, figures: Mapping[str, Any] | None = None
    ) -> None:
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

    def restore(self, like: ArrayTree) -> tuple[int, ArrayTree, Any] | None:
        """Restores the newest checkpoint that can be read: (step, tree, position), or None where there is none.

        Damaged ones are named in the log, passed over and moved to the folder "damaged".

        Args:
          like: a tree of arrays, of the structure, shapes and dtypes that were saved; what is restored
            is placed as they are, on however many devices.

        Raises: ValueError where what was saved is another tree, such as that of another optimizer.
        """
        for step in sorted(steps_of(self.folder), reverse=True):
            restored = self._read(step, like)
            if restored is not None:
                return step, *restored
            on_first(functools.partial(self._move_aside, str(step)), str(self.folder / str(step)))
            self.manager.reload()
        return None

    def close(self) -> None:
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
        folder, problem, items, meta = self.folder / str(step), None, {}, None
        if jax.process_index() == 0 and is_local(folder):
            problem = manifest.problem_of(folder)
        if problem is None:
            try:
                meta = read_meta(folder)
            except (OSError, ValueError) as error:
                problem = error
        if not everywhere(problem is None):
            pass_over(step, problem or "another process could not read it")
            return None
        _check_leaves(folder, meta.leaves, _leaves(like))
        wanted = jax.tree.map(_abstract, like)
        try:
            items = self.manager.restore(
                step, args=ocp.args.Composite(tree=ocp.args.StandardRestore(wanted))
            )
        except Exception as error:  # orbax raises many kinds for a damaged folder
            problem = error
        if not everywhere(problem is None):
            pass_over(step, problem or "another process could not read it")
            return None
        return items["tree"], meta.position

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
                pass_over(path.name, problem)
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
        read_meta(path)
    except (OSError, ValueError) as error:
        return error
    return None


@contextlib.contextmanager
def _named(folder):
    """Names the folder where it cannot be written to."""
    try:
        yield
    except (OSError, ValueError) as error:
        # tensorstore has no class for a full disk, and its messages are long.
        text = str(error)
        reason = getattr(error, "strerror", None) or words_of(error)
        if "No space left" in text:
            reason = "no space left on the device"
        elif "Quota exceeded" in text or "quota" in text:
            reason = "the disk quota is exceeded"
        elif not isinstance(error, OSError):
            raise
        raise OSError(
            f"{folder}: a checkpoint could not be written: {reason}; the earlier ones are intact: make "
            "room and start the same command again"
        ) from error


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
