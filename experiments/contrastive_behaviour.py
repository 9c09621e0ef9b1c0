"""Understanding the behavior of contrastive loss (Wang and Liu 2021): the temperature sets how hard negatives are pushed.

Claim: the softmax contrastive loss is aware of hardness. A small temperature pushes the nearest
negatives, spreads embeddings evenly and breaks up what belongs together; a large one does the reverse, so
that only a middle one does well. Taking the hard negatives explicitly spreads them by itself: then the
temperature hardly matters, and even a loss without a softmax works.
Data: CIFAR, SVHN and ImageNet-100 in the paper. Here handwritten digits, without their labels; the
`full` and `gpu` presets have a part of CIFAR-10 that JPEG has been through, from JAXSIM_DATA.
Predicts: uniformity falls and tolerance rises with the temperature; the best accuracy is inside the
grid; the simple loss is worst, on hard negatives it is not; without false negatives (`oracle`) a smaller
temperature is best.

As in the paper, every image is its own class and meets a bank of moving averages of all images.
No arm is tuned separately, so that arms differ only in the loss. A run that collapsed to a point says so.
"""

import dataclasses
import logging
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.networks import images
from experiments.workbench.sets import sources
from experiments.workbench.training import banks, fits
from jaxsim import analysis, data, losses
from jaxsim.data import augment
from jaxsim.numerics import unit
from jaxsim.numerics.types import ArrayTree

LOG = logging.getLogger("jaxsim.experiments")


@dataclasses.dataclass(frozen=True)
class Config:
    """The images, the network and its training, and the temperatures that are compared."""

    seed: int = 0  # of the network's start, the views and the order of the images
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "digits"  # digits, digits-small, or cifar10 (needs JAXSIM_DATA)
    temperatures: tuple[float, ...] = (0.05, 0.1, 0.3, 1.0)  # of the arms with a softmax
    hard_temperatures: tuple[float, ...] = (0.1, 1.0)  # of those on hard negatives
    fraction: float = 0.0819  # of the negatives that the hard losses keep, as in the paper
    k: int = 64  # negatives that hard_few keeps
    dim: int = 32  # of the embeddings
    widths: tuple[int, ...] = (32, 64)  # channels of the network's blocks
    batch: int = 128  # images per step
    steps: int = 1500  # of training, for every network
    rate: float = 3e-3  # of Adam, at the start
    momentum: float = 0.5  # of the bank's moving averages
    neighbors: int = 20  # that vote for a class

    def __post_init__(self) -> None:
        settings.one_of(self, data=sources.IMAGES)
        settings.whole(self, 1, "k", "dim", "widths", "batch", "steps", "neighbors")
        settings.positive(self, "temperatures", "hard_temperatures", "fraction", "rate")
        settings.part(self, "fraction", "momentum")
        settings.some(self, "temperatures", "hard_temperatures", "widths")


PRESETS = {
    "smoke": Config(
        arms=("plain", "simple"),
        temperatures=(0.1,),
        data="digits-small",
        dim=8,
        widths=(8,),
        batch=64,
        steps=4,
    ),
    "cpu": Config(arms=("plain", "simple", "hard", "hard_simple")),
    "full": Config(
        data="cifar10",
        dim=64,
        widths=(32, 64, 128),
        batch=256,
        steps=1200,
        temperatures=(0.05, 0.1, 0.2, 0.3, 0.5, 1.0),
    ),
    "gpu": Config(
        data="cifar10",
        dim=128,
        widths=(64, 128, 256, 512),
        batch=128,
        steps=23_400,
        temperatures=(0.03, 0.05, 0.07, 0.1, 0.2, 0.3, 0.7, 1.0),
        hard_temperatures=(0.07, 0.3, 0.7, 1.0),
    ),
}
SEEDS = {"cpu": 3, "full": 3, "gpu": 3}
ARMS = {
    "plain": "InfoNCE against the whole bank",
    "plain_scaled": "the same times the temperature: how much of it is the size of the step?",
    "simple": "no softmax: all negatives are pushed equally",
    "hard": "InfoNCE against the nearest share of the bank",
    "hard_few": "InfoNCE against the nearest few",
    "hard_simple": "no softmax, the nearest share of the bank",
    "oracle": "InfoNCE without the images of the same class: no false negatives",
}
ACCURACY = "kNN of embeddings"  # what the claim is judged by: digits are easy for any backbone
NO_TEMPERATURE = "none"  # of the arms without a softmax, in the rows


class Shared(NamedTuple):
    """What the arms share."""

    train: data.Images
    test: data.Images
    params: ArrayTree  # of the network's start
    bank: np.ndarray  # [training images, dim], what the network makes of them at the start
    facts: dict[str, float]


def fingerprint(config: Config) -> tuple[data.Images, data.Images]:
    """Of the data: all images."""
    return images.train_and_test(config.data)


def prepare(config: Config, workdir: Path) -> Shared:
    """The images, the network's start and its bank."""
    train, test = images.train_and_test(config.data)
    module = images.network(config.data, dim=config.dim, widths=config.widths)
    params = fits.initial(module, config.seed, train.images[:1])
    start = images.Model(module, params)
    bank, features = images.embedded(start, train.images)
    embeddings, test_features = images.embedded(start, test.images)
    pixels, test_pixels = images.flat(train), images.flat(test)
    facts: dict[str, float] = {
        "training images": len(train.labels),
        "images of a class": len(train.labels) / len(np.unique(train.labels)),
        "hard negatives kept": banks.kept(len(train.labels), config.fraction),
        "largest uniformity": analysis.uniformity_ceiling(config.dim),
        "uniformity untrained": float(jax.jit(analysis.uniformity)(embeddings)),
        "probe of the untrained network": images.probed(features, train, test_features, test),
        "probe of the pixels": images.probed(pixels, train, test_pixels, test),
    }
    return Shared(train, test, params, np.asarray(unit(jnp.asarray(bank))), facts)


