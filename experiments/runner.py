"""Runs an experiment: seeds, arms, resume, the table, results.json, pictures and the verdict.

An experiment is a module with

    Config, PRESETS, ARMS         what there is to run
    fingerprint(config) -> str    of the data that it reads
    prepare(config, workdir)      what the arms of one seed share; its `facts`, a dict, are reported
    run(config, arm, shared, workdir) -> rows of one arm and one seed
    claim(rows) -> Claim          the paper's sentence as a question to the rows
    pictures(rows) -> {name: figure}

where one seed is too few, SEEDS, {preset: how many unless told}; and where the model is small enough
to train all seeds at once

    run_seeds(config, arm, seeds, shared, workdir) -> rows that name their seed; `shared` is a tuple,
                                  one for each seed

On several hosts each process runs the same arms, and training is spread over all of them.

A row is a dict: integers and strings are keys (k, budget), floats are figures, arrays
[..., examples] are figures per example, of which the row's figure is the mean and which give paired
intervals. The runner adds the arm and the seed.
"""

import dataclasses
import datetime
import json
import logging
import time
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils
from rich.console import Console

from experiments import identity
from experiments.tables import summary, tables
from experiments.verdict import Claim, Comparison, all_of, difference, judged
from jaxsim import storage

__all__ = [
    "Claim",
    "Comparison",
    "all_of",
    "default_seeds",
    "difference",
    "judged",
    "run",
    "slug",
    "summary",
    "title",
]

LOG = logging.getLogger("jaxsim.experiments")
SECONDS = "seconds.json"  # of the parts finished so far, over all sittings


def run(module, config, *, preset, seeds, workdir, command="", console=None):
    """Runs all arms of all seeds that are not there yet; writes results.json and the pictures.

    Args:
      module: the experiment.
      config: its Config; seeds run from config.seed upwards.
      preset: the name to record.
      seeds: how many.
      workdir: the folder for everything; a killed run goes on there.
      command: what a person types to get these results, to record.
      console: rich's, where the table goes.

    Returns: the tree that results.json holds.
    """
    console = console or Console()
    started, workdir = time.monotonic(), Path(workdir)
    arms = config.arms or tuple(module.ARMS)
    what = identity.identity(module, config)
    folder = workdir / identity.digest(what)
    _name_what_is_not_reused(workdir, folder, what)
    storage.write_json(folder / "identity.json", what)

    numbers = range(config.seed, config.seed + seeds)
    rows, times, facts = [], _earlier(folder), {}
    with storage.bar(seeds * (len(arms) + 1), title(module), "parts") as progress:
        sweep = Sweep(module, config, arms, folder, times, progress)
        # Seeds that are trained together are prepared together; others hold one seed's data at a time.
        groups = [numbers] if hasattr(module, "run_seeds") else [[number] for number in numbers]
        for group in groups:
            rows += sweep.rows(group)
    for seed in numbers:
        facts[seed] = json.loads((folder / f"seed-{seed}" / "facts.json").read_text())

    claim = module.claim(rows)
    results = {
        "experiment": slug(module),
        "title": title(module),
        "command": command,
        "preset": preset,
        "seeds": seeds,
        "claim": {
            "verdict": claim.verdict,
            "sentence": claim.sentence,
            "comparisons": [{**vars(c), "verdict": c.verdict} for c in claim.comparisons],
        },
        "facts": facts,
        "rows": summary(rows),
        "identity": {**what, "config": {**what["config"], "seed": config.seed, "arms": arms}},
        "commit": identity.commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": {**times, "this run": round(time.monotonic() - started, 1)},
    }
    if jax.process_index() > 0:  # the first host writes and tells
        return results
    for name, figure in module.pictures(rows).items():
        picture = workdir / f"{name}.png"
        figure.savefig(picture.with_suffix(".part.png"), dpi=120)
        picture.with_suffix(".part.png").replace(picture)
    storage.write_json(workdir / "results.json", results)
    for shown in tables(results["rows"]):
        console.print(shown)
    for seed, found in facts.items():
        told = ", ".join(f"{n} {v:.4g}" for n, v in found.items())
        if told:
            console.print(f"seed {seed}: {told}", highlight=False, soft_wrap=True)
    console.print(claim.sentence, highlight=False, soft_wrap=True)
    console.print(f"[dim]{workdir / 'results.json'}, pictures beside it[/dim]", highlight=False)
    return results


