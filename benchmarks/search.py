"""Search compared with what a user would pick instead: time, peak memory and recall, in one run.

    python -m benchmarks.search                       exact and CUR work, the table, benchmarks/search.json
    python -m benchmarks.search --work exact          100,000 x 384, 512 queries, k 100
    python -m benchmarks.search --work exact --items 1000000 --dim 128
    python -m benchmarks.search --work query          one query of a CUR index of 1,000,000 items, k_i 200
    python -m benchmarks.search --work index          building a CUR index, against a plain NumPy pseudo-inverse
    python -m benchmarks.search --work published      annCUR and ADACUR beside the published procedure, NumPy and torch
    python -m benchmarks.search --work precision      what a CUR index loses in float32, against float64
    python -m benchmarks.search --work memory         peak memory of each method, 100,000 items
    python -m benchmarks.search --work mining         near-duplicates and mining, 200,000 x 64: time, peak memory
    python -m benchmarks.search --work kills          an index build killed at ten random moments
    python -m benchmarks.search --work recall         recall against budget of every method on late interaction

Needs nothing but numpy for `exact` and `query`; peers that are not installed are named. `recall` runs
`python -m experiments anncur --preset maxsim` (a killed run resumes) and puts its table next to what was
measured when the method was first tried. Every side has its own process, and sides take turns, as
machines drift; the middle of its rounds counts. Answers are compared before times are. In addition to the wall
clock there are the seconds of all cores, on which another job's load counts less.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks import (
    command,
    search_build,
    search_memory,
    search_mining,
    search_precision,
    search_published,
)

HERE = Path(__file__).resolve().parent
PEERS = ("faiss", "torch")
SIDES = {
    "exact": ("ours", "from_numpy", "faiss", "torch"),
    "query": ("ours", "numpy"),
    "index": ("ours", "numpy"),
    "memory": tuple(search_memory.METHODS),
}
SIZES = {
    "query": 1_000_000,
    "index": 10_000,
    "published": 10_000,
    "mining": 200_000,
}  # items; 100,000 otherwise
# Recall at k of 1, 10, 50, 100 on 5,000 captions, 500 anchor queries, 200 test queries.
PREVIEW = {
    (50, "rerank_tfidf"): (0.98, 0.72, 0.40, 0.27),
    (50, "rerank_dual"): (1, 0.99, 0.79, 0.48),
    (50, "anncur"): (0.63, 0.43, 0.25, 0.16),
    (50, "anncur_qr"): (0.70, 0.51, 0.29, 0.19),
    (50, "adacur_2"): (0.68, 0.48, 0.26, 0.18),
    (50, "adacur"): (0.95, 0.84, 0.48, 0.29),
    (50, "adacur_dual"): (1, 0.98, 0.67, 0.41),
    (50, "axn_dual"): (1, 0.99, 0.78, 0.47),
    (100, "rerank_tfidf"): (0.98, 0.81, 0.54, 0.40),
    (100, "rerank_dual"): (1, 1, 0.95, 0.80),
    (100, "anncur"): (0.94, 0.82, 0.59, 0.40),
    (100, "anncur_qr"): (0.98, 0.85, 0.63, 0.43),
    (100, "adacur_2"): (0.96, 0.83, 0.59, 0.41),
    (100, "adacur"): (1, 0.98, 0.88, 0.65),
    (100, "adacur_dual"): (1, 1, 0.94, 0.76),
    (100, "axn_dual"): (1, 1, 0.96, 0.81),
    (200, "rerank_tfidf"): (0.98, 0.88, 0.68, 0.56),
    (200, "rerank_dual"): (1, 0.998, 0.990, 0.953),
    (200, "anncur"): (0.995, 0.97, 0.89, 0.76),
    (200, "anncur_qr"): (0.995, 0.98, 0.91, 0.78),
    (200, "adacur_2"): (0.995, 0.98, 0.90, 0.77),
    (200, "adacur"): (1, 1, 0.992, 0.963),
    (200, "adacur_dual"): (1, 1, 0.995, 0.976),
    (200, "axn_dual"): (1, 1, 0.994, 0.968),
}
KS = (1, 10, 50, 100)


def vectors(options):
    """Queries and items, float32."""
    random = np.random.default_rng(0)
    items = random.standard_normal((options.items, options.dim), np.float32)
    return random.standard_normal((options.queries, options.dim), np.float32), items


def exact_ours(options):
    """Our exact search, in this process."""
    import jax

    from jaxsim import search

    queries, items = (jax.numpy.asarray(a) for a in vectors(options))
    return lambda: search.exact(queries, items, options.k)


def exact_from_numpy(options):
    """Our exact search of NumPy's arrays, which each call copies."""
    from jaxsim import search

    queries, items = vectors(options)
    return lambda: search.exact(queries, items, options.k)


def exact_faiss(options):
    """FAISS's flat index, in this process."""
    import faiss

    faiss.omp_set_num_threads(os.cpu_count())
    queries, items = vectors(options)
    index = faiss.IndexFlatIP(options.dim)
    index.add(items)
    return lambda: index.search(queries, options.k)


