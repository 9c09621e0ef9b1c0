"""Fine-tunes a model on your own pairs, triplets or graded pairs; the best of its checkpoints is kept.

    python -m jaxsim train --model all-MiniLM-L6-v2/ --pairs pairs.jsonl --loss info_nce --out out/

Columns are found by their usual names (query, anchor, question, sentence1; document, positive, answer,
passage, sentence2; negative, negatives, negative_1, ...; score) or named. Without --validation a part of
the rows is held out: the run shows the loss, the accuracy in a batch and how well documents are found
on it, or the rank correlation of graded pairs. The result loads in sentence-transformers. Killed and
started again, the same command goes on where it stood.
"""

import argparse
import hashlib
import json
import math
from pathlib import Path

import numpy as np

from jaxsim import data, losses, pretrained, training
from jaxsim.commands import fine_tuning
from jaxsim.commands.columns import pairs_of
from jaxsim.storage import write_json

OF_PAIRS = {
    name: getattr(losses, name)
    for name in ("info_nce", "symmetric_info_nce", "joint_info_nce", "siglip", "simple_contrastive")
}
OF_GRADES = {name: getattr(losses, name) for name in ("cosent", "angle", "cosine_regression")}


def main(arguments):
    """The command."""
    options = parsed(arguments)
    model = pretrained.load(options.model, download=options.download, max_length=options.max_length)
    names = {n: getattr(options, n) for n in ("query", "document", "negative", "score")}
    pairs = pairs_of(data.read_records(options.pairs), options.pairs, **names)
    if options.validation:
        held = pairs_of(data.read_records(options.validation), options.validation, **names)
    else:
        pairs, held = held_out(pairs, options.held_out, options.seed)
    loss = loss_of(options, pairs)
    task = fine_tuning.Task(
        model, loss, pairs, held, options.batch_size,
        graded=options.graded, prompts=options.prompts, chunk=options.chunk,
    )  # fmt: skip
    workdir = Path(options.workdir or f"{options.out.rstrip('/')}.run")
    batches = task.batches(epochs=options.epochs, steps=options.steps, seed=options.seed)
    steps = len(batches)
    fingerprint = hashlib.sha256(
        json.dumps([vars(options), pairs, held, steps], default=str).encode()
    ).hexdigest()[:16]
    before = task.validate(model.params)
    told("before", before)
    training.fit(
        task.objective(),
        model.params,
        batches,
        optimizer=training.adamw(
            training.linear_warmup_decay(options.rate, steps=steps, warmup=options.warmup),
            weight_decay=options.weight_decay,
        ),
        workdir=workdir,
        fingerprint=fingerprint,
        save_every=options.validate_every or math.ceil(steps / 5),
        keep=1,
        validate=task.validate,
        best=task.best,
        label=f"training {Path(options.model).name}",
    )
    step, params, after = training.best_of(workdir, model.params, best=task.best)
    told(f"best, after step {step} of {steps}", after)
    model.replace(params=params).save(options.out)
    write_json(workdir / "figures.json", {"before": before, "after": after, "step": step})
    print(
        f"{options.out}: the model; {workdir}: checkpoints, metrics.jsonl, loss.png, figures.json"
    )


def parsed(arguments):
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxsim train", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--model", required=True, help="folder of a model, or its name on the hub")
    add("--pairs", required=True, help=".jsonl, .csv, .tsv or .parquet")
    add("--out", required=True, help="folder for the trained model")
    add("--loss", help=f"of pairs: {', '.join(OF_PAIRS)}; of graded pairs: {', '.join(OF_GRADES)}. "
        "info_nce, or cosent where there is a score")  # fmt: skip
    add("--temperature", type=float, help="of the loss; its own default unless told")
    add("--validation", help="a file like --pairs, in place of a held-out part")
    add("--held-out", type=float, default=0.05, help="part of the rows, at most 1000 (0.05)")
    add("--epochs", type=int, default=1)
    add("--steps", type=int, help="in place of --epochs")
    add("--batch-size", type=int, default=32, help="over all devices (32)")
    add("--chunk", type=int, help="rows encoded at once: large batches in the memory of small ones")
    add("--rate", type=float, default=2e-5, help="highest learning rate of AdamW (2e-5)")
    add("--warmup", type=float, default=0.1, help="part of the steps; linear decay follows (0.1)")
    add("--weight-decay", type=float, default=0.01)
    add("--max-length", type=int, help="tokens; the model's own unless told")
    add("--validate-every", type=int, help="steps; a fifth of the run unless told")
    add("--seed", type=int, default=0)
    add("--workdir", help="for checkpoints; OUT.run unless told")
    add("--download", action="store_true", help="may fetch the model from the hub")
    for name in ("query", "document", "negative", "score"):
        add(f"--{name}", help=f"column of the {name}")
    add("--query-prompt", default="", help="name of the model's prompt for queries")
    add("--document-prompt", default="", help="name of the model's prompt for documents")
    options = parser.parse_args(arguments)
    options.prompts = options.query_prompt or None, options.document_prompt or None
    return options


def loss_of(options, pairs):
    """The loss with its temperature; decides what kind of pairs these are.

    Raises: ValueError for a loss that is not known or does not fit the columns.
    """
    name = options.loss or ("info_nce" if pairs.scores is None else "cosent")
    if name not in OF_PAIRS | OF_GRADES:
        raise ValueError(
            f"no loss {name!r}: there are {', '.join(OF_PAIRS)} for pairs, "
            f"{', '.join(OF_GRADES)} for graded pairs"
        )
    options.graded = name in OF_GRADES
    if options.graded and pairs.scores is None:
        raise ValueError(
            f"{options.pairs}: {name} needs a score for every pair, there is no such column"
        )
    if options.graded and pairs.negatives is not None:
        raise ValueError(f"{options.pairs}: {name} takes no negatives, there is a column of them")
    loss = (OF_PAIRS | OF_GRADES)[name]
    settings = {} if options.temperature is None else {"temperature": options.temperature}
    return fine_tuning.with_settings(name, loss, settings)


def held_out(pairs, part, seed):
    """(rows to train on, rows to look at)"""
    count = len(pairs.queries)
    some = min(1000, round(part * count))
    if not 0 < some < count:
        raise ValueError(f"held-out must leave rows on both sides of {count}, got {part}")
    order = np.random.default_rng(seed).permutation(count)
    return tuple(
        type(pairs)(*(c if c is None else [c[i] for i in sorted(places)] for c in pairs))
        for places in (order[some:], order[:some])
    )


def told(when, figures):
    """A line of figures."""
    print(f"{when}: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))
