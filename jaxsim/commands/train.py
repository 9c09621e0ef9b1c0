"""Fine-tunes a model on your own pairs, triplets or graded pairs, and keeps the best checkpoint.

    python -m jaxsim train --model all-MiniLM-L6-v2/ --pairs pairs.jsonl --loss info_nce --out out/

Columns are found by their usual names (query, anchor, question, sentence1; document, positive, answer,
passage, sentence2; negative, negatives, negative_1, ...; score) or named. Without --validation a part of
the rows is held out: the run shows the loss, the accuracy in a batch and how well documents are retrieved
on it, or the rank correlation of graded pairs. The result loads in sentence-transformers. A killed run
resumes when the same command is started again; more --epochs or --steps lengthen it.

    --dims 128 64               vectors that may be cut to their first 128 or 64 coordinates (Matryoshka)
    --loss matryoshka_2d        cut in depth too: info_nce with --layers and --dims (2D Matryoshka)
    --teacher big-model/        learns the similarities of another model, no labels needed but the pairs
"""

import argparse
import contextlib
import functools
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsim import data, losses, pretrained, search, similarity, storage, training
from jaxsim.commands import arguments, columns, fine_tuning, models
from jaxsim.numerics import unit
from jaxsim.numerics.types import ArrayTree, Loss
from jaxsim.storage._atomic import errors_named

OF_PAIRS = {
    name: getattr(losses, name)
    for name in ("info_nce", "symmetric_info_nce", "joint_info_nce", "siglip", "simple_contrastive")
}
OF_GRADES = {name: getattr(losses, name) for name in ("cosent", "angle", "cosine_regression")}
OF_TEACHERS = {
    name: getattr(losses, name) for name in ("similarity_distillation", "embedding_distillation")
}
TWO_DIMENSIONAL = "matryoshka_2d"  # info_nce with --layers, and --dims by default
BATCH_SIZE, HELD_OUT, MOST_HELD_OUT = 32, 0.05, 1000


def main(command_line: Sequence[str]) -> None:
    """Runs the command."""
    options = parsed(command_line)
    check_targets(options)
    pairs, held = read(options)
    check_batches(options, pairs)
    settings = settings_of(options, pairs, held)
    check_settings(options, settings)
    with claimed(options.out):
        options.workdir.mkdir(parents=True, exist_ok=True)
        model = models.text_model(options)
        prompts = prompts_of(options, model)
        task = fine_tuning.Task(
            model,
            loss_of(options, model),
            pairs,
            held,
            options.batch_size,
            graded=options.graded,
            prompts=prompts,
            chunk=options.chunk,
            cuts=cuts_of(options, model),
            teacher=taught(options, model, pairs),
        )
        settings |= {
            "model": models.identity(model),
            "--max-length": model.max_length,
            "--query-prompt": prompts[0],
            "--document-prompt": prompts[1],
        }
        train(options, model, task, settings)


def train(
    options: argparse.Namespace,
    model: pretrained.TextModel,
    task: fine_tuning.Task,
    settings: dict[str, Any],
) -> None:
    """Trains, and writes the best checkpoint."""
    for line in notes(task):
        print(line)
    batches = task.batches(epochs=options.epochs, steps=options.steps, seed=options.seed)
    steps = len(batches)
    before = task.validate(model.params)
    show("before", before)
    try:
        training.fit(
            task.objective(),
            model.params,
            batches,
            optimizer=training.adamw(
                training.linear_warmup_decay(options.rate, steps=steps, warmup=options.warmup),
                weight_decay=options.weight_decay,
            ),
            key=jax.random.key(options.seed),
            workdir=options.workdir,
            fingerprint=settings,
            save_every=options.validate_every or math.ceil(steps / 5),
            keep=1,
            validate=validated(task),
            best=task.best,
            label=f"training {Path(options.model).name}",
        )
    except FloatingPointError as error:
        message = with_rows(str(error), options.rows, options.pairs)
        raise FloatingPointError(f"{message}: lower --rate, {options.rate:g} now") from error
    step, params, after = training.best_of(options.workdir, model.params, best=task.best)
    show(f"best, after step {step} of {steps}", after)
    if line := worse(task.figure, before, after):
        print(line)
    with errors_named(Path(options.out)):
        described(model.replace(params=params), task.cuts).save(options.out)
    storage.write_json(
        options.workdir / "figures.json", {"before": before, "after": after, "step": step}
    )
    written = ("checkpoints", "metrics.jsonl", "loss.png", "figures.json")
    there = ", ".join(name for name in written if (options.workdir / name).exists())
    print(f"{options.out}: the model; {options.workdir}: {there}")


