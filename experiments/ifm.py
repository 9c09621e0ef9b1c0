"""Iterative feature merging (Chen, Zhou and Yan 2024): channels whose weights are alike do the same, and can be one.

Claim: inside a trained network many channels are equivalent. Merging the nearest ones, from the weights
alone, without data or fine-tuning, makes it much narrower before it is less accurate; how much narrower is
its feature complexity.
Data: CIFAR-10 and ImageNet in the paper. Here handwritten digits, whose perceptrons are trained with two
weight decays; `full` has MNIST and `gpu` a part of CIFAR-10 that JPEG has been through with a convolutional
network and batch norms, both from JAXSIM_DATA.
Predicts: at equal widths merging >= magnitude pruning > random pruning; the threshold beta has a cliff,
which depends on the weight decay: decay makes channels of about zero, which pruning removes as well.

All arms get the same networks and, at every beta, the widths that merging came to. The beta that is judged
is the largest that costs merging at most a point on validation images, for each seed and decay; it is chosen
for merging, so the others answer for widths that suit it. All betas are reported.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.networks import images
from experiments.workbench.training import fits
from jaxsim import data, encoders, merging, numerics, storage
from jaxsim.numerics.types import ArrayTree


@dataclasses.dataclass(frozen=True)
class Config:
    """The networks and their training, and the thresholds of merging."""

    seed: int = 0  # of the validation images, the start, the batches and what is drawn
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "digits"  # digits, digits-small; mnist or cifar10 (need JAXSIM_DATA)
    widths: tuple[int, ...] = (256, 256)  # of the layers, or the convolutions' channels
    decays: tuple[float, ...] = (1e-4, 5e-3)  # of the weights: a network for each
    # Thresholds, of squared distances.
    betas: tuple[float, ...] = (0.01, 0.02, 0.03, 0.05, 0.1, 0.15)
    steps: int = 3000  # of training
    batch: int = 64  # images per step
    rate: float = 0.1  # of SGD with momentum .9, a tenth from half of the steps on, then again

    def __post_init__(self) -> None:
        settings.one_of(self, data=("digits", "digits-small", "mnist", "cifar10"))
        settings.whole(self, 1, "widths", "steps", "batch")
        settings.positive(self, "decays", "betas", "rate")
        settings.some(self, "widths", "decays", "betas")


FOUR = ("ifm", "magnitude", "random", "random_pairs")
PRESETS = {
    "smoke": Config(
        arms=("whole", "ifm", "magnitude", "random"),
        data="digits-small",
        widths=(12,),
        decays=(5e-3,),
        betas=(0.1, 0.4),
        steps=20,
        batch=32,
    ),
    "cpu": Config(arms=("whole", *FOUR)),
    "full": Config(
        arms=("whole", *FOUR, "incoming", "size_normalized"),
        data="mnist",
        widths=(512, 512, 512),
        steps=20_000,
        batch=128,
    ),
    "gpu": Config(
        data="cifar10",
        widths=(64, 128, 256, 512),
        decays=(1e-4, 5e-4),
        betas=(0.001, 0.01, 0.03, 0.1, 0.15, 0.2, 0.3),
        steps=18_000,
        batch=128,
    ),
}
SEEDS = {"cpu": 5, "full": 5, "gpu": 3}
KEYS = ("decay", "beta")
SHOWN = ("accuracy", "parameters left")
ARMS = {
    "whole": "the network as it was trained",
    "ifm": "iterative feature merging: the nearest channels become one",
    "magnitude": "channels of the smallest norm are dropped, to the same widths",
    "random": "channels are dropped at random, to the same widths",
    "random_pairs": "pairs of channels are merged at random, to the same widths",
    "incoming": "merging by the weights that make a channel alone, to widths that it chooses",
    "size_normalized": "merging by the means of clusters, to widths that it chooses",
    "released": "merging as in the authors' code, to widths that it chooses",
    "folded": "merging after batch norms were folded, to widths that it chooses",
}
LOSS = 0.01  # of accuracy, on validation images to choose beta and on test images to be judged by


class Shared(NamedTuple):
    """What the arms of one seed share."""

    validation: data.Images
    test: data.Images
    networks: dict[float, ArrayTree]  # of each decay
    merged: dict[tuple[float, float], merging.Merged]  # of each decay and beta, by the method
    facts: dict[str, float]


def train_and_test(name: str) -> tuple[data.Images, ...]:
    """(train, test) images of a data set."""
    if name == "mnist":
        return data.mnist("train"), data.mnist("test")
    return images.train_and_test(name)


def fingerprint(config: Config) -> str:
    """Of the data: all images."""
    return storage.checksum(train_and_test(config.data))


def network(config: Config) -> Any:
    """A perceptron on pixels; of photographs a convolutional network with batch norms."""
    if config.data == "cifar10":
        return encoders.ConvNet(dim=10, widths=config.widths, norm="batch")
    return encoders.Mlp(dim=10, widths=config.widths)


def inputs(config: Config, split: data.Images) -> np.ndarray:
    """What the network reads of images."""
    return split.images if config.data == "cifar10" else images.flat(split)


def spec_of(config: Config, variables: ArrayTree) -> merging.MergeSpec:
    """Which axes of the network's tensors are channels of one layer."""
    depth = range(len(config.widths))
    if config.data != "cifar10":
        return merging.chain(variables, [*(f"params/dense_{n}" for n in depth), "params/head"])
    return merging.chain(
        variables,
        [*(f"params/conv_{n}" for n in depth), "params/head"],
        norms={f"params/conv_{n}": (f"params/norm_{n}", f"batch_stats/norm_{n}") for n in depth},
    )


