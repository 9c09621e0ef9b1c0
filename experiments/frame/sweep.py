"""Runs the arms of an experiment over seeds: resume, the table, results.json, pictures and the verdict."""

import dataclasses
import datetime
import itertools
import logging
import math
import time
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils
from rich.console import Console

from experiments.frame import contract, identity, workdirs
from experiments.frame.contract import slug
from experiments.frame.figures import Grouped, Key, Resampled
from experiments.frame.tables import summary, tables
from jaxsim import storage

LOG = logging.getLogger("jaxsim.experiments")
SECONDS = "seconds.json"  # of the parts finished so far, over all sittings


def run(module, config, *, preset, seeds, workdir, command="", console=None):
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


def _run(module, config, what, preset, seeds, workdir, command, console, started):
    arms = config.arms or tuple(module.ARMS)
    folder = workdir / identity.digest(what)
    _name_what_is_not_reused(workdir, folder, what)
    storage.write_json(folder / "identity.json", what)

    numbers = range(config.seed, config.seed + seeds)
    rows, times = [], _earlier(folder)
    with storage.bar(seeds * (len(arms) + 1), title(module), "parts") as progress:
        sweep = Sweep(module, config, arms, folder, times, progress)
        # Seeds that are trained together are prepared together; others hold one seed's data at a time.
        groups = [numbers] if hasattr(module, "run_seeds") else [[number] for number in numbers]
        for group in groups:
            rows += sweep.rows(group)
            contract.check_rows_fit(module, rows)
    facts = {seed: sweep.facts(seed) for seed in numbers}

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
    if jax.process_index() > 0:  # the first host writes and reports
        return results
    # The folder of these settings keeps its results when others replace them in the workdir.
    for place in (folder, workdir):
        storage.write_json(place / workdirs.RESULTS, _json(results))
    for shown in tables(results["rows"], results["shown"]):
        console.print(shown)
    for seed, found in facts.items():
        if found:
            figures = ", ".join(f"{n} {v:.4g}" for n, v in found.items())
            _say(console, f"seed {seed}: {figures}")
    _say(console, claim.sentence)
    _say(console, workdir / workdirs.RESULTS, style="dim")
    figures = contract.checked_pictures(module, rows, claim)
    for name, figure in figures.items():
        storage.write_bytes(workdir / f"{name}.png", contract.drawn(module, name, figure))
        _say(console, workdir / f"{name}.png", style="dim")
    # Results come first, for a picture may fail; those that name no picture have none.
    results["pictures"] = list(figures)
    for place in (folder, workdir):
        storage.write_json(place / workdirs.RESULTS, _json(results))
    return results


class Sweep:
    """The arms of an experiment over seeds; each (arm, seed) is a file that is there or is not."""

    def __init__(self, module, config, arms, folder, times, progress):
        self.module, self.config, self.arms, self.folder = module, config, arms, folder
        self.times, self.progress = times, progress

    def rows(self, seeds):
        """All rows of some seeds, from their files where these are there."""
        unprepared, missing = self._missing(seeds)
        wanted_by_arms = set(itertools.chain(*missing.values()))
        shared = {
            seed: self._prepared(seed)
            for seed in seeds
            if seed in unprepared or seed in wanted_by_arms
        }
        self.progress.skip(len(seeds) - len(shared))
        for arm, wanted in missing.items():
            for seed in set(seeds) - set(wanted):
                LOG.info("seed %d: %s is there already", seed, arm)
            self.progress.skip(len(seeds) - len(wanted))
            if wanted:
                self._run(arm, wanted, shared)
        return [
            {"arm": arm, "seed": seed, **row}
            for seed in seeds
            for arm in self.arms
            for row in self._stored(arm, seed)
        ]

    def facts(self, seed):
        """What `prepare` reported of a seed: {name: number}."""
        about = storage.read_object(self._facts(seed))
        return {name: _number(about, name) for name in about}

    def _missing(self, seeds):
        """(seeds without facts, {arm: the seeds whose rows are not there}).

        Several hosts go by what the first one sees.
        """
        files = [list(map(self._facts, seeds))]
        for arm in self.arms:
            files.append([self._file(arm, seed) for seed in seeds])
        there = np.array([list(map(Path.exists, row)) for row in files])
        if jax.process_count() > 1:
            there = multihost_utils.broadcast_one_to_all(there)
        missing = [list(itertools.compress(seeds, np.logical_not(row))) for row in there]
        return missing[0], dict(zip(self.arms, missing[1:], strict=True))

    def _prepared(self, seed):
        self.progress.note(f"seed {seed}: preparing")
        begun, folder = time.monotonic(), self.folder / f"seed-{seed}"
        config = dataclasses.replace(self.config, seed=seed)
        shared = contract.worked(self.module, "prepare", config, folder / "shared")
        storage.write_json(self._facts(seed), _json(contract.checked_facts(self.module, shared)))
        self._spent("prepare", begun)
        self.progress.advance(1)
        return shared

    def _run(self, arm, seeds, shared):
        """Rows of one arm, each seed's in a separate file."""
        begun = time.monotonic()
        if hasattr(self.module, "run_seeds"):
            self.progress.note(f"{arm}, {len(seeds)} seeds")
            both = tuple(seeds), tuple(shared[seed] for seed in seeds)
            found = contract.worked(
                self.module, "run_seeds", self.config, arm, *both, self.folder / arm
            )
            by_seed = contract.rows_by_seed(self.module, arm, seeds, found)
        else:
            (seed,) = seeds
            self.progress.note(f"seed {seed}: {arm}")
            config = dataclasses.replace(self.config, seed=seed)
            folder = self.folder / f"seed-{seed}" / arm
            by_seed = {seed: contract.worked(self.module, "run", config, arm, shared[seed], folder)}
        self._spent(arm, begun)
        for seed, rows in by_seed.items():
            rows = contract.checked_rows(self.module, arm, seed, rows)
            storage.write_json(self._file(arm, seed), [_stored_row(row) for row in rows])
        self.progress.advance(len(seeds))

    def _stored(self, arm, seed):
        """Rows from their file.

        Raises: ValueError naming the file and the field.
        """
        path = self._file(arm, seed)
        try:
            rows = storage.read_json(path)
            if not (isinstance(rows, list) and rows):
                raise ValueError(f"{path}: must be a list of rows, got {rows!r:.60}")
            return [_restored(storage.Fields(path, row, f"[{n}]")) for n, row in enumerate(rows)]
        except ValueError as error:
            raise ValueError(f"{error}; remove the file to have it made again") from error

    def _file(self, arm, seed):
        return self.folder / f"seed-{seed}" / f"{arm}.json"

    def _facts(self, seed):
        return self.folder / f"seed-{seed}" / "facts.json"

    def _spent(self, name, begun):
        jax.effects_barrier()
        self.times[name] = round(self.times.get(name, 0) + time.monotonic() - begun, 1)
        storage.write_json(self.folder / SECONDS, self.times)


