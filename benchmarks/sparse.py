"""Exact search of sparse vectors next to SciPy's sparse product, in turns in one process; answers are compared first.

    python -m benchmarks.sparse                       100,000 items; 64 queries and one; benchmarks/sparse.json
    python -m benchmarks.sparse --items 500000 --out -

Vectors are drawn as SPLADE's are: about 170 of 30,522 numbers of an item are not 0, 30 of a query, and some words are
frequent. SciPy multiplies the queries by the transposed items, both compressed by rows (Gustavson's algorithm, which
reads the same postings), and takes the best by NumPy's argpartition. The index, and the transposed items, are made
before. Times are the best of some turns, as the machine's other work only adds; core milliseconds are those of all cores.
"""

import argparse
import json
import time
from typing import Any

import numpy as np

from benchmarks.turns import best_times, run

WORDS = 30_522


def drawn(random: np.random.Generator, rows: int, count: int) -> Any:
    """Sparse vectors [rows, WORDS] of about `count` numbers each, over words as frequent as in texts."""
    from scipy.sparse import csr_array

    ends = np.cumsum(1 / (20 + np.arange(1, WORDS + 1)) ** 0.9)
    words = np.searchsorted(ends / ends[-1], random.random((rows, count), np.float32))
    words.sort(axis=1)
    first = np.ones(words.shape, bool)
    first[:, 1:] = words[:, 1:] != words[:, :-1]
    places = np.concatenate([[0], np.cumsum(first.sum(axis=1))])
    values = random.random(int(places[-1]), np.float32)
    return csr_array((values, np.minimum(words[first], WORDS - 1), places), shape=(rows, WORDS))


def by_scipy(queries: Any, items: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best items of each query, by SciPy's product with the transposed items [WORDS, n] and NumPy."""
    scores = (queries @ items).toarray()
    ids = np.argpartition(-scores, k, axis=1)[:, :k]
    best = np.take_along_axis(scores, ids, axis=1)
    order = np.argsort(-best, axis=1)
    return np.take_along_axis(best, order, axis=1), np.take_along_axis(ids, order, axis=1)


def rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each number of queries and side."""
    from jaxsim import evaluation, search

    random = np.random.default_rng(0)
    items, queries = drawn(random, options.items, 180), drawn(random, 64, 31)
    begun = time.perf_counter()
    index = search.sparse_index(items)
    built = time.perf_counter() - begun
    turned = items.T.tocsr()
    products = evaluation.search_flops(queries, items) * options.items
    figures = []
    for count in (64, 1):
        part, k = queries[:count], options.k

        def ours(part=part, k=k):
            return search.sparse_exact(part, index, k)

        def theirs(part=part, k=k):
            return by_scipy(part, turned, k)

        sides = {"ours": ours, "scipy": theirs}
        queried = "query" if count == 1 else "queries"
        for side, row in best_times(sides, options.rounds, rtol=1e-5).items():
            figures.append(
                {
                    "work": "sparse",
                    "side": side,
                    "shape": f"{options.items} x {WORDS}, {count} {queried}, k {k}",
                    **row,
                    "active dims": index.active_dims,
                    "products of a query": products,
                    "build_s": built if side == "ours" else None,
                }
            )
            print(json.dumps(figures[-1]), flush=True)
    return figures


if __name__ == "__main__":
    run("sparse", __doc__, rows, size=("items", 100_000), rounds=8)
