"""Writes a model or vectors for programs that do not have jaxsim.

    python -m jaxsim export out/ exported/ --to stablehlo         # a program that jax runs: CPU, GPU, TPU
    python -m jaxsim export out/ exported/ --to onnx              # a program that onnxruntime runs
    python -m jaxsim export docs.npy docs.faiss --to faiss        # exact search
    python -m jaxsim export docs.npy docs.usearch --to usearch    # a graph, and exact search

A model of texts, of pictures, of both, or a cross-encoder becomes a folder with its tokenizer, its prompts, how it reads
pictures, and run.py, which runs it in a few lines. Vectors are those of a .npy or .parquet file, as `embed` writes them, or
of the folder that `index` makes. Next to an index is OUT.json, which says the measure and what each row is called.
"""

import argparse
import importlib.util
from collections.abc import Sequence

from jaxsim.commands.options import arguments

MODELS, INDEXES = ("stablehlo", "onnx"), ("faiss", "usearch")
METRICS = {"cosine": "cosine", "dot": "dot", "negative_euclidean": "euclidean"}
# What each format is written with, and the extra that brings it.
PACKAGES = {
    "stablehlo": ("flatbuffers", "pretrained"),
    "onnx": ("jax2onnx", "onnx"),
    "faiss": ("faiss", "faiss"),
    "usearch": ("usearch", "usearch"),
}
OF_MODELS = ("weights", "rows", "length", "max_length", "domain", "dtype")
OF_VECTORS = ("metric",)


def parsed(command_line: Sequence[str]) -> argparse.Namespace:
    """The options, checked with each other."""
    parser = arguments.Parser("export", __doc__)
    add = parser.add_argument
    add("model", type=arguments.path, help="folder of a model or its name on the hub; or vectors")
    add("out", type=arguments.path, help="the folder, or the file of an index, to write")
    add(
        "--to",
        required=True,
        type=arguments.one_of(*MODELS, *INDEXES),
        help="what it is written as",
    )
    add(
        "--weights",
        type=arguments.one_of("beside", "inside"),
        help="where a model's parameters are: beside the program or inside it, up to 2 GiB (beside)",
    )
    add("--rows", type=arguments.whole(), help="a fixed number of texts; default: any")
    add("--length", type=arguments.whole(), help="a fixed number of tokens; default: any")
    add("--max-length", type=arguments.whole(), help="maximum tokens per text")
    add("--domain", help="of a model with experts: the domain whose expert is taken")
    add(
        "--dtype",
        type=arguments.one_of("float32", "bfloat16"),
        help="type of a StableHLO program's arithmetic (float32)",
    )
    add(
        "--download",
        action="store_true",
        help="allows downloading the model from the Hugging Face hub",
    )
    add(
        "--metric",
        type=arguments.one_of(*METRICS.values()),
        help="how an index compares vectors; default: as the folder of `index` says, else cosine",
    )
    options = parser.parse_args(command_line)
    kind, foreign = ("vectors", OF_MODELS) if options.to in INDEXES else ("a model", OF_VECTORS)
    for name in foreign:
        if getattr(options, name) is not None:
            typed = name.replace("_", "-")
            raise ValueError(f"--{typed} has no effect on {kind}, which --to {options.to} takes")
    if options.to == "onnx" and options.dtype == "bfloat16":
        raise ValueError("--dtype must be float32 for --to onnx, got bfloat16")
    package, extra = PACKAGES[options.to]
    if importlib.util.find_spec(package) is None:
        raise ModuleNotFoundError(
            f'--to {options.to} needs the package {package}: pip install "jaxsim-similarity[{extra}]"'
        )
    return options