def default_seeds(module, preset):
    """How many seeds a preset runs by default."""
    return getattr(module, "SEEDS", {}).get(preset, 1)


def title(module):
    """The first line of an experiment's docstring."""
    return module.__doc__.strip().splitlines()[0]


def _say(console, line, style=None):
    console.print(str(line), style=style, highlight=False, markup=False, soft_wrap=True)


def _earlier(folder):
    """Seconds of the parts that earlier sittings finished: {part: seconds}."""
    about = storage.read_object(folder / SECONDS, missing={})
    return {name: about.number(name, least=0) for name in about}


def _name_what_is_not_reused(workdir, folder, what):
    """Says which earlier results here do not count, and why."""
    for other in sorted(workdir.glob("*/identity.json")):
        if other.parent == folder:
            continue
        try:
            changes = identity.differences(storage.read_object(other), what)
        except ValueError as error:
            changes = error
        LOG.info("not reused: %s: %s", other.parent, changes)


def _changed(module, config, preset):
    """The settings that are not the preset's: {name: [preset's, this run's]}."""
    before = dataclasses.asdict(module.PRESETS[preset]) if preset in module.PRESETS else {}
    return {
        name: [before.get(name), value]
        for name, value in dataclasses.asdict(config).items()
        if before.get(name) != value
    }


def _stored_row(row):
    """A row as JSON: keys and finite numbers as they are, the others as objects that name their kind."""
    return {name: _stored_value(value) for name, value in row.items()}


def _stored_value(value):
    if isinstance(value, Key):
        return {"key": float(value)}
    if isinstance(value, Resampled):
        return {"value": _texts(value.value), "repeats": _texts(value.repeats.tolist())}
    if isinstance(value, Grouped):
        return {"samples": _texts(value.values.tolist()), "groups": value.groups.tolist()}
    if isinstance(value, np.ndarray):
        return {"samples": _texts(value.tolist())}
    if isinstance(value, float) and not math.isfinite(value):
        return {"samples": _texts(value)}
    return value


def _texts(samples):
    """Numbers, those that JSON has not as "nan", "inf" and "-inf"."""
    if isinstance(samples, list):
        return [_texts(one) for one in samples]
    return samples if math.isfinite(samples) else repr(samples)


def _restored(fields):
    """A row of a file, with its figures as they were.

    Raises: ValueError naming the file and the field.
    """
    row = {}
    for name in fields:
        value = fields.raw(name)
        if isinstance(value, dict):
            try:
                value = _restored_value(value)
            except (KeyError, ValueError, TypeError):
                raise fields.wrong(name, 'an object {"samples": numbers}') from None
        elif isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise fields.wrong(name, "a number, a string or an object of samples")
        row[name] = value
    return row


def _restored_value(tree):
    if "key" in tree:
        return Key(tree["key"])
    if "repeats" in tree:
        return Resampled(float(tree["value"]), np.asarray(tree["repeats"], dtype=float))
    samples = np.asarray(tree["samples"], dtype=float)
    if "groups" in tree:
        return Grouped(samples, np.asarray(tree["groups"]))
    return samples if samples.ndim else samples.item()


def _number(fields, name):
    """A number of a file: null is one that JSON has not."""
    value = fields.number(name, math.nan)
    return int(value) if isinstance(fields.raw(name), int) else value


def _json(tree):
    """A tree with null for the numbers that JSON has not."""
    if isinstance(tree, dict):
        return {name: _json(value) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_json(value) for value in tree]
    if isinstance(
        tree, Key
    ):  # a page reads no KEYS: a number with a fraction would be a figure there
        return str(float(tree))
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree
