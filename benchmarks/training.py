"""Training: time of a step, peak memory whole and chunked, scaling, and bytes moved between devices.

    python -m benchmarks.training                       the tables, and benchmarks/training.json
    python -m benchmarks.training --devices 1 2 4       fewer devices
    python -m benchmarks.training --only memory
    python -m benchmarks.training --only ring           embeddings gathered, or passed round a ring

The work: a contrastive step (info_nce of queries and documents, AdamW) of a small encoder. On CPU the
devices are simulated and share its cores: scaling then shows what spreading costs, not what it gains.
Memory is the compiler's own analysis of the compiled step. Bytes are read from the compiled program,
per device, counted as a ring would move them (all-gather and reduce-scatter (n - 1) / n of the whole,
all-reduce twice that), compared with the least: one gather of the documents' embeddings and its transpose, one
reduction of the gradients.

The ring's table is of the loss alone, with the gradient of its embeddings, lowered and compiled for 8 devices
and never run; `pairs_in_80_gb` scales its memory, which is linear in the pairs at a block of so many anchors.
"""

import argparse
import functools
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "f64": 8}
CARD = 80e9  # bytes of a device, for the largest batch that fits
LENGTH, WIDTH, HIDDEN, LAYERS, WORDS = 32, 64, 256, 3, 1000
COLLECTIVE = re.compile(
    r"= (?P<shapes>\(?[^=]*?\)?) (?P<kind>all-gather|all-reduce|reduce-scatter|all-to-all|"
    r"collective-permute)(?:-start)?\((?P<rest>[^\n]*)"
)


def encoder(params, tokens):
    """tokens int [rows, LENGTH] -> embeddings [rows, WIDTH]."""
    import jax

    hidden = params["table"][tokens]
    for layer in params["layers"]:
        hidden = hidden + jax.nn.gelu(hidden @ layer["up"]) @ layer["down"]
    return hidden.mean(axis=1)


def parameters():
    """Random parameters of the encoder, as NumPy arrays."""
    random = np.random.default_rng(0)

    def matrix(rows, columns):
        return (random.normal(size=(rows, columns)) / np.sqrt(rows)).astype(np.float32)

    layers = [{"up": matrix(WIDTH, HIDDEN), "down": matrix(HIDDEN, WIDTH)} for _ in range(LAYERS)]
    return {"table": matrix(WORDS, WIDTH), "layers": layers}


def prepared(batch, chunk, devices, spread):
    """A compiled step and its arguments."""
    import jax

    from jaxsim import losses, training

    encode = encoder if chunk is None else training.chunked(encoder, chunk)

    def objective(params, batch, *, key, axis_name):
        queries, documents = (encode(params, batch[name]) for name in ("queries", "documents"))
        return losses.info_nce(queries, documents, temperature=0.05, axis_name=axis_name)

    ways = {
        "pmap": training.pmapped,
        "shard_map": training.shard_mapped,
        "sharded": functools.partial(training.sharded, smallest=1),
    }
    way = ways[spread](jax.devices()[:devices])
    optimizer = training.adamw(1e-3, clip=None)
    carry = way.start(parameters(), None, optimizer, None)
    tokens = np.random.default_rng(1).integers(0, WORDS, (2, batch, LENGTH)).astype(np.int32)
    rows = way.feed(
        {
            "queries": tokens[0],
            "documents": tokens[1],
            "where": np.ones(batch, bool),
            "ids": np.arange(batch, dtype=np.int32),
        }
    )
    key = jax.random.key(0)
    began = time.perf_counter()
    compiled = way.step(objective, optimizer, carry).lower(carry, rows, key, None).compile()
    return compiled, carry, rows, key, time.perf_counter() - began


def measured(batch, chunk, devices, spread, timed):
    """One row of the tables; called in a separate process."""
    from jaxsim.training._compiled import memory_of

    compiled, carry, rows, key, seconds = prepared(batch, chunk, devices, spread)
    text = compiled.as_text()
    row = {
        "batch": batch,
        "chunk": chunk,
        "devices": devices,
        "spread": spread,
        "compile_s": round(seconds, 2),
        "mib": round(memory_of(compiled) / 2**20, 2),
        "moved_bytes": sum(moved for _, moved in collectives(text)),
        "collectives": [[kind, moved] for kind, moved in collectives(text)],
        "least_bytes": least_bytes(batch, devices),
    }
    row["moved_over_least"] = (
        round(row["moved_bytes"] / row["least_bytes"], 4) if devices > 1 else None
    )
    if timed:
        times = []
        for _ in range(timed + 1):
            began = time.perf_counter()
            carry, loss, _, _ = compiled(carry, rows, key, None)
            row["loss"] = float(loss)
            times.append(time.perf_counter() - began)
        row["step_ms"] = round(1e3 * float(np.median(times[1:])), 2)
        row["examples_per_s"] = round(batch / row["step_ms"] * 1e3)
    return row


