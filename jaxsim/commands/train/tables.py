"""The tables of `train`: rows to train on and rows to validate on, checked against their loss."""

import argparse
import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxsim import data
from jaxsim.commands.fine_tuning.pairs import documents_of, numbered, usable
from jaxsim.commands.inputs import columns, pictures
from jaxsim.commands.options.groups import CROSS_GRADED, LABELS, NEGATIVES, OF_ANSWERS, OF_GRADES
from jaxsim.commands.options.train import BATCH_SIZE, HELD_OUT, MOST_HELD_OUT, PER_CLASS
from jaxsim.commands.options.usual import QUERIES, SCORES
from jaxsim.commands.options.values import Source
from jaxsim.commands.train import losses

CAPTIONS = (
    "caption",
    "text",
    "title",
)  # what a picture's text is called, before the names of queries


def read(options: argparse.Namespace) -> None:
    """Reads the files of --pairs, and decides which kind of loss each has.

    Raises: ValueError for columns that do not fit the loss.
    """
    if options.experts:
        split_by_domain(options)
    several = len({one.path for one in options.sources}) > 1
    for one in options.sources:
        one.loss = one.loss or options.loss or ""
        one.pairs, places = table(options, one, one.path, several)
        check_columns(one, one.pairs, one.path)
        if one.validation is None:
            held_out(options, one)
        else:
            one.rows = range(len(one.pairs[0]))
            one.held, _ = table(options, one, one.validation, several)
            check_columns(one, one.held, one.validation)
        check_held(one)
        one.rows = [places[row] for row in one.rows]
    check_named(options)


def check_named(options: argparse.Namespace) -> None:
    """Refuses a name of a column that no file has."""
    for name in ("query", "document", "negative", "score", "text", "label"):
        column = getattr(options, name)
        if column is not None and not any(
            all(part in one.columns for part in columns.parts_of(column, one.columns))
            for one in options.sources
        ):
            raise ValueError(f"--{name} must name a column of --pairs, none has {column!r:.60}")


def split_by_domain(options: argparse.Namespace) -> None:
    """Makes a table of the rows of each value of the column of --experts.

    Raises: ValueError for a file without the column, and for rows of a single domain or of none.
    """
    (one,), column = options.sources, options.experts
    rows = data.read_records(one.path)
    there = columns.names_of(rows)
    if column not in there:
        raise ValueError(f"--experts must name a column of {one.path}, which has no {column!r:.60}")
    values = columns.classes_of(rows, one.path, column)
    if len(set(values)) < 2:
        raise ValueError(
            f"--experts needs two domains or more, all of {one.path} have {values[0]!r}"
        )
    names = {value: "-".join(str(value).split()) for value in values}
    if len(set(names.values())) < len(names):
        raise ValueError(f"--experts: domains must differ in more than white space, got {names}")
    options.sources = [
        dataclasses.replace(one, name=name, domain=value) for value, name in names.items()
    ]


def table(
    options: argparse.Namespace, one: Source, path: str | os.PathLike, several: bool = False
) -> tuple[columns.Pairs | columns.Labeled, Sequence[int]]:
    """(the rows of a file, their places in it); where the loss is not named yet, they decide it.

    Raises: ValueError for rows that do not fit, and a file without a row of the domain.
    """
    rows = data.read_records(path)
    found: Any = _table(options, one, rows, path, several)
    if one.domain is None:
        return found, range(len(rows))
    places = [place for place, row in enumerate(rows) if row.get(options.experts) == one.domain]
    if not places:
        raise ValueError(f"{path}: has no row whose {options.experts!r} is {one.domain!r}")
    return columns.taken(found, places), places


def _table(options, one, rows, path, several):
    """The rows of a file."""
    one.columns = there = columns.names_of(rows)

    def named(*names):
        chosen = {name: getattr(options, name) for name in names}
        if not several:
            return chosen
        # Of several files a column is looked for where it is; `check_named` finds it in one.
        return {
            name: column
            if column is None or all(part in there for part in columns.parts_of(column, there))
            else None
            for name, column in chosen.items()
        }

    if options.image_column is not None:
        return pictured(options, one, rows, path)
    labeled = not one.loss and columns.is_labeled(rows)
    if labeled and options.guide is None and options.teacher is None:
        one.loss = "multi_similarity"
    if one.loss and one.kind == LABELS:
        return columns.labeled_of(rows, path, **named("text", "label"))
    if options.no_score and not (several and one.loss in OF_GRADES):
        for row in rows:
            for name in SCORES:
                row.pop(name, None)
    pairs = columns.pairs_of(rows, path, **named("query", "document", "negative", "score"))
    one.loss = one.loss or ("info_nce" if pairs.scores is None else "cosent")
    return pairs