def validated(task: fine_tuning.Task) -> Callable[[ArrayTree], dict[str, float]]:
    """The task's figures of parameters; what was fine before the first step and fails later has diverged."""

    def validate(params):
        try:
            return task.validate(params)
        except ValueError as error:
            problem = str(error).removesuffix("; finished chunks are kept")
            raise FloatingPointError(f"training has diverged: {problem}") from error

    return validate


def with_rows(message: str, rows: Sequence[int], path: str | os.PathLike) -> str:
    """A message of `fit` with the rows of the file in place of the ids of a batch.

    Args:
      message: that may have "the batch of ids [3, 0]", or "... [3, 0] and 8 more".
      rows: of the file, from 0, in the order of the ids.
      path: of the file.
    """

    def named(match):
        numbers = [str(rows[int(one)] + 1) for one in match[1].split(",") if one.strip()]
        return f"rows {', '.join(numbers)}{match[2] or ''} of {path}"

    return re.sub(r"the batch of ids \[([\d, ]*)\]( and \d+ more)?", named, message)


def parsed(command_line: Sequence[str]) -> argparse.Namespace:
    """The options, checked with each other."""
    parser = arguments.Parser("train", __doc__)
    add = parser.add_argument
    models.options(add)
    add(
        "--pairs",
        required=True,
        type=arguments.path,
        help="training file: .jsonl, .csv, .tsv or .parquet",
    )
    add("--out", required=True, type=arguments.path, help="folder for the trained model")
    add(
        "--loss",
        help=f"for pairs: {', '.join(OF_PAIRS)}, {TWO_DIMENSIONAL}; for graded pairs: {', '.join(OF_GRADES)}; "
        f"with --teacher: {', '.join(OF_TEACHERS)}; default: info_nce, cosent where there is a score, "
        "similarity_distillation where there is a teacher",
    )
    add(
        "--dims",
        nargs="+",
        type=arguments.whole(),
        help="sizes of first coordinates that are trained as well, so that vectors may be cut (Matryoshka)",
    )
    add(
        "--layers",
        action="store_true",
        default=None,
        help="trains the layers before the last too, one a step, so that the model may be cut (2D Matryoshka)",
    )
    add(
        "--teacher",
        type=arguments.path,
        help="folder of an embedding model whose similarities, or vectors, are learned in place of labels",
    )
    add(
        "--temperature",
        type=arguments.number(above=0),
        help="temperature of the loss; default: the loss's default, or 1 where the model does not compare by cosine",
    )
    add(
        "--validation",
        type=arguments.path,
        help="a file like --pairs, in place of a held-out part",
    )
    add(
        "--held-out",
        type=arguments.number(above=0, below=1),
        help=f"fraction of the rows to hold out, at most {MOST_HELD_OUT} rows ({HELD_OUT})",
    )
    add("--epochs", type=arguments.whole(), help="passes over the rows (1)")
    add("--steps", type=arguments.whole(), help="number of batches, in place of --epochs")
    add(
        "--batch-size",
        type=arguments.whole(),
        help=f"rows per batch, over all devices ({BATCH_SIZE})",
    )
    add(
        "--chunk",
        type=arguments.whole(),
        help="rows encoded at once, so that large batches fit in memory",
    )
    add(
        "--rate",
        type=arguments.number(above=0),
        default=2e-5,
        help="highest learning rate of AdamW (2e-5)",
    )
    add(
        "--warmup",
        type=arguments.number(least=0, most=1),
        default=0.1,
        help="fraction of the steps for warm-up; linear decay follows (0.1)",
    )
    add(
        "--weight-decay",
        type=arguments.number(least=0),
        default=0.01,
        help="weight decay of AdamW (0.01)",
    )
    add(
        "--validate-every",
        type=arguments.whole(),
        help="steps between validations; default: a fifth of the run",
    )
    add(
        "--seed",
        type=arguments.whole(0),
        default=0,
        help="random seed of the order and the dropout (0)",
    )
    add("--workdir", type=arguments.path, help="folder for checkpoints; default: OUT.run")
    for name in ("query", "document", "negative", "score"):
        add(f"--{name}", help=f"column of the {name}")
    add(
        "--no-score",
        action="store_true",
        default=None,
        help="takes every row as a positive pair, even if a column looks like a score",
    )
    for name, usual in (("query", models.QUERY_PROMPTS), ("document", models.DOCUMENT_PROMPTS)):
        add(
            f"--{name}-prompt",
            help=f"name of the model's prompt for the {name}, '' for none; default, of pairs: "
            f"{', '.join(usual)} where the model has one",
        )
    options = parser.parse_args(command_line)
    arguments.refuse_both(options, "epochs", "steps")
    arguments.refuse_both(options, "validation", "held_out")
    arguments.refuse_both(options, "score", "no_score")
    if options.loss not in {None, TWO_DIMENSIONAL, *OF_PAIRS, *OF_GRADES, *OF_TEACHERS}:
        raise ValueError(
            f"no loss {options.loss!r}: there are {', '.join(OF_PAIRS)}, {TWO_DIMENSIONAL} for pairs, "
            f"{', '.join(OF_GRADES)} for graded pairs, {', '.join(OF_TEACHERS)} with --teacher"
        )
    if options.loss == TWO_DIMENSIONAL:
        options.loss, options.layers = "info_nce", True
        options.dims = options.dims or ()  # of the model's own size, once it is known
    if options.teacher is not None:
        options.loss = options.loss or "similarity_distillation"
        arguments.refuse_both(options, "teacher", "layers")
        arguments.refuse_both(options, "teacher", "score")
    if (options.loss in OF_TEACHERS) != (options.teacher is not None):
        raise ValueError(
            f"--teacher and a loss of teachers ({', '.join(OF_TEACHERS)}) need each other, got "
            f"--loss {options.loss}"
        )
    if options.loss == "embedding_distillation":
        arguments.refuse_both(options, "teacher", "dims", "its vectors are learned whole")
    if options.layers:
        arguments.refuse_both(options, "layers", "chunk")
    options.epochs = options.epochs or 1
    options.workdir = Path(options.workdir or f"{Path(options.out)}.run")
    return options


