"""What stops a run before it does harm: signals, another run's folder or data, processes that differ."""

import dataclasses
import hashlib
import json
import logging
import signal
import threading

import jax
import numpy as np
from etils import epath
from jax.experimental import multihost_utils

from jaxsim import storage
from jaxsim.training.files import write_text

LOG = logging.getLogger("jaxsim.training")


class Stop:
    """SIGTERM and Ctrl-C, noted while a block runs, so that a step is never torn."""

    def __init__(self):
        self.asked, self.before = None, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for which in (signal.SIGTERM, signal.SIGINT):
                self.before[which] = signal.signal(which, self._note)
        return self

    def __exit__(self, *_):
        for which, handler in self.before.items():
            signal.signal(which, handler)

    def _note(self, which, _frame):
        if self.asked == signal.SIGINT == which:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait
        self.asked = which

    def leave(self, label, step, saved):
        """Ends the process as the signal asks; a process that was not asked ends as by SIGTERM."""
        LOG.info("%s: stopped%s at step %d", label, " and saved" if saved else "", step)
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(0)


def key_name(key):
    """A key as a short string."""
    return np.asarray(jax.random.key_data(key)).tobytes().hex()


def data_name(batch):
    """A batch as a short string: the same however its rows are split over processes and padded."""
    rows = np.flatnonzero(batch["where"])
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(batch)]
    total = 0
    for row in rows:
        digest = hashlib.sha256()
        for leaf in leaves:
            digest.update(np.ascontiguousarray(leaf[row]).tobytes())
        total += int.from_bytes(digest.digest()[:4], "big")
    if jax.process_count() > 1:
        halves = np.array([total >> 31, total & (2**31 - 1)], np.int32)
        total = sum((int(a) << 31) + int(b) for a, b in multihost_utils.process_allgather(halves))
    return f"{total % 2**64:016x}"


def check_agreement(settings):
    """Refuses a run whose processes were started differently.

    Args:
      settings: {name: anything with a text}, in the same order everywhere.

    Raises: ValueError naming the process and the settings.
    """
    if jax.process_count() == 1:
        return
    names = [
        int.from_bytes(hashlib.sha256(str(value).encode()).digest()[:4], "big") >> 1
        for value in settings.values()
    ]
    everyones = np.asarray(multihost_utils.process_allgather(np.array(names, np.int32)))
    for process, theirs in enumerate(everyones):
        differing = [n for n, a, b in zip(settings, theirs, everyones[0], strict=True) if a != b]
        if differing:
            raise ValueError(
                f"process {process} was started with another {' and '.join(differing)} than "
                f"process 0: all processes must run the same configuration"
            )


def plain_fingerprint(fingerprint):
    """A fingerprint as run.json keeps it: a string, or a flat dict of settings."""
    if isinstance(fingerprint, str):
        return fingerprint
    if isinstance(fingerprint, dict) or dataclasses.is_dataclass(fingerprint):
        return storage.plain_settings("fingerprint", fingerprint)
    raise ValueError(
        "fingerprint must be a string, or a dict of the settings that the run depends on, got "
        f"{fingerprint!r:.60}"
    )


def check_workdir(workdir, about):
    """Refuses a workdir that belongs to another run; marks an empty one as this run's.

    Args:
      workdir: a folder.
      about: {"fingerprint": a string or a flat dict of settings, "key": a string, "data": a string}.

    Raises: ValueError saying what differs.
    """
    path = epath.Path(workdir) / "run.json"
    if not path.exists():
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("jaxsim: nobody has written run.json yet")
        if jax.process_index() == 0:
            write_text(path, json.dumps(about, indent=1) + "\n")
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
        raise known.wrong("fingerprint", "a string or an object")
    if isinstance(before, dict) and isinstance(now, dict):
        if changed := storage.changed_settings(before, now):
            raise ValueError(f"{where}, with other settings: {changed}: {remedy}")
    elif before != now:
        raise ValueError(
            f"{where}, with fingerprint {before!r:.200}, this one has {now!r:.200}: {remedy}"
        )
    if known.text("key", about["key"]) != about["key"]:
        raise ValueError(f"{where}, with another key: {remedy}")
    if known.text("data", about["data"]) != about["data"]:
        raise ValueError(
            f"workdir={str(workdir)!r} was trained on other data: the first batch has changed since; "
            "bring the data back, remove the workdir or choose another"
        )


def first_batch(iterator):
    """The batch that an iterator gives first, leaving it where it stood; None where there is none."""
    for name in ("get_state", "set_state"):
        if not hasattr(iterator, name):
            raise ValueError(
                f"with workdir= the iterator of batches must have {name}, to resume where it stood; "
                f"{type(iterator).__name__} has not: use jaxsim.data.batches, or workdir=None"
            )
    position = iterator.get_state()
    batch = next(iterator, None)
    iterator.set_state(position)
    return batch
