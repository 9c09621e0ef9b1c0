"""ARL (Wei, Luo and Luo 2025): multimodal learning should be imbalanced on purpose, as the modalities' variances are.

Claim: the best dependence on each modality is in proportion to its inverse variance. Scaling each
encoder's gradient so that the dependence follows that ratio, and adding unimodal losses from the fusion
head's own parameters, is more accurate than joint training.
Data: CREMA-D, Kinetics-Sounds, AVE and VGGSound in the paper. Here halves of handwritten digits, the right
one noisy; `full` and `gpu` have spoken digits and MNIST, paired by label, from JAXSIM_DATA.
Predicts: ARL above joint training with unimodal losses, that above joint training; the coefficients
swapped between the encoders worst; the gap between the ratios of dependence and inverse variance shrinks.

Scaling by 1 + k raises the encoders' rate 1.5 times, so the same with k = 1/2 is an arm (it is what the
released code trains), and so is 2 k. Every arm tries the same number of settings, and each seed takes its
best on validation pairs. The noise is in the pairs to train on and in those to test on. "accuracy" is that of
the fused logits, or of the one modality that an arm trains.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.sets import modalities
from experiments.workbench.sets.modalities import NAMES, Network, Pairs
from experiments.workbench.training import tuning
from jaxsim import data, losses, storage, training
from jaxsim.numerics import relaxations
from jaxsim.numerics.types import ArrayTree, Objective


@dataclasses.dataclass(frozen=True)
class Config:
    """The pairs, the network and its training, and what every arm may choose from."""

    seed: int = 0  # of the pairs, the noise, the network's start and the batches
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "digits"  # digits, or spoken-mnist (needs JAXSIM_DATA)
    pairs: int = 600  # to train on
    validation: int = 400  # pairs to choose settings on
    noises: tuple[float, ...] = (0.0, 0.3, 1.0)  # deviations of the second modality's noise
    dim: int = 32  # of a modality's features
    widths: tuple[int, ...] = (64,)  # of the encoders' layers
    batch: int = 64  # pairs a step
    steps: int = 600  # of training, for every arm
    warm: float = 0.05  # the part of the steps before scaling and gamma begin, as in the paper
    modulated: float = 0.5  # the part of the steps in which OGM-GE acts, as in its paper
    rates: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3)  # of SGD with momentum
    # Of the unimodal losses; 1, 3, 4 and 5 in the paper.
    gammas: tuple[float, ...] = (0.25, 1.0, 4.0)
    sharpnesses: tuple[float, ...] = (8.0, 4.0, 2.0)  # T; arms that choose gamma have the first
    alphas: tuple[float, ...] = (0.1, 0.3, 0.8)  # of OGM-GE
    # Of arms that have nothing else to choose.
    more_rates: tuple[float, ...] = (
        *(0.001, 0.002, 0.005, 0.007, 0.015),
        *(0.02, 0.05, 0.07, 0.15, 0.2),
    )

    def __post_init__(self) -> None:
        settings.one_of(self, data=tuple(modalities.PARTS))
        settings.whole(self, 1, "pairs", "validation", "dim", "widths", "batch", "steps")
        settings.positive(self, "rates", "sharpnesses", "alphas", "more_rates")
        settings.finite(self, "noises", "gammas")
        settings.part(self, "warm", "modulated")
        settings.some(self, "noises", "widths", "rates", "gammas", "sharpnesses", "alphas")
        counts = {arm: len(options(self, arm)) for arm in ARMS}
        if len(set(counts.values())) > 1:
            raise ValueError(f"every arm must have as many settings to choose from, got {counts}")


ARMS = {
    "joint": "cross-entropy of the fused logits alone",
    "unimodal": "and gamma times that of each modality's logits",
    "fixed_k": "and every encoder's gradient times 1.5: what the released code trains",
    "arl": "ARL: unimodal losses, and the encoders' gradients times 1 + k",
    "arl_2k": "ARL with gradients times 2 k, whose mean is 1",
    "arl_alone": "ARL's scaling without unimodal losses (gamma 0)",
    "reversed": "ARL, each encoder with the other's k",
    "ogm_ge": "OGM-GE: the stronger encoder learns slower, under noise",
    "first": "the first modality alone",
    "second": "the second modality alone, the noisy one",
}
ALONE = {"first": 0, "second": 1}
TUNED = {
    **dict.fromkeys(("unimodal", "fixed_k", "arl", "arl_2k", "reversed"), "gamma"),
    "arl_alone": "sharpness",
    "ogm_ge": "alpha",
}


def options(config: Config, arm: str) -> list[dict[str, float]]:
    """The settings that an arm chooses from: its rate, and another number or more rates."""
    plain = {"gamma": 0.0, "sharpness": config.sharpnesses[0], "alpha": config.alphas[0]}
    chosen: dict[str, tuple[float, ...]] = {
        "gamma": config.gammas,
        "sharpness": config.sharpnesses,
        "alpha": config.alphas,
    }
    if arm not in TUNED:
        return [plain | one for one in tuning.grid(rate=(*config.rates, *config.more_rates))]
    grid = tuning.grid(rate=config.rates, **{TUNED[arm]: chosen[TUNED[arm]]})
    return [plain | one for one in grid]


PRESETS = {
    "smoke": Config(
        arms=("unimodal", "arl"),
        pairs=100,
        noises=(1.0,),
        dim=8,
        widths=(16,),
        steps=20,
        rates=(0.1,),
        gammas=(1.0,),
        sharpnesses=(8.0,),
        alphas=(0.1,),
        more_rates=(),
    ),
    "cpu": Config(),
    "full": Config(
        data="spoken-mnist",
        pairs=1200,
        validation=1000,
        noises=(0.0, 1.0),
        dim=64,
        widths=(16, 32, 64),
        rates=(0.03, 0.1),
        more_rates=(0.003, 0.01, 0.06, 0.3),
    ),
    "gpu": Config(
        data="spoken-mnist",
        pairs=1200,
        validation=1000,
        dim=128,
        widths=(32, 64, 128),
        steps=3000,
    ),
}
SEEDS = {"cpu": 10, "full": 5, "gpu": 10}
KEYS = ("noise",)
SHOWN = ("accuracy", "accuracy of the first", "accuracy of the second", "ratio gap", "rate")


class Shared(NamedTuple):
    """What the arms of a seed share."""

    train: Pairs
    validation: Pairs
    test: Pairs
    params: ArrayTree  # of the network's start
    facts: dict[str, float]


def fingerprint(config: Config) -> str:
    """Of the data: all pairs of the first seed."""
    return storage.checksum(_parts(config))


def prepare(config: Config, workdir: Path) -> Shared:
    """The pairs of a seed, and the network's start."""
    train, validation, test = _parts(config)
    params = _network(config).initial(train.first[:1], train.second[0, :1], config.seed)
    facts: dict[str, float] = {
        "training pairs": len(train.labels),
        "test pairs": len(test.labels),
    }
    return Shared(train, validation, test, params, facts)


