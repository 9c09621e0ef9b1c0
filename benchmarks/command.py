"""What the commands of benchmarks share: their parser, and their files of figures."""

import argparse
import functools
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def parser(module: str, text: str | None) -> argparse.ArgumentParser:
    """The parser of `python -m MODULE`, whose help begins with the module's docstring."""
    return argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def machine() -> dict[str, Any]:
    """The processor, its cores, how fast it multiplies, and the load."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "product_gflops": product_rate(),
        "load": round(os.getloadavg()[0], 1),
    }


def processor() -> str:
    """The name of this machine's processor."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@functools.cache
def product_rate() -> float:
    """GFLOP/s of a product of two matrices of 2,048 x 2,048 in float32: how fast the processor is."""
    import jax

    square = jax.numpy.ones((2048, 2048), jax.numpy.float32)
    product = jax.jit(lambda a: a @ a)
    jax.block_until_ready(product(square))
    return round(2 * 2048**3 / best(lambda: jax.block_until_ready(product(square)), 5) / 1e9, 1)


def best(call: Callable[[], Any], repeats: int) -> float:
    """Seconds of the fastest of several runs."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def write(
    out: Path,
    rows: list[Row],
    *,
    same: Callable[[Row], Any] | None = None,
    order: Callable[[Row], Any] | None = None,
    **about: Any,
) -> None:
    """Writes rows, each with its day and machine, and what the latest were measured on.

    Args:
      out: the file, JSON.
      rows: figures.
      same: what a row is known by: rows of earlier runs that the new ones do not repeat are kept. None keeps none.
      order: what the file is sorted by; None leaves the kept rows first.
      **about: what else to say of the run.
    """
    from jaxsim import storage

    kept, today = [], time.strftime("%Y-%m-%d")
    if same and out.exists():
        stored, new = json.loads(out.read_text(encoding="utf-8")), {same(row) for row in rows}
        kept = [row for row in stored["rows"] if same(row) not in new]
    about = machine() | about
    measured = {"date": today, "machine": f"{about['cores']} cores of {about['processor']}"}
    rows = kept + [row | measured for row in rows]
    rows = sorted(rows, key=order) if order else rows
    storage.write_json(out, {"about": about, "rows": rows})
