"""Guards of a run: signals, changed data, processes that were started differently."""

import hashlib
import json
import logging
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxsim.numerics._device_batches import is_packed
from jaxsim.numerics.types import Batch, PRNGKey

LOG = logging.getLogger("jaxsim.training")


class Stop:
    """SIGTERM and Ctrl-C, noted while a block runs, so that a step is never interrupted."""

    def __init__(self) -> None:
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

    def leave(self, label: str, step: int, saved: bool) -> None:
        """Ends the process as the signal asks; a process that was not asked ends as by SIGTERM."""
        LOG.info("%s: stopped%s at step %d", label, " and saved" if saved else "", step)
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(0)


def key_name(key: PRNGKey) -> str:
    """A key as a short string."""
    return np.asarray(jax.random.key_data(key)).tobytes().hex()


def data_name(batch: Batch) -> str:
    """A batch as a short string: the same however its rows are split over processes, padded and packed."""
    rows = np.flatnonzero(batch["where"])
    packed = [one for one in jax.tree.leaves(batch, is_leaf=is_packed) if is_packed(one)]
    leaves = [
        np.asarray(leaf)
        for leaf in jax.tree.leaves(batch, is_leaf=is_packed)
        if not is_packed(leaf)
    ]
    total = sum(map(_texts_name, packed))
    for row in rows:
        digest = hashlib.sha256()
        for leaf in leaves:
            digest.update(np.ascontiguousarray(leaf[row]).tobytes())
        total += int.from_bytes(digest.digest()[:4], "big")
    if jax.process_count() > 1:
        halves = np.array([total >> 31, total & (2**31 - 1)], np.int32)
        total = sum((int(a) << 31) + int(b) for a, b in multihost_utils.process_allgather(halves))
    return f"{total % 2**64:016x}"


def _texts_name(texts):
    """The sum of a hash of each packed text; row by row, as texts may be packed for several devices."""
    total = 0
    for tokens, segments, where in zip(
        *(np.asarray(texts[name]) for name in ("tokens", "segments", "where")), strict=True
    ):
        for number in np.unique(segments[where]):
            text = np.ascontiguousarray(tokens[where & (segments == number)])
            total += int.from_bytes(hashlib.sha256(text.tobytes()).digest()[:4], "big")
    return total


def everywhere(sound: bool) -> bool:
    """Whether the value is true in every process."""
    if jax.process_count() == 1:
        return sound
    return bool(np.all(multihost_utils.process_allgather(np.array(sound))))


def on_first(function: Callable[[], Any], what: str) -> None:
    """Runs a function in the first process; its error ends all of them, where the others would wait.

    Raises: what the function raises, OSError or ValueError; in the other processes ValueError.
    """
    problem = None
    if jax.process_index() == 0:
        try:
            function()
        except (OSError, ValueError) as error:
            problem = error
    if not everywhere(problem is None):
        raise problem or ValueError(f"{what} was refused in process 0, which says why")


def check_agreement(settings: Mapping[str, Any]) -> None:
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


def first_batch(iterator: Any) -> Batch:
    """The batch that an iterator gives first, leaving it where it was."""
    for name in ("get_state", "set_state"):
        if not hasattr(iterator, name):
            raise ValueError(
                f"with workdir= the iterator of batches must have {name}, to resume where it was; "
                f"{type(iterator).__name__} does not; use jaxsim.data.batches, or workdir=None"
            )
    position = iterator.get_state()
    try:
        json.dumps(position if not isinstance(position, bytes) else None)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "get_state of the iterator of batches must give bytes or a JSON tree, got "
            f"{position!r:.60}: {error}"
        ) from None
    batch = next(iterator, None)
    iterator.set_state(position)
    if batch is None:
        raise ValueError("batches must give at least one batch, got none")
    return batch


def set_position(iterator: Any, position: Any, checkpoint: Any) -> None:
    """Sets an iterator to a position that a checkpoint holds.

    Raises: ValueError where it does not take it.
    """
    try:
        iterator.set_state(position)
    except Exception as error:  # whatever an iterator of the caller's raises
        raise ValueError(
            f"{checkpoint} was saved with other batches: their position {position!r:.60} does not fit "
            f"these ({type(error).__name__}: {error}); bring them back, or choose another workdir"
        ) from error