def _parts(config):
    sizes = config.pairs, config.validation
    return modalities.PARTS[config.data](sizes, config.noises, seed=config.seed)


def _network(config) -> Network:
    return modalities.network(config.data, dim=config.dim, widths=config.widths)


class Method(NamedTuple):
    """What an arm trains, and by what settings of the run."""

    config: Config
    arm: str
    network: Network

    def objective(self, setting: Any) -> Objective:
        """The objective of a run's setting; its state is the mean over the steps of `watched`."""
        loss = modulated if self.arm == "ogm_ge" else alone if self.arm in ALONE else scaled

        def objective(params, state, batch, *, key, axis_name, step):
            over = {"where": batch["where"], "axis_name": axis_name}
            value, unimodal, k = loss(self, setting, params, batch, over, key, step)
            part = jax.tree.map(lambda a: a / self.config.steps, watched(unimodal, k, over))
            return value, (jax.tree.map(jnp.add, state, part), {})

        return objective

    def unimodal(self, params: ArrayTree, batch: dict[str, jax.Array]) -> jax.Array:
        """Logits of each modality, [rows, 2, classes]."""
        features = self.network.features(params, batch["first"], batch["second"])
        return self.network.logits(params, features)[1]


WATCHED = "ratio gap", "k of the first"


def watched(unimodal: jax.Array, k: jax.Array, over: dict[str, Any]) -> dict[str, jax.Array]:
    """How far the ratio of dependences is from that of inverse variances, and the first encoder's k."""
    sides = [jax.lax.stop_gradient(unimodal[:, number]) for number in range(2)]
    depends = [jnp.maximum(losses.dependence(side, **over), 1e-6) for side in sides]
    entropies = jnp.stack([losses.unimodal_entropy(side, **over) for side in sides])
    should = losses.inverse_variance_shares(entropies)
    gap = jnp.log(depends[0] / depends[1]) - jnp.log(should[0] / should[1])
    return dict(zip(WATCHED, (jnp.abs(gap), k[0]), strict=True))