def check_targets(options: argparse.Namespace) -> None:
    """Refuses targets that hold what is not ours, or that hold each other or an input."""
    inputs = {
        "--model": options.model,
        "--pairs": options.pairs,
        "--validation": options.validation,
        "--teacher": options.teacher,
    }
    inputs = {name: path for name, path in inputs.items() if path and Path(path).exists()}
    storage.check_folder(
        "--out", options.out, kind="model", outside={"--workdir": options.workdir, **inputs}
    )
    storage.check_place(
        "--workdir", options.workdir, mark="run.json", kind="the workdir of a training"
    )


def read(options: argparse.Namespace) -> tuple[columns.Pairs, columns.Pairs]:
    """Reads (pairs to train on, pairs to validate on); decides which kind of loss it is.

    Raises: ValueError for columns that do not fit the loss.
    """
    pairs = table(options, options.pairs)
    options.loss = options.loss or ("info_nce" if pairs.scores is None else "cosent")
    options.graded = options.loss in OF_GRADES
    settings = set() if options.temperature is None else {"temperature"}
    known = OF_PAIRS | OF_GRADES | OF_TEACHERS
    if options.loss not in OF_TEACHERS:
        fine_tuning.check_settings(options.loss, known[options.loss], settings)
    check_columns(options, pairs, options.pairs)
    if not options.validation:
        return held_out(options, pairs)
    options.rows = range(len(pairs.queries))
    held = table(options, options.validation)
    check_columns(options, held, options.validation)
    check_held(options, held)
    return pairs, held