def prepare(config: Config, workdir: Path) -> Shared:
    """A network for each weight decay, and what the method makes of it at every beta."""
    known, test = train_and_test(config.data)
    order = np.random.default_rng(config.seed).permutation(len(known.labels))
    held_out = len(order) // 5
    train, validation = known.of(order[held_out:]), known.of(order[:held_out])
    networks: dict[float, Any] = {}
    merged = {}
    for decay in config.decays:
        networks[decay] = trained(config, train, decay, workdir / f"{decay:g}")
        for beta in config.betas:
            merged[decay, beta] = merging.iterative_feature_merging(
                networks[decay], spec_of(config, networks[decay]), beta=beta
            )
    facts: dict[str, float] = {
        "images to train on": len(train.labels),
        "images to choose beta by": len(validation.labels),
        "images to test on": len(test.labels),
    }
    return Shared(validation, test, networks, merged, facts)


def trained(config: Config, train: data.Images, decay: float, workdir: Path) -> ArrayTree:
    """The network's variables, trained by cross-entropy at a weight decay."""
    module, x = network(config), inputs(config, train)
    start: Any = fits.initial(module, config.seed, x[:1])

    def objective(params, state, batch, *, key, axis_name):
        variables, options = {"params": params, **state}, {}
        if state:
            options = {"train": True, "where": batch["where"], "axis_name": axis_name}
        logits, moved = module.apply(variables, batch["x"], mutable=list(state), **options)
        values = optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"])
        return numerics.mean(values, batch["where"], axis_name), (dict(moved), {})

    def rule(schedule):
        """The decay is a number in the optimizer's state: networks are then one program."""
        decayed = optax.inject_hyperparams(optax.add_decayed_weights)(weight_decay=decay)
        return optax.chain(decayed, optax.sgd(schedule, momentum=0.9))

    params, state = fits.fitted(
        objective,
        start["params"],
        data.array_batches(
            {"x": x, "y": train.labels},
            batch_size=config.batch,
            seed=config.seed,
            steps=config.steps,
        ),
        rate=config.rate,
        seed=config.seed,
        workdir=workdir,
        label=f"network, weight decay {decay:g}",
        about={"decay": decay, "widths": str(config.widths), "batch": config.batch},
        state={name: value for name, value in start.items() if name != "params"},
        rule=rule,
        schedule=in_steps,
        warmup=0.0,
    )
    return jax.tree.map(np.asarray, {"params": params, **state})