def asymmetric(unimodal: jax.Array, setting: Any, over: dict[str, Any]) -> jax.Array:
    """ARL's coefficients k [2]."""
    return losses.arl_coefficients(unimodal, sharpness=setting["sharpness"], **over)


# By how much more than 1 each encoder's gradient is multiplied: (unimodal logits, setting, over) -> [2].
SCALES: dict[str, Callable[..., jax.Array]] = {
    "joint": lambda *given: jnp.zeros(2),
    "unimodal": lambda *given: jnp.zeros(2),
    "fixed_k": lambda *given: jnp.full(2, 0.5),
    "arl": asymmetric,
    "arl_2k": lambda *given: 2 * asymmetric(*given) - 1,
    "arl_alone": asymmetric,
    "reversed": lambda *given: asymmetric(*given)[::-1],
}


def scaled(method, setting, params, batch, over, key, step):
    """Joint training with unimodal losses and scaled gradients, both after the warm-up."""
    config, network = method.config, method.network
    warm = step < round(config.warm * config.steps)
    features = network.features(params, batch["first"], batch["second"])
    # The coefficients depend on logits that come after what they scale: the head runs twice.
    _, unimodal = network.logits(params, features)
    k = jnp.where(warm, 0, SCALES[method.arm](unimodal, setting, over))
    features = [relaxations.grad_scale(z, one) for z, one in zip(features, k, strict=True)]
    fused, unimodal = network.logits(params, features)
    gamma = jnp.where(warm, jnp.minimum(setting["gamma"], 1.0), setting["gamma"])
    return losses.arl(fused, unimodal, batch["labels"], gamma=gamma, **over), unimodal, k


def modulated(method, setting, params, batch, over, key, step):
    """OGM-GE: joint training, the gradients of the stronger encoder weaker and those of both noisy."""
    config, network = method.config, method.network
    half = params["head"]["params"]["bias"] / 2  # each modality's part of it
    unimodal = method.unimodal(params, batch)
    k = -1 + losses.ogm_ge_coefficients(
        unimodal - half, batch["labels"], alpha=setting["alpha"], **over
    )
    acts = step <= config.modulated * config.steps
    changed = dict(params)
    for number, name in enumerate(NAMES):
        noise = jax.random.fold_in(key, number)
        noisy = relaxations.noisy_grad_scale(
            params[name], k[number], noise, axis_name=over["axis_name"]
        )
        changed[name] = jax.tree.map(functools.partial(jnp.where, acts), noisy, params[name])
    features = network.features(changed, batch["first"], batch["second"])
    fused, _ = network.logits(changed, features)
    value = losses.cross_entropy(fused, batch["labels"], **over)
    return value, unimodal, jnp.where(acts, k, 0)


def alone(method, setting, params, batch, over, key, step):
    """One modality's logits, the other left out."""
    unimodal = method.unimodal(params, batch)
    logits = unimodal[:, ALONE[method.arm]]
    return losses.cross_entropy(logits, batch["labels"], **over), unimodal, jnp.zeros(2)


def optimizer(config: Config, rate: Any) -> Any:
    """The paper's SGD: momentum .9, decay 1e-4, a tenth of the rate after 70 % of the steps, clipped at 40."""

    def falling(step):
        return jnp.where(step < 0.7 * config.steps, 1.0, 0.1)

    rule = training.sgd(falling, weight_decay=1e-4, clip=40.0)
    return optax.chain(rule, optax.inject_hyperparams(optax.scale)(step_size=rate))


