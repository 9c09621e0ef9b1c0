"""What a CUR index loses where its product is float32, beside what rounding the scores to float32 had lost.

What `benchmarks.search --work precision` runs. Errors are Frobenius norms relative to float64 throughout.
"""

import numpy as np

QUERIES, ITEMS, ANCHORS = 500, 4000, 200


def rows(options):
    """A row per condition number of the anchor items' scores: how far off the index is, and its estimates."""
    return [row(fall) for fall in (1e-1, 1e-2, 1e-3, 1e-4)]


def row(fall):
    """Scores whose singular values fall geometrically, to `fall` of the first at the number of anchor items."""
    from jaxsim import search

    random = np.random.default_rng(0)
    spectrum = fall ** (np.arange(QUERIES) / ANCHORS)
    left = np.linalg.qr(random.standard_normal((QUERIES, QUERIES)))[0] * spectrum
    items = random.standard_normal((QUERIES, ITEMS))
    scores = left @ items
    query = (random.standard_normal(QUERIES) * spectrum) @ items
    anchors = random.permutation(ITEMS)[:ANCHORS]
    narrow = scores.astype(np.float32)
    exact = np.linalg.pinv(narrow[:, anchors].astype(np.float64)) @ narrow.astype(np.float64)
    indexes = {
        "scores not rounded": np.linalg.pinv(scores[:, anchors]) @ scores,
        "ours": np.float64(
            search.cur_index(narrow, anchors, center=None, rtol=0).item_embeddings
        ).T,
        "numpy": np.linalg.pinv(narrow[:, anchors], rcond=1e-7) @ narrow,
    }
    estimates = query[anchors] @ exact
    values = np.linalg.svd(scores[:, anchors], compute_uv=False)
    found = {"work": "precision", "condition": f"{values[0] / values[-1]:.0e}"}
    for name, index in indexes.items():
        found[name] = off(index, exact)
        found[f"{name}, estimates"] = off(query[anchors] @ index, estimates)
    return found | {"estimates, of the scores": off(estimates, query)}


def off(values, exact):
    """The relative error."""
    return float(np.linalg.norm(values - exact) / np.linalg.norm(exact))
