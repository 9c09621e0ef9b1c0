"""Losses of large batches, forward and backward: time, memory, and how near the products' own time."""

import functools

import numpy as np

from benchmarks.accelerator.card import product_ms
from benchmarks.accelerator.clock import timed
from benchmarks.accelerator.rows import Row
from benchmarks.accelerator.torch_side import torch_side

NAMES = ("info_nce", "multi_similarity")
ROOM = 0.4  # of the card's memory, that the whole matrix of scores may take


def rows(setting):
    """Each loss at each size and dtype, whole and in blocks, beside torch on the same card."""
    batches, dim = ((256, 512), 64) if setting.toy else ((8192, 32_768, 131_072), 768)
    torch, card = torch_side(), setting.card()
    for batch in batches:
        for name in NAMES:
            for dtype in ("bfloat16", "float32"):
                seconds = min(60, setting.left())
                peer = torch.ask(
                    do="loss", patience=seconds, name=name, batch=batch, dim=dim, dtype=dtype
                )
                # Scores and the gradients of both sides, each a product of float32 accuracy at least.
                limit = product_ms(card, 6 * batch**2 * dim, dtype)
                for block in (None, batch):
                    yield ours(name, batch, dim, dtype, block, peer, limit, card)
    torch.close()


def ours(name, batch, dim, dtype, block, peer, limit, card):
    """One row."""
    import jax

    from jaxsim import losses

    how = "whole" if block else "blocked"
    work = f"{name} {batch:,} x {dim}, {dtype}, {how}"
    common = {"unit": "ms", "peer": peer.get("ms"), "limit": limit}
    notes = [f"peer {peer['stopped']}"] if "stopped" in peer else []
    if peer.get("mib"):
        notes.append(f"peer {peer['mib']:,.0f} MiB")
    memory = card.get("memory_gib", 0) * 2**30
    if block and memory and 8 * batch**2 > ROOM * memory:
        return Row(work, **common, note="; ".join(["scores do not fit", *notes]))
    random = np.random.default_rng(0)
    x, y = (random.normal(size=(batch, dim)).astype(np.float32) for _ in range(2))
    loss = functools.partial(getattr(losses, name), block=block)
    second = y if name == "info_nce" else np.arange(batch) // 4
    moved = (0, 1) if name == "info_nce" else (0,)
    try:
        arrays = [jax.numpy.asarray(a, dtype if a.dtype.kind == "f" else None) for a in (x, second)]
        both = jax.jit(jax.value_and_grad(loss, argnums=moved)).lower(*arrays).compile()
        mib = both.memory_analysis().temp_size_in_bytes / 2**20
        return Row(
            work,
            ours=timed(lambda: both(*arrays)),
            note="; ".join([f"{mib:,.0f} MiB", *notes]),
            **common,
        )
    except Exception as error:  # out of memory: the row says so
        return Row(
            work, **common, note="; ".join([f"{type(error).__name__}: {error!s:.60}", *notes])
        )
