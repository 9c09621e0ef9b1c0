"""A run of `train`: its folder, what it depends on, its steps, and what it prints."""

import argparse
import contextlib
import math
import operator
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsim import data, pretrained, storage, training
from jaxsim.commands.fine_tuning.batches import with_ramp
from jaxsim.commands.fine_tuning.cuts import WHOLE, Cuts
from jaxsim.commands.fine_tuning.lora import LowRank, Whole
from jaxsim.commands.inputs import models
from jaxsim.commands.options.groups import SPLADE
from jaxsim.commands.outputs import hub
from jaxsim.commands.outputs.cards import with_card
from jaxsim.commands.train.card import card_of
from jaxsim.commands.train.judged import figures_of
from jaxsim.commands.train.tables import digest
from jaxsim.numerics.types import ArrayTree
from jaxsim.storage._atomic import errors_named
from jaxsim.training._checkpoint_files import steps_of

# What is left out of a run's settings where it is not given: older runs do not have it.
LATER = (
    *("dims", "layers", "teacher", "guide", "negatives", "mine_every", "mine_margin"),
    *("mine_share", "mine_ranks", "per_class", "domain", "image_column", "lora_rank"),
    *("lora_alpha", "lora_parts"),
)


def check_targets(options: argparse.Namespace) -> None:
    """Refuses targets that hold what is not ours, or that hold each other or an input."""
    inputs = {"--model": options.model}
    for number, one in enumerate(options.sources, 1):
        place = f" {number}" * (len(options.sources) > 1)
        inputs |= {f"--pairs{place}": one.path, f"--validation{place}": one.validation}
    inputs |= {"--teacher": options.teacher, "--guide": options.guide}
    inputs |= {f"--judged {path}": path for path in options.judged or ()}
    inputs = {name: path for name, path in inputs.items() if path and Path(path).exists()}
    storage.check_folder(
        "--out", options.out, kind="model", outside={"--workdir": options.workdir, **inputs}
    )
    storage.check_place(
        "--workdir", options.workdir, mark="run.json", kind="the workdir of a training"
    )


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """What a run depends on, as far as it is known without the model; what may change is not in it."""
    names = ("temperature", "chunk", "rate", "warmup", "weight_decay", "seed")
    settings = {f"--{name.replace('_', '-')}": getattr(options, name) for name in names}
    if models.dtype_of(options) != "float32":  # likewise
        settings["--dtype"] = models.dtype_of(options)
    for name in LATER:
        if getattr(options, name):
            settings[f"--{name.replace('_', '-')}"] = getattr(options, name)
    if options.experts is not None:
        settings["--experts"] = options.experts
    if options.set:
        settings["--set"] = sorted(one.typed for one in options.set)
    several = len(options.sources) > 1
    for one in options.sources:
        of = f" of {one.name}" * several
        settings |= {f"--loss{of}": one.loss, f"--batch-size{of}": one.batch_size}
        settings |= {f"weight{of}": one.weight or 1.0} if several else {}
        settings |= {
            f"rows to train on{of}": digest(one.pairs),
            f"rows held out{of}": digest(one.held),
        }
    return settings


def settings_of_model(options: argparse.Namespace, model: Any, task: Any) -> dict[str, Any]:
    """What else a run depends on, once the model is loaded."""
    settings = {"model": models.identity(model), "--max-length": model.max_length}
    tasks = task.tasks if len(options.sources) > 1 else {"": task}
    for name, one in tasks.items():
        of = f" of {name}" * bool(name)
        settings |= {
            f"--query-prompt{of}": one.prompts[0],
            f"--document-prompt{of}": one.prompts[1],
        }
    return settings