def table(options: argparse.Namespace, path: str | os.PathLike) -> columns.Pairs:
    """The pairs of a file."""
    rows = data.read_records(path)
    if options.no_score:
        for row in rows:
            for name in columns.SCORES:
                row.pop(name, None)
    names = {name: getattr(options, name) for name in ("query", "document", "negative", "score")}
    return columns.pairs_of(rows, path, **names)


def check_columns(
    options: argparse.Namespace, pairs: columns.Pairs, path: str | os.PathLike
) -> None:
    """Refuses columns that the loss would misread."""
    name = options.loss
    if not options.graded:
        scores = pairs.scores
        if scores is not None and (min(scores) != max(scores) or scores[0] <= 0):
            raise ValueError(
                f"{path}: {name} takes every row as a positive pair, and there are scores from "
                f"{min(scores):g} to {max(scores):g}: keep the positive rows alone, take a loss of graded "
                f"pairs ({', '.join(OF_GRADES)}), or ignore the scores with --no-score"
            )
        return
    if pairs.scores is None:
        raise ValueError(f"{path}: {name} needs a score for every pair, there is no such column")
    if pairs.negatives is not None:
        raise ValueError(
            f"{path}: {name} takes no negatives, there is a column of them: remove it, or ignore the "
            "scores with --no-score"
        )
    if name != "cosine_regression":
        return
    for place, score in enumerate(pairs.scores):
        if not -1 <= score <= 1:
            raise ValueError(
                f"{path}: row {place + 1} must have a score from -1 to 1, the cosine that "
                f"cosine_regression aims at, got {score:g}: rescale the scores, or take cosent, which "
                "uses their order alone"
            )


def held_out(
    options: argparse.Namespace, pairs: columns.Pairs
) -> tuple[columns.Pairs, columns.Pairs]:
    """Splits off held-out rows: (rows to train on, rows to validate on); all copies of a row are on the same side."""
    part = HELD_OUT if options.held_out is None else options.held_out
    (numbers,) = fine_tuning.numbered(zip(pairs.queries, pairs.documents, strict=True))
    count = int(numbers.max()) + 1
    held_count = min(MOST_HELD_OUT, round(part * count))
    if not 0 < held_count < count:
        raise ValueError(
            f"--held-out must leave rows on both sides of {count} different pairs, got {part:g}: change it, or give "
            "--validation"
        )
    order = np.random.default_rng(options.seed).permutation(count)
    is_held = np.isin(numbers, order[:held_count])
    options.rows = np.flatnonzero(~is_held).tolist()
    trained, held = (
        type(pairs)(*(c if c is None else [c[i] for i in np.flatnonzero(rows)] for c in pairs))
        for rows in (~is_held, is_held)
    )
    check_held(options, held)
    return trained, held


def check_held(options: argparse.Namespace, held: columns.Pairs) -> None:
    """Refuses held-out pairs whose scores cannot distinguish a good model from a bad one."""
    if options.graded and len(set(held.scores)) < 2:
        raise ValueError(
            f"what is held out must have different scores, all {len(held.scores)} rows have "
            f"{held.scores[0]:g}: raise --held-out, or give --validation"
        )


def check_batches(options: argparse.Namespace, pairs: columns.Pairs) -> None:
    """Decides the batch size; refuses one that the rows cannot fill or a loss cannot use."""
    rows = len(pairs.queries)
    if options.batch_size is None:
        options.batch_size = min(BATCH_SIZE, rows)
    if options.batch_size > rows:
        raise ValueError(
            f"--batch-size must be at most {rows}, the rows that are trained on, got "
            f"{options.batch_size}"
        )
    alone = pairs.negatives is None and options.loss != "cosine_regression"
    if options.batch_size == 1 and alone:
        raise ValueError(
            f"{options.loss} compares the rows of a batch: there must be at least 2, got 1 "
            f"(--batch-size, of {rows} rows that are trained on)"
        )
    if options.loss in ("cosent", "angle") and len(set(pairs.scores)) < 2:
        raise ValueError(
            f"{options.pairs}: {options.loss} learns from the order of scores, and all rows that are trained "
            f"on have {pairs.scores[0]:g}"
        )


