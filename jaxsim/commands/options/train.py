"""Fine-tunes a model on your own pairs, triplets, graded pairs or classes, and keeps the best checkpoint.

    python -m jaxsim train --model all-MiniLM-L6-v2/ --pairs pairs.jsonl --loss info_nce --out out/
    python -m jaxsim train --model M --pairs pairs.jsonl:info_nce sts.jsonl:cosent:0.5 --out out/

Columns are found by their usual names (query, anchor, question, sentence1; document, positive, answer,
passage, sentence2; negative, negatives, negative_1, ...; score; text and label) or named. Without
--validation a part of the rows is held out: the run shows the loss, the accuracy in a batch and how well
documents are retrieved on it, the rank correlation of graded pairs, or how well texts find those of their
class. The result loads in sentence-transformers. A killed run resumes when the same command is started
again; more --epochs or --steps lengthen it.

    --losses                    lists every loss by the table that it takes, and what --set gives it
    --loss NAME --set margin=0.1            a loss and its hyperparameters
    --negatives 4 --mine-every 500          hard negatives, mined again by the model as it learns
    --dims 128 64               vectors that may be cut to their first 128 or 64 coordinates (Matryoshka)
    --loss matryoshka_2d        cut in depth too: info_nce with --layers and --dims (2D Matryoshka)
    --teacher big-model/        learns the similarities of another model, no labels needed but the pairs
    --experts                   an expert for each file of --pairs, in every layer (a folder for jaxsim alone)
    --model clip/ --image-column path       texts with pictures, found in both directions
    --model cross/ --loss list_softmax      a cross-encoder: by yes and no, by lists, or by a teacher's scores
    --model colbert/ --loss score_distillation --teacher cross/    late interaction, by a cross-encoder's scores
    --lora-rank 8               low-rank changes alone, as a folder of PEFT's; --lora-merged for the whole model
    --loss splade --set query_weight=5e-5 document_weight=3e-5     a sparse encoder (SPLADE)
    --push OWNER/NAME           uploads the folder to the hub, privately; --public for everybody
    --guide big-model/          leaves out what another model takes for a right document (GISTEmbed)
"""

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxsim.commands.options import arguments, values
from jaxsim.commands.options.groups import (
    CROSS,
    CROSS_TEACHERS,
    GROUP_OF,
    GROUPS,
    GUIDED,
    LABELS,
    OF_EQUAL_SIZES,
    PAIRS,
    TEACHERS,
    TWO_DIMENSIONAL,
)
from jaxsim.commands.options.shared import of_model
from jaxsim.commands.options.usual import DOCUMENT_PROMPTS, QUERY_PROMPTS

BATCH_SIZE, HELD_OUT, MOST_HELD_OUT, PER_CLASS = 32, 0.05, 1000, 4
# What no loss of scores takes, and what late interaction takes with a teacher's and cross-encoders do not.
OF_VECTORS = (
    *("dims", "layers", "guide", "experts", "negatives", "domain", "text", "label", "per_class"),
)
OF_EMBEDDINGS = ("chunk", "query_prompt", "document_prompt", "judged")
OF_TEXTS = (  # what pictures do not have
    *("document", "negative", "score", "no_score", "text", "label", "document_prompt", "per_class"),
    *("negatives", "experts", "teacher", "guide", "layers", "chunk"),
)
MINING = ("mine_every", "mine_margin", "mine_share", "mine_ranks")


def parsed(command_line: Sequence[str]) -> argparse.Namespace:
    """The options, checked with each other; `sources` are the files of --pairs."""
    options = parser_of().parse_args(command_line)
    options.sources = sources_of(options)
    arguments.refuse_both(options, "epochs", "steps")
    arguments.refuse_both(options, "validation", "held_out")
    arguments.refuse_both(options, "score", "no_score")
    check_losses(options)
    check_mining(options)
    check_experts(options)
    check_images(options)
    of_lora = {f"lora_{name}": f"--lora-{name}" for name in ("alpha", "parts", "merged")}
    arguments.refuse_without(options, "lora_rank", **of_lora)
    arguments.refuse_both(options, "lora_rank", "experts")
    arguments.refuse_both(options, "lora_rank", "image_column")
    arguments.refuse_both(options, "judged", "experts", "every expert is another model")
    arguments.refuse_both(options, "judged", "image_column")
    arguments.refuse_without(options, "push", public="--public")
    check_push(options)
    options.words = list(command_line)
    options.epochs = options.epochs or 1
    options.workdir = Path(options.workdir or f"{Path(options.out)}.run")
    return options


