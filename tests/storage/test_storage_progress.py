"""Progress: lines of a log show that something lives, and a line is shown once."""

import io
import itertools
import logging
import sys
import time

import pytest

from jaxsim import storage
from jaxsim.__main__ import _Lines
from jaxsim.storage import _progress


@pytest.fixture
def logged(caplog, monkeypatch):
    """A log in which bars are silent for at most a fiftieth of a second."""
    monkeypatch.setattr(_progress, "QUIET_SECONDS", 0.02)
    caplog.set_level(logging.INFO, "jaxsim")
    return caplog


def waited(logged, text):
    """Waits until a message holds the text."""
    for _ in range(500):
        if any(text in message for message in logged.messages):
            return
        time.sleep(0.01)
    raise AssertionError(f"no {text!r} in {logged.messages}")


def test_a_log_has_a_line_now_and_then_while_nothing_moves(logged):
    with storage.bar(2, "slow", "parts") as progress:
        waited(logged, "slow: 0 of 2 parts")
        progress.note("slower")
        waited(logged, "slower: 0 of 2 parts")


def test_of_nested_bars_the_innermost_alone_shows_that_it_lives(logged):
    with storage.bar(2, "outer", "parts"):
        with storage.bar(3, "inner", "rows"):
            logged.clear()
            waited(logged, "inner: 0 of 3 rows")
            assert not [line for line in logged.messages if "outer" in line]
        waited(logged, "outer: 0 of 2 parts")


class Display:
    """What is used of rich's display."""

    def __init__(self):
        self.console, self.printed, self.tasks = self, [], itertools.count()

    def add_task(self, *_, **__):
        return next(self.tasks)

    def print(self, line, **_):
        self.printed.append(line)


def test_what_a_display_shows_is_not_a_line_of_the_terminals_log_too(monkeypatch):
    log, handler, display = logging.getLogger("jaxsim"), _Lines(), Display()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(log, "level", logging.INFO)
    log.addHandler(handler)
    try:
        _progress.LiveBar("training", 2, "steps", display).say("compiled")
        log.info("another line")
    finally:
        log.removeHandler(handler)
    assert display.printed == ["training: compiled"]
    assert sys.stderr.getvalue() == "another line\n"