def measured_ring(pairs, dim, block, ring, devices=8):
    """One row of the ring's table, from the compiler alone; called in a separate process."""
    import jax
    from jax.sharding import AxisType, PartitionSpec

    from jaxsim import losses
    from jaxsim.training._compiled import memory_of

    mesh = jax.make_mesh((devices,), ("devices",), axis_types=(AxisType.Auto,))
    spread = PartitionSpec("devices")

    def loss(queries, documents):
        return losses.info_nce(queries, documents, axis_name="devices", block=block, ring=ring)

    step = jax.shard_map(
        jax.value_and_grad(loss, argnums=(0, 1)),
        mesh=mesh,
        in_specs=(spread, spread),
        out_specs=(PartitionSpec(), (spread, spread)),
    )
    rows = jax.ShapeDtypeStruct((pairs, dim), "float32")
    began = time.perf_counter()
    compiled = jax.jit(step).lower(rows, rows).compile()
    needs = memory_of(compiled)
    return {
        "pairs": pairs,
        "dim": dim,
        "block": block,
        "form": "ring" if ring else "gathered",
        "compile_s": round(time.perf_counter() - began, 2),
        "mib": round(needs / 2**20),
        "temporaries_mib": round(compiled.memory_analysis().temp_size_in_bytes / 2**20),
        "pairs_in_80_gb": round(pairs * CARD / needs),
    }


def collectives(text):
    """(kind, bytes that a device sends in a ring) of each collective in a compiled program."""
    moves = []
    text = re.sub(r"/\*.*?\*/", "", text)  # comments such as /*index=5*/ inside of shapes
    for match in COLLECTIVE.finditer(text):
        kind, attributes = match["kind"], match["rest"]
        sizes = [
            BYTES[dtype] * int(np.prod([int(n) for n in shape.split(",") if n], dtype=np.int64))
            for dtype, shape in re.findall(r"(\w+)\[([\d,]*)\]", match["shapes"])
            if dtype in BYTES
        ]
        groups = re.search(r"replica_groups=(?:\{\{([\d,]+)\}|\[(\d+),(\d+)\])", attributes)
        count = 1
        if groups:
            count = len(groups[1].split(",")) if groups[1] else int(groups[3])
        if count == 1:
            continue
        size = sum(sizes)  # of the result
        factor = {
            "all-reduce": 2 * (count - 1) / count,
            "all-gather": (count - 1) / count,
            "reduce-scatter": count - 1,
            "all-to-all": (count - 1) / count,
            "collective-permute": 1,
        }[kind]
        moves.append((kind, round(size * factor)))
    return moves


def least_bytes(batch, devices):
    """One gather of the documents' embeddings, its transpose, one reduction of the gradients."""
    weights = WORDS * WIDTH + LAYERS * 2 * WIDTH * HIDDEN
    part = (devices - 1) / devices
    return round(4 * part * (2 * batch * WIDTH + 2 * weights))


def child(**settings):
    """`measured` in a fresh process with as many devices."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training", "--one", json.dumps(settings)],
        capture_output=True,
        text=True,
        cwd=HERE.parent,
        check=False,
        env=os.environ | {"XLA_FLAGS": flags, "NPROC": "16"},
    )
    if done.returncode:
        raise RuntimeError(f"{settings}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def table(title, rows, names):
    """Prints rows as they come in the columns named."""
    print(f"\n{title}\n" + "  ".join(f"{name:>16}" for name in names))
    for row in rows:
        print("  ".join(f"{row.get(name)!s:>16}" for name in names))


def main():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--batch", type=int, default=512, help="of the scaling table")
    parser.add_argument("--steps", type=int, default=5, help="timed")
    parser.add_argument("--only", choices=["memory", "scaling", "ring"], help="one of the tables")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        settings = json.loads(options.one)
        print(json.dumps((measured_ring if "ring" in settings else measured)(**settings)))
        return
    import jax

    path = HERE / "training.json"
    results = json.loads(path.read_text()) if options.only and path.exists() else {}
    results |= {
        "jax": jax.__version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "date": time.strftime("%Y-%m-%d"),
    }
    if options.only in (None, "memory"):
        common = {"devices": 1, "spread": "pmap", "timed": 0}
        cases = [
            (128, None, options.steps),
            (512, None, options.steps),
            (512, 128, options.steps),
            (4096, 128, 1),
            (4096, None, 0),
        ]
        rows = [child(batch=b, chunk=c, **(common | {"timed": t})) for b, c, t in cases]
        for row in rows:
            row["mib_over_128"] = round(row["mib"] / rows[0]["mib"], 3)
        results["memory"] = rows
        table(
            "memory of one device, whole and chunked",
            rows,
            ["batch", "chunk", "mib", "mib_over_128", "step_ms", "compile_s"],
        )
    if options.only in (None, "ring"):
        cases = [(2**20, 768), (2**22, 768)]
        rows = [
            child(pairs=pairs, dim=dim, block=128, ring=ring)
            for pairs, dim in cases
            for ring in (False, True)
        ]
        results["ring"] = rows
        table(
            "the loss and its gradient on 8 devices, per device",
            rows,
            ["pairs", "dim", "form", "mib", "temporaries_mib", "pairs_in_80_gb", "compile_s"],
        )
    if options.only in (None, "scaling"):
        rows = [
            child(batch=options.batch, chunk=None, devices=d, spread=s, timed=options.steps)
            for s in ("pmap", "shard_map", "sharded")
            for d in options.devices
            if d > 1 or s == "pmap"
        ]
        results["scaling"] = rows
        table(
            "one batch over simulated devices",
            rows,
            [
                "spread",
                "devices",
                "step_ms",
                "mib",
                "moved_bytes",
                "least_bytes",
                "moved_over_least",
                "loss",
            ],
        )
    results["device"] = jax.devices()[0].device_kind
    path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