def check_settings(options: argparse.Namespace, settings: Mapping[str, Any]) -> None:
    """Refuses the workdir of another run, by the settings that are known by now; `fit` compares all."""
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
    model: Any,
    task: Any,
    tuned: Whole | LowRank,
    settings: dict[str, Any],
) -> None:
    """Trains, and writes the best checkpoint."""
    batches = task.batches(epochs=options.epochs, steps=options.steps, seed=options.seed)
    if SPLADE in [one.loss for one in options.sources]:
        batches = with_ramp(batches)
    steps = len(batches)
    check_steps(options, steps)
    for line in notes(task):
        print(line)
    judged = figures_of(options, model)
    before = task.validate(model.params) | judged(model.params)
    show("before", before, task)
    if task.mined is not None:
        task.mine(model.params, 0)
    try:
        fitted(options, tuned, task, batches, settings, judged)
    except FloatingPointError as error:
        message = with_rows(str(error), places_of(options))
        raise FloatingPointError(f"{message}: lower --rate, {options.rate:g} now") from error
    step, params, after = training.best_of(
        options.workdir, tuned.start, best=operator.itemgetter(task.figure)
    )
    show(f"best, after step {step} of {steps}", after, task)
    if line := worse(task.figure, before, after):
        print(line)
    with errors_named(Path(options.out)):
        card = card_of(
            options, model, task, settings, before=before, after=after, step=step, steps=steps
        )
        save(options, with_card(described(model, task.cuts), card), tuned, params)
    storage.write_json(
        options.workdir / "figures.json", {"before": before, "after": after, "step": step}
    )
    if getattr(model, "domains", ()):
        print(
            f"{options.out}: has experts of {', '.join(model.domains)}, which other libraries cannot read; "
            "jaxsim.pretrained.take_domain makes a model of one domain that they read"
        )
    written = ("checkpoints", "negatives", "metrics.jsonl", "loss.png", "figures.json")
    there = ", ".join(name for name in written if (options.workdir / name).exists())
    print(f"{options.out}: the model; {options.workdir}: {there}")
    if options.push is not None:
        pushed(options, steps)


def pushed(options: argparse.Namespace, steps: int) -> None:
    """Uploads the folder to the hub.

    Raises: OSError or ValueError saying where the model is, and how to upload it again.
    """
    try:
        message = f"{steps} steps on {', '.join(Path(one.path).name for one in options.sources)}"
        address = hub.push(options.out, options.push, public=bool(options.public), message=message)
    except (OSError, ValueError) as error:
        raise type(error)(
            f"{error}; the model is in {options.out}, and the same command tries again"
        ) from error
    print(f"{address}: pushed, {'for everybody' if options.public else 'private'}")


def check_steps(options: argparse.Namespace, steps: int) -> None:
    """Refuses fewer steps than a run has taken; says where a finished run is lengthened.

    Raises: ValueError naming the option that gives too few.
    """
    reached = max(steps_of(options.workdir / "checkpoints"), default=0)
    if reached > steps:
        given = f"--steps {options.steps}"
        if options.steps is None:
            given = f"--epochs {options.epochs}, {steps} steps,"
        raise ValueError(
            f"{given} must not be fewer than the {reached} steps that the run of {str(options.workdir)!r} has "
            "taken: give more, or another --workdir"
        )
    path = options.workdir / "figures.json"
    if reached and path.exists() and reached < steps:
        print(f"{options.workdir}: the run of {reached} steps is lengthened to {steps}")


def save(options: argparse.Namespace, model: Any, tuned: Whole | LowRank, trained: Any) -> None:
    """Writes the trained model; of low-rank changes the adapter, unless the whole is asked for."""
    if isinstance(tuned, Whole) or options.lora_merged:
        model.replace(params=tuned.whole(trained)).save(options.out)
        return
    folder = Path(options.model)
    base = str(folder.resolve()) if folder.exists() else options.model
    pretrained.save_lora(model, trained, options.out, base=base, scale=tuned.scale)


