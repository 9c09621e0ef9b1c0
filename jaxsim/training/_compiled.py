"""Ahead-of-time compilation of the step, once for each shape of batch, with its time and memory."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxsim.numerics.types import Batch, PRNGKey


class Compiled:
    """A jitted step, compiled ahead: memory is known before it runs, and every compilation is logged.

    Args:
      function: (carry, batch, key, stop) -> anything, jitted.
      say: function of a line of text.
      ahead: False where jax cannot (pmap over several processes): the first call then compiles.
    """

    def __init__(self, function: Any, say: Callable[[str], None], ahead: bool = True) -> None:
        self.function, self.say, self.ahead = function, say, ahead
        self.known = {}  # by shapes of the batch

    def __call__(self, carry: Any, batch: Batch, key: PRNGKey, stop: Any) -> Any:
        leaves, structure = jax.tree.flatten(batch)
        shapes = structure, tuple((np.shape(leaf), str(leaf.dtype)) for leaf in leaves)
        if shapes not in self.known:
            began = time.monotonic()
            self.say(f"compiling the step for {described(batch)}")
            if self.ahead:
                compiled = self.function.lower(carry, batch, key, stop).compile()
                needs = f"; {size(memory_of(compiled))} per device"
                self.known[shapes] = compiled
            else:
                result = self.function(carry, batch, key, stop)
                self.known[shapes], needs = self.function, ""
            self.say(f"compiled in {time.monotonic() - began:.1f} s{needs}")
            if not self.ahead:
                return result
        return self.known[shapes](carry, batch, key, stop)


def described(batch: Batch) -> str:
    """The shapes of a batch of all devices, as a person reads them: query 32 x 64, documents 32 x 1 x 128 tokens."""
    parts = []

    def visit(name, column):
        if isinstance(column, dict) and "tokens" in column:
            shape = " x ".join(map(str, column["tokens"].shape))
            parts.append(f"{name} of {shape} tokens".strip())
        elif isinstance(column, dict):
            for key, inner in column.items():
                visit(f"{name} {key}".strip(), inner)

    visit("", batch)
    rows = " x ".join(map(str, np.shape(batch["where"]) if isinstance(batch, dict) else ()))
    return ", ".join(parts) or f"batches of {rows} rows"


def memory_of(compiled: Any) -> int:
    """Bytes per device that a compiled step needs at its peak, its arguments among them.

    By the compiler's own analysis: arguments, results that take no argument's memory, temporaries.
    """
    analysis = compiled.memory_analysis()
    if analysis is None:
        return 0
    results = analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    return analysis.argument_size_in_bytes + results + analysis.temp_size_in_bytes


def size(count: float) -> str:
    """Bytes as a person reads them: 1.2 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.1f} {unit}" if unit != "B" else f"{count} B"
