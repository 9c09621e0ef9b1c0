"""Times of work that a device does behind the host's back."""

import time

import numpy as np


def timed(call, *, seconds=1.0, most=30):
    """Milliseconds of one call: the median of several, each waited for; the first is not counted.

    Args:
      call: a function of nothing whose result can be waited for (jax arrays, or anything else that is
        finished when it returns).
      seconds: after which no further call is begun.
      most: calls at most.
    """
    waited(call())
    times, begun = [], time.perf_counter()
    while len(times) < most and (not times or time.perf_counter() - begun < seconds):
        start = time.perf_counter()
        waited(call())
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def waited(result):
    """The result, once the device has it."""
    import jax

    return jax.block_until_ready(result)
