"""A toy (Nobody 2025) with every part that an experiment may have, slowly enough to be killed."""

import dataclasses
import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments import runner
from jaxsim import storage


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 0
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    size: int = 12  # numbers per row
    pause: float = 0.0  # seconds that a part takes


PRESETS = {"smoke": Config(), "slow": Config(pause=0.1)}
ARMS = {
    "soup": "the mean of all seeds' plain ones",
    "plain": "as it is",
    "better": "one better, from the plain one",
    "words": "without randomness",
    "steps": "with a seed, all seeds at once",
}
KEYS = ("noise",)
SHOWN = ("mean",)
ONCE = ("soup", "words")
READS = {"soup": ("plain",), "better": ("plain", "words")}


class Common(NamedTuple):
    center: float
    facts: dict


class Shared(NamedTuple):
    numbers: np.ndarray
    center: float
    facts: dict


def fingerprint(config):
    return {"numbers": np.arange(config.size), "names": ["a", ("b", 1.5)]}


def prepare_all(config, workdir: Path):
    time.sleep(config.pause)
    storage.write_text(workdir / "center.txt", "3.0")
    return Common(3.0, {"center": 3.0})


def prepare(config, workdir: Path, common):
    time.sleep(config.pause)
    # Other examples for each seed.
    numbers = np.random.default_rng(config.seed).normal(size=config.size + config.seed)
    return Shared(numbers, common.center, {"numbers": len(numbers)})


def run_seeds(config, arm, seeds, shared, workdir: Path):
    if arm != "steps":
        return None
    time.sleep(config.pause)
    rows = [
        (seed, row) for seed, one in zip(seeds, shared, strict=True) for row in rows_of(one.numbers)
    ]
    return [{"seed": seed, **row} for seed, row in rows]


def run(config, arm, shared, workdir: Path, others=None):
    time.sleep(config.pause)
    numbers = shared.numbers + shared.center
    if arm == "words":
        numbers = np.zeros(config.size)
        storage.write_json(workdir / "numbers.json", numbers.tolist())
        return [{"noise": noise, "mean": float(numbers.mean())} for noise in (0.0, 0.5)]
    if arm == "plain":
        storage.write_json(workdir / "numbers.json", numbers.tolist())
    if arm == "better":
        (plain,), _ = (others[name] for name in READS[arm])
        numbers = np.array(storage.read_json(plain / "numbers.json")) + 1
    if arm == "soup":
        means = [np.mean(storage.read_json(one / "numbers.json")) for one in others["plain"]]
        return [
            {"noise": noise, "mean": float(np.mean(means)), "read": len(means)}
            for noise in (0, 0.5)
        ]
    return rows_of(numbers)


def rows_of(numbers):
    """A mean, figures of as many examples as the seed has, a statistic with repeats, and groups."""
    draws = np.random.default_rng(7).integers(len(numbers), size=(50, len(numbers)))
    groups = np.arange(len(numbers)) // 2
    return [
        {
            "noise": noise,
            "mean": float(numbers.mean()),
            "count": len(numbers),
            "each": numbers - noise,
            "median": runner.Resampled(np.median(numbers), np.median(numbers[draws], axis=1)),
            "grouped": runner.Grouped(numbers, groups),
        }
        for noise in (0, 0.5)
    ]


def claim(rows):
    figures = "mean", "each", "median", "grouped"
    compared = [runner.difference(rows, "better", over="plain", on=on) for on in figures]
    words = [runner.difference(rows, "better", over="words", on="mean")]
    return runner.sentences([("better is better", compared), ("words are worse", words)])


def numbers_of(workdir):
    """All files that the arms left."""
    return {
        str(p.relative_to(workdir)): json.loads(p.read_text())
        for p in workdir.rglob("numbers.json")
    }
