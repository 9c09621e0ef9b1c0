"""One side of the benchmark of losses, in a process that asks come to: ours, or a peer.

python -m benchmarks.losses_sides ours     requests and answers are lines of JSON

{"do": "start", "name": ..., "batch": ..., "dim": ...}   the value, memory, and what it ran on
{"do": "time"}                                           milliseconds of what was started last
"""

import contextlib
import functools
import importlib
import json
import os
import signal
import sys
import time

import numpy as np

from benchmarks.catalog import CATALOG, kind
from benchmarks.catalog.floors import FLOORS, products

# Runs of each, the seconds after which fewer do, and those before which there are more, of one call or of several.
RUNS, LONGEST, SHORTEST, SHORTEST_OF_SEVERAL = 5, 1.0, 0.1, 0.5


def timed(call):
    """Milliseconds of the middle run of several, and those of all cores together."""
    return timed_in_turns([call])[0]


def timed_in_turns(calls):
    """The same of several calls, each once in a turn, first or last by turns: all meet the same machine."""
    seconds, begun = [[] for _ in calls], time.perf_counter()
    shortest = SHORTEST if len(calls) == 1 else SHORTEST_OF_SEVERAL

    def enough():
        past = time.perf_counter() - begun
        return past >= (shortest if len(seconds[0]) >= RUNS else LONGEST)

    while not seconds[0] or not enough():
        turn = list(zip(calls, seconds, strict=True))
        for call, times in turn if len(seconds[0]) % 2 else turn[::-1]:
            start = time.perf_counter(), time.process_time()
            call()
            times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    middles = (np.median(times, axis=0) * 1e3 for times in seconds)
    return [{"ms": float(ms), "core_ms": float(core_ms)} for ms, core_ms in middles]


def peak_mib():
    """The most memory that this process ever held."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def floor_of(name, arrays):
    """The matrix products that a pairwise loss of vectors cannot do without; None for others."""
    from jaxsim import losses

    if kind(getattr(losses, name)) != "pairwise" or arrays[0].ndim != 2:
        return None
    of_documents = 1 in CATALOG[name].moved
    others = arrays[1].reshape(-1, arrays[0].shape[1]) if of_documents else arrays[0]

    return compiled_call(products, arrays[0], others)


def own_floor_of(name, arrays):
    """What this loss cannot do without, where catalog/floors.py says it; None for others."""
    return compiled_call(FLOORS[name], *arrays) if name in FLOORS else None


def compiled_call(function, *arrays):
    """A call without arguments, compiled, that waits for its end."""
    import jax

    compiled = jax.jit(function).lower(*arrays).compile()
    jax.block_until_ready(compiled(*arrays))
    return lambda: jax.block_until_ready(compiled(*arrays))


def start_ours(name, batch=None, dim=None, block=None, peer=False):
    """What is known of our side after one run, and how to time it; with `peer` in turns with one that is JAX's too.

    Programs of equal steps took from half to twice each other's time in two processes, and the same in turns.
    """
    import jax

    entry = CATALOG[name]
    arrays = [jax.numpy.asarray(a) for a in entry.arrays(batch, dim)]
    loss = functools.partial(entry.ours, block=block) if block else entry.ours
    before, begun = peak_mib(), time.perf_counter()
    compiled = jax.jit(jax.value_and_grad(loss, argnums=entry.moved)).lower(*arrays).compile()
    compile_s = time.perf_counter() - begun
    value, _ = jax.block_until_ready(compiled(*arrays))
    figures = {
        "value": float(value),
        "compile_s": round(compile_s, 2),
        "temporaries_mib": round(compiled.memory_analysis().temp_size_in_bytes / 2**20, 1),
        "mib": round(peak_mib() - before, 1),
        "device": f"{jax.devices()[0].device_kind} ({jax.devices()[0].platform})",
        "versions": f"jax {jax.__version__}",
    }
    floors = {}  # made when first timed: its [rows, references] would hide how little ours holds
    calls = [lambda: jax.block_until_ready(compiled(*arrays))]
    if peer:
        try:
            figures["peer"], theirs = _of_jax(entry, arrays)
            calls.append(theirs)
        except Exception as error:  # it may fail in any way, be absent too; ours is timed
            figures["peer"] = {"stopped": f"{type(error).__name__}: {error}"[:120]}

    def times():
        mine, *others = timed_in_turns(calls)
        if others:
            mine["peer"] = others[0]
        if not floors:
            floors.update(floor=floor_of(name, arrays), own_floor=own_floor_of(name, arrays))
        for what, call in floors.items():
            if call is not None:
                floor = timed(call)
                mine |= {f"{what}_ms": floor["ms"], f"{what}_core_ms": floor["core_ms"]}
        return mine

    return figures, times


def start_peer(name, batch=None, dim=None):
    """The same of the peer's side."""
    entry = CATALOG[name]
    arrays = entry.arrays(batch, dim)
    import torch

    torch.set_num_threads(os.cpu_count())
    tensors = [torch.from_numpy(np.asarray(a)) for a in arrays]
    for place in entry.moved:
        tensors[place].requires_grad_()
    call, label = entry.theirs(*tensors)

    def step():
        for place in entry.moved:
            tensors[place].grad = None
        value = call(*tensors)
        value.backward()
        return value.item()

    before = peak_mib()
    figures = {"value": step(), "peer": label, "mib": round(peak_mib() - before, 1)}
    return figures | {"versions": f"torch {torch.__version__}"}, lambda: timed(step)


def _of_jax(entry, arrays):
    """What is known of a peer that JAX compiles, and its call."""
    import jax

    call, label = entry.theirs(*arrays)
    both = jax.jit(jax.value_and_grad(call, argnums=entry.moved)).lower(*arrays).compile()
    value, _ = both(*arrays)
    figures = {
        "value": float(value),
        "peer": label,
        "mib": None,
        "versions": f"jax {jax.__version__}",
    }
    return figures, lambda: jax.block_until_ready(both(*arrays))


def _imported():
    """Every peer's library, so that no loss pays for it."""
    for name in (
        "torch",
        "pytorch_metric_learning.losses",
        "sentence_transformers",
        "rax",
        "optax",
    ):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _stop(number, frame):
    raise TimeoutError


def main():
    """Answers until there are no more requests."""
    start, times = {"ours": start_ours, "peer": start_peer}[sys.argv[1]], None
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever libraries print is no answer
    if start is start_peer:
        _imported()
    signal.signal(signal.SIGALRM, _stop)
    for line in sys.stdin:
        request = json.loads(line)
        do, limit = request.pop("do"), request.pop("limit", 0)
        signal.alarm(limit)
        try:
            if do == "start":
                answer, times = start(**request)
            else:
                answer = times()
        except TimeoutError:
            answer = {"stopped": f"over {limit} s"}
        except Exception as error:  # a peer may fail in any way; the run continues
            answer = {"stopped": f"{type(error).__name__}: {error}"[:120]}
        finally:
            signal.alarm(0)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