def pictured(
    options: argparse.Namespace, one: Source, rows: Sequence[dict], path: str | os.PathLike
) -> columns.Pairs:
    """Texts with the pictures of --image-column, whose paths are documents.

    Raises: ValueError for a column that is not there, and for a picture that is not there.
    """
    usual = (*CAPTIONS, *QUERIES)
    query = options.query or next((name for name in usual if name in one.columns), None)
    if query is None:
        raise ValueError(
            f"{path}: no column for the text: looked for {', '.join(usual)}; name it with --query"
        )
    texts = columns.column_of(rows, path, query)
    images = [str(image) for image in pictures.in_column(rows, path, options.image_column)]
    one.loss = one.loss or "symmetric_info_nce"
    return columns.Pairs(texts, images, None, None)


def check_columns(one: Source, pairs: Any, path: str | os.PathLike) -> None:
    """Refuses columns that the loss would misread."""
    name = one.loss
    if one.kind == LABELS:
        if len(set(pairs.labels)) < 2:
            raise ValueError(f"{path}: {name} needs two classes or more, all rows have one")
        return
    if one.cross:
        check_lists(one, pairs, path)
        return
    if not one.graded:
        scores = pairs.scores
        if scores is not None and (min(scores) != max(scores) or scores[0] <= 0):
            raise ValueError(
                f"{path}: {name} takes every row as a positive pair, and there are scores from "
                f"{min(scores):g} to {max(scores):g}: keep the positive rows alone, take a loss of graded "
                f"pairs ({', '.join(OF_GRADES)}), or ignore the scores with --no-score"
            )
        if pairs.negatives is not None and not losses.takes_negatives(name):
            raise ValueError(
                f"{path}: {name} takes no negatives, there is a column of them: remove it, or take another loss"
            )
        return
    if pairs.scores is None:
        raise ValueError(f"{path}: {name} needs a score for every pair, there is no such column")
    if pairs.negatives is not None:
        raise ValueError(
            f"{path}: {name} takes no negatives, there is a column of them: remove it, or ignore the "
            "scores with --no-score"
        )
    if name in OF_ANSWERS and not set(pairs.scores) <= {0.0, 1.0}:
        wrong = next(score for score in pairs.scores if score not in (0.0, 1.0))
        place = pairs.scores.index(wrong)
        raise ValueError(
            f"{path}: row {place + 1} must have a score of 0 or 1 for {name}, got {wrong:g}"
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


def check_lists(one: Source, pairs: Any, path: str | os.PathLike) -> None:
    """Refuses rows that a loss of a cross-encoder would misread."""
    scores, negatives = pairs.scores, pairs.negatives
    if one.loss == "score_mse" and scores is None:
        raise ValueError(f"{path}: score_mse needs a score for every pair, there is no such column")
    if one.kind == CROSS_GRADED and scores is None and negatives is None:
        raise ValueError(
            f"{path}: {one.loss} needs scores or negatives, there is no column of either"
        )
    if scores is not None and (negatives is not None or one.kind != CROSS_GRADED):
        raise ValueError(
            f"{path}: {one.loss} takes the first document of a row for the right one, and there are scores: "
            "ignore them with --no-score"
        )
    if one.kind != CROSS_GRADED and negatives is None:
        raise ValueError(
            f"{path}: {one.loss} orders a query's documents, there is no column of negatives: name it with "
            "--negative"
        )
    if one.loss != "binary_cross_entropy" or scores is None:
        return
    for place, score in enumerate(scores):
        if not 0 <= score <= 1:
            raise ValueError(
                f"{path}: row {place + 1} must have a score from 0 to 1 for {one.loss}, got {score:g}"
            )


def held_out(options: argparse.Namespace, one: Source) -> None:
    """Splits off held-out rows of a file; all copies of a row are on the same side."""
    part = HELD_OUT if options.held_out is None else options.held_out
    pairs: Any = one.pairs
    texts = pairs.texts if one.kind == LABELS else zip(pairs.queries, pairs.documents, strict=True)
    (numbers,) = numbered(texts)
    count = int(numbers.max()) + 1
    held_count = min(MOST_HELD_OUT, round(part * count))
    if not 0 < held_count < count:
        raise ValueError(
            f"--held-out must leave rows on both sides of {count} different pairs, got {part:g}: change it, or give "
            "--validation"
        )
    order = np.random.default_rng(options.seed).permutation(count)
    is_held = np.isin(numbers, order[:held_count])
    one.rows = np.flatnonzero(~is_held).tolist()
    one.pairs, one.held = (
        columns.taken(pairs, np.flatnonzero(rows)) for rows in (~is_held, is_held)
    )


def check_held(one: Source) -> None:
    """Refuses held-out rows that cannot distinguish a good model from a bad one."""
    held: Any = one.held
    scored = one.graded or (one.cross and held.scores is not None)
    if scored and len(set(held.scores)) < 2:
        raise ValueError(
            f"what is held out must have different scores, all {len(held.scores)} rows have "
            f"{held.scores[0]:g}: raise --held-out, or give --validation"
        )
    if one.cross and not scored and (held.negatives is None or not usable(held)[:, 1:].any()):
        raise ValueError(
            f"{one.path}: what is held out must have a row with a negative, none of {len(held.queries)} has: "
            "raise --held-out, or give --validation"
        )
    if one.kind == LABELS and len(set(held.labels)) in (1, len(held.labels)):
        raise ValueError(
            f"{one.path}: what is held out must have several classes, one of them twice, got "
            f"{len(held.labels)} rows of {len(set(held.labels))}: raise --held-out, or give --validation"
        )


def check_batches(options: argparse.Namespace, one: Source) -> None:
    """Decides a file's batch size; refuses one that the rows cannot fill or a loss cannot use."""
    rows = len(one.pairs[0])
    if one.kind == LABELS and len(options.sources) == 1:
        check_classes(options, one)
    if not one.batch_size:
        one.batch_size = min(BATCH_SIZE, rows)
    if one.batch_size > rows:
        raise ValueError(
            f"--batch-size must be at most {rows}, the rows that are trained on, got "
            f"{one.batch_size}"
        )
    if one.cross and one.pairs.scores is None and one.pairs.negatives is None:
        raise ValueError(
            f"{one.path}: {one.loss} orders a query's documents, no row that is trained on has negatives"
        )
    if one.kind == LABELS or one.cross:
        return
    negatives = one.pairs.negatives is not None or (
        options.negatives is not None and losses.takes_negatives(one.loss)
    )
    if one.kind == NEGATIVES and not negatives:
        raise ValueError(
            f"{one.path}: {one.loss} needs negatives, there is no column of them: name it with "
            "--negative, or mine some with --negatives"
        )
    if one.batch_size == 1 and not negatives and one.loss != "cosine_regression":
        raise ValueError(
            f"{one.loss} compares the rows of a batch: there must be at least 2, got 1 "
            f"(--batch-size, of {rows} rows that are trained on)"
        )
    if one.graded and one.loss != "cosine_regression" and len(set(one.pairs.scores)) < 2:
        raise ValueError(
            f"{one.path}: {one.loss} learns from the order of scores, and all rows that are trained "
            f"on have {one.pairs.scores[0]:g}"
        )
    documents = len(dict.fromkeys(documents_of(one.pairs)))
    if options.negatives is not None and negatives and options.negatives >= documents:
        raise ValueError(
            f"--negatives must be below {documents}, the different documents of {one.path}, got "
            f"{options.negatives}"
        )


def check_classes(options: argparse.Namespace, one: Source) -> None:
    """Decides how many rows of how many classes a batch has."""
    classes, each = len(set(one.pairs.labels)), options.per_class or PER_CLASS
    if classes < 2:
        raise ValueError(f"{one.path}: what is trained on must have two classes or more, got 1")
    if not one.batch_size:
        one.batch_size = each * min(max(BATCH_SIZE // each, 2), classes)
    if one.batch_size % each or not 2 * each <= one.batch_size <= classes * each:
        raise ValueError(
            f"--batch-size must be a multiple of --per-class={each} for 2 to {classes} classes, as {one.path} "
            f"has, got {one.batch_size}"
        )


def digest(pairs: columns.Pairs | columns.Labeled) -> str:
    """How many rows there are and a hash of them."""
    return f"{len(pairs[0])}, {hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:12]}"
