"""The workdir of a run: owned by one run at a time, and never reused by another."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import jax
from etils import epath
from jax.experimental import multihost_utils

from jaxsim import storage
from jaxsim.training import _guards as guards
from jaxsim.training._files import is_local, write_text

MARK = "run.json"
OURS = "checkpoints", "damaged", "metrics.jsonl", "loss.png"


def checked_folder(workdir: Any) -> Any:
    """A workdir as an absolute path, or a path on an object store.

    Raises: ValueError for anything but a path, an empty one, a file, or one below a file.
    """
    if not isinstance(workdir, (str, os.PathLike)):
        raise ValueError(f"workdir must be a path or None, got {workdir!r:.60}")
    if not str(workdir).strip() or "\0" in str(workdir):
        raise ValueError(f"workdir must name a folder, got {str(workdir)!r}")
    if not is_local(workdir):
        return epath.Path(workdir)
    folder = epath.Path(workdir).expanduser().absolute()
    for path in (folder, *folder.parents):
        if not path.is_dir() and os.path.lexists(path):
            what = "a file" if path.exists() else "a link to nothing"
            raise ValueError(f"workdir must be a folder, got {str(workdir)!r}: {path} is {what}")
    return folder


@contextlib.contextmanager
def owned(workdir: Any) -> Any:
    """One run owns a workdir for the length of a block, for all its processes.

    The first process holds a lock on a file in it, which the system frees when that process dies. Object
    stores have no locks: there, two runs in one workdir are not noticed.

    Raises: ValueError naming the owner, in every process.
    """
    with contextlib.ExitStack() as stack:

        def take():
            try:
                stack.enter_context(storage.owned(workdir))
            except OSError as error:
                raise ValueError(
                    f"workdir={str(workdir)!r} cannot be written to: {error.strerror or error}"
                ) from error
            except ValueError as error:
                raise ValueError(f"workdir={error}") from None

        guards.on_first(take if is_local(workdir) else lambda: None, f"workdir={str(workdir)!r}")
        yield


def plain_fingerprint(fingerprint: Any) -> Any:
    """A fingerprint as run.json keeps it: a string, or a flat dict of settings."""
    if isinstance(fingerprint, str):
        return fingerprint
    if isinstance(fingerprint, dict) or dataclasses.is_dataclass(fingerprint):
        return storage.plain_settings("fingerprint", fingerprint)
    raise ValueError(
        "fingerprint must be a string, or a dict of the settings that the run depends on, got "
        f"{fingerprint!r:.60}"
    )


def check_workdir(workdir: Any, about: Mapping[str, Any]) -> None:
    """Refuses a workdir that belongs to another run; marks an empty one as this run's.

    Args:
      workdir: a folder.
      about: {"fingerprint": a string or a flat dict of settings, "key": a string, "data": a string}.

    Raises: ValueError saying what differs, or that the folder is not of a run.
    """
    path = epath.Path(workdir) / MARK
    if not path.exists():
        names = [name for name in OURS if (path.parent / name).exists()]
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("jaxsim: nobody has written run.json yet")
        if names:
            raise ValueError(
                f"workdir={str(workdir)!r} holds {names[0]} but no {MARK}: it is not the workdir of a "
                "run; choose another, or move that away"
            )
        text = json.dumps(about, indent=1) + "\n"
        guards.on_first(lambda: write_text(path, text), f"workdir={str(workdir)!r}")
        return
    known = storage.Fields(path, storage.parsed_json(path, path.read_bytes()))
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("jaxsim: everyone has read run.json")
    where, remedy = (
        f"workdir={str(workdir)!r} belongs to another run",
        "remove it or choose another",
    )
    before, now = known.raw("fingerprint"), about["fingerprint"]
    if not isinstance(before, (str, dict)):
        raise known.wrong("fingerprint", "a string or an object of settings")
    if isinstance(before, dict) and isinstance(now, dict):
        if changed := storage.changed_settings(before, now):
            raise ValueError(f"{where}, with other settings: {changed}; {remedy}")
    elif before != now:
        raise ValueError(
            f"{where}, with fingerprint {before!r:.200}, this one has {now!r:.200}; {remedy}"
        )
    if known.text("key", about["key"]) != about["key"]:
        raise ValueError(f"{where}, with another key; {remedy}")
    if known.text("data", about["data"]) != about["data"]:
        raise ValueError(
            f"workdir={str(workdir)!r} was trained on other data: the first batch has changed since; "
            "bring the data back, remove the workdir or choose another"
        )
