"""Encoding texts with MiniLM: texts per second, model-flops utilization, beside sentence-transformers."""

import functools
import json
import time

import numpy as np

from benchmarks.accelerator.clock import timed
from benchmarks.accelerator.rows import Row
from benchmarks.accelerator.torch_side import torch_side
from benchmarks.encode import arithmetic


def rows(setting):
    """Rows for attention; one row for speed, one for the share of the card's products, one for the vectors."""
    import jax

    from jaxsim import numerics, pretrained, search

    yield from attentions(setting)
    if setting.pack is None:
        yield Row("encoding", note="needs --data FOLDER, which --pack makes")
        return
    texts = json.loads((setting.pack / "texts.json").read_text(encoding="utf-8"))
    texts = texts[: 64 if setting.toy else None]
    folder = str(setting.pack / "model")
    on_card = jax.default_backend() != "cpu"
    model = pretrained.load(folder)
    tokens = model.tokens(texts)
    lengths = np.array([len(row) for row in tokens])

    def encode():
        return search.encode_corpus(
            model.encode,
            model.params,
            model.tokens,
            texts,
            batch_tokens=2**17 if on_card else 2**12,
            label="encoding",
        )

    encode()  # compiles
    start = time.perf_counter()
    vectors = encode()
    seconds = time.perf_counter() - start
    torch, file = torch_side(), setting.out / "peer_vectors.npy"
    request = {"model": folder, "texts": str(setting.out / "texts.json"), "vectors": str(file)}
    (setting.out / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    peer = torch.ask(do="encode", patience=max(setting.left(), 1), **request)
    torch.close()
    theirs = len(texts) / peer["ms"] * 1e3 if "ms" in peer else None
    name = jax.numpy.dtype(numerics.compute_dtype()).name
    note = f"peer {peer['stopped']}" if "stopped" in peer else f"peer in {peer['dtype']}"
    yield Row(
        f"encoding {len(texts):,} texts, {name}",
        "texts/s",
        len(texts) / seconds,
        theirs,
        higher=True,
        note=f"{note}; tokenizing included",
    )
    yield Row("tokens", "tokens/s", lengths.sum() / seconds, higher=True)
    rate = arithmetic(model.config, lengths) / seconds / 1e12
    yield Row(
        "model flops",
        "TFLOP/s",
        rate,
        limit=setting.card().get(name),
        higher=True,
        note="padding counted as lost",
    )
    if "ms" in peer:
        other = np.load(file)
        cosines = (
            (vectors * other).sum(1)
            / np.linalg.norm(vectors, axis=1)
            / np.linalg.norm(other, axis=1)
        )
        yield Row("vectors against the peer's", "1 - cosine", float(1 - cosines.min()))


def attentions(setting):
    """Attention forward and backward as the encoders run it, with XLA's as the peer."""
    import jax
    import jax.numpy as jnp

    from jaxsim.encoders._attention import attention, cudnn_takes, xla_attention

    def of_xla(query, key, value, *, mask):
        return xla_attention(query, key, value, mask)

    for batch, length, heads, dim in (
        ((2, 32, 2, 8),) if setting.toy else ((256, 128, 12, 32), (64, 512, 12, 64))
    ):
        query, key, value, slope = jax.random.normal(
            jax.random.key(0), (4, batch, length, heads, dim), jnp.bfloat16
        )
        # Texts of all lengths.
        mask = (jnp.arange(length) <= jnp.arange(batch)[:, None] * length // batch)[:, None, None]

        def both(attend, *inputs, mask=mask, slope=slope):
            result, backward = jax.vjp(lambda *a: attend(*a, mask=mask), *inputs)
            return result, *backward(slope)

        ours, peer = (
            timed(functools.partial(jax.jit(functools.partial(both, f)), query, key, value))
            for f in (attention, of_xla)
        )
        way = "through" if cudnn_takes(query, key) else "without"
        work = f"attention {batch} x {length}, {heads} heads of {dim}, bfloat16"
        yield Row(work, "ms", ours, peer, note=f"{way} cuDNN; the peer is XLA's")
