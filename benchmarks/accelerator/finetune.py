"""Fine-tuning steps of MiniLM by InfoNCE, beside the same step in torch."""

import json

import numpy as np

from benchmarks.accelerator.clock import timed
from benchmarks.accelerator.rows import Row
from benchmarks.accelerator.torch_side import torch_side

LENGTH = 128


def rows(setting):
    """One row for each batch size: examples per second of the whole step, dropout and AdamW included."""
    import jax

    if setting.pack is None:
        yield Row("fine-tuning", note="needs --data FOLDER, which --pack makes")
        return
    pairs = json.loads((setting.pack / "pairs.json").read_text(encoding="utf-8"))
    (setting.out / "pairs.json").write_text(json.dumps(pairs), encoding="utf-8")
    torch = torch_side()
    length = 32 if setting.toy else LENGTH
    for batch in (8,) if setting.toy else (64, 256):
        step, dtype = prepared(setting.pack / "model", pairs, batch, length)
        ours = batch / timed(step, seconds=2.0) * 1e3
        request = {"model": str(setting.pack / "model"), "texts": str(setting.out / "pairs.json")}
        peer = torch.ask(
            do="finetune", patience=max(setting.left(), 1), **request, batch=batch, length=length
        )
        theirs = batch / peer["ms"] * 1e3 if "ms" in peer else None
        note = f"peer {peer['stopped']}" if "stopped" in peer else f"{peer['versions']}, autocast"
        yield Row(
            f"fine-tuning, batch {batch}, {length} tokens, {jax.numpy.dtype(dtype).name}",
            "examples/s",
            ours,
            theirs,
            higher=True,
            note=note,
        )
    torch.close()


def prepared(folder, pairs, batch, length):
    """(a function that takes one training step, its dtype): all rows padded to one length, as in the peer."""
    import jax

    from jaxsim import losses, numerics, pretrained, training

    dtype = numerics.compute_dtype()
    model = pretrained.load(folder, dtype=dtype, max_length=length)
    sides = [model.tokenize(texts[:batch], length=length) for texts in pairs]

    def objective(params, batch, *, key, axis_name):
        keys = jax.random.split(key)
        both = (
            model.encode(params, batch[name], key=key, axis_name=axis_name)
            for name, key in zip(("query", "document"), keys, strict=True)
        )
        return losses.info_nce(*both, temperature=0.05, axis_name=axis_name)

    optimizer = training.adamw(2e-5)
    way = training.pmapped(jax.local_devices()[:1])
    carry = way.start(model.params, None, optimizer, None)
    ids = np.arange(batch, dtype=np.int32)
    rows = {"query": sides[0], "document": sides[1], "where": ids >= 0, "ids": ids}
    compiled = way.step(objective, optimizer, carry)
    held = {"carry": carry, "rows": way.feed(rows)}

    def step():
        held["carry"], loss, _, _ = compiled(held["carry"], held["rows"], jax.random.key(0), None)
        return loss

    return step, dtype
