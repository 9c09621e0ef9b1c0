"""`export`: the folder of a model's program, or the file of an index."""

import argparse
from pathlib import Path

import numpy as np

from jaxsim import pretrained, storage
from jaxsim.commands.inputs import corpora, models
from jaxsim.commands.options.export import INDEXES, METRICS, MODELS
from jaxsim.commands.outputs.files import check_output

FORMAT = "jaxsim exported index 1"


def main(options: argparse.Namespace) -> None:
    """Runs the command."""
    if options.to in MODELS:
        export_model(options)
    else:
        export_vectors(options)


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
    print(
        f"{options.out}: {options.model} as {options.to}; python {Path(options.out) / 'run.py'} runs it"
    )


def export_vectors(options: argparse.Namespace) -> None:
    """Writes the file of an index, and what it is next to it."""
    about = f"{options.out}.json"
    for target in (options.out, about):
        check_output(
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
