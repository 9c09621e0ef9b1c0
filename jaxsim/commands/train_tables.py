"""The tables of `train`: rows to train on and rows to validate on, checked against the loss."""

import argparse
import hashlib
import json
import os

import numpy as np

from jaxsim import data
from jaxsim.commands import columns, fine_tuning
from jaxsim.commands.train_losses import OF_GRADES, OF_PAIRS, OF_TEACHERS

BATCH_SIZE, HELD_OUT, MOST_HELD_OUT = 32, 0.05, 1000


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


def digest(pairs: columns.Pairs) -> str:
    """How many pairs there are and a hash of them."""
    return f"{len(pairs.queries)}, {hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:12]}"