def temperatures_of(config: Config, arm: str) -> tuple[float | None, ...]:
    """The temperatures that an arm is trained at; None for a loss without a softmax."""
    if arm in ("simple", "hard_simple"):
        return (None,)
    return config.hard_temperatures if arm.startswith("hard") else config.temperatures


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: a network for each of its temperatures, and what its embeddings are like."""
    rows = []
    for temperature in temperatures_of(config, arm):
        name = NO_TEMPERATURE if temperature is None else f"{temperature:g}"
        model, bank = fitted(config, arm, temperature, shared, workdir / name)
        figures = images.looked_at(
            config.data,
            model,
            shared.train,
            shared.test,
            neighbors=config.neighbors,
            seed=config.seed,
        )
        figures |= images.concentration(
            config.data,
            model,
            bank,
            shared.train,
            banks.miner_of(arm, len(bank), fraction=config.fraction, k=config.k),
            temperature=temperature,
            classmates=arm != "oracle",
            seed=config.seed,
        )
        if figures["uniformity"] < 0.01:
            LOG.warning("%s at temperature %s collapsed to a point", arm, name)
        rows.append({"temperature": name, **figures})
    return rows


def fitted(
    config: Config, arm: str, temperature: float | None, shared: Shared, workdir: Path
) -> tuple[images.Model, np.ndarray]:
    """(the network trained by an arm at a temperature, its bank)"""
    loss = banks.loss_of(arm, len(shared.train.labels), fraction=config.fraction, k=config.k)
    module = images.network(config.data, dim=config.dim, widths=config.widths)
    views = augment.views(images.VIEWS[config.data])
    names = np.stack([np.arange(len(shared.train.labels)), shared.train.labels], axis=1)

    def objective(params, state, batch, *, key, axis_name):
        embeddings = module.apply(params, views(key, batch["image"], batch["ids"]))
        settings = {n: v for n, v in state.items() if n != "bank"}
        where = {"where": batch["where"], "axis_name": axis_name}
        value = loss(
            embeddings,
            batch["name"],
            references=state["bank"],
            reference_labels=jnp.asarray(names),
            **where,
            **settings,
        )
        if arm == "plain_scaled":
            value = value * state["temperature"]
        bank = losses.memory.averaged_bank(
            state["bank"], batch["ids"], unit(embeddings), momentum=config.momentum, **where
        )
        return value, ({**state, "bank": bank}, {})

    params, state = images.trained(
        objective,
        shared.params,
        data.array_batches(
            {"image": shared.train.images, "name": names.astype(np.int32)},
            batch_size=config.batch,
            seed=config.seed,
            steps=config.steps,
        ),
        rate=config.rate,
        state={"bank": jnp.asarray(shared.bank)}
        | ({} if temperature is None else {"temperature": jnp.float32(temperature)}),
        seed=config.seed,
        workdir=workdir,
        label=arm if temperature is None else f"{arm}, temperature {temperature:g}",
    )
    return images.Model(module, params), np.asarray(state["bank"])


def named_by_temperature(row: dict) -> dict:
    """A row whose arm's name says its temperature."""
    figures = {name: value for name, value in row.items() if name != "temperature"}
    if row["temperature"] == NO_TEMPERATURE:
        return figures
    return figures | {"arm": f"{row['arm']} {row['temperature']}"}


def claim(rows: list[dict]) -> runner.Claim:
    """The dilemma of the temperature, and that hard negatives do without it."""
    named = [named_by_temperature(row) for row in rows]
    there = {row["arm"] for row in named}
    grid = sorted({float(row["temperature"]) for row in rows if row["arm"] == "plain"})
    low, high = (f"plain {grid[place]:g}" for place in (0, -1)) if grid else ("", "")
    middle = best(named, [f"plain {t:g}" for t in grid[1:-1]])
    asked = [
        (low, high, "uniformity"),
        (high, low, "tolerance"),
        (middle, low, ACCURACY),
        (middle, high, ACCURACY),
        (middle, "simple", ACCURACY),
        ("hard_simple", "simple", ACCURACY),
    ]
    compared = [
        runner.difference(named, arm, over=over, on=figure)
        for arm, over, figure in asked
        if {arm, over} <= there and arm != over
    ]
    return runner.judged(
        "the temperature trades uniformity for tolerance, the middle does best, and hard negatives "
        "make a loss without softmax work",
        compared,
    )


def best(rows: list[dict], arms: list[str]) -> str:
    """The arm with the highest accuracy of the neighbors' vote, over all seeds."""
    means = {}
    for arm in arms:
        accuracies = [np.mean(row[ACCURACY]) for row in rows if row["arm"] == arm]
        means[arm] = np.mean(accuracies)
    return runner.best(list(means), means.get) if means else ""


def pictures(rows: list[dict]) -> dict:
    """temperature.png: accuracy, uniformity, tolerance and the local gap against the temperature."""
    shown = (ACCURACY, "probe", "uniformity", "tolerance", "local gap", "entropy of the ratios")
    summary = runner.summary(rows)
    figure = pictures_.sweeps(summary, x="temperature", figures=shown, without=NO_TEMPERATURE)
    return {"temperature": figure}
