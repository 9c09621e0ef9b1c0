"""MaxSim search over ragged documents next to a loop in torch, in turns in one process; answers are compared first.

    python -m benchmarks.max_sim                       4,000 documents; 32 queries and one; benchmarks/max_sim.json
    python -m benchmarks.max_sim --documents 20000 --out -

Vectors of tokens have 128 numbers and norm 1, a query 32 of them, a document from 20 to 180. The loop in torch is that of
PyLate and sentence-transformers: documents padded in blocks, einsum of all tokens with all, the largest over a
document's tokens, the sum over a query's, then the best k. Its blocks are sorted by length too, and made before, as
`token_index` makes ours; `exact_tokens` fills its own as it searches. Times are the best of some turns; core
milliseconds are those of all cores.
"""

import argparse
import json
from typing import Any

import numpy as np

from benchmarks.turns import best_times, run

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
    padded_blocks, start = [], 0
    while start < len(order):
        ids = order[start : start + max(BLOCK // int(lengths[order[start:]].max()), 1)]
        ids = order[start : start + max(BLOCK // int(lengths[ids].max()), 1)]
        where = np.arange(lengths[ids].max()) < lengths[ids, None]
        padded = np.zeros((*where.shape, DIM), np.float32)
        padded[where] = np.concatenate([vectors[offsets[i] : offsets[i + 1]] for i in ids])
        padded_blocks.append(tuple(map(torch.from_numpy, (ids, padded, where))))
        start += len(ids)
    return padded_blocks


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


def rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each number of queries and side."""
    import torch

    from jaxsim import search

    random = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(random.integers(20, 181, options.documents))])
    vectors, asked = drawn(random, (int(offsets[-1]),)), drawn(random, (32, ASKED))
    documents, figures, k = blocks(vectors, offsets), [], options.k
    index = search.token_index(vectors, offsets, block=BLOCK)
    for count in (32, 1):
        where = np.ones((count, ASKED), bool)

        def ours(count=count, where=where):
            return search.token_exact({"vectors": asked[:count], "where": where}, index, k)

        def ours_from_vectors(count=count, where=where):
            queries = {"vectors": asked[:count], "where": where}
            return search.exact_tokens(queries, vectors, offsets, k, block=BLOCK)

        def theirs(count=count):
            return by_torch(torch.from_numpy(asked[:count]), documents, k)

        sides = {"ours": ours, "ours, from vectors": ours_from_vectors, "torch": theirs}
        for side, row in best_times(sides, options.rounds, rtol=1e-4).items():
            shape = f"{options.documents} documents of {len(vectors)} tokens x {DIM}, "
            shape += f"{count} queries of {ASKED}, k {k}"
            figures.append({"work": "max_sim", "side": side, "shape": shape, **row})
            print(json.dumps(figures[-1]), flush=True)
    return figures


if __name__ == "__main__":
    run("max_sim", __doc__, rows, size=("documents", 4_000), rounds=5)
