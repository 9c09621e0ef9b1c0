"""MaxSim search over ragged documents next to a loop in torch, in turns in one process; answers are compared first.

    python -m benchmarks.max_sim                       4,000 documents; 32 queries and one; benchmarks/max_sim.json
    python -m benchmarks.max_sim --documents 20000 --out -

Vectors of tokens have 128 numbers and norm 1, a query 32 of them, a document from 20 to 180. The loop in torch is that of
PyLate and sentence-transformers: documents padded in blocks, einsum of all tokens with all, the largest over a
document's tokens, the sum over a query's, then the best k. Its blocks are sorted by length too, and made before;
`exact_tokens` fills its own as it searches. Times are the best of some turns; core milliseconds are those of all cores.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
DIM, ASKED, BLOCK = 128, 32, 2**15


def drawn(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Unit vectors, float32 [..., DIM]."""
    vectors = random.normal(size=(*shape, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def blocks(vectors: np.ndarray, offsets: np.ndarray) -> list[tuple[Any, Any, Any]]:
    """Documents by length, padded in blocks of about BLOCK tokens: (ids, vectors, where) in torch."""
    import torch

    lengths = np.diff(offsets)
    order = np.argsort(lengths, kind="stable")
    found, start = [], 0
    while start < len(order):
        ids = order[start : start + max(BLOCK // int(lengths[order[start:]].max()), 1)]
        ids = order[start : start + max(BLOCK // int(lengths[ids].max()), 1)]
        where = np.arange(lengths[ids].max()) < lengths[ids, None]
        padded = np.zeros((*where.shape, DIM), np.float32)
        padded[where] = np.concatenate([vectors[offsets[i] : offsets[i + 1]] for i in ids])
        found.append(tuple(map(torch.from_numpy, (ids, padded, where))))
        start += len(ids)
    return found


def by_torch(queries: Any, documents: list, k: int) -> tuple[Any, Any]:
    """The k best documents of each query [m, ASKED, DIM]."""
    import torch

    scores, ids = [], []
    with torch.inference_mode():
        for numbers, vectors, where in documents:
            products = torch.einsum("qsh,dth->qdst", queries, vectors)
            products.masked_fill_(~where[None, :, None], -torch.inf)
            scores.append(products.max(dim=-1).values.sum(dim=-1))
            ids.append(numbers)
        best, places = torch.cat(scores, dim=1).topk(k, dim=1)
        return best.numpy(), torch.cat(ids)[places].numpy()


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Milliseconds of the clock and of all cores."""
    begun, used = time.perf_counter(), time.process_time()
    for part in call():
        np.asarray(part)
    return 1e3 * (time.perf_counter() - begun), 1e3 * (time.process_time() - used)


def rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each number of queries and side."""
    import torch

    from jaxsim import search

    random = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(random.integers(20, 181, options.documents))])
    vectors, asked = drawn(random, (int(offsets[-1]),)), drawn(random, (32, ASKED))
    documents, found, k = blocks(vectors, offsets), [], options.k
    for count in (32, 1):
        where = np.ones((count, ASKED), bool)

        def ours(count=count, where=where):
            queries = {"vectors": asked[:count], "where": where}
            return search.exact_tokens(queries, vectors, offsets, k, block=BLOCK)

        def theirs(count=count):
            return by_torch(torch.from_numpy(asked[:count]), documents, k)

        sides, times = {"ours": ours, "torch": theirs}, {"ours": [], "torch": []}
        answers = [np.asarray(call()[0]) for call in sides.values()]  # and ours is compiled
        np.testing.assert_allclose(*answers, rtol=1e-4)
        for _ in range(options.rounds):
            for side, call in sides.items():
                times[side].append(timed(call))
        best = {side: np.min(pairs, axis=0) for side, pairs in times.items()}
        for side in sides:
            found.append(
                {
                    "work": "max_sim",
                    "side": side,
                    "shape": f"{options.documents} documents of {len(vectors)} tokens x {DIM}, {count} "
                    f"queries of {ASKED}, k {k}",
                    "ms": float(best[side][0]),
                    "cpu_ms": float(best[side][1]),
                    "ours / this": float(best["ours"][0] / best[side][0]),
                    "ours / this, cores": float(best["ours"][1] / best[side][1]),
                }
            )
            print(json.dumps(found[-1]), flush=True)
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.max_sim",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--documents", type=int, default=4_000)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5, help="turns")
    parser.add_argument("--out", default=str(HERE / "max_sim.json"), help="- writes no file")
    options = parser.parse_args()
    found = rows(options)
    if options.out == "-":
        return
    from jaxsim import storage

    about = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "date": time.strftime("%Y-%m-%d"),
    }
    storage.write_json(options.out, {"about": about, "rows": found})


if __name__ == "__main__":
    main()