def parser_of() -> arguments.Parser:
    """The parser, its options in groups."""
    parser = arguments.Parser("train", __doc__)
    add = parser.add_argument_group("the model").add_argument
    of_model(add)
    add("--out", required=True, type=arguments.path, help="folder for the trained model")
    _tables(parser.add_argument_group("the tables").add_argument)
    _losses(parser.add_argument_group("the loss").add_argument)
    _negatives(parser.add_argument_group("hard negatives").add_argument)
    _training(parser.add_argument_group("the training").add_argument)
    _folder(parser.add_argument_group("the folder").add_argument)
    return parser


def _tables(add):
    add(
        "--pairs",
        required=True,
        nargs="+",
        action="extend",
        type=values.source,
        metavar="FILE[:LOSS][:WEIGHT]",
        help="training files: .jsonl, .csv, .tsv or .parquet. Of several each batch is of one, whose loss "
        "may be named and weighted (1): pairs.jsonl:info_nce sts.jsonl:cosent:0.5",
    )
    add(
        "--validation",
        nargs="+",
        action="extend",
        type=arguments.path,
        help="files like those of --pairs, one for each, in place of a held-out part",
    )
    add(
        "--held-out",
        type=arguments.number(above=0, below=1),
        help=f"fraction of the rows to hold out, at most {MOST_HELD_OUT} rows ({HELD_OUT})",
    )
    for name in ("query", "document", "negative", "score", "text", "label"):
        add(f"--{name}", help=f"column of the {name}")
    add(
        "--image-column",
        help="column of pictures' paths, relative to the file: texts (--query) find them, with a model of images "
        "and texts; the loss is symmetric_info_nce at the model's own temperature unless named",
    )
    add(
        "--no-score",
        action="store_true",
        default=None,
        help="takes every row as a positive pair, even if a column looks like a score",
    )
    for name, usual in (("query", QUERY_PROMPTS), ("document", DOCUMENT_PROMPTS)):
        add(
            f"--{name}-prompt",
            help=f"name of the model's prompt for the {name}, '' for none; default, of pairs: "
            f"{', '.join(usual)} where the model has one",
        )


