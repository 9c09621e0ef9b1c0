"""Training steps on CPU with memory in pages of 4 KiB and of 2 MiB, in one run.

    python -m benchmarks.pages                      ConvNet, a narrow transformer, one of MiniLM's sizes

A step is the forward and backward pass of cross-entropy, or of InfoNCE, in float32, over one batch that is in memory,
without an optimizer. Each side has its own process, small pages as a process gets them where Linux gives large ones to
who asks (`madvise`), large ones by GLIBC_TUNABLES, as the commands of jaxsim and of experiments set it. They take
turns `--rounds` times, as machines drift, and the best of each counts.
"""

import argparse
import json
import os
import resource
import time
from pathlib import Path

import numpy as np

from benchmarks import command
from benchmarks.processes import answer

HERE = Path(__file__).resolve().parent
SIDES = {"4 KiB": "glibc.malloc.hugetlb=0", "2 MiB": "glibc.malloc.hugetlb=1"}
# (dim, layers, heads), texts, tokens of each
SIZES = {
    "narrow transformer": ((128, 2, 2), 256, 64),
    "MiniLM's sizes": ((384, 6, 12), 64, 128),
}
WORKS = ("ConvNet", *SIZES)


def started(work):
    """A step of a work as a function without arguments, compiled."""
    import jax
    import jax.numpy as jnp
    import optax

    from jaxsim import encoders, losses

    random = np.random.default_rng(0)
    if work == "ConvNet":
        net = encoders.ConvNet(dim=64)
        inputs = (jnp.asarray(random.normal(size=(32, 64, 64, 3)), jnp.float32),)
        labels = random.integers(0, 64, 32)

        def loss(params):
            logits = net.apply(params, *inputs)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    else:
        (dim, layers, heads), texts, length = SIZES[work]
        net = encoders.Transformer(30000, dim, layers, heads, 4 * dim)
        inputs = (random.integers(0, 30000, (texts, length)), np.ones((texts, length), bool))

        def loss(params):
            vectors = net.apply(params, *inputs)[:, 0]
            return losses.info_nce(vectors[::2], vectors[1::2])

    params = jax.jit(net.init)(jax.random.key(0), *inputs)
    step = jax.jit(jax.value_and_grad(loss))

    def once():
        return jax.block_until_ready(step(params))

    once()
    return once


def measured(work, steps):
    """Seconds of a step, by the clock and of all cores, and the page faults of one: middles."""
    once = started(work)
    seconds, cores, faults = [], [], []
    for _ in range(steps):
        before, start, busy = _faults(), time.perf_counter(), time.process_time()
        once()
        seconds.append(time.perf_counter() - start)
        cores.append(time.process_time() - busy)
        faults.append(_faults() - before)
    names = ("seconds", "core", "faults")
    return {n: float(np.median(v)) for n, v in zip(names, (seconds, cores, faults), strict=True)}


def compared(work, options):
    """A row: both sides in turns; None where one stopped."""
    turns = {side: [] for side in SIDES}
    for _ in range(options.rounds):
        for side, tunables in SIDES.items():
            words = ["--one", work, "--steps", str(options.steps)]
            environment = os.environ | {"GLIBC_TUNABLES": tunables}
            turns[side].append(answer("benchmarks.pages", words, side=side, env=environment))
    if any(turn is None for of_side in turns.values() for turn in of_side):
        return None
    best = {
        side: {part: min(turn[part] for turn in of_side) for part in of_side[0]}
        for side, of_side in turns.items()
    }
    small, large = best.values()
    return {
        "work": work,
        **{
            f"{side}: {part}": round(one[of] * scale)
            for side, one in best.items()
            for part, of, scale in (
                ("ms", "seconds", 1e3),
                ("core ms", "core", 1e3),
                ("page faults", "faults", 1),
            )
        },
        "times as fast": round(small["seconds"] / large["seconds"], 2),
        "times as fast, cores": round(small["core"] / large["core"], 2),
    }


def main():
    """The command line."""
    parser = command.parser("benchmarks.pages", __doc__)
    parser.add_argument("--works", nargs="+", choices=WORKS, default=WORKS)
    parser.add_argument("--steps", type=int, default=5, help="the middle of which counts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "pages.json")
    parser.add_argument("--one", choices=WORKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.one, options.steps)))
        return
    rows = []
    for work in options.works:
        if row := compared(work, options):
            rows.append(row)
            print(" | ".join(f"{name}: {value}" for name, value in row.items()), flush=True)
    enabled = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    given = enabled.read_text(encoding="utf-8").strip() if enabled.exists() else "unknown"
    command.write(options.out, rows, same=lambda row: row["work"], large_pages=given)


def _faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


if __name__ == "__main__":
    main()
