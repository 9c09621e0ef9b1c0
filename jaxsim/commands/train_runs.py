"""A run of `train`: its folder, what it depends on, its steps, and what it prints."""

import argparse
import contextlib
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxsim import pretrained, storage, training
from jaxsim.commands import columns, fine_tuning, models
from jaxsim.commands.train_tables import digest
from jaxsim.numerics.types import ArrayTree
from jaxsim.storage._atomic import errors_named


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


def described(model: pretrained.TextModel, cuts: fine_tuning.Cuts) -> pretrained.TextModel:
    """The model, whose settings name the cuts that were trained, if any."""
    if cuts == fine_tuning.WHOLE:
        return model
    whole, depth = models.dim_of(model), model.module.transformer.layers
    return models.with_cuts(
        model, dims=(whole, *cuts.dims), layers=range(1, depth + 1) if cuts.layers else ()
    )


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