def fitted(
    options: argparse.Namespace,
    tuned: Whole | LowRank,
    task: Any,
    batches: data.Planned,
    settings: dict[str, Any],
    judged: Callable[[ArrayTree], dict[str, float]],
) -> None:
    """Trains up to every step at which negatives are mined again, and to the end.

    What was mined is on the disk before a step that needs it: a run that is resumed starts from the last
    checkpoint, whatever it has to mine after it.
    """
    steps, state = len(batches), getattr(task, "state", None)
    stops = [steps] if task.mined is None else task.mined.stops(steps)
    reached = max(steps_of(options.workdir / "checkpoints"), default=0)
    objective, validate = tuned.objective(task.objective()), validated(task, judged)
    optimizer = training.adamw(
        training.linear_warmup_decay(options.rate, steps=steps, warmup=options.warmup),
        weight_decay=options.weight_decay,
    )
    for stop in stops:
        if reached > stop and stop != steps:
            continue
        trained = training.fit(
            objective,
            tuned.start,
            batches,
            steps=stop,
            state=state,
            optimizer=optimizer,
            key=jax.random.key(options.seed),
            workdir=options.workdir,
            fingerprint=settings,
            save_every=options.validate_every or math.ceil(steps / 5),
            keep=1,
            validate=lambda trained: validate(tuned.whole(trained)),
            best=operator.itemgetter(task.figure),
            label=f"training {Path(options.model).name}",
        )
        if stop < steps:
            task.mine(tuned.whole(trained if state is None else trained[0]), stop)


def places_of(options: argparse.Namespace) -> list[tuple[int, str]]:
    """The row, from 0, and the file of each id of a batch."""
    return [(row, one.path) for one in options.sources for row in one.rows]


def validated(
    task: Any, judged: Callable[[ArrayTree], dict[str, float]] = lambda params: {}
) -> Callable[[ArrayTree], dict[str, float]]:
    """The task's figures of parameters, and those of `judged`; what was fine before the first step and fails later
    has diverged."""

    def validate(params):
        try:
            return task.validate(params) | judged(params)
        except ValueError as error:
            problem = str(error).removesuffix("; finished chunks are kept")
            raise FloatingPointError(f"training has diverged: {problem}") from error

    return validate


def with_rows(message: str, places: Sequence[tuple[int, str]]) -> str:
    """A message of `fit` with the rows of the file in place of the ids of a batch.

    Args:
      message: that may have "the batch of ids [3, 0]", or "... [3, 0] and 8 more".
      places: the row, from 0, and the file of each id.
    """

    def named(match):
        rows = [places[int(one)] for one in match[1].split(",") if one.strip()]
        numbers = ", ".join(str(row + 1) for row, _ in rows)
        return f"rows {numbers}{match[2] or ''} of {rows[0][1] if rows else places[0][1]}"

    return re.sub(r"the batch of ids \[([\d, ]*)\]( and \d+ more)?", named, message)


def described(model: Any, cuts: Cuts) -> Any:
    """The model, whose settings name the cuts that were trained, if any."""
    if cuts == WHOLE:
        return model
    whole, depth = models.dim_of(model), model.module.transformer.layers
    return models.with_cuts(
        model, dims=(whole, *cuts.dims), layers=range(1, depth + 1) if cuts.layers else ()
    )


def notes(task: Any) -> list[str]:
    """What a user should know of the rows, of each table of several by its name."""
    lines = []
    for name, one in getattr(task, "tasks", {"": task}).items():
        of = f"{name}: " * bool(name)
        if one.left_out:
            lines.append(
                f"{of}{one.left_out} negatives are left out: they are their row's query, or a right document "
                "of it"
            )
        counts = getattr(one, "negatives", ())
        if len(set(counts)) > 1:
            lines.append(
                f"{of}rows have from {min(counts)} to {max(counts)} negatives, {np.mean(counts):.1f} on average"
            )
        if one.seen:
            lines.append(
                f"{of}of {len(one.held[0])} rows that are held out {one.seen} have a query that is trained on"
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


def show(when: str, figures: Mapping[str, float], task: Any) -> None:
    """Prints figures, those of each of several tables on a line."""
    rest = dict(figures)
    for name in getattr(task, "tasks", ()):
        prefix = f"{name} "
        of_task = {n: v for n, v in rest.items() if n.startswith(prefix)}
        rest = {n: v for n, v in rest.items() if n not in of_task}
        print(f"{when}: {name}: {_line({n.removeprefix(prefix): v for n, v in of_task.items()})}")
    print(f"{when}: {_line(rest)}")


def _line(figures):
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
