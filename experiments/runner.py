"""Runs an experiment: seeds, arms, resume, the table, results.json, pictures and the verdict.

An experiment is a module with

    Config, PRESETS, ARMS         what there is to run
    fingerprint(config) -> str    of the data that it reads
    prepare(config, workdir)      what the arms of one seed share; its `facts`, a dict, are reported
    run(config, arm, shared, workdir) -> rows
    claim(rows) -> Claim          the paper's sentence as a question to the rows
    pictures(rows) -> {name: figure}

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
from rich.console import Console
from rich.table import Table

from experiments import identity
from jaxsim import evaluation, storage

LOG = logging.getLogger("jaxsim.experiments")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A paired difference: the mean over all shared rows, with its 95 % interval."""

    arm: str
    over: str
    figure: str
    mean: float
    low: float | None  # no interval where there is one number
    high: float | None

    @property
    def verdict(self):
        """held: the interval is above 0; not held: it is below; else not decided."""
        if self.low is None:
            return "not decided"
        return "held" if self.low > 0 else "not held" if self.high < 0 else "not decided"


@dataclasses.dataclass(frozen=True)
class Claim:
    """The verdict on a paper's claim, in a word and in a sentence."""

    verdict: str
    sentence: str
    comparisons: tuple[Comparison, ...]


def run(module, config, *, preset, seeds, workdir, console=None):
    """Runs all arms of all seeds that are not there yet; writes results.json and the pictures.

    Args:
      module: the experiment.
      config: its Config; seeds run from config.seed upwards.
      preset: the name to record.
      seeds: how many.
      workdir: the folder for everything; a killed run goes on there.
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

    rows, times, facts = [], {}, {}
    with storage.bar(seeds * (len(arms) + 1), title(module), "parts") as progress:
        for seed in range(config.seed, config.seed + seeds):
            own = dataclasses.replace(config, seed=seed)
            rows += _one_seed(module, own, arms, folder / f"seed-{seed}", times, progress)
            facts[seed] = json.loads((folder / f"seed-{seed}" / "facts.json").read_text())

    claim = module.claim(rows)
    results = {
        "experiment": slug(module),
        "title": title(module),
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


def _one_seed(module, config, arms, folder, times, progress):
    """The rows of one seed, from their files where these are there."""
    files = {arm: folder / f"{arm}.json" for arm in arms}
    missing = [arm for arm in arms if not files[arm].exists()]
    if not missing:
        progress.advance(1)
    else:
        progress.note(f"seed {config.seed}: preparing")
        begun = time.monotonic()
        shared = module.prepare(config, folder / "shared")
        storage.write_json(folder / "facts.json", getattr(shared, "facts", {}))
        _spent(times, "prepare", begun)
        progress.advance(1)
    for arm in arms:
        if arm in missing:
            progress.note(f"seed {config.seed}: {arm}")
            begun = time.monotonic()
            found = module.run(config, arm, shared, folder / arm)
            _spent(times, arm, begun)
            storage.write_json(files[arm], [_plain(row) for row in found])
        else:
            LOG.info("seed %d: %s is there already", config.seed, arm)
        progress.advance(1)
    return [
        {"arm": arm, "seed": config.seed, **_restored(row)}
        for arm in arms
        for row in json.loads(files[arm].read_text())
    ]


def difference(rows, arm, *, over, on, where=lambda row: True):
    """A paired comparison: by how much `arm` is above `over` on a figure, with its 95 % interval.

    Rows of both arms are paired by seed and keys. Figures per example are resampled over examples
    and over what stands before them (draws, seeds), both arms alike; single figures over seeds.

    Args:
      rows: all rows of the run.
      arm, over: names of arms.
      on: the figure.
      where: which rows take part, by their keys.

    Returns: `Comparison`.
    """
    sides = []
    for name in (arm, over):
        chosen = {
            tuple(sorted(keys(r).items())): np.atleast_1d(r[on])
            for r in rows
            if r["arm"] == name and where(r)
        }
        sides.append(chosen)
    shared = sorted(set(sides[0]) & set(sides[1]))
    if not shared:
        raise ValueError(f"no rows of {arm!r} and {over!r} have {on!r} for the same seed and keys")
    seeds = sorted({dict(key)["seed"] for key in shared})
    # [seeds * draws, examples]: the mean over the keys comes first, so that budgets are not "samples".
    each = [
        np.concatenate(
            [
                np.atleast_2d(np.mean([s[k] for k in shared if dict(k)["seed"] == seed], axis=0))
                for seed in seeds
            ]
        )
        for s in sides
    ]
    apart = each[0] - each[1]
    if apart.size == 1:
        return Comparison(arm, over, on, float(apart.item()), None, None)
    low, high = evaluation.interval(apart, axes=resampled(apart))
    return Comparison(arm, over, on, float(apart.mean()), low, high)


def judged(question, comparisons, *, needed):
    """A claim that holds where the method beats each of the baselines that it names.

    Args:
      question: the claim, as words that "held here" can follow.
      comparisons: of the method with every baseline.
      needed: the baselines that the claim is about; the others are only told of.

    Returns: `Claim`.
    """
    about = [c.verdict for c in comparisons if c.over in needed]
    verdict = (
        "not decided"
        if not about
        else "held"
        if set(about) == {"held"}
        else "not held"
        if "not held" in about
        else "not decided"
    )
    parts = [
        f"{c.verdict} against {c.over} ({c.mean:+.3f}"
        + (")" if c.low is None else f", 95 % interval {c.low:+.3f} to {c.high:+.3f})")
        for c in comparisons
    ]
    return Claim(verdict, f"{question}: {verdict} here. {'; '.join(parts)}.", tuple(comparisons))


def resampled(samples):
    """The axes that the bootstrap resamples: those along which there is more than one."""
    return tuple(axis for axis, size in enumerate(samples.shape) if size > 1) or (0,)


def summary(rows):
    """Each arm's figures at each key, over the seeds: mean and 95 % interval."""
    groups = {}
    for row in rows:
        key = ("arm", row["arm"]), *((n, v) for n, v in keys(row).items() if n != "seed")
        groups.setdefault(key, []).append(row)
    found = []
    for key, members in groups.items():
        one = dict(key)
        for name in figures(members[0]):
            samples = np.concatenate([np.atleast_2d(m[name]) for m in members])
            one[name] = float(samples.mean())
            if samples.size > 1:
                ends = evaluation.interval(samples, axes=resampled(samples))
                one[f"{name} interval"] = [float(end) for end in ends]
        found.append(one)
    return found


