"""Time and peak memory of near-duplicates and of mining hard negatives, each with many copies and with none.

What `benchmarks.search --work mining` runs, 200,000 x 64 by default. The floor is the bare products of the
pairs, each pair of near-duplicates once, at the rate at which this process computes one block.
"""

import time

import numpy as np

from benchmarks import search_memory

BLOCK, TIMES = 1024, 50  # rows of both sides of a product, and how many are timed


def vectors(options, kind):
    """Vectors: all different, all equal, half of them near copies of the others, or of 100 families."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((options.items, options.dim), np.float32)
    noise, half = 0.001 * rows, options.items // 2
    if kind == "equal":
        rows[:] = 1
    if kind == "copies":
        rows[half:] = rows[random.integers(0, half, options.items - half)] + noise[half:]
    if kind == "families":
        rows = rows[random.integers(0, 100, options.items)] + noise
    return rows


def near_duplicates(options, kind):
    """All pairs of a corpus."""
    from jaxsim import search

    rows = vectors(options, kind)
    return lambda: search.near_duplicates(rows, 0.9)


def mining(options, kind):
    """Ten negatives of every row, itself its positive."""
    from jaxsim import search

    rows = vectors(options, kind)
    rules = [search.mining.relative_margin(0.95)]
    positives = np.arange(len(rows))
    return lambda: search.mine_negatives(rows, rows, positives, 10, rules=rules)


METHODS = {
    f"{name}, {kind}": (method, kind)
    for name, method, kinds in (
        ("near-duplicates", near_duplicates, ("different", "equal", "copies", "families")),
        ("mining", mining, ("different", "equal")),
    )
    for kind in kinds
}


def product(options):
    """Core seconds of one block's product, the best of some."""
    import jax

    from jaxsim.similarity import dot

    block = jax.numpy.ones((BLOCK, options.dim))
    run = jax.jit(lambda x, y: dot(x, y))
    run(block, block).block_until_ready()
    best = np.inf
    for _ in range(TIMES):
        begun = time.process_time()
        run(block, block).block_until_ready()
        best = min(best, time.process_time() - begun)
    return best


def run(options):
    """One method, in this process: its time, its peak memory, and the time of its products."""
    method, kind = METHODS[options.side]
    call = method(options, kind)
    floor = product(options) * (options.items / BLOCK) ** 2
    before = search_memory.held()
    search_memory.forget_peak()
    begun, spent = time.perf_counter(), time.process_time()
    call()
    seconds, used = time.perf_counter() - begun, time.process_time() - spent
    floor /= 2 if method is near_duplicates else 1
    return {
        "work": "mining",
        "method": options.side,
        "shape": f"{options.items} x {options.dim}",
        "mib": round(search_memory.peak() - before, 1),
        "s": round(seconds, 1),
        "core s": round(used, 1),
        "floor, core s": round(floor, 1),
        "times floor": round(used / floor, 2),
    }
