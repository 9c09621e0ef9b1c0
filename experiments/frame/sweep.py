"""Runs the arms of an experiment over seeds: resume, the table, results.json, pictures and the verdict."""

import dataclasses
import datetime
import logging
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
from rich.console import Console

from experiments.frame import contract, identity, workdirs
from experiments.frame.parts import ALL, Sweep
from experiments.frame.places import RESULTS_JSON
from experiments.frame.presets import arms_of, slug
from experiments.frame.rows import json_of
from experiments.frame.tables import summary, tables
from jaxsim import storage

LOG = logging.getLogger("jaxsim.experiments")


def run(
    module: ModuleType,
    config: Any,
    *,
    preset: str,
    seeds: int,
    workdir: str | Path,
    command: str = "",
    console: Console | None = None,
) -> dict[str, Any]:
    """Runs all arms of all seeds that are not there yet; writes results.json and the pictures.

    Args:
      module: the experiment.
      config: its Config; seeds run from config.seed upwards.
      preset: the name to record.
      seeds: how many.
      workdir: the folder for everything, of one experiment and preset; a killed run resumes there.
      command: what a person types to get these results, to record.
      console: rich's, where the table goes.

    Returns: the tree that results.json holds.
    Raises: ValueError, before any work, for a module that is not an experiment, a config that cannot be
    run, or a workdir that holds anything else or is in use.
    """
    console, started = console or Console(), time.monotonic()
    contract.check_module(module)
    contract.check_config(module, config, seeds)
    if jax.process_count() == 1:  # several hosts check together, before they write
        workdirs.checked(workdir, slug(module), preset)
    workdir = Path(workdir)
    what = identity.identity(module, config)
    with workdirs.owned(workdir, slug(module), preset):
        return _run(module, config, what, preset, seeds, workdir, command, console, started)


def _run(
    module: ModuleType,
    config: Any,
    what: dict[str, Any],
    preset: str,
    seeds: int,
    workdir: Path,
    command: str,
    console: Console,
    started: float,
) -> dict[str, Any]:
    arms = arms_of(module, config)
    folder = workdir / identity.digest(what)
    _name_what_is_not_reused(workdir, folder, what)
    storage.write_json(folder / "identity.json", what)

    numbers = range(config.seed, config.seed + seeds)
    with storage.bar(Sweep.steps(module, config, seeds), slug(module), "parts") as progress:
        sweep = Sweep(module, config, numbers, folder, progress)
        rows = sweep.run()
    facts = sweep.facts()

    claim = contract.checked_claim(module, rows)
    results = {
        "experiment": slug(module),
        "title": title(module),
        "command": command,
        "preset": preset,
        "changed": _changed(module, config, preset),
        "seeds": seeds,
        # What a page needs, so that it is made without importing the experiment.
        "arms": {arm: module.ARMS[arm] for arm in arms},
        "shown": list(getattr(module, "SHOWN", ())),
        "claim": {
            "verdict": claim.verdict,
            "question": claim.question,
            "sentence": claim.sentence,
            "comparisons": [{**vars(c), "verdict": c.verdict} for c in claim.comparisons],
        },
        "facts": facts,
        "rows": summary(rows),
        "identity": {**what, "config": {**what["config"], "seed": config.seed, "arms": arms}},
        "commit": identity.commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": {**sweep.times, "this run": round(time.monotonic() - started, 1)},
    }
    if jax.process_index() > 0:  # the first host writes and reports
        return results
    # The folder of these settings keeps its results when others replace them in the workdir.
    for place in (folder, workdir):
        storage.write_json(place / RESULTS_JSON, json_of(results))
    for shown in tables(results["rows"], results["shown"]):
        console.print(shown)
    for part, numbers in facts.items():
        if numbers:
            said = ", ".join(f"{n} {v:.4g}" for n, v in numbers.items())
            _say(console, f"{part}: {said}" if part == ALL else f"seed {part}: {said}")
    _say(console, claim.sentence)
    _say(console, workdir / RESULTS_JSON, style="dim")
    drawn = contract.checked_pictures(module, rows, claim)
    for name, figure in drawn.items():
        storage.write_bytes(workdir / f"{name}.png", contract.drawn(module, name, figure))
        _say(console, workdir / f"{name}.png", style="dim")
    # Results come first, for a picture may fail; those that name no picture have none.
    results["pictures"] = list(drawn)
    for place in (folder, workdir):
        storage.write_json(place / RESULTS_JSON, json_of(results))
    return results


def title(module: ModuleType) -> str:
    """The first line of an experiment's docstring."""
    return (module.__doc__ or "").strip().splitlines()[0]


def _say(console: Console, line: object, style: str | None = None) -> None:
    console.print(str(line), style=style, highlight=False, markup=False, soft_wrap=True)


def _name_what_is_not_reused(workdir: Path, folder: Path, what: dict[str, Any]) -> None:
    """Says which earlier results here do not count, and why."""
    for other in sorted(workdir.glob("*/identity.json")):
        if other.parent == folder:
            continue
        try:
            changes = identity.differences(storage.read_object(other), what)
        except ValueError as error:
            changes = error
        LOG.info("not reused: %s: %s", other.parent, changes)


def _changed(module: ModuleType, config: Any, preset: str) -> dict[str, list[Any]]:
    """The settings that are not the preset's: {name: [preset's, this run's]}."""
    before = dataclasses.asdict(module.PRESETS[preset]) if preset in module.PRESETS else {}
    return {
        name: [before.get(name), value]
        for name, value in dataclasses.asdict(config).items()
        if before.get(name) != value
    }