def run_seeds(
    config: Config, arm: str, seeds: tuple[int, ...], shared: tuple[Shared, ...], workdir: Path
) -> list[dict] | None:
    """One arm, all seeds: every setting at every noise is trained at once, and each seed takes its best.

    Convolutional networks side by side are slow on CPU: those run one after another (`run`).
    """
    if config.data != "digits":
        return None
    method = Method(config, arm, _network(config))
    choices = options(config, arm)
    runs = list(itertools.product(range(len(seeds)), range(len(config.noises)), choices))
    setting = {
        "seed": np.array([seed for seed, _, _ in runs]),
        "level": np.array([level for _, level, _ in runs]),
    }
    for name in choices[0]:
        setting[name] = np.array([choice[name] for *_, choice in runs], np.float32)
    pairs = jax.tree.map(lambda *parts: jnp.asarray(np.stack(parts)), *[s.train for s in shared])
    params = jax.tree.map(lambda *a: np.stack(a)[setting["seed"]], *[s.params for s in shared])
    (params, seen), _ = training.fit_seeds(
        method.objective,
        params,
        functools.partial(drawn, config, pairs),
        optimizer=lambda setting: optimizer(config, setting["rate"]),
        settings=setting,
        keys=jax.vmap(jax.random.key)(np.array(seeds)[setting["seed"]]),
        steps=config.steps,
        state={name: np.zeros(len(runs), np.float32) for name in WATCHED},
        label=arm,
    )
    fits = [Fit(*jax.tree.map(lambda a, n=n: a[-1, n], (params, seen))) for n in range(len(runs))]
    rows = []
    for first in range(0, len(runs), len(choices)):  # those of a seed and a noise are neighbors
        seed, level, _ = runs[first]
        tried = dict(zip(range(len(choices)), fits[first:], strict=False))
        scores = {n: validated(method, fit, shared[seed], level) for n, fit in tried.items()}
        best = runner.best(list(tried), scores.get)
        row = row_of(method, tried[best], choices[best], shared[seed], level)
        rows.append({"seed": seeds[seed], **row})
    return rows