def settings_of(
    options: argparse.Namespace, pairs: columns.Pairs, held: columns.Pairs
) -> dict[str, Any]:
    """What a run depends on, as far as it is known without the model; what may change is not in it."""
    names = ("loss", "temperature", "batch_size", "chunk", "rate", "warmup", "weight_decay", "seed")
    settings = {f"--{name.replace('_', '-')}": getattr(options, name) for name in names}
    if models.dtype_of(options) != "float32":  # left out where it is: older runs do not have it
        settings["--dtype"] = models.dtype_of(options)
    for name in ("dims", "layers", "teacher"):  # likewise
        if getattr(options, name):
            settings[f"--{name}"] = getattr(options, name)
    return settings | {"rows to train on": digest(pairs), "rows held out": digest(held)}


def digest(pairs: columns.Pairs) -> str:
    """How many pairs there are and a hash of them."""
    return f"{len(pairs.queries)}, {hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:12]}"


def check_settings(options: argparse.Namespace, settings: Mapping[str, Any]) -> None:
    """Refuses the workdir of another run before the model is loaded; `fit` compares all settings."""
    path = options.workdir / "run.json"
    known = storage.read_object(path).raw("fingerprint") if path.exists() else None
    if not isinstance(known, dict):
        return
    changed = storage.changed_settings(
        {name: value for name, value in known.items() if name in settings}, settings
    )
    if changed:
        raise ValueError(
            f"--workdir={str(options.workdir)!r} belongs to another run, with other settings: {changed}: "
            "remove it or choose another"
        )


@contextlib.contextmanager
def claimed(out: str | os.PathLike) -> Iterator[None]:
    """One training per folder: `save` owns it only while it writes."""
    lock = Path(out).with_name(f"{Path(out).name}.training")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(storage.owned(lock, "file"))
        except ValueError as error:
            raise ValueError(str(error).replace(str(lock), str(out), 1)) from None
        yield


def prompts_of(options: argparse.Namespace, model: pretrained.TextModel) -> tuple[str | None, ...]:
    """What goes before queries and before documents: of pairs the model's own prompts, as in search."""
    usual = ((), ()) if options.graded else (models.QUERY_PROMPTS, models.DOCUMENT_PROMPTS)
    names = ("query", "document")
    return tuple(
        models.prompt_of(
            model, getattr(options, f"{name}_prompt"), option=f"--{name}-prompt", usual=prompts
        )
        for name, prompts in zip(names, usual, strict=True)
    )


