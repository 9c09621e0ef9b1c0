"""Losses beside what a user would pick instead: time and memory of forward and backward, in one run.

    python -m benchmarks.losses                                   the table, and benchmarks/losses.json
    python -m benchmarks.losses --losses multi_similarity --batches 1024 2048 --dims 128
    python -m benchmarks.losses --memory 65536 384                peak memory of one large batch, blocked

Needs the extra `peers` (README); without torch only our side is timed. Every measurement has a process
of its own, so that peak memory is its own; outputs are compared before anything is timed; compile time
stands apart; a peer stops at the first size over 60 s or 8 GB. The floor is the three matrix products
that any such loss needs (scores, and the gradients of both sides), timed beside ours.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
SECONDS, MIB = 60.0, 8192  # a peer beyond either is not asked for more
REPEATS, LONGEST = 9, 4.0  # runs of each, and seconds after which fewer do


def examples(batch, dim):
    """Embeddings float32 [batch, dim] and labels of 4 rows each, in random order."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.arange(batch) // 4)
    centres = random.normal(size=(batch // 4 + 1, dim))
    return (centres[labels] + random.normal(size=(batch, dim))).astype(np.float32), labels


def pairs(batch, dim):
    """Queries and documents float32 [batch, dim], row i of one the positive of row i of the other."""
    random = np.random.default_rng(0)
    queries = random.normal(size=(batch, dim)).astype(np.float32)
    return queries, queries + random.normal(size=(batch, dim)).astype(np.float32)


def ours(name):
    """Our loss as a function of (embeddings, labels) or, for those over pairs, (queries, documents)."""
    from jaxsim import losses

    settings = {"triplet": {"margin": 0.05}}.get(name, {})
    function = getattr(losses, name)
    return lambda x, y, **more: function(x, y, **settings, **more)


def peer(name):
    """The peer's loss on torch tensors, and its name; None where there is none."""
    import torch
    from pytorch_metric_learning import losses, miners

    def plain_info_nce(queries, documents):
        scores = torch.nn.functional.normalize(queries) @ torch.nn.functional.normalize(documents).T
        return torch.nn.functional.cross_entropy(scores / 0.05, torch.arange(len(queries)))

    def mined_multi_similarity(embeddings, labels):
        kept = miners.MultiSimilarityMiner(epsilon=0.1)(embeddings, labels)
        return losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5)(embeddings, labels, kept)

    theirs = {
        "contrastive": losses.ContrastiveLoss(),
        "circle": losses.CircleLoss(),
        "supervised_contrastive": losses.SupConLoss(),
        "triplet": losses.TripletMarginLoss(),
        "lifted_structure": losses.LiftedStructureLoss(),
        "nca": losses.NCALoss(),
        "nt_xent": losses.NTXentLoss(),
        "multi_similarity": mined_multi_similarity,
        "info_nce": plain_info_nce,
    }
    if name not in theirs:
        return None, None
    label = {"info_nce": "plain torch", "multi_similarity": "PML with its miner"}.get(name, "PML")
    return theirs[name], label


NAMES = (
    "multi_similarity", "contrastive", "circle", "supervised_contrastive", "info_nce", "nt_xent",
    "triplet", "lifted_structure", "nca",
)  # fmt: skip


def timed(call):
    """Milliseconds of the middle run of several."""
    seconds, begun = [], time.perf_counter()
    while len(seconds) < REPEATS and (not seconds or time.perf_counter() - begun < LONGEST):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds) * 1e3)


def peak_mib():
    """The most memory that this process ever held."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def given(name, batch, dim):
    """What a loss takes: pairs, or examples with labels."""
    return (pairs if name == "info_nce" else examples)(batch, dim)


def run_ours(name, batch, dim, block=None):
    """Our side, in this process."""
    import jax

    x, y = (jax.numpy.asarray(a) for a in given(name, batch, dim))
    loss = ours(name)
    # Of both sides where there are two: the peer's graph has them too.
    wanted = (0, 1) if name == "info_nce" else 0
    both = jax.jit(jax.value_and_grad(lambda x, y: loss(x, y, block=block), argnums=wanted))

    @jax.jit
    def floor(x, y):
        # Scores, and a gradient that arrives at them, pulled back to both sides.
        scores = jax.numpy.matmul(x, y.T, precision="highest")
        return jax.numpy.matmul(scores, y, precision="highest"), jax.numpy.matmul(
            scores.T, x, precision="highest"
        )

    other = y if name == "info_nce" else x
    jax.block_until_ready(floor(x, other))
    before, begun = peak_mib(), time.perf_counter()
    compiled = both.lower(x, y).compile()
    compile_s = time.perf_counter() - begun
    value, _ = jax.block_until_ready(compiled(x, y))
    row = {
        "value": float(value),
        "ms": timed(lambda: jax.block_until_ready(compiled(x, y))),
        "compile_s": round(compile_s, 2),
        "temporaries_mib": round(compiled.memory_analysis().temp_size_in_bytes / 2**20, 1),
        "mib": round(peak_mib() - before, 1),
        "device": f"{jax.devices()[0].device_kind} ({jax.devices()[0].platform})",
        "versions": f"jax {jax.__version__}",
    }
    # The floor in the same process, between two timings of ours, as machines drift.
    row["floor_ms"] = timed(lambda: jax.block_until_ready(floor(x, other)))
    row["ms"] = min(row["ms"], timed(lambda: jax.block_until_ready(compiled(x, y))))
    return row


def run_memory(name, batch, dim, block=None):
    """Peak memory of our side, one run of the blocked loss, in this process."""
    import jax

    x, y = (jax.numpy.asarray(a) for a in given(name, batch, dim))
    loss, wanted = ours(name), (0, 1) if name == "info_nce" else 0
    both = jax.jit(jax.value_and_grad(lambda x, y: loss(x, y, block=block), argnums=wanted))
    before = peak_mib()
    compiled = both.lower(x, y).compile()
    start = time.perf_counter()
    value, _ = jax.block_until_ready(compiled(x, y))
    return {
        "value": float(value),
        "ms": (time.perf_counter() - start) * 1e3,
        "mib": round(peak_mib() - before, 1),
        "temporaries_mib": round(compiled.memory_analysis().temp_size_in_bytes / 2**20, 1),
    }


def run_peer(name, batch, dim):
    """The peer's side, in this process."""
    import torch

    torch.set_num_threads(os.cpu_count())
    loss, label = peer(name)
    if loss is None:
        return {}
    x, y = (torch.from_numpy(np.asarray(a)) for a in given(name, batch, dim))
    x.requires_grad_()
    if name == "info_nce":
        y.requires_grad_()

    def step():
        x.grad = None
        value = loss(x, y)
        value.backward()
        return value.item()

    before = peak_mib()
    value = step()
    return {
        "value": value,
        "peer": label,
        "ms": timed(step),
        "mib": round(peak_mib() - before, 1),
        "versions": f"torch {torch.__version__}",
    }