def _losses(add):
    add(
        "--loss",
        help=f"of files that name none: one of those that --losses lists, or {TWO_DIMENSIONAL}; default: "
        "info_nce, cosent where there is a score, multi_similarity of texts with a label, guided_info_nce "
        "with --guide, similarity_distillation with --teacher",
    )
    add(
        "--losses",
        action=Listing,
        nargs=0,
        help="lists all losses with what --set gives them, and ends",
    )
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        type=values.setting,
        metavar="NAME=VALUE",
        help="hyperparameters of the loss: margin=0.1; LOSS.NAME=VALUE where several losses have the name",
    )
    add(
        "--temperature",
        type=arguments.number(above=0),
        help="temperature of the loss; default: the loss's default, or 1 where the model does not compare by cosine",
    )
    add(
        "--teacher",
        type=arguments.path,
        help="folder of an embedding model whose similarities, or vectors, are learned in place of labels; of losses "
        "of scores a cross-encoder, whose scores a cross-encoder or late interaction (ColBERT) learns",
    )
    add(
        "--guide",
        type=arguments.path,
        help="folder of an embedding model that says which documents of a batch are no negatives",
    )
    add(
        "--experts",
        nargs="?",
        const="",
        metavar="COLUMN",
        help="gives every layer a feed-forward part for each file of --pairs or, with a column, for each of its "
        "values; other libraries cannot read the folder (jaxsim.pretrained.take_domain, --domain)",
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


def _negatives(add):
    add(
        "--negatives",
        type=arguments.whole(),
        help="hard negatives of each query, mined among the documents of its file by the model itself",
    )
    add(
        "--mine-every",
        type=arguments.whole(),
        help="steps after which they are mined again by the model as it is then; default: once, before the first",
    )
    add(
        "--mine-margin",
        type=arguments.number(),
        help="only documents at least so much less similar than every document of the query",
    )
    add(
        "--mine-share",
        type=arguments.number(above=0, most=1),
        help="only documents of at most this share of the similarity of the query's documents, such as 0.95",
    )
    add(
        "--mine-ranks",
        nargs=2,
        type=arguments.whole(),
        metavar=("FIRST", "LAST"),
        help="only the FIRST to LAST most similar documents, counted from 1",
    )


def _training(add):
    add("--epochs", type=arguments.whole(), help="passes over the rows (1)")
    add("--steps", type=arguments.whole(), help="number of batches, in place of --epochs")
    add(
        "--batch-size",
        nargs="+",
        type=arguments.whole(),
        help=f"rows per batch, over all devices ({BATCH_SIZE}); one for each file, or one for all",
    )
    add(
        "--per-class",
        type=arguments.whole(2),
        help=f"of texts with a label: rows of each class in a batch ({PER_CLASS})",
    )
    add(
        "--lora-rank",
        type=arguments.whole(),
        help="trains low-rank changes of kernels alone (LoRA); --out is then a folder of PEFT's, which names the "
        "model that it changes",
    )
    add(
        "--lora-alpha",
        type=arguments.number(above=0),
        help="the changes are multiplied by alpha / rank; default: the rank",
    )
    add(
        "--lora-parts",
        type=arguments.one_of("attention", "all"),
        help="attention: its four kernels; all: the feed-forward ones too (attention)",
    )
    add(
        "--lora-merged",
        action="store_true",
        default=None,
        help="writes the whole changed model to --out, which loads everywhere",
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
        "--judged",
        nargs=3,
        type=arguments.path,
        metavar=("CORPUS", "QUERIES", "QRELS"),
        help="a judged collection that every validation searches; its figures are shown and choose nothing",
    )
    add(
        "--seed",
        type=arguments.whole(0),
        default=0,
        help="random seed of the order and the dropout (0)",
    )
    add("--workdir", type=arguments.path, help="folder for checkpoints; default: OUT.run")


def _folder(add):
    add(
        "--card",
        nargs="+",
        action="extend",
        default=[],
        type=values.field,
        metavar="NAME=VALUE",
        help="what the metadata of the model card also says: license=mit, language=en, base_model=OWNER/NAME, "
        "datasets=OWNER/NAME, tags=NAME; a name may be given again",
    )
    add(
        "--push",
        metavar="OWNER/NAME",
        help="uploads the folder to the Hugging Face hub, as a private repository; of a finished run it uploads alone",
    )
    add(
        "--public",
        action="store_true",
        default=None,
        help="makes the repository of --push one that everybody reads",
    )


class Listing(argparse.Action):
    """Prints all losses and ends, whatever else is given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        from jaxsim.commands.train.losses import listing  # loads what help does without

        print(listing())
        parser.exit()


def sources_of(options: argparse.Namespace) -> list[values.Source]:
    """The files of --pairs with their validation, their batch size and a name of its own each."""
    sources = options.pairs
    for field, name in (("validation", "--validation"), ("batch_size", "--batch-size")):
        values = getattr(options, field)
        if values is None:
            continue
        if field == "batch_size" and len(values) == 1:
            values = values * len(sources)
        if len(values) != len(sources):
            raise ValueError(
                f"{name} must be one for each of the {len(sources)} files of --pairs, got {len(values)}"
            )
        for one, value in zip(sources, values, strict=True):
            setattr(one, field, value)
    if len(sources) == 1 and sources[0].weight is not None:
        raise ValueError(
            f"--pairs {sources[0].path} has no weight: only among several files a loss has one"
        )
    taken = set()
    for one in sources:
        stem = "-".join(Path(one.path).name.split(".")[0].split()) or "rows"
        names = [stem, *(f"{stem}-{number}" for number in range(2, len(sources) + 1))]
        one.name = next(name for name in names if name not in taken)
        taken.add(one.name)
    return sources


def check_losses(options: argparse.Namespace) -> None:
    """Refuses losses that are none, or that do not fit the other options; says what is meant by none."""
    if options.loss not in {None, TWO_DIMENSIONAL, *GROUP_OF}:
        kinds = "; ".join(
            f"{', '.join(group.names[:5])} for {kind}" for kind, group in GROUPS.items()
        )
        near = difflib.get_close_matches(options.loss, [TWO_DIMENSIONAL, *GROUP_OF], n=1)
        near = f"; the nearest name is {near[0]}" if near else ""
        raise ValueError(f"no loss {options.loss!r}: there are {kinds}; --losses lists all{near}")
    if options.loss == TWO_DIMENSIONAL:
        options.loss, options.layers = "info_nce", True
        options.dims = options.dims or ()  # of the model's own size, once it is known
    if options.teacher is not None:
        options.loss = options.loss or "similarity_distillation"
        arguments.refuse_both(options, "teacher", "layers")
        arguments.refuse_both(options, "teacher", "score")
    if options.guide is not None:
        options.loss = options.loss or "guided_info_nce"
        arguments.refuse_both(options, "guide", "layers")
    names = [one.loss or options.loss for one in options.sources]
    kinds = [GROUP_OF[name] for name in names if name]
    both = (TEACHERS, CROSS_TEACHERS), (GUIDED,)
    for of_field, field, what in zip(
        both, ("teacher", "guide"), ("teachers", "guides"), strict=True
    ):
        if bool(set(of_field) & set(kinds)) != (getattr(options, field) is not None):
            listed = ", ".join(name for kind in of_field for name in GROUPS[kind].names)
            raise ValueError(
                f"--{field} and a loss of {what} ({listed}) need each other, got "
                f"--loss {', '.join(str(name) for name in dict.fromkeys(names))}"
            )
    if any(kind in CROSS for kind in kinds):
        check_cross(options, kinds)
    if any(name in OF_EQUAL_SIZES for name in names):
        arguments.refuse_both(options, "teacher", "dims", "its vectors are learned whole")
    if options.layers:
        arguments.refuse_both(options, "layers", "chunk")
        if LABELS in kinds:
            raise ValueError("--layers needs losses of pairs, got one of labels")


def check_cross(options: argparse.Namespace, kinds: Sequence[str]) -> None:
    """Refuses what a cross-encoder does not have; what models of late interaction have waits for the model."""
    if len(kinds) < len(options.sources) or not set(kinds) <= set(CROSS):
        raise ValueError(
            "all files of --pairs must have a loss of cross-encoders where one has: their models differ"
        )
    if options.negatives is not None and CROSS_TEACHERS in kinds:
        raise ValueError(
            "--negatives has no effect on a loss of a teacher's scores: the teacher scores the documents of the "
            "table, not what is mined"
        )
    also = () if set(kinds) == {CROSS_TEACHERS} else OF_EMBEDDINGS
    refuse_of_embeddings(options, (*OF_VECTORS, *also))


def refuse_of_embeddings(options: argparse.Namespace, names: Sequence[str] = OF_EMBEDDINGS) -> None:
    """Refuses options of embedding models, where a cross-encoder is trained."""
    for name in names:
        if getattr(options, name) is not None:
            raise ValueError(
                f"--{name.replace('_', '-')} is for embedding models, not cross-encoders"
            )


def check_mining(options: argparse.Namespace) -> None:
    """Refuses mining options that have no effect, or that leave nothing."""
    dependent = {name: f"--{name.replace('_', '-')}" for name in MINING}
    arguments.refuse_without(options, "negatives", **dependent)
    if options.mine_ranks is not None:
        first, last = options.mine_ranks
        if last - first + 1 < options.negatives:
            raise ValueError(
                f"--mine-ranks must have room for --negatives={options.negatives}, got {first} to {last}"
            )


def check_experts(options: argparse.Namespace) -> None:
    """Refuses experts without several domains."""
    if options.experts == "" and len(options.sources) < 2:
        raise ValueError(
            "--experts needs several files of --pairs, or the name of a column of domains"
        )
    if options.experts and len(options.sources) > 1:
        raise ValueError(
            f"--experts of a column needs one file of --pairs, got {len(options.sources)}: leave the column "
            "out, and every file has an expert"
        )


def check_images(options: argparse.Namespace) -> None:
    """Refuses what texts with pictures do not have: more than one file, other losses than of pairs."""
    if options.image_column is None:
        return
    for name in OF_TEXTS:
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} has no effect with --image-column")
    if len(options.sources) > 1:
        raise ValueError(f"--image-column needs one file of --pairs, got {len(options.sources)}")
    name = options.sources[0].loss or options.loss or "symmetric_info_nce"
    if GROUP_OF[name] != PAIRS:
        raise ValueError(
            f"--image-column needs a loss of pairs ({', '.join(GROUPS[PAIRS].names[:5])}), got {name!r}"
        )


def check_push(options: argparse.Namespace) -> None:
    """Refuses an adapter to be pushed whose base nobody else has.

    Raises: ValueError for a base in a folder.
    """
    adapter = options.lora_rank is not None and not options.lora_merged
    if options.push is not None and adapter and Path(options.model).exists():
        raise ValueError(
            f"--push of an adapter needs a --model by its name on the hub, got the folder {options.model}: take "
            "the name, or give --lora-merged"
        )
