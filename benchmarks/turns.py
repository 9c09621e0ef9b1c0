"""Sides of a search that take turns in one process: the best time of each, after their scores were compared."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import command

HERE = Path(__file__).resolve().parent
Call = Callable[[], Any]


def timed(call: Call) -> tuple[float, float]:
    """Milliseconds of the clock and of all cores."""
    begun, used = time.perf_counter(), time.process_time()
    for part in call():
        np.asarray(part)
    return 1e3 * (time.perf_counter() - begun), 1e3 * (time.process_time() - used)


def best_times(sides: dict[str, Call], rounds: int, rtol: float) -> dict[str, dict[str, Any]]:
    """The best of some turns of each side, and how it compares with ours.

    Args:
      sides: {"ours": call, a peer: call, ...}, each to (scores, ids).
      rounds: turns.
      rtol: how close the scores must be, relatively.

    Returns: {side: its row}.
    Raises: AssertionError where the scores differ.
    """
    scores = [np.asarray(call()[0]) for call in sides.values()]  # and ours is compiled
    for other in scores[1:]:
        np.testing.assert_allclose(scores[0], other, rtol=rtol)
    times = {side: [] for side in sides}
    for _ in range(rounds):
        for side, call in sides.items():
            times[side].append(timed(call))
    best = {side: np.min(pairs, axis=0) for side, pairs in times.items()}
    return {
        side: {
            "ms": float(ms),
            "cpu_ms": float(cpu_ms),
            "ours / this": float(best["ours"][0] / ms),
            "ours / this, cores": float(best["ours"][1] / cpu_ms),
        }
        for side, (ms, cpu_ms) in best.items()
    }


def run(
    work: str,
    text: str | None,
    rows: Callable[[argparse.Namespace], list[dict[str, Any]]],
    *,
    size: tuple[str, int],
    rounds: int,
) -> None:
    """The command line of a comparison: prints its rows and writes them to benchmarks/WORK.json.

    Args:
      work: its module in benchmarks/.
      text: the module's docstring.
      rows: from the options to the rows.
      size: the option that says how many items are searched, and its default.
      rounds: turns by default.
    """
    parser = command.parser(f"benchmarks.{work}", text)
    parser.add_argument(f"--{size[0]}", type=int, default=size[1])
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=rounds, help="turns")
    parser.add_argument("--out", default=str(HERE / f"{work}.json"), help="- writes no file")
    options = parser.parse_args()
    figures = rows(options)
    if options.out != "-":
        command.write(Path(options.out), figures)