def drawn(
    config: Config, pairs: Pairs, setting: Any
) -> Callable[[jax.Array], dict[str, jax.Array]]:
    """Function of a key to a batch of a run's pairs."""

    def batch(key):
        rows = jax.random.randint(key, (config.batch,), 0, pairs.labels.shape[1])
        return {
            "first": pairs.first[setting["seed"], rows],
            "second": pairs.second[setting["seed"], setting["level"], rows],
            "labels": pairs.labels[setting["seed"], rows],
            "where": jnp.ones(config.batch, bool),
            "ids": rows,
        }

    return batch


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: at every noise each setting is trained, and the best on validation pairs is kept."""
    method, rows = Method(config, arm, _network(config)), []
    for level, noise in enumerate(config.noises):
        folder = workdir / f"noise-{noise:g}"
        attempt = functools.partial(attempted, method, shared, level, folder)
        best = tuning.tuned(options(config, arm), attempt, workdir=folder)
        fit = fitted(method, best, shared, level, folder)  # finished: returns at once
        rows.append(row_of(method, fit, best, shared, level))
    return rows


class Fit(NamedTuple):
    """What training gave."""

    params: ArrayTree
    seen: dict[str, Any]  # what was watched


def fitted(
    method: Method, choice: dict[str, float], shared: Shared, level: int, workdir: Path
) -> Fit:
    """The network trained by one setting at one noise; the setting is a state, so that all are one program."""
    config, train = method.config, shared.train

    def objective(params, state, batch, *, key, axis_name, step):
        of_setting = method.objective(state["setting"])
        named = {"key": key, "axis_name": axis_name, "step": step}
        value, (seen, metrics) = of_setting(params, state["seen"], batch, **named)
        return value, ({**state, "seen": seen}, metrics)

    columns = {"first": train.first, "second": train.second[level], "labels": train.labels}
    params, state = training.fit(
        objective,
        shared.params,
        data.array_batches(columns, batch_size=config.batch, seed=config.seed, steps=config.steps),
        optimizer=optimizer(config, choice["rate"]),
        state={
            "setting": {name: jnp.float32(value) for name, value in choice.items()},
            "seen": {name: jnp.float32(0) for name in WATCHED},
        },
        key=jax.random.key(config.seed),
        workdir=workdir / "-".join(f"{name}-{value:g}" for name, value in choice.items()),
        fingerprint=f"{method.arm} {choice} {config}",
        save_every=config.steps,
        label=f"{method.arm}, noise {config.noises[level]:g}",
    )
    return Fit(params, state["seen"])


def attempted(method: Method, shared: Shared, level: int, workdir: Path, **choice: float) -> float:
    """The accuracy on validation pairs that one setting reaches at one noise."""
    fit = fitted(method, choice, shared, level, workdir)
    return validated(method, fit, shared, level)


def validated(method: Method, fit: Fit, shared: Shared, level: int) -> float:
    """The accuracy on validation pairs."""
    return float(judged_right(method, fit, shared.validation, level)["accuracy"].mean())


def row_of(
    method: Method, fit: Fit, choice: dict[str, float], shared: Shared, level: int
) -> dict[str, Any]:
    """Figures on the test pairs, what was watched, and what was chosen."""
    row = {"noise": method.config.noises[level]}
    row |= judged_right(method, fit, shared.test, level)
    if method.arm not in ALONE:
        row |= {name: float(value) for name, value in fit.seen.items()}
    return row | {name: choice[name] for name in ("rate", TUNED.get(method.arm, "rate"))}


def judged_right(method: Method, fit: Fit, part: Pairs, level: int) -> dict[str, np.ndarray]:
    """Whether each pair's label has the largest logit, float [pairs]: fused, and of each modality."""
    logits = _logits(method.network, fit.params, part.first, part.second[level])
    fused, unimodal = map(np.asarray, logits)
    each = [unimodal[:, m].argmax(axis=1) == part.labels for m in range(2)]
    if method.arm in ALONE:
        return {"accuracy": each[ALONE[method.arm]].astype(float)}
    names = [f"accuracy of the {name}" for name in NAMES]
    figures = {"accuracy": fused.argmax(axis=1) == part.labels}
    figures |= dict(zip(names, each, strict=True))
    return {name: right.astype(float) for name, right in figures.items()}


@functools.partial(jax.jit, static_argnums=0)
def _logits(network, params, first, second):
    return network.logits(params, network.features(params, first, second))


def claim(rows: list[dict]) -> runner.Claim:
    """The order that the paper predicts, that k is more than a higher rate, and that the gap shrinks."""
    above = functools.partial(runner.above, rows)
    others = ("arl", "arl_2k", "unimodal", "joint", "fixed_k")
    worst = []
    for arm in others:
        worst += above(arm, "reversed", on="accuracy")
    asked = [
        (
            "ARL is more accurate than joint training with unimodal losses, and that than without",
            [
                *above("arl", "unimodal", on="accuracy"),
                *above("unimodal", "joint", on="accuracy"),
            ],
        ),
        (
            "k is more than a higher rate",
            [
                *above("arl", "fixed_k", on="accuracy"),
                *above("arl_2k", "unimodal", on="accuracy"),
            ],
        ),
        ("swapped coefficients are worst", worst),
        (
            "the dependence comes closer to the inverse variance",
            above("arl", "fixed_k", "joint", on="ratio gap", smaller=True),
        ),
    ]
    return runner.sentences([one for one in asked if one[1]] or asked[:1])


def pictures(rows: list[dict]) -> dict:
    """accuracy.png: that of the fused logits; modalities.png: of each modality's; gap.png: between the ratios."""
    shown = runner.summary(rows)
    figures = {"accuracy": pictures_.bars(shown, y="accuracy", panel="noise")}
    for name, y in (("first", "accuracy of the first"), ("second", "accuracy of the second")):
        figures[name] = pictures_.bars(_having(shown, y), y=y, panel="noise")
    figures["gap"] = pictures_.bars(_having(shown, "ratio gap"), y="ratio gap", panel="noise")
    return figures


def _having(rows, name):
    return [row for row in rows if name in row]
