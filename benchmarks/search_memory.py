"""Peak memory of each way to search, on the same items: what `benchmarks.search --work memory` runs.

Each method is a function of the options that makes its inputs and returns the call; the call gives
(scores, ids). A scorer is a dot product by number: it holds the vectors, as a user's would.
"""

import resource
import tempfile
from pathlib import Path

import numpy as np

STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def held():
    """MiB that this process holds now; where the system doesn't say, the most that it has held."""
    return _said("VmRSS")


def peak():
    """MiB, the most that this process has held since `forget_peak`."""
    return _said("VmHWM")


def forget_peak():
    """Starts to look for the peak anew, on Linux."""
    if PEAK.exists():
        PEAK.write_text("5")


def _said(name):
    if not STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def vectors(options):
    """Queries and items, float32."""
    random = np.random.default_rng(0)
    items = random.standard_normal((options.items, options.dim), np.float32)
    return random.standard_normal((options.queries, options.dim), np.float32), items


def mapped(array):
    """The same array in a separate file, memory-mapped."""
    path = Path(tempfile.mkdtemp()) / "array.npy"
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def scorer(queries, items):
    """Exact scores of pairs by number."""
    return lambda rows, ids: np.einsum("pd,pd->p", queries[rows], items[ids])


def anchor_scores(options, items):
    """Scores of the anchor queries with all items, float32."""
    random = np.random.default_rng(1)
    return random.standard_normal((options.anchor_queries, options.dim), np.float32) @ items.T


def exact(options):
    """From memory."""
    import jax

    from jaxsim import search

    queries, items = map(jax.numpy.asarray, vectors(options))
    return lambda: search.exact(queries, items, options.k)


def exact_of_a_file(options):
    """Streamed from a memory-mapped file, an eighth of it at a time."""
    from jaxsim import search

    queries, items = vectors(options)
    items = mapped(items)
    return lambda: search.exact(queries, items, options.k, block=-(-options.items // 8))


def coded(options, fit):
    """Codes in memory, the vectors for rescoring in a file."""
    from jaxsim import search

    queries, items = vectors(options)
    corpus = search.quantized(fit(items[:10_000]), items)
    items = mapped(items)
    return lambda: search.coarse_to_fine(queries, corpus, options.k, items=items)


def int8(options):
    """A first stage of one byte per dimension."""
    from jaxsim import search

    return coded(options, search.fit_int8)


def binary(options):
    """A first stage of one bit per dimension."""
    from jaxsim import search

    return coded(options, search.fit_binary)


def anncur(options):
    """An index in memory; the budget is twice its anchor items."""
    from jaxsim import search

    queries, items = vectors(options)
    index = search.cur_index(anchor_scores(options, items), np.arange(options.anchors), rtol=1e-3)
    return budgeted(lambda score, **of: search.anncur(index, score, **of), options, queries, items)


def anncur_of_a_file(options):
    """An index that stays in its file."""
    from jaxsim import search

    queries, items = vectors(options)
    index = search.cur_index(anchor_scores(options, items), np.arange(options.anchors), rtol=1e-3)
    path = Path(tempfile.mkdtemp()) / "cur.index"
    search.save_index(path, index)
    index = search.load_index(path, mmap=True)
    return budgeted(lambda score, **of: search.anncur(index, score, **of), options, queries, items)


def adacur(options):
    """Five rounds on the anchor queries' rows."""
    from jaxsim import search

    queries, items = vectors(options)
    basis = search.row_basis(anchor_scores(options, items))
    return budgeted(
        lambda score, **of: search.adaptive(basis, score, **of), options, queries, items
    )


def adacur_of_a_file(options):
    """Five rounds on a basis that stays in its file."""
    from jaxsim import search

    queries, items = vectors(options)
    path = Path(tempfile.mkdtemp()) / "row.basis"
    search.save_basis(path, search.row_basis(anchor_scores(options, items)))
    basis = search.load_basis(path, mmap=True)
    return budgeted(
        lambda score, **of: search.adaptive(basis, score, **of), options, queries, items
    )


def axn(options):
    """Five rounds on item vectors."""
    from jaxsim import search

    queries, items = vectors(options)
    basis = search.factor_basis(items)
    return budgeted(
        lambda score, **of: search.adaptive(basis, score, **of), options, queries, items
    )


def rerank(options):
    """A first stage's scores of all pairs, held by the caller."""
    from jaxsim import search

    queries, items = vectors(options)
    first = queries[:, :32] @ items[:, :32].T
    return budgeted(
        lambda score, count, **of: search.rerank(first, score, **of), options, queries, items, True
    )


def budgeted(find, options, queries, items, counted=False):
    """A search under a budget of twice the anchor items, as (scores, ids)."""
    score, of = scorer(queries, items), {"k": options.k, "budget": 2 * options.anchors}
    of["count" if counted else "num_queries"] = len(queries)

    def call():
        hits = find(score, **of)
        return hits.scores, hits.ids

    return call


METHODS = {
    "exact": exact,
    "exact, from a file": exact_of_a_file,
    "int8, then exact": int8,
    "binary, then exact": binary,
    "annCUR": anncur,
    "annCUR, from a file": anncur_of_a_file,
    "ADACUR": adacur,
    "ADACUR, from a file": adacur_of_a_file,
    "AXN": axn,
    "rerank": rerank,
}
