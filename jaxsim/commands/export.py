"""Writes a model or vectors for programs that do not have jaxsim.

    python -m jaxsim export out/ exported/ --to stablehlo         # a program that jax runs: CPU, GPU, TPU
    python -m jaxsim export out/ exported/ --to onnx              # a program that onnxruntime runs
    python -m jaxsim export docs.npy docs.faiss --to faiss        # exact search
    python -m jaxsim export docs.npy docs.usearch --to usearch    # a graph, and exact search

A model of texts or a cross-encoder becomes a folder with its tokenizer, its prompts and run.py, which runs it in a few
lines. Vectors are those of a .npy or .parquet file, as `embed` writes them, or of the folder that `index` makes. Next to
an index is OUT.json, which says the measure and what each row is called.
"""

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxsim import pretrained, storage
from jaxsim.commands.inputs import arguments, corpora, models

MODELS, INDEXES = ("stablehlo", "onnx"), ("faiss", "usearch")
METRICS = {"cosine": "cosine", "dot": "dot", "negative_euclidean": "euclidean"}
FORMAT = "jaxsim exported index 1"
# What each format is written with, and the extra that brings it.
PACKAGES = {
    "stablehlo": ("flatbuffers", "pretrained"),
    "onnx": ("jax2onnx", "onnx"),
    "faiss": ("faiss", "faiss"),
    "usearch": ("usearch", "usearch"),
}
OF_MODELS = ("weights", "rows", "length", "max_length", "domain", "dtype")
OF_VECTORS = ("metric",)


def main(command_line: Sequence[str]) -> None:
    """Runs the command."""
    options = parsed(command_line)
    if options.to in MODELS:
        export_model(options)
    else:
        export_vectors(options)


def parsed(command_line: Sequence[str]) -> argparse.Namespace:
    """The options, checked with each other."""
    parser = arguments.Parser("export", __doc__)
    add = parser.add_argument
    add("model", type=arguments.path, help="folder of a model or its name on the hub; or vectors")
    add("out", type=arguments.path, help="the folder, or the file of an index, to write")
    add("--to", required=True, type=arguments.one_of(*MODELS, *INDEXES), help="the format")
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


def export_model(options: argparse.Namespace) -> None:
    """Writes the folder of a model's program."""
    source = {"the model": options.model} if Path(options.model).is_dir() else {}
    storage.check_folder("OUT", options.out, kind="model export", outside=source)
    if Path(options.model).is_file():
        raise ValueError(
            f"MODEL must be a folder for --to {options.to}, got the file {options.model!r}: vectors go "
            f"--to {' or '.join(INDEXES)}"
        )
    dtype, options.dtype = options.dtype or "float32", "float32"
    model = models.any_model(options.model, options, max_length=options.max_length)
    if isinstance(model, pretrained.TextModel):
        model = models.of_chosen_domain(model, options)
    settings = {"weights": options.weights or "beside", "rows": options.rows}
    settings["length"] = options.length
    if options.to == "onnx":
        pretrained.export_onnx(model, options.out, **settings)
    else:
        pretrained.export_stablehlo(model, options.out, dtype=dtype, **settings)
    print(f"{options.out}: {options.model} as {options.to}; python {options.out}/run.py runs it")


def export_vectors(options: argparse.Namespace) -> None:
    """Writes the file of an index, and what it is next to it."""
    about = f"{options.out}.json"
    for target in (options.out, about):
        arguments.check_output(
            "OUT", target, ours=_ours, kind="an index", inputs={"the vectors": options.model}
        )
    folder = Path(options.model)
    metric = options.metric or "cosine"
    if folder.is_dir():
        storage.check_place(
            "VECTORS", folder, mark=corpora.MARK, kind="an index that jaxsim wrote", writing=False
        )
        source = folder / "vectors.npy"
        if not source.exists():
            raise ValueError(
                f"VECTORS must be a finished index, got {options.model!r} without vectors"
            )
        known = storage.read_object(folder / corpora.MARK).text("similarity", "cosine")
        if options.metric is None and known not in METRICS:
            raise ValueError(
                f"{folder / corpora.MARK}: --to {options.to} has no {known}: give --metric"
            )
        metric = options.metric or METRICS[known]
    else:
        source = folder
    names, vectors = storage.load_vectors(source, mmap=source.suffix == ".npy")
    ids = names if names is not None and names.dtype.kind in "iu" else None
    save = storage.save_faiss if options.to == "faiss" else storage.save_usearch
    save(options.out, vectors, metric=metric, ids=ids)
    rows, dim = vectors.shape
    tree = {"format": FORMAT, "to": options.to, "metric": metric, "rows": rows, "dim": dim}
    if names is not None and ids is None:
        tree["ids"] = np.asarray(names).tolist()
    storage.write_json(about, tree)
    print(f"{options.out}: {rows} vectors of {dim}, compared by {metric}")


def _ours(target):
    """Whether this command wrote a file: next to an index is what says so."""
    about = target if target.suffix == ".json" else target.with_name(target.name + ".json")
    try:
        return about.exists() and storage.read_object(about).text("format", "") == FORMAT
    except ValueError:
        return False
