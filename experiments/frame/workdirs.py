"""The folder of a run: of one experiment and preset, checked before any work, owned by one process."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from experiments.frame.places import RESULTS_JSON
from jaxsim import storage

MARK = "experiment.json"  # which experiment and preset the folder is for


def checked(workdir: str | Path, slug: str, preset: str) -> Path:
    """Refuses, before any work, a folder that is not for this experiment and preset.

    Free are a new folder, an empty one, and one where the same experiment and preset ran before.

    Returns: the folder, a `Path`.
    Raises: ValueError saying what is there and what to do.
    """
    marked = not (Path(workdir) / RESULTS_JSON).is_file()  # results of before there was a mark
    mark = MARK if marked else RESULTS_JSON
    workdir = storage.check_place(
        "workdir", workdir, mark=mark, kind="the workdir of an experiment"
    )
    owner = owner_of(workdir)
    if owner not in (None, (slug, preset)):
        raise ValueError(
            f"workdir={str(workdir)!r} holds results of {owner[0]}, preset {owner[1]}; this is {slug}, "
            f"preset {preset}: choose another --workdir"
        )
    return workdir


def owner_of(workdir: Path) -> tuple[str, str] | None:
    """(experiment, preset) of a folder; None where neither its mark nor its results say it.

    Raises: ValueError naming a damaged file.
    """
    for name in (MARK, RESULTS_JSON):
        about = storage.read_object(workdir / name, missing=None)
        if about is not None:
            return about.text("experiment"), about.text("preset")
    return None


@contextlib.contextmanager
def owned(workdir: str | Path, slug: str, preset: str) -> Iterator[None]:
    """The folder is this process's for the length of a block.

    Of several hosts the first one takes it; the others write nothing before they know whether it could.

    Raises: ValueError naming the process that has it, or what else is there.
    """
    with contextlib.ExitStack() as stack:
        refused = None
        if jax.process_index() == 0:
            try:
                stack.enter_context(storage.owned(workdir))
                mark = checked(workdir, slug, preset) / MARK
                if not mark.exists():
                    storage.write_json(mark, {"experiment": slug, "preset": preset})
            except (ValueError, OSError) as error:
                refused = error
        if jax.process_count() > 1:
            answer = multihost_utils.broadcast_one_to_all(np.array(refused is not None))
            if answer and refused is None:
                refused = ValueError(f"workdir={str(workdir)!r} was refused by the first host")
        if refused is not None:
            raise refused
        yield