def exact_torch(options):
    """A product and a top-k in torch, in this process."""
    import torch

    torch.set_num_threads(os.cpu_count())
    queries, items = (torch.from_numpy(a) for a in vectors(options))
    return lambda: tuple(a.numpy() for a in torch.topk(queries @ items.T, options.k))


def query_ours(options):
    """One query of an index: estimates of all items, the anchors left out, the best taken."""
    import jax

    from jaxsim import search
    from jaxsim.search._cur import offset_dot

    random = np.random.default_rng(0)
    items = jax.numpy.asarray(random.standard_normal((options.items, options.anchors), np.float32))
    offsets = jax.numpy.zeros(options.items)
    one = jax.numpy.asarray(random.standard_normal((1, options.anchors), np.float32))
    where = jax.numpy.asarray(np.arange(options.items) >= options.anchors)
    return lambda: search.exact(
        one, (items, offsets), options.k, similarity=offset_dot, where=where
    )


def query_numpy(options):
    """The floor: reading the item matrix once, by all cores."""
    import concurrent.futures

    random = np.random.default_rng(0)
    items = random.standard_normal((options.items, options.anchors), np.float32)
    parts = np.array_split(items.reshape(-1), os.cpu_count())
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    return lambda: (np.array([sum(pool.map(np.sum, parts))]), np.zeros((1, 1), int))


def score_block(options):
    """Scores of low rank with noise: anchor queries with all items, and one query more."""
    random = np.random.default_rng(0)
    left = random.standard_normal((options.anchor_queries + 1, 30), np.float32)
    scores = left @ random.standard_normal((30, options.items), np.float32)
    scores += 0.1 * random.standard_normal(scores.shape, np.float32)
    return scores[:-1], scores[-1], np.sort(random.permutation(options.items)[: options.anchors])


def index_ours(options):
    """Our CUR index, in this process."""
    from jaxsim import search

    scores, row, anchors = score_block(options)

    def build():
        index = search.cur_index(scores, anchors, rtol=1e-3, center=None)
        values = np.asarray(search.cur_scores(index, row[anchors]))
        ids = np.argsort(-values)[None, : options.k]
        return values[ids], ids

    return build


def index_numpy(options):
    """The same by NumPy's pseudo-inverse, in this process."""
    scores, row, anchors = score_block(options)

    def build():
        embeddings = np.linalg.pinv(scores[:, anchors], rcond=1e-3) @ scores
        values = row[anchors] @ embeddings
        ids = np.argsort(-values)[None, : options.k]
        return values[ids], ids

    return build


def run(options):
    """One side, in this process: times of its calls, its answer's ids, its peak memory."""
    if options.work == "memory":
        call = search_memory.METHODS[options.side](options)
    else:
        call = globals()[f"{options.work}_{options.side}"](options)
    before, begun = search_memory.held(), time.perf_counter()
    _, ids = (np.asarray(a) for a in call())
    first, seconds, used = time.perf_counter() - begun, [], []
    search_memory.forget_peak()  # that of compiling
    while len(seconds) < options.repeats:
        begun, spent = time.perf_counter(), time.process_time()
        for part in call():
            np.asarray(part)
        seconds.append(time.perf_counter() - begun)
        used.append(time.process_time() - spent)
    about = {}
    if "jax" in sys.modules:
        device = sys.modules["jax"].devices()[0]
        about = {"device": f"{device.device_kind} ({device.platform})"}
    return {
        "ms": [1e3 * s for s in seconds],
        "cpu_ms": [1e3 * s for s in used],
        "first_ms": 1e3 * first,
        "mib": round(search_memory.peak() - before, 1),
        "held_mib": round(before, 1),
        "ids": ids[:50].tolist(),
        **about,
    }


def compared(options):
    """The rows of one work: every side that is there, in turns."""
    sides = [s for s in SIDES[options.work] if s not in PEERS or importlib.util.find_spec(s)]
    figures = {side: [] for side in sides}
    for _ in range(options.rounds):
        for side in sides:
            figures[side].append(apart(options, side))
    ours, rows = figures["ours"], []
    for side in sides:
        times = np.concatenate([one["ms"] for one in figures[side]])
        row = {
            "work": options.work,
            "side": side,
            "shape": shape(options),
            "ms": float(np.median(times)),
            "fastest_ms": float(times.min()),
            "cpu_ms": float(min(min(one["cpu_ms"]) for one in figures[side])),
            "first_ms": figures[side][0]["first_ms"],
            "mib": figures[side][0]["mib"],
            "device": ours[0].get("device"),
        }
        if side != "ours":
            # Turn by turn, so that both sides had the same machine.
            ratios = [
                np.median(a["ms"]) / np.median(b["ms"])
                for a, b in zip(ours, figures[side], strict=True)
            ]
            row["ours / this"] = float(np.median(ratios))
            row["of the fastest"] = rows[0]["fastest_ms"] / row["fastest_ms"]
            row["cores"] = rows[0]["cpu_ms"] / row["cpu_ms"]
            if options.work != "query":
                pairs = zip(ours[0]["ids"], figures[side][0]["ids"], strict=True)
                row["same ids"] = float(np.mean([len(set(a) & set(b)) / len(a) for a, b in pairs]))
        rows.append(row)
    return rows


