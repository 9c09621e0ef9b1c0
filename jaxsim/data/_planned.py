"""Random-access datasets: a function of a batch's number, so that resuming needs nothing else."""

import collections
import concurrent.futures
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Batch

AHEAD = 2  # batches that are made while the devices work


class Planned:
    """Random-access dataset: its i-th batch is `batch(i)`; `len`, `[i]`, and iterators that resume.

        batches = Planned(1000, lambda i: {"x": x[order[i]], ...})

    Args:
      length: how many batches.
      batch: int -> batch; a pure function, called by a thread, a few batches ahead of the one asked for.
    """

    def __init__(self, length: int, batch: Callable[[int], Batch]) -> None:
        self.length, self.batch = length, batch

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int | slice) -> Any:
        if isinstance(number, slice):
            numbers = range(self.length)[number]
            return Planned(len(numbers), lambda place: self.batch(numbers[place]))
        place = number + self.length if number < 0 else number
        if not 0 <= place < self.length:
            raise IndexError(f"batch {number} of {self.length}")
        return self.batch(place)

    def map(self, function: Callable[[Batch], Batch]) -> "Planned":
        """Applies a function to each batch."""
        return Planned(self.length, lambda number: function(self.batch(number)))

    def __iter__(self) -> "Position":
        return Position(self)


class Epochs:
    """Ids of the batches of endless epochs, each epoch planned when it is first asked for.

    Args:
      planned: int -> int [length, batch_size], the ids of an epoch's batches, -1 for padding; pure.
      length: batches of an epoch.
      index, count: this process is the `index`-th of `count`.
    """

    def __init__(
        self, planned: Callable[[int], np.ndarray], length: int, index: int, count: int
    ) -> None:
        self.planned, self.length, self.index, self.count = planned, length, index, count
        # The epoch planned last, and its plan: one tuple, as threads read it.
        self.known = None, None

    def ids(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The ids of batch `number`, counted over the epochs: of all processes, and of this one."""
        epoch, number = divmod(int(number), self.length)
        known, plan = self.known
        if known != epoch:
            plan = self.planned(epoch)
            self.known = epoch, plan
        share = plan.shape[1] // self.count
        return plan[number], plan[number][self.index * share :][:share]


class Position:
    """An iterator over a `Planned` dataset: `get_state` gives a JSON tree, `set_state` goes there."""

    def __init__(self, dataset: Planned) -> None:
        self.dataset, self.number = dataset, 0
        self.thread, self.coming = None, collections.deque()

    def __iter__(self) -> "Position":
        return self

    def __next__(self) -> Batch:
        if self.number >= len(self.dataset):
            self._close()
            raise StopIteration
        if self.thread is None:
            self.thread = concurrent.futures.ThreadPoolExecutor(1, "jaxsim batches")
        last = min(self.number + AHEAD + 1, len(self.dataset))
        for number in range(self.number + len(self.coming), last):
            self.coming.append(self.thread.submit(self.dataset.batch, number))
        self.number += 1
        return self.coming.popleft().result()

    def get_state(self) -> dict[str, int]:
        """The position: how many batches were returned."""
        return {"next_index": self.number}

    def set_state(self, state: dict[str, int]) -> None:
        """Resumes after as many batches as the state says."""
        if not isinstance(state, dict) or "next_index" not in state:
            raise ValueError(
                f'a position must be {{"next_index": batches given}}, got {state!r:.60}'
            )
        checks.whole("next_index", state["next_index"], 0)
        self._close()
        self.number = state["next_index"]

    def _close(self):
        self.coming.clear()
        if self.thread is not None:
            self.thread.shutdown(wait=False, cancel_futures=True)
            self.thread = None
