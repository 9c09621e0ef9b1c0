"""Checkpoints by orbax: everything that a run needs to go on as if it had never stopped."""

import base64
import logging
from pathlib import Path

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

LOG = logging.getLogger("jaxsim.training")


class Checkpoints:
    """The checkpoints of one run, in a folder: `save`, `restore`, `close`.

    Saving returns when the arrays are copied; writing goes on beside the training.
    """

    def __init__(self, folder, *, keep=2):
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        self.manager = ocp.CheckpointManager(Path(folder).absolute(), options=options)

    def save(self, step, tree, position):
        """Saves a tree of arrays and the data's position after `step` steps; once for a step."""
        if step in self.manager.all_steps():
            return
        # A copy of our own: the next step is given the carry's memory to write into.
        copy = jax.tree.map(jnp.copy, tree)
        meta = {"position": _to_json(position)}
        self.manager.save(
            step,
            args=ocp.args.Composite(tree=ocp.args.StandardSave(copy), meta=ocp.args.JsonSave(meta)),
        )

    def restore(self, like):
        """The newest checkpoint that can be read: (step, tree, position), or None where there is none.

        Damaged ones are named in the log, passed over and removed.

        Args:
          like: a tree of arrays, of the structure, shapes and dtypes that were saved.
        """
        wanted = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), like)
        for step in sorted(self.manager.all_steps(), reverse=True):
            try:
                found = self.manager.restore(
                    step,
                    args=ocp.args.Composite(
                        tree=ocp.args.StandardRestore(wanted), meta=ocp.args.JsonRestore()
                    ),
                )
                if found["meta"] is None:
                    raise ValueError("its position is missing")
            except Exception as error:  # orbax raises many kinds for a damaged folder
                LOG.warning(
                    "passed over the checkpoint of step %d, which cannot be read: %s",
                    step,
                    str(error).strip().splitlines()[0][:200],
                )
                self.manager.delete(step)
                continue
            return step, found["tree"], _from_json(found["meta"]["position"])
        return None

    def close(self):
        """Waits until everything is written."""
        self.manager.wait_until_finished()
        self.manager.close()


def _to_json(position):
    if isinstance(position, bytes):
        return {"bytes": base64.b64encode(position).decode()}
    return {"tree": position}


def _from_json(stored):
    return base64.b64decode(stored["bytes"]) if "bytes" in stored else stored["tree"]