class Sweep:
    """The arms of an experiment over seeds; each (arm, seed) is a file that is there or is not."""

    def __init__(self, module, config, arms, folder, times, progress):
        self.module, self.config, self.arms, self.folder = module, config, arms, folder
        self.times, self.progress = times, progress

    def rows(self, seeds):
        """All rows of some seeds, from their files where these are there."""
        missing = self._missing(seeds)
        shared = {
            seed: self._prepared(seed) for seed in seeds if any(seed in m for m in missing.values())
        }
        self.progress.skip(len(seeds) - len(shared))
        for arm, wanted in missing.items():
            for seed in set(seeds) - set(wanted):
                LOG.info("seed %d: %s is there already", seed, arm)
            self.progress.skip(len(seeds) - len(wanted))
            if wanted:
                self._run(arm, wanted, shared)
        return [
            {"arm": arm, "seed": seed, **_restored(row)}
            for seed in seeds
            for arm in self.arms
            for row in json.loads(self._file(arm, seed).read_text())
        ]

    def _missing(self, seeds):
        """{arm: the seeds whose rows are not there}; several hosts go by what the first one sees."""
        there = np.array([[self._file(arm, s).exists() for s in seeds] for arm in self.arms])
        if jax.process_count() > 1:
            there = multihost_utils.broadcast_one_to_all(there)
        return {
            arm: [s for s, found in zip(seeds, row, strict=True) if not found]
            for arm, row in zip(self.arms, there, strict=True)
        }

    def _prepared(self, seed):
        self.progress.note(f"seed {seed}: preparing")
        begun, folder = time.monotonic(), self.folder / f"seed-{seed}"
        shared = self.module.prepare(dataclasses.replace(self.config, seed=seed), folder / "shared")
        storage.write_json(folder / "facts.json", getattr(shared, "facts", {}))
        self._spent("prepare", begun)
        self.progress.advance(1)
        return shared

    def _run(self, arm, seeds, shared):
        """Rows of one arm, each seed's in a file of its own."""
        begun = time.monotonic()
        if hasattr(self.module, "run_seeds"):
            self.progress.note(f"{arm}, {len(seeds)} seeds")
            found = self.module.run_seeds(
                self.config, arm, tuple(seeds), tuple(shared[s] for s in seeds), self.folder / arm
            )
            by_seed = {seed: [row for row in found if row["seed"] == seed] for seed in seeds}
        else:
            (seed,) = seeds
            self.progress.note(f"seed {seed}: {arm}")
            config = dataclasses.replace(self.config, seed=seed)
            folder = self.folder / f"seed-{seed}" / arm
            by_seed = {seed: self.module.run(config, arm, shared[seed], folder)}
        self._spent(arm, begun)
        for seed, rows in by_seed.items():
            if not rows:
                raise ValueError(f"{arm} gave no rows for seed {seed}")
            rows = [{n: v for n, v in row.items() if n != "seed"} for row in rows]
            storage.write_json(self._file(arm, seed), [_plain(row) for row in rows])
        self.progress.advance(len(seeds))

    def _file(self, arm, seed):
        return self.folder / f"seed-{seed}" / f"{arm}.json"

    def _spent(self, name, begun):
        jax.effects_barrier()
        self.times[name] = round(self.times.get(name, 0) + time.monotonic() - begun, 1)
        storage.write_json(self.folder / SECONDS, self.times)


def _earlier(folder):
    """Seconds of the parts that earlier sittings finished: {part: seconds}."""
    file = folder / SECONDS
    return json.loads(file.read_text()) if file.exists() else {}


def slug(module):
    """The experiment's name on the command line."""
    return module.__name__.rsplit(".", 1)[-1]


def default_seeds(module, preset):
    """How many seeds a preset runs unless told."""
    return getattr(module, "SEEDS", {}).get(preset, 1)


def title(module):
    """The first line of an experiment's docstring."""
    return module.__doc__.strip().splitlines()[0]


def _name_what_is_not_reused(workdir, folder, what):
    """Says which earlier results here do not count, and why."""
    for other in sorted(workdir.glob("*/identity.json")):
        if other.parent != folder:
            apart = identity.differences(what, json.loads(other.read_text()))
            LOG.info("not reused: %s, which differs in %s", other.parent, "; ".join(apart[:5]))


def _plain(row):
    return {
        n: {"samples": np.asarray(v).tolist()} if np.ndim(v) else v.item() if hasattr(v, "item") else v
        for n, v in row.items()
    }  # fmt: skip


def _restored(row):
    return {n: np.asarray(v["samples"]) if isinstance(v, dict) else v for n, v in row.items()}
