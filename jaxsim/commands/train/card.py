"""The model card of a folder that `train` writes: what was trained, on what, how, and how good it is."""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxsim import pretrained
from jaxsim.commands.inputs import models
from jaxsim.commands.options.groups import CROSS_GRADED, GRADED, LABELS
from jaxsim.commands.options.values import Source
from jaxsim.commands.outputs import kinds
from jaxsim.commands.outputs.cards import (
    base_of,
    block,
    code,
    command,
    licensed,
    shortened,
    shown_base,
    table,
    versions,
    written,
)
from jaxsim.commands.train.losses import settings_of
from jaxsim.pretrained._model import FolderModel

# The classes of sentence-transformers that read a folder.
PEERS = {
    pretrained.CrossEncoderModel: "CrossEncoder",
    pretrained.SparseTextModel: "SparseEncoder",
    pretrained.MultiVectorModel: "MultiVectorEncoder",
}
# What a figure is of, as sentence-transformers names the tasks of its evaluators.
RETRIEVAL = ("information-retrieval", "Information Retrieval")
SIMILARITY = ("semantic-similarity", "Semantic Similarity")
CLASSES = ("information-retrieval", "Retrieval of texts of the same class")
RERANKING = ("cross-encoder-reranking", "Cross Encoder Reranking")
CORRELATION = ("cross-encoder-correlation", "Cross Encoder Correlation")
ROWS = {LABELS: "texts with classes", GRADED: "graded pairs"}


def card_of(
    options: argparse.Namespace,
    model: FolderModel,
    task: Any,
    settings: Mapping[str, Any],
    *,
    before: Mapping[str, float],
    after: Mapping[str, float],
    step: int,
    steps: int,
) -> str:
    """The card of a trained model as the text of README.md.

    Args:
      options: of the command.
      model: that was trained, with the small files of its base.
      task: that it was trained on.
      settings: that the run depends on.
      before, after: figures of the base and of what is written.
      step: of the best checkpoint.
      steps: of the run.
    """
    name = options.push or Path(options.out).resolve().name
    base, kind = base_of(options.model), kind_of(options, model)
    groups = figures_of(options, model, before, after)
    about = kinds.kind_of(model)
    if kind == "adapter":
        about = about._replace(about="A LoRA adapter", library="peft", tags=("lora", "peft"))
    sentence = f"{about.about}, fine-tuned from {shown_base(options.model)} with jaxsim"
    body = [
        f"# {name}",
        f"{sentence} on {rows_of(options)}.",
        *notes_of(options, model, task, kind),
        "## Use",
        '`pip install "jaxsim-similarity[pretrained]"`, and',
        *use(options, model, task, kind, name),
        "## Training data",
        data_table(options),
        "## Training",
        training(options, task, settings, step, steps),
        table(("setting", "value"), settings_table(options, model, settings)),
        block("sh", command("train", options.words)),
        "## Figures",
        f"Before and after training; the checkpoint is the one with the best {task.figure} on what is held out.",
        *figures(groups),
        "## Versions",
        ", ".join(versions()) + ".",
    ]
    given = {
        field: [value for one, value in options.card if one == field] for field, _ in options.card
    }
    metadata = {
        "language": None,
        "license": None,
        **licensed(model),
        "library_name": about.library,
        "pipeline_tag": about.pipeline,
        "base_model": base,
        "base_model_relation": "adapter" if kind == "adapter" else "finetune",
        "datasets": None,
        "tags": tags(options, about) + given.pop("tags", []),
        **{field: value[0] if len(value) == 1 else value for field, value in given.items()},
        "model-index": [{"name": name, "results": results(groups)}],
    }
    if metadata["base_model"] is None:
        del metadata["base_model_relation"]
    return written(metadata, body)


def kind_of(options: argparse.Namespace, model: Any) -> str:
    """What a folder holds: "adapter", or a kind of model."""
    if options.lora_rank is not None and not options.lora_merged:
        return "adapter"
    return kinds.name_of(model)


def tags(options: argparse.Namespace, kind: kinds.Kind) -> list[str]:
    """The tags of metadata, as sentence-transformers writes them: kinds, losses, the number of rows."""
    losses = dict.fromkeys(f"loss:{one.loss}" for one in options.sources)
    cuts = ["matryoshka"] if options.dims is not None else []
    count = sum(len(one.pairs[0]) for one in options.sources)
    return [*kind.tags, "jaxsim", *cuts, *losses, f"dataset_size:{count}"]


def rows_of(options: argparse.Namespace) -> str:
    """How many rows of which kind were trained on."""
    counts = {}
    for one in options.sources:
        what = "pictures with texts" if options.image_column else ROWS.get(one.kind, "pairs")
        if one.kind == CROSS_GRADED and one.pairs.scores is not None:
            what = ROWS[GRADED]
        counts[what] = counts.get(what, 0) + len(one.pairs[0])
    return " and ".join(f"{count:,} {what}" for what, count in counts.items())


