"""The programs that a card's compiler gets, lowered without a card: types, donated buffers, calls of the host.

python -m benchmarks.accelerator --programs         the table into benchmarks/README.md
"""

import contextlib
import functools
import re
from unittest import mock

import numpy as np

COLUMNS = (
    "program",
    "products in bfloat16",
    "in float32",
    "cuDNN calls",
    "sums in bfloat16",
    "float64",
    "calls of the host",
    "buffers donated",
)
NAME = "Programs for CUDA, lowered without a card"
HOST = re.compile(r"callback|stablehlo\.(?:infeed|outfeed|send|recv)|xla_ffi_python")
SUM = re.compile(
    r"applies stablehlo.add across dimensions = \[([\d, ]*)\] : \(tensor<([\dx]*)x(?:bf16|f16)>"
)
SIZES = {  # of MiniLM
    "vocabulary": 30_522,
    "dim": 384,
    "layers": 6,
    "heads": 12,
    "hidden": 1536,
}
TOY = {"vocabulary": 100, "dim": 32, "layers": 2, "heads": 2, "hidden": 64}


@contextlib.contextmanager
def as_on_a_card():
    """Tracing takes the choices of a machine with an NVIDIA card and cuDNN."""
    from jaxsim.encoders import _attention

    version = "jax._src.cudnn.fused_attention_stablehlo.check_cudnn_version"
    with (
        mock.patch("jax.default_backend", return_value="gpu"),
        mock.patch.object(_attention, "cudnn_works", return_value=True),
        mock.patch(version, return_value=91_000),
    ):
        yield


def lowered(function, *arguments):
    """The text of a jitted function's program for CUDA, in StableHLO."""
    with as_on_a_card():
        return function.trace(*arguments).lower(lowering_platforms=("cuda",)).as_text()


def figures(text, donated=None):
    """What the table says of programs.

    Args:
      text: of one program or several.
      donated: how many of its inputs should be, or None where there are none.
    """
    lines = text.splitlines()
    products = [line for line in lines if "stablehlo.dot_general" in line]
    narrow = sum(is_narrow(line) for line in products)
    return {
        "products in bfloat16": narrow,
        "in float32": len(products) - narrow,
        "cuDNN calls": text.count("@__cudnn$"),
        "sums in bfloat16": sum(map(is_narrow_sum, lines)),
        "float64": len(re.findall(r"tensor<(?:\w*x)*f64>", text)),
        "calls of the host": sum(bool(HOST.search(line)) for line in lines),
        "buffers donated": (
            f"{text.count('tf.aliasing_output') + text.count('jax.buffer_donor')} of {donated}"
            if donated
            else ""
        ),
    }


def is_narrow(line):
    """Whether a product multiplies in bfloat16, whatever it is given."""
    if "lhs_precision_type = bf16" in line:
        return True
    inputs = line.rpartition(" : ")[2].partition("->")[0]
    return inputs.count("bf16>") == 2


def is_narrow_sum(line):
    """Whether a line sums several numbers in bfloat16."""
    if (match := SUM.search(line)) is None:
        return False
    sizes = [int(size) for size in match[2].split("x")]
    return any(sizes[int(axis)] > 1 for axis in match[1].split(","))


def rows(toy=False):
    """The table: {column: value} for each program."""
    yield from of_encoder(toy)
    yield of_search(toy)
    yield from of_losses(toy)


def of_encoder(toy):
    """Encoding, and a training step of InfoNCE with AdamW and dropout."""
    import jax

    from jaxsim import encoders, losses, training

    batch, length = (4, 16) if toy else (64, 128)
    module = encoders.TextEncoder(encoders.Transformer(**TOY if toy else SIZES))
    encode = encoders.as_function(module)
    texts = {
        "tokens": np.ones((batch, length), np.int32),
        "where": np.ones((batch, length), bool),
    }
    params = jax.jit(module.init)(jax.random.key(0), texts)
    yield {"program": "encoding"} | figures(lowered(jax.jit(encode), params, texts))

    def objective(encode, params, batch, *, key, axis_name):
        keys = jax.random.split(key)
        both = (
            encode(params, batch[name], key, axis_name=axis_name)
            for name, key in zip(("query", "document"), keys, strict=True)
        )
        return losses.info_nce(*both, where=batch["where"], axis_name=axis_name)

    def with_key(params, texts, key, axis_name=None):
        return encode(params, texts, key=key, axis_name=axis_name)

    ways = {
        "a training step": with_key,
        "a training step, encoded in chunks": training.chunked(
            lambda params, texts, key: encode(params, texts, key=key), batch // 4
        ),
    }
    ids = np.arange(batch, dtype=np.int32)
    for name, part in ways.items():
        way, optimizer = training.shard_mapped(jax.local_devices()[:1]), training.adamw(1e-4)
        carry = way.start(params, None, optimizer, None)
        fed = way.feed({"query": texts, "document": texts, "where": ids >= 0, "ids": ids})
        step = way.step(functools.partial(objective, part), optimizer, carry)
        text = lowered(step, carry, fed, jax.random.key(0), None)
        yield {"program": name} | figures(text, len(jax.tree.leaves(carry)))


def of_search(toy):
    """Exact search."""
    import jax

    from jaxsim import search

    items, queries = (np.zeros((n, 32 if toy else 384), np.float32) for n in (10_000, 128))
    search_of = jax.jit(functools.partial(search.exact, k=10))
    return {"program": "exact search"} | figures(lowered(search_of, queries, items))


def of_losses(toy):
    """Every public loss, value and gradient, from float32 and from bfloat16 vectors."""
    import jax

    from benchmarks.accelerator.correct import half
    from benchmarks.catalog import GROUPS

    for group, entries in GROUPS.items():
        chosen = list(entries.items())[:: 8 if toy else 1]
        for dtype, cast in (("float32", np.asarray), ("bfloat16", half)):
            texts = []
            for _, entry in chosen:
                both = jax.jit(jax.value_and_grad(entry.ours, argnums=entry.moved))
                texts.append(lowered(both, *map(cast, entry.arrays(64, 128))))
            name = f"{len(chosen)} losses of {group}, {dtype} vectors"
            yield {"program": name} | figures("\n".join(texts))


def table(rows):
    """The rows in Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "| --- |" + " ---: |" * (len(COLUMNS) - 1)]
    lines += ["| " + " | ".join(str(row[name]) for name in COLUMNS) + " |" for row in rows]
    return "\n".join(lines)


def write():
    """The table into benchmarks/README.md."""
    import time

    import jax

    from benchmarks.accelerator import report

    words = (
        f"{time.strftime('%Y-%m-%d')}, jax {jax.__version__}. What a card's compiler gets, with the choices of a "
        "machine that has one\n(`python -m benchmarks.accelerator --programs`): MiniLM's sizes, batches of 64 texts of "
        "128 tokens, losses of 64 vectors of 128\nwith value and gradient. Products in float32 are the losses' own."
    )
    report.put(NAME, f"{words}\n\n{table(rows())}")