def apart(side, name, batch, dim, block=None, limit=2 * SECONDS + 60):
    """One side in a process of its own: its row, or why there is none."""
    words = [sys.executable, "-m", "benchmarks.losses", "--one", side, name, str(batch), str(dim)]
    words += [str(block)] if block else []
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=limit,
            cwd=HERE.parent,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"stopped": f"over {limit:.0f} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        return {"stopped": last[:120]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def compared(name, batch, dim, with_peer):
    """One row of the table."""
    mine = apart("ours", name, batch, dim)
    row = {
        "work": name, "shape": f"{batch} x {dim}", "dtype": "float32", "device": mine.get("device"),
        "ours_ms": mine.get("ms"), "floor_ms": mine.get("floor_ms"), "ours_mib": mine.get("mib"),
        "compile_s": mine.get("compile_s"), "versions": mine.get("versions"),
    }  # fmt: skip
    if "stopped" in mine:
        return row | {"note": f"ours: {mine['stopped']}"}
    row["times_floor"] = round(mine["ms"] / mine["floor_ms"], 2)
    if not with_peer:
        return row
    theirs = apart("peer", name, batch, dim)
    if "ms" not in theirs:
        return row | {"note": f"peer: {theirs.get('stopped', 'none')}"}
    if not np.isclose(mine["value"], theirs["value"], rtol=1e-4, atol=1e-5):
        row["note"] = f"values differ: {mine['value']:.6g}, peer {theirs['value']:.6g}"
    return row | {
        "peer": theirs["peer"], "peer_ms": theirs["ms"], "peer_mib": theirs["mib"],
        "ratio": round(mine["ms"] / theirs["ms"], 4), "versions": f"{row['versions']}, {theirs['versions']}",
    }  # fmt: skip


def shown(rows):
    """The table for a terminal and for README.md."""
    columns = ("work", "shape", "ours_ms", "peer", "peer_ms", "ratio", "floor_ms", "times_floor",
               "ours_mib", "peer_mib", "temporaries_mib", "compile_s", "note")  # fmt: skip
    columns = [column for column in columns if any(column in row for row in rows)]
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    for row in rows:
        cells = (row.get(column, "") for column in columns)
        cells = (f"{c:.4g}" if isinstance(c, float) else "" if c is None else str(c) for c in cells)
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.losses", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--losses", nargs="+", default=NAMES, help="names of losses")
    parser.add_argument(
        "--batches", nargs="+", type=int, default=[256, 512, 1024, 2048, 4096, 8192]
    )
    parser.add_argument("--dims", nargs="+", type=int, default=[128, 768])
    parser.add_argument("--memory", nargs=2, type=int, help="batch and dim: peak memory instead")
    parser.add_argument("--no-peer", action="store_true", help="time our side alone")
    parser.add_argument("--out", type=Path, default=HERE / "losses.json")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        side, name, batch, dim, *block = options.one
        run = {"ours": run_ours, "peer": run_peer, "memory": run_memory}[side]
        print(json.dumps(run(name, int(batch), int(dim), *map(int, block))))
        return
    rows = []
    if options.memory:
        batch, dim = options.memory
        for name in (
            options.losses if options.losses is not NAMES else ("multi_similarity", "info_nce")
        ):
            found = apart("memory", name, batch, dim, limit=3600)
            rows.append({"work": name, "shape": f"{batch} x {dim}", "ours_ms": found.get("ms"),
                         "ours_mib": found.get("mib"), "temporaries_mib": found.get("temporaries_mib"),
                         "note": found.get("stopped", "")})  # fmt: skip
        print(shown(rows))
        return
    beyond = set()  # (loss, dim) whose peer has passed a limit
    for name in options.losses:
        for dim in options.dims:
            for batch in options.batches:
                row = compared(name, batch, dim, not options.no_peer and (name, dim) not in beyond)
                if (
                    row.get("peer_ms", 0) > SECONDS * 1e3
                    or row.get("peer_mib", 0) > MIB
                    or "peer:" in row.get("note", "")
                ):
                    beyond.add((name, dim))
                rows.append(row)
                print(shown([row]).splitlines()[-1], file=sys.stderr, flush=True)
    about = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
             "date": time.strftime("%Y-%m-%d")}  # fmt: skip
    from jaxsim import storage

    storage.write_json(options.out, {"about": about, "rows": rows})
    print(shown(rows))


if __name__ == "__main__":
    main()