def in_steps(peak: float, *, steps: int, warmup: float) -> optax.Schedule:
    """The paper's schedule: a tenth of the rate from half of the steps on, a hundredth for the last quarter."""
    return optax.piecewise_constant_schedule(peak, {steps // 2: 0.1, steps * 3 // 4: 0.1})


def narrowed(config: Config, arm: str, shared: Shared, decay: float, beta: float) -> merging.Merged:
    """What an arm makes of a network, at the widths that the method came to or at its choice."""
    variables: Any = shared.networks[decay]
    found = shared.merged[decay, beta]
    spec, widths = spec_of(config, variables), merging.feature_complexity(found.alive)
    key = jax.random.key(config.seed)
    merge = merging.iterative_feature_merging
    by_arm: dict[str, Callable[[], merging.Merged]] = {
        "whole": lambda: merge(variables, spec, max_ratio=0),
        "ifm": lambda: found,
        "magnitude": lambda: merging.prune_by_magnitude(variables, spec, widths),
        "random": lambda: merging.prune_at_random(variables, spec, widths, key=key),
        "random_pairs": lambda: merging.merge_random_pairs(variables, spec, widths, key=key),
        "incoming": lambda: merge(variables, spec, beta=beta, distance=merging.incoming_distance),
        "size_normalized": lambda: merge(
            variables, spec, beta=beta, distance=merging.size_normalized_distance
        ),
        "released": lambda: merge(variables, spec, beta=beta, merge=merging.merge_pair_released),
        "folded": lambda: merge(merging.fold_batch_norm(variables, spec), spec, beta=beta),
    }
    return by_arm[arm]()


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: accuracy, widths and what is left of the parameters, at every decay and beta."""
    module, rows = network(config), []
    for decay, variables in shared.networks.items():
        for beta in config.betas:
            found = narrowed(config, arm, shared, decay, beta)
            spec = spec_of(config, variables)
            narrow = merging.compact(found.params, spec, found.alive)
            widths = merging.feature_complexity(found.alive)
            rows.append(
                {
                    "decay": decay,
                    "beta": beta,
                    "accuracy": right(config, module, found.params, shared.test),
                    "accuracy on validation": right(
                        config, module, found.params, shared.validation
                    ).mean(),
                    "parameters left": size(narrow) / size(variables),
                    **{f"width of {group}": width for group, width in widths.items()},
                }
            )
    return rows


def right(config: Config, module: Any, variables: ArrayTree, split: data.Images) -> np.ndarray:
    """1 for each image whose class is the largest logit, else 0; at the full width, where dead channels are 0."""
    logits, _ = images.embedded(images.Model(module, variables), inputs(config, split))
    return (logits.argmax(axis=1) == split.labels).astype(float)


def size(variables: Any) -> int:
    """The number of parameters, running statistics left out."""
    return sum(np.size(leaf) for leaf in jax.tree.leaves(variables["params"]))


def chosen(rows: list[dict]) -> set[tuple[int, float, float]]:
    """(seed, decay, beta): the largest beta that costs merging at most a point on validation images."""
    accuracy = {}
    for row in rows:
        if row["arm"] in ("ifm", "whole"):
            place = row["seed"], row["decay"], row["beta"]
            accuracy[row["arm"], place] = float(np.mean(row["accuracy on validation"]))
    best = {}
    for arm, place in sorted(accuracy):
        whole = accuracy.get(("whole", place))
        if arm == "ifm" and whole is not None:
            seed, decay, beta = place
            if accuracy[arm, place] >= whole - LOSS or (seed, decay) not in best:
                best[seed, decay] = beta
    return {(*network, beta) for network, beta in best.items()}


def claim(rows: list[dict]) -> runner.Claim:
    """At the beta chosen on validation images: no loss, above magnitude pruning, which is above random."""
    places, arms = chosen(rows), {row["arm"] for row in rows}

    def where(row):
        return (row["seed"], row["decay"], row["beta"]) in places

    kept, above, ordered = [], [], []
    if places:
        kept = [runner.no_worse(rows, "ifm", over="whole", on="accuracy", by=LOSS, where=where)]
        compared = [
            runner.difference(rows, "ifm", over=arm, on="accuracy", where=where)
            for arm in ("magnitude", "random_pairs")
            if arm in arms
        ]
        above = compared
        if {"magnitude", "random"} <= arms:
            ordered = [
                runner.difference(rows, "magnitude", over="random", on="accuracy", where=where)
            ]
    return runner.sentences(
        [
            ("merging to the beta chosen on validation images costs less than a point", kept),
            ("at these widths merging beats magnitude pruning and random pairs", above),
            ("magnitude pruning beats random pruning there", ordered),
        ]
    )


def pictures(rows: list[dict]) -> dict:
    """accuracy.png and parameters.png: against beta, a panel for each weight decay."""
    shown = runner.summary(rows)
    merged = [row for row in shown if row["arm"] == "ifm"]
    return {
        "accuracy": pictures_.curves(shown, x="beta", y="accuracy", panel="decay"),
        "parameters": pictures_.curves(merged, x="beta", y="parameters left", panel="decay"),
    }
