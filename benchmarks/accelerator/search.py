"""Search on the card: exact k nearest of a million, beside torch; a CUR query of ten million items."""

import numpy as np

from benchmarks.accelerator.card import product_ms, reading_ms
from benchmarks.accelerator.clock import timed
from benchmarks.accelerator.rows import Row
from benchmarks.accelerator.torch_side import torch_side


def rows(setting):
    """A row each."""
    yield nearest(setting)
    yield of_factors(setting)


def nearest(setting):
    """Exact search of random items, held on the card."""
    import jax

    from jaxsim import search

    items, dim, queries, k = (5000, 32, 16, 10) if setting.toy else (1_000_000, 384, 1024, 100)
    torch = torch_side()
    sizes = {"items": items, "dim": dim, "queries": queries, "k": k}
    peer = torch.ask(do="exact", patience=min(60, setting.left()), **sizes)
    torch.close()
    corpus = jax.random.normal(jax.random.key(0), (items, dim))
    queried = jax.random.normal(jax.random.key(1), (queries, dim))
    note = f"peer {peer['stopped']}" if "stopped" in peer else "float32 products on both sides"
    return Row(
        f"exact, {items:,} x {dim}, {queries} queries, k {k}",
        "ms",
        timed(lambda: search.exact(queried, corpus, k=k)),
        peer.get("ms"),
        limit=product_ms(setting.card(), 2 * items * dim * queries, "float32"),
        note=note,
    )


def of_factors(setting):
    """One query of a CUR index: all items are read once, and the best taken."""
    import jax

    from jaxsim import search
    from jaxsim.search._cur import offset_dot

    items, anchors, k = (5000, 50, 10) if setting.toy else (10_000_000, 200, 100)
    card = setting.card()
    room = card.get("memory_gib", 0) * 2**30
    if room and 8 * items * anchors > 0.8 * room:
        items = int(0.1 * room / anchors)
    embeddings = jax.random.normal(jax.random.key(0), (items, anchors))
    offsets = jax.numpy.zeros(items)
    one = np.random.default_rng(0).normal(size=(1, anchors)).astype(np.float32)
    return Row(
        f"CUR query, {items:,} items, k_i {anchors}",
        "ms",
        timed(lambda: search.exact(one, (embeddings, offsets), k, similarity=offset_dot)),
        limit=reading_ms(card, 4 * items * anchors),
        note="limit: the items read once",
    )
