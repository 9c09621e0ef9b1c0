"""The options of `train`, checked with each other and with what is on the disk."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from jaxsim import storage
from jaxsim.commands import arguments, models
from jaxsim.commands.train_losses import OF_GRADES, OF_PAIRS, OF_TEACHERS, TWO_DIMENSIONAL
from jaxsim.commands.train_tables import BATCH_SIZE, HELD_OUT, MOST_HELD_OUT


def parsed(command_line: Sequence[str], description: str | None = None) -> argparse.Namespace:
    """The options, checked with each other."""
    parser = arguments.Parser("train", description)
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