def remembered(options):
    """The rows of `memory`: one per method, above what its process held before the first call."""
    rows = []
    for side in SIDES["memory"]:
        figures = apart(options, side)
        rows.append(
            {
                "work": "memory",
                "method": side,
                "shape": shape(options),
                "mib": figures["mib"],
                "ms": float(np.median(figures["ms"])),
                "device": figures.get("device"),
            }
        )
    return rows


def mined(options):
    """The rows of `mining`: one per method and kind of vectors."""
    return [apart(options, side) for side in search_mining.METHODS]


def apart(options, side):
    """One side in a separate process."""
    words = [sys.executable, "-m", "benchmarks.search", "--side", side, "--work", options.work]
    for name in ("items", "dim", "queries", "k", "anchors", "anchor_queries", "repeats"):
        words += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    done = subprocess.run(words, capture_output=True, text=True, cwd=HERE.parent, check=False)
    if done.returncode:
        raise SystemExit(f"{side} of {options.work} failed:\n{done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def shape(options):
    """The sizes of a work, in words."""
    if options.work in ("exact", "memory"):
        return f"{options.items} x {options.dim}, {options.queries} queries, k {options.k}"
    if options.work == "query":
        return f"{options.items} x {options.anchors}, 1 query, k {options.k}"
    return f"{options.anchor_queries} x {options.items}, k_i {options.anchors}"


def recall(options):
    """Recall against budget of every method, next to the preview: rows by budget and arm."""
    from experiments import anncur, runner

    config = anncur.PRESETS["maxsim"]
    results = runner.run(
        anncur,
        config,
        preset="maxsim",
        seeds=1,
        workdir=options.workdir,
        command="python -m experiments anncur --preset maxsim",
    )
    by_key = {(r["budget"], r["arm"], r["k"]): r for r in results["rows"]}
    rows = []
    for budget in config.budgets:
        for arm in anncur.ARMS:
            of_arm = [by_key[budget, arm, k] for k in KS]
            row = {"work": "recall", "budget": budget, "arm": arm}
            row["recall"] = " ".join(f"{r['recall']:.3f}" for r in of_arm)
            if preview := PREVIEW.get((budget, arm)):
                row["preview"] = " ".join(f"{value:.3f}" for value in preview)
                # Both are means over 200 queries: two half-widths apart is beyond sampling.
                widths = [np.subtract(*r["recall interval"][::-1]) / 2 for r in of_arm]
                below = [
                    r["recall"] < p - 2 * max(w, 0.01)
                    for r, p, w in zip(of_arm, preview, widths, strict=True)
                ]
                row["note"] = "below the preview" if any(below) else ""
            rows.append(row)
    return rows


def shown(rows):
    """A table for a terminal and for a page."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [columns, ["---"] * len(columns)]
    for row in rows:
        cells = (row.get(column, "") for column in columns)
        lines.append(
            [f"{c:.4g}" if isinstance(c, float) else "" if c is None else str(c) for c in cells]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def parsed():
    """The options."""
    parser = command.parser("benchmarks.search", __doc__)
    parser.add_argument(
        "--work",
        choices=(*SIDES, "published", "precision", "mining", "kills", "recall"),
        help="one of them; all but mining and recall by default",
    )
    parser.add_argument("--items", type=int, help="items; by default a size of each work")
    parser.add_argument("--dim", type=int, help="384 by default, of mining 64")
    parser.add_argument("--queries", type=int, default=512)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--anchors", type=int, default=200, help="anchor items of a CUR index, k_i")
    parser.add_argument("--anchor-queries", type=int, default=500, help="k_q")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls of a side in a turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument(
        "--workdir", type=Path, default=Path("runs/anncur-maxsim"), help="of recall"
    )
    parser.add_argument("--out", type=Path, default=HERE / "search.json")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    """The command line."""
    options = parsed()
    if options.side:
        side = {"mining": search_mining.run, "published": search_published.run}.get(
            options.work, run
        )
        print(json.dumps(side(options)))
        return
    rows, items, dim = [], options.items, options.dim
    for name in PEERS:
        if importlib.util.find_spec(name) is None:
            print(
                f'{name} is not installed, its rows are missing: pip install "jaxsim-similarity[peers]"',
                file=sys.stderr,
            )
    ways = {
        "published": lambda options: search_published.compared(options, apart),
        "precision": search_precision.rows,
        "recall": recall,
        "memory": remembered,
        "mining": mined,
        "kills": search_build.killed,
    }
    for work in [options.work] if options.work else (*SIDES, "published", "precision", "kills"):
        options.work = work
        options.items = items or SIZES.get(work, 100_000)
        options.dim = dim or (64 if work == "mining" else 384)
        figures = ways.get(work, compared)(options)
        print(shown(figures), flush=True)
        rows += figures
    command.write(options.out, rows, same=lambda row: (row["work"], row.get("shape")))


if __name__ == "__main__":
    main()
