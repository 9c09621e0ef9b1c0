"""Progress bars: a bar in a terminal, lines in a log elsewhere.

Bars nest: one that is opened inside another appears below it in the same display.
"""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

LOG = logging.getLogger("jaxsim")
QUIET_SECONDS = 30.0  # between two lines of a log

_live = []  # the one rich display, while a bar is open
_lines = []  # bars of a log, while they are open, the innermost last


class Bar:
    """One line of progress: `advance` and `note`."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done, self.fields = 0, {}
        self.started = self.logged = time.monotonic()
        self.first = None  # done and time at the first advance: compilation does not count

    def advance(self, count: int = 1, **fields: float) -> None:
        """Moves on by `count`; `fields` are shown next to the bar, such as loss=0.3."""
        self.done += count
        self.fields.update(fields)
        if self.first is None:
            self.first = self.done, time.monotonic()
        self._show()

    def skip(self, count: int) -> None:
        """Moves on by what was done in an earlier run: it counts for the end, not for the speed."""
        self.done += count
        self._show()

    def note(self, text: str) -> None:
        """Sets the label: what is being done now."""
        self.label = text
        self._show()

    def say(self, text: str) -> None:
        """Logs a line that stays, above the bar or in the log."""
        LOG.info("%s: %s", self.label, text)

    def rate(self) -> float:
        """Units per second since the first advance."""
        if self.first is None or self.done <= self.first[0]:
            return 0.0
        return (self.done - self.first[0]) / max(time.monotonic() - self.first[1], 1e-9)

    def text(self) -> str:
        """The text next to the bar."""
        parts = [f"{name} {_short(value)}" for name, value in self.fields.items()]
        if self.rate() >= 1:
            parts.append(f"{self.rate():,.0f} {self.unit}/s")
        return "  ".join(parts)

    def _show(self, last=False):
        now = time.monotonic()
        if last or now - self.logged >= QUIET_SECONDS:
            self.logged = now
            rate = self.rate()
            left = f", {(self.total - self.done) / rate:.0f} s left" if rate and not last else ""
            LOG.info(
                "%s: %d of %d %s in %.0f s%s  %s",
                self.label,
                self.done,
                self.total,
                self.unit,
                now - self.started,
                left,
                self.text(),
            )

    def close(self) -> None:
        """Logs the last line."""
        self._show(last=True)

    def beat(self, closed: threading.Event) -> None:
        """Logs a line now and then while nothing moves, as in a long step, until `closed` is set."""
        while not closed.wait(QUIET_SECONDS):
            if _lines and _lines[-1] is self:
                self._show()


class LiveBar(Bar):
    """A line of progress in rich's display."""

    def __init__(self, label: str, total: int, unit: str, display: Any) -> None:
        super().__init__(label, total, unit)
        self.display = display
        self.task = display.add_task(label, total=total, text="")

    def _show(self, last=False):
        self.display.update(
            self.task, description=self.label, completed=self.done, text=self.text()
        )

    def say(self, text: str) -> None:
        # Logs that go to this terminal leave out what the display shows.
        LOG.info("%s: %s", self.label, text, extra={"displayed": True})
        self.display.console.print(f"{self.label}: {text}", markup=False, highlight=False)

    def close(self) -> None:
        self.display.remove_task(self.task)


@contextlib.contextmanager
def bar(total: int, label: str, unit: str = "steps") -> Iterator[Bar]:
    """Progress bar for the length of a block: a bar in a terminal, lines in a log elsewhere.

        with bar(1000, "training", "examples") as progress:
            progress.advance(32, loss=0.7)

    Args:
      total: how many units there are.
      label: what is being done.
      unit: what is counted.

    Yields: `Bar`, with `advance(count, **fields)`, `skip(count)` and `note(text)`.
    """
    with contextlib.ExitStack() as stack:
        display = _display(stack)
        line = Bar(label, total, unit) if display is None else LiveBar(label, total, unit, display)
        if display is None:
            stack.enter_context(_beating(line))
        try:
            yield line
        finally:
            line.close()


@contextlib.contextmanager
def _beating(line):
    """A sign of life of a bar in a log, from a thread: what is waited for may take minutes."""
    closed = threading.Event()
    _lines.append(line)
    threading.Thread(target=line.beat, args=[closed], daemon=True).start()
    try:
        yield
    finally:
        closed.set()
        _lines.remove(line)


def _display(stack):
    """The display that is open, or a new one in a terminal; None elsewhere."""
    if _live:
        return _live[-1]
    if not sys.stderr.isatty():
        return None
    try:
        from rich import progress
        from rich.console import Console
    except ImportError:
        return None
    display = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[text]}"),
        console=Console(stderr=True),
        transient=True,
    )
    stack.enter_context(display)
    _live.append(display)
    stack.callback(_live.remove, display)
    return display


def _short(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)
