"""A toy (Nobody 2024): three arms that draw numbers, slowly enough to be killed."""

import dataclasses
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments import runner
from jaxsim import storage


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 0
    arms: tuple[str, ...] = ()  # which arms to run; all unless told
    size: int = 20  # numbers per row
    pause: float = 0.0  # seconds that an arm takes
    data: str = "a"  # what the fingerprint is of


PRESETS = {"smoke": Config(), "slow": Config(pause=0.1)}
ARMS = {"good": "one better", "plain": "as it is", "bad": "one worse"}
SHIFT = {"good": 1.0, "plain": 0.0, "bad": -1.0}


def fingerprint(config):
    return config.data


def prepare(config, workdir: Path):
    time.sleep(config.pause)
    storage.write_text(workdir / "prepared.txt", str(config.seed))
    return np.random.default_rng(config.seed).normal(size=config.size)


def run(config, arm, shared, workdir: Path):
    time.sleep(config.pause)
    return [
        {"k": k, "kind": "each", "figure": shared * k + SHIFT[arm], "one": float(shared.mean())}
        for k in (1, 2)
    ]


def claim(rows):
    compared = [runner.difference(rows, "good", over=o, on="figure") for o in ("plain", "bad")]
    return runner.judged("good is better", compared, needed=("plain",))


def pictures(rows):
    figure = Figure()
    figure.subplots().plot([row["k"] for row in runner.summary(rows)])
    return {"toy": figure}
