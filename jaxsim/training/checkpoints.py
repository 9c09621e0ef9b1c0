"""Checkpoints by orbax: everything that a run needs to go on as if it had never stopped."""

import base64
import logging

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers as managers

LOG = logging.getLogger("jaxsim.training")


class Checkpoints:
    """The checkpoints of one run, in a folder or on an object store: `save`, `restore`, `close`.

    Saving returns when the arrays are copied; writing goes on beside the training. Several processes
    save and restore together. The last `keep` stay, and with `best` the best one too.

    Args:
      folder: of this run alone.
      keep: how many of the last stay.
      best: function of the figures that were saved to a number, larger is better; or None.
    """

    def __init__(self, folder, *, keep=2, best=None):
        self.folder, self.best = epath.Path(folder), best
        if "://" not in str(folder):
            self.folder = epath.Path(self.folder.expanduser().absolute())
        policies = [managers.LatestN(keep)]
        if best is not None:
            policies.append(
                managers.BestN(get_metric_fn=best, n=1, keep_checkpoints_without_metrics=False)
            )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=managers.AnyPreservationPolicy(policies), best_fn=best, create=True
        )
        self.manager = ocp.CheckpointManager(self.folder, options=options)

    def save(self, step, tree, position, figures=None):
        """Saves a tree of arrays, the data's position and figures after `step` steps; once for a step."""
        if step in self.manager.all_steps():
            return
        # A copy of our own: the next step is given the carry's memory to write into.
        copy = _copied(_once(tree))
        meta = {"position": _to_json(position), "figures": figures, "leaves": _leaves(tree)}
        self.manager.save(
            step,
            args=ocp.args.Composite(tree=ocp.args.StandardSave(copy), meta=ocp.args.JsonSave(meta)),
            metrics=figures,
        )

    def restore(self, like):
        """The newest checkpoint that can be read: (step, tree, position), or None where there is none.

        Damaged ones are named in the log, passed over and moved to the folder "damaged" beside these.

        Args:
          like: a tree of arrays, of the structure, shapes and dtypes that were saved; what is restored
            is placed as they are, on however many devices.

        Raises: ValueError where what was saved is another tree, such as that of another optimiser.
        """
        for step in sorted(self.manager.all_steps(), reverse=True):
            found = self._read(step, like)
            if found is not None:
                return step, *found
            self._move_aside(step)
        return None

    def restore_best(self, like):
        """As `restore`, of the best checkpoint by its figures: (step, tree, figures), or None."""
        step = self.manager.best_step()
        if step is None:
            return None
        tree, _ = self._read(step, like) or (None, None)
        if tree is None:
            raise ValueError(f"{self.folder / str(step)}: the best checkpoint cannot be read")
        return step, tree, self.manager.metrics(step)

    def close(self):
        """Waits until everything is written."""
        self.manager.wait_until_finished()
        self.manager.close()

    def _read(self, step, like):
        """(tree, position), or None with a line in the log where it is damaged."""
        problem, found = None, {}
        try:
            meta = self.manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))[
                "meta"
            ]
            if meta is None:
                raise ValueError("its position is missing")
        except Exception as error:  # orbax raises many kinds for a damaged folder
            problem = error
        else:
            _check_leaves(self.folder / str(step), meta.get("leaves"), _leaves(like))
            wanted = jax.tree.map(_abstract, like)
            try:
                found = self.manager.restore(
                    step, args=ocp.args.Composite(tree=ocp.args.StandardRestore(wanted))
                )
            except Exception as error:
                problem = error
        if problem is not None:
            words = str(problem).strip() or type(problem).__name__
            LOG.warning(
                "passed over the checkpoint of step %d, which cannot be read: %s",
                step, words.splitlines()[0][:200],
            )  # fmt: skip
        if not _everywhere(problem is None):
            return None
        return found["tree"], _from_json(meta["position"])

    def _move_aside(self, step):
        """Out of the way of the checkpoint that will be saved in its place; nothing is deleted."""
        if jax.process_index() == 0:
            aside = self.folder.parent / "damaged"
            aside.mkdir(parents=True, exist_ok=True)
            number = sum(1 for _ in aside.iterdir())
            (self.folder / str(step)).rename(aside / f"{step}-{number}")
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("jaxsim: a damaged checkpoint was moved")
        self.manager.reload()


def best_of(workdir, params, *, best):
    """The parameters of a run's best checkpoint.

    Args:
      workdir: that `fit` was given, with `validate` and `best`.
      params: arrays of the structure, shapes and dtypes of the parameters.
      best: as `fit` was given.

    Returns: (step, parameters, figures); the moving average, where the run kept one.
    Raises: FileNotFoundError where there is none.
    """
    folder = epath.Path(workdir) / "checkpoints"
    manager = ocp.CheckpointManager(
        epath.Path(folder.expanduser().absolute()) if "://" not in str(folder) else folder,
        options=ocp.CheckpointManagerOptions(best_fn=best, create=False),
    )
    step = manager.best_step() if folder.exists() else None
    if step is None:
        raise FileNotFoundError(f"{folder}: there is no checkpoint with figures")
    tree = manager.restore(step, args=ocp.args.Composite(tree=ocp.args.StandardRestore()))["tree"]
    average = tree.get("average")
    found = tree["params"] if average is None else average
    figures = manager.metrics(step)
    manager.close()
    leaves, structure = jax.tree.flatten(params)
    return step, structure.unflatten(_in_order(leaves, found)), figures


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


def _in_order(leaves, found):
    values = jax.tree.leaves(found)
    if [np.shape(a) for a in values] != [np.shape(a) for a in leaves]:
        raise ValueError("params must have the shapes of the run's parameters")
    return values


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


def _everywhere(sound):
    """Whether every process says so."""
    if jax.process_count() == 1:
        return sound
    return bool(np.all(multihost_utils.process_allgather(np.array(sound))))


def _to_json(position):
    if isinstance(position, bytes):
        return {"bytes": base64.b64encode(position).decode()}
    return {"tree": position}


def _from_json(stored):
    return base64.b64decode(stored["bytes"]) if "bytes" in stored else stored["tree"]