def tables(rows):
    """rich tables of a summary: a table per value of the keys but the last, which runs across."""
    names = [n for n, v in rows[0].items() if isinstance(v, int) and not isinstance(v, bool)]
    shown = [n for n, v in rows[0].items() if isinstance(v, float)]
    for name in shown:
        last = names[-1:]
        groups = {}
        for row in rows:
            groups.setdefault(tuple((n, row[n]) for n in names[:-1]), []).append(row)
        for key, members in groups.items():
            across = sorted({m[last[0]] for m in members}) if last else [None]
            title_ = ", ".join([name, *(f"{n} = {v}" for n, v in key)])
            table = Table(title=title_, title_justify="left")
            table.add_column(f"arm \\ {last[0]}" if last else "arm")
            for value in across:
                table.add_column("" if value is None else str(value), justify="right")
            for arm in dict.fromkeys(m["arm"] for m in members):
                cells = {m[last[0]] if last else None: m for m in members if m["arm"] == arm}
                table.add_row(arm, *(_cell(cells.get(value), name) for value in across))
            yield table


def keys(row):
    """A row's keys: what is neither the arm nor a figure."""
    return {n: v for n, v in row.items() if n != "arm" and isinstance(v, (int, str))}


def figures(row):
    """The names of a row's figures."""
    return [n for n in row if n != "arm" and n not in keys(row)]


def slug(module):
    """The experiment's name on the command line."""
    return module.__name__.rsplit(".", 1)[-1]


def title(module):
    """The first line of an experiment's docstring."""
    return module.__doc__.strip().splitlines()[0]


def _name_what_is_not_reused(workdir, folder, what):
    """Says which earlier results here do not count, and why."""
    for other in sorted(workdir.glob("*/identity.json")):
        if other.parent != folder:
            apart = identity.differences(what, json.loads(other.read_text()))
            LOG.info("not reused: %s, which differs in %s", other.parent, "; ".join(apart[:5]))


def _spent(times, name, begun):
    jax.effects_barrier()
    times[name] = round(times.get(name, 0) + time.monotonic() - begun, 1)


def _plain(row):
    return {
        n: {"samples": np.asarray(v).tolist()} if np.ndim(v) else v.item() if hasattr(v, "item") else v
        for n, v in row.items()
    }  # fmt: skip


def _restored(row):
    return {n: np.asarray(v["samples"]) if isinstance(v, dict) else v for n, v in row.items()}


def _cell(row, name):
    if row is None:
        return ""
    ends = row.get(f"{name} interval")
    spread = f" ±{(ends[1] - ends[0]) / 2:.3f}" if ends else ""
    return f"{row[name]:.3f}{spread}"