def notes_of(options: argparse.Namespace, model: Any, task: Any, kind: str) -> list[str]:
    """What a user must know of a folder: size, length, similarity, cuts, experts."""
    if kind == "cross-encoder" or isinstance(model, pretrained.CrossEncoderModel):
        return [
            f"A pair has at most {model.max_length} tokens; the larger of two scores is the better pair."
        ]
    name = model.similarity.__name__.replace("_", " ")
    if isinstance(model, pretrained.MultiVectorModel):
        return [f"Every token has a vector, and texts are compared by {name}."]
    lines = [
        f"Vectors have {models.dim_of(model)} coordinates and are compared by {name}; a text has at most "
        f"{model.max_length} tokens."
    ]
    if dims := task.cuts.dims:
        lines.append(
            f"Vectors may be cut to their first {' or '.join(map(str, dims))} coordinates."
        )
    if kind == "experts":
        lines.append(
            f"There are experts of {', '.join(model.domains)}. **jaxsim alone reads this folder**; "
            "`jaxsim.pretrained.take_domain` makes a model of one domain that other libraries read."
        )
    return lines


def use(options: argparse.Namespace, model: Any, task: Any, kind: str, name: str) -> list[str]:
    """Blocks of code that load the model, in jaxsim and in the library that reads it."""
    tasks = getattr(task, "tasks", {"": task})
    prompts = next(iter(tasks.values())).prompts
    cross = isinstance(model, pretrained.CrossEncoderModel)
    peer = PEERS.get(type(model), "SentenceTransformer")
    fetched = ", download=True" if options.push else ""
    load = ["from jaxsim import pretrained", "", f'model = pretrained.load("{name}"{fetched})']
    peer_load = [f"from sentence_transformers import {peer}", "", f'model = {peer}("{name}")']
    ours, theirs = (
        (RANKING, RANKING) if cross else (scored("embed", *prompts), scored("encode", *prompts))
    )
    if isinstance(model, pretrained.MultiVectorModel):
        ours[0] = ours[0].replace('"]', '"], side="query"', 1)
        theirs[:2] = (
            line.replace(".encode(", f".encode_{side}(")
            for line, side in zip(theirs, SIDES, strict=False)
        )
    if kind == "adapter":
        load, peer_load = adapted(options, model, name, peer)
    if kind == "experts":
        domain = f', domain="{model.domains[0]}")'
        ours = [line.removesuffix(")") + domain if ".embed(" in line else line for line in ours]
    if kind == "images":
        ours = [
            'pictures = model.embed_images(["cat.jpg", "dog.jpg"])',
            f'texts = model.embed(["a photo of a cat"]{prompted(prompts[0])})',
            "scores = model.similarity(texts, pictures)",
        ]
        theirs = [f'texts = model.encode(["a photo of a cat"]{prompted(prompts[0])})']
        if kinds.kind_of(model).library == "transformers":
            theirs = [f'processor = AutoProcessor.from_pretrained("{name}")']
            peer_load = ["from transformers import AutoModel, AutoProcessor", ""]
            peer_load += [f'model = AutoModel.from_pretrained("{name}")']
    code_of_ours = block("python", *load, *ours)
    return [code_of_ours, *([] if kind == "experts" else [block("python", *peer_load, *theirs)])]


SIDES = ("query", "document")
RANKING = ['ranking = model.rank("how are vectors compared?", ["By their cosine.", "On a plane."])']


def scored(encode: str, query_prompt: str | None, document_prompt: str | None) -> list[str]:
    """Lines that compare texts by a model's method of this name."""
    return [
        f'queries = model.{encode}(["how are vectors compared?"]{prompted(query_prompt)})',
        f'documents = model.{encode}(["By their cosine.", "On a plane."]{prompted(document_prompt)})',
        "scores = model.similarity(queries, documents)",
    ]


def prompted(prompt: str | None) -> str:
    """The argument of a prompt, none where there is none."""
    return f", prompt={prompt!r}" if prompt else ""


def adapted(
    options: argparse.Namespace, model: Any, name: str, peer: str
) -> tuple[list[str], list[str]]:
    """Lines that load a model and its adapter, in jaxsim and with PEFT."""
    base = base_of(options.model)
    fetched = "" if base is None else ", download=True"
    base = base or Path(options.model).resolve().name
    folder = f'snapshot_download("{name}")' if options.push else f'"{name}"'
    inner = model.kept.transformer
    inside = f', subfolder="{inner}"' if inner else ""
    body = "model.model" if peer == "CrossEncoder" else "model[0].model"
    ours = [
        *(["from huggingface_hub import snapshot_download", ""] if options.push else []),
        "from jaxsim import pretrained",
        "",
        f'model = pretrained.load("{base}"{fetched})',
        f"adapter, scale = pretrained.load_lora(model, {folder})",
        "model = model.replace(params=pretrained.with_lora(model.params, adapter, scale=scale))",
    ]
    theirs = [
        "from peft import PeftModel",
        f"from sentence_transformers import {peer}",
        "",
        f'model = {peer}("{base}")',
        f'{body} = PeftModel.from_pretrained({body}, "{name}"{inside})',
    ]
    return ours, theirs