def cuts_of(options: argparse.Namespace, model: pretrained.TextModel) -> fine_tuning.Cuts:
    """The cuts that are trained; 2D Matryoshka halves the size down to 8 where none are named.

    Raises: ValueError for a size that is not below the model's, and for layers that a model does not have.
    """
    whole = models.dim_of(model)
    dims = options.dims
    if dims is not None and not dims:
        dims = [whole // 2**power for power in range(1, 12) if whole // 2**power >= 8]
    for dim in dims or ():
        if dim >= whole:
            raise ValueError(f"--dims must be below {whole}, the model's size, got {dim}")
    if options.layers and model.module.transformer.layers < 2:
        raise ValueError(
            f"--layers needs a model of two layers or more, got {model.module.transformer.layers}"
        )
    return fine_tuning.Cuts(tuple(sorted(set(dims or ()), reverse=True)), bool(options.layers))


def described(model: pretrained.TextModel, cuts: fine_tuning.Cuts) -> pretrained.TextModel:
    """The model, whose settings name the cuts that were trained, if any."""
    if cuts == fine_tuning.WHOLE:
        return model
    whole, depth = models.dim_of(model), model.module.transformer.layers
    return models.with_cuts(
        model, dims=(whole, *cuts.dims), layers=range(1, depth + 1) if cuts.layers else ()
    )


def taught(
    options: argparse.Namespace, model: pretrained.TextModel, pairs: columns.Pairs
) -> fine_tuning.Teacher | None:
    """The teacher's vectors of all texts, computed once and kept in the workdir; None without a teacher."""
    if options.teacher is None:
        return None
    teacher = models.teacher(options)
    documents = [
        [document, *more]
        for document, more in zip(
            pairs.documents, pairs.negatives or [[]] * len(pairs.documents), strict=True
        )
    ]
    sides = (pairs.queries, [text for row in documents for text in row])
    usual = (models.QUERY_PROMPTS, models.DOCUMENT_PROMPTS)
    vectors = [
        search.encode_corpus(
            teacher.encode,
            teacher.params,
            functools.partial(
                teacher.tokens,
                prompt=models.prompt_of(teacher, None, option="--teacher", usual=prompts),
            ),
            texts,
            path=options.workdir / f"teacher-{name}.npy",
            fingerprint=f"{models.identity(teacher)} {digest(pairs)}",
            label=f"the teacher's {name}",
        )
        for name, texts, prompts in zip(("queries", "documents"), sides, usual, strict=True)
    ]
    queries, flat = map(np.asarray, vectors)
    if options.loss == "embedding_distillation" and queries.shape[1] != models.dim_of(model):
        raise ValueError(
            f"--teacher must give vectors of {models.dim_of(model)}, the model's size, for "
            f"embedding_distillation, got {queries.shape[1]}: similarity_distillation takes any"
        )
    shape = (len(queries), -1, flat.shape[1]) if pairs.negatives else flat.shape
    return fine_tuning.Teacher(queries, flat.reshape(shape))


def loss_of(options: argparse.Namespace, model: pretrained.TextModel) -> Loss:
    """The loss with its temperature and, of pairs, the model's similarity."""
    if options.loss == "embedding_distillation":
        return fine_tuning.both_sides
    if options.loss == "similarity_distillation":
        temperature = 0.05 if options.temperature is None else options.temperature
        return functools.partial(
            losses.similarity_distillation,
            student_temperature=temperature,
            teacher_temperature=temperature,
        )
    settings = {} if options.temperature is None else {"temperature": options.temperature}
    compared = model.similarity.__name__
    if options.graded:
        loss = OF_GRADES[options.loss]
        if model.similarity is not similarity.cosine:
            print(
                f"{options.loss} compares by cosine; the model, and the figures of what is held out, by "
                f"{compared}"
            )
    else:
        loss = OF_PAIRS[options.loss]
        settings["similarity"] = model.similarity
        scaled = model.similarity is similarity.cosine or unit in model.module.heads
        if not scaled and options.temperature is None and options.loss != "simple_contrastive":
            settings["temperature"] = 1.0
            print(f"the model compares by {compared}: {options.loss} has --temperature 1")
    return functools.partial(loss, **settings)


def notes(task: fine_tuning.Task) -> list[str]:
    """What a user should know of the rows."""
    lines = []
    if task.left_out:
        lines.append(
            f"{task.left_out} negatives are left out: they are their row's query, or a right document of "
            "it"
        )
    if task.seen:
        lines.append(
            f"of {len(task.held.queries)} rows that are held out {task.seen} have a query that is trained on"
        )
    return lines


def worse(figure: str, before: Mapping[str, float], after: Mapping[str, float]) -> str | None:
    """Warns where training made the figure that counts smaller; None where it did not."""
    if after[figure] >= before[figure]:
        return None
    return (
        f"the model before training was better on what is held out: {figure} {before[figure]:.4f}, now "
        f"{after[figure]:.4f}"
    )


def show(when: str, figures: Mapping[str, float]) -> None:
    """Prints a line of figures."""
    print(f"{when}: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))