def data_table(options: argparse.Namespace) -> str:
    """The files with their numbers of rows, losses, weights and batch sizes."""
    several = len(options.sources) > 1
    rows = []
    for one in options.sources:
        held = "" if one.validation is None else f" of {Path(one.validation).name}"
        row = [shown_file(one), len(one.pairs[0]), f"{len(one.held[0])}{held}", code(one.loss)]
        rows.append(
            [*row, hyperparameters(options, one), one.batch_size, one.weight or 1.0][: 6 + several]
        )
    head = ("file", "rows", "held out", "loss", "its settings", "batch", "weight")
    return table(head[: 6 + several], rows)


def shown_file(one: Source) -> str:
    """A file of --pairs and, of a table of experts, the rows of it."""
    name = code(Path(one.path).name)
    return name if one.domain is None else f"{name}, {one.domain}"


def hyperparameters(options: argparse.Namespace, one: Source) -> str:
    """What was set of a loss, as "margin=0.1"."""
    values = settings_of(one.loss, options.set)
    shown = [f"{name}={getattr(value, '__name__', value)}" for name, value in values.items()]
    if options.temperature is not None:
        shown.append(f"temperature={options.temperature:g}")
    return ", ".join(shown) or "the defaults"


def training(
    options: argparse.Namespace, task: Any, settings: Mapping[str, Any], step: int, steps: int
) -> str:
    """A sentence of the steps and of the optimizer."""
    epochs = "" if options.steps is not None else f", {options.epochs} epochs"
    epochs = epochs.removesuffix("s") if options.epochs == 1 else epochs
    left_out = f" {task.left_out} negatives that are right were left out." * bool(task.left_out)
    return (
        f"{steps} steps{epochs}; what is written is the checkpoint after step {step}. AdamW, with linear warm-up and "
        f"decay of the learning rate.{left_out}"
    )


def settings_table(
    options: argparse.Namespace, model: Any, settings: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """(option, value) of what a run depends on, and the precision of its arithmetic."""
    shown = {"--dtype": models.dtype_of(options)} | dict(settings)
    skipped = ("--loss", "--batch-size", "--set")
    return [
        (code(name), code(shortened(value)))
        for name, value in shown.items()
        if name.startswith("--") and not name.startswith(skipped) and value not in (None, "")
    ]


Figures = list[tuple[str, float, float]]


def figures_of(
    options: argparse.Namespace,
    model: FolderModel,
    before: Mapping[str, float],
    after: Mapping[str, float],
) -> list[tuple[str, tuple[str, str], Figures]]:
    """(what is evaluated, its task, [(figure, before, after)]) of every file and of --judged."""
    rest = {name: (before[name], value) for name, value in after.items() if name in before}
    groups = []
    if options.judged is not None:
        corpus = Path(options.judged[0])
        of_judged = _begun(rest, "judged ")
        name = "-".join(filter(None, (corpus.resolve().parent.name, corpus.name)))
        groups.append((f"{name}, judged", RETRIEVAL, of_judged))
        rest = {n: pair for n, pair in rest.items() if not n.startswith("judged ")}
    for one in options.sources:
        several = len(options.sources) > 1
        held = one.validation or one.path
        name = f"{Path(held).name}{', held out' * (one.validation is None)}"
        name = f"{name}, {one.domain}" if one.domain is not None else name
        groups.append((name, task_kind(one, model), _begun(rest, f"{one.name} " * several)))
    return groups


def _begun(figures, start):
    return [
        (name.removeprefix(start), *pair)
        for name, pair in figures.items()
        if name.startswith(start)
    ]


def task_kind(one: Source, model: FolderModel) -> tuple[str, str]:
    """The type and the name of the task that the figures of a file are of."""
    if isinstance(model, pretrained.CrossEncoderModel):
        return RERANKING if one.held.scores is None else CORRELATION
    return {LABELS: CLASSES, GRADED: SIMILARITY}.get(one.kind, RETRIEVAL)


def figures(groups: list[tuple[str, tuple[str, str], Figures]]) -> list[str]:
    """A table for each evaluation."""
    parts = []
    for name, _, values in groups:
        rows = [(figure, old, new, f"{new - old:+.4f}") for figure, old, new in values]
        parts += [f"**{name}**", table(("figure", "before", "after", "difference"), rows)]
    return parts


def results(groups: list[tuple[str, tuple[str, str], Figures]]) -> list[dict[str, Any]]:
    """The results of a model index: every figure but losses after training and, named so, before it."""
    found = []
    for name, (kind, about), values in groups:
        metrics = []
        for figure, old, new in values:
            if figure == "loss":
                continue
            slug = re.sub(r"[^a-z0-9@]+", "_", figure.lower())
            metrics.append({"type": slug, "value": float(new), "name": figure})
            metrics.append(
                {"type": f"{slug}_before", "value": float(old), "name": f"{figure} before training"}
            )
        found.append(
            {
                "task": {"type": kind, "name": about},
                "dataset": {"name": name, "type": "unknown"},
                "metrics": metrics,
            }
        )
    return found
