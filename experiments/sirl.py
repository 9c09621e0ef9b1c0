"""SIRL (Bobu et al. 2023): learn what people care about from which of three things they find most similar.

Claim: an embedding of trajectories that is learned from answers to "which two are the most similar?" holds
the features that people care about; rewards that are then learned on it from preferences generalize better
than on a VAE's, on a random network's, or on embeddings from preferences about other tasks, at as many answers.
Data: simulated humans on a grid and a robot arm in the paper, and a user study. Here the grid, as far as it is
described: 490 trajectories, 4 features, a human who answers by them. Nothing is downloaded.
Predicts: the lowest feature prediction error (FPE) at every number of answers; the highest test preference
accuracy (TPA) from 500 answers on, by a little.

A fifth of the trajectories is held out before any query is drawn: one by one, or by whole paths, since a random
split leaves every path and every angle seen. All embeddings have the same width and network, and those that
learn as many steps; each of these chooses one setting of three, and where to stop, by the FPE on validation
trajectories that are in no test set. The reward's network and its training are the same for all, not tuned.
`single_pref` spends all answers on the task that is asked about; `raw` has as few as the others there.

Three things were set after a look at test figures of two seeds that are not reported, whose trajectories are
among those of all seeds: the inputs' scale (-1 to 1, for all arms), 600 steps, and the VAE's weights of its
divergence. The scale helped SIRL most.
"""

import dataclasses
import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.sets import gridworld
from experiments.workbench.sets.gridworld import FEATURES, GROUPS, INPUTS, Asked
from jaxsim import data, encoders, evaluation, losses, storage
from jaxsim.similarity import negative_squared_euclidean

LOG = logging.getLogger("jaxsim.experiments")


@dataclasses.dataclass(frozen=True)
class Config:
    """The answers, the networks and their training, and the settings that arms choose among."""

    seed: int = 0  # of the split, the queries, the rewards and the networks' start
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    answers: tuple[int, ...] = (100, 500)  # that the embedding is learned from
    preferences: tuple[int, ...] = (20, 100)  # that a reward is learned from
    thetas: int = 5  # rewards that are asked about, for every seed
    held_out: tuple[str, ...] = ("trajectories", "paths")  # what is held out as a whole
    share: float = 0.2  # of them
    dim: int = 6  # of the embeddings
    widths: tuple[int, ...] = (64, 64)  # of the embedding's network
    batch: int = 64  # answers per step
    steps: int = 600  # of the embedding
    snapshots: int = 3  # points at which its training may be stopped
    rates: tuple[float, ...] = (
        1e-3,
        3e-4,
        3e-3,
    )  # of Adam; the first where another setting is chosen
    margins: tuple[float, ...] = (1.0, 0.1, 10.0)  # of the triplets, in squared distance
    divergences: tuple[float, ...] = (0.01, 0.001, 0.1)  # weights of the VAE's divergence
    reward_widths: tuple[int, ...] = (32, 32)  # of the reward's network
    reward_batch: int = 32  # preferences per step
    reward_steps: int = 300  # of the reward
    reward_rate: float = 3e-3  # of Adam
    beta: float = 10.0  # of noisy answers: odds exp(-beta cost), or exp(-beta squared distance)

    def __post_init__(self) -> None:
        settings.whole(self, 1, "answers", "preferences", "thetas", "dim", "widths", "batch")
        settings.whole(self, 1, "steps", "snapshots", "reward_widths", "reward_batch")
        settings.whole(self, 1, "reward_steps")
        settings.positive(self, "rates", "margins", "divergences", "reward_rate", "beta")
        settings.part(self, "share")
        settings.one_of(self, held_out=tuple(GROUPS))
        settings.some(self, "answers", "preferences", "held_out", "rates", "margins", "divergences")
        if self.steps % self.snapshots:
            raise ValueError(
                f"steps must be a multiple of snapshots={self.snapshots}, got {self.steps}"
            )


NINE = (  # without the ablations
    *("sirl", "vae", "random", "raw", "single_pref"),
    *("multipref_1", "multipref_10", "multipref_50", "features"),
)
PRESETS = {
    "smoke": Config(
        arms=("sirl", "vae", "raw"),
        answers=(30,),
        preferences=(10,),
        thetas=2,
        held_out=("trajectories",),
        widths=(16,),
        steps=20,
        snapshots=1,
        rates=(1e-3,),
        margins=(1.0,),
        divergences=(0.1,),
        reward_widths=(8,),
        reward_steps=20,
    ),
    "cpu": Config(arms=NINE),
    "full": Config(
        answers=(100, 200, 500, 1000), preferences=(10, 30, 100, 190), thetas=10, steps=1500
    ),
    "gpu": Config(answers=(100, 200, 500, 1000), preferences=(10, 30, 100, 190), thetas=20),
}
SEEDS = {"cpu": 10, "full": 20, "gpu": 32}
KEYS = ("held out", "answers", "preferences")
SHOWN = ("FPE", "TPA")
ARMS = {
    "sirl": "similarity answers, symmetric triplets: the paper's method",
    "vae": "a variational autoencoder of the trajectories: no answers",
    "random": "the network as it starts",
    "raw": "no embedding: the 19 numbers of a trajectory",
    "single_pref": "no embedding, and all answers are preferences of the task asked about",
    "multipref_1": "preferences of one other task",
    "multipref_10": "preferences of 10 other tasks, a linear head for each",
    "multipref_50": "preferences of 50 other tasks, a linear head for each",
    "one_sided": "similarity answers, one triplet of each",
    "noisy": "similarity answers with noise",
    "expected": "as sirl, with rewards learned by the expected probability, the released loss",
    "features": "the true features themselves: a ceiling",
}
RIVALS = ("vae", "random", "raw", "multipref_1", "multipref_10", "multipref_50")
# Arms that need no answers before the preferences, or none at all.
WITHOUT = ("vae", "random", "raw", "single_pref", "features")
# What an arm that learns chooses, of the settings in Config.
CHOOSES = {
    **dict.fromkeys(("sirl", "one_sided", "noisy", "expected"), "margin"),
    **dict.fromkeys(("multipref_1", "multipref_10", "multipref_50"), "rate"),
    "vae": "divergence",
}


class Split(NamedTuple):
    """Rows of the trajectories that are trained on and tested on."""

    train: np.ndarray
    test: np.ndarray


class Shared(NamedTuple):
    """What the arms of one seed share."""

    splits: dict[str, Split]  # by what is held out
    tuning: Split  # its test is the validation: neither side is in a test set of this seed
    thetas: np.ndarray  # [thetas, features], of the rewards that are asked about
    facts: dict[str, float]


class Run(NamedTuple):
    """One embedding to learn."""

    place: int  # of its seed among the seeds
    seed: int
    split: Split
    answers: int
    setting: dict[str, float]


def fingerprint(config: Config) -> str:
    """Of the data: the trajectories and their features."""
    return storage.checksum([INPUTS, FEATURES])


def prepare(config: Config, workdir: Path) -> Shared:
    """The splits of a seed, and the rewards that it asks about."""
    seed = config.seed
    splits = {
        name: Split(*data.split_groups(GROUPS[name], share=config.share, seed=seed))
        for name in config.held_out
    }
    tested = np.concatenate([split.test for split in splits.values()])
    untested = np.setdiff1d(np.arange(len(INPUTS)), tested)
    train, validation = data.split_groups(np.arange(len(untested)), seed=gridworld.stream(seed, 1))
    rest = splits[config.held_out[0]]
    facts: dict[str, float] = {
        "trajectories to learn from": len(rest.train),
        "trajectories held out": len(rest.test),
        "trajectories to tune on": len(validation),
        "variance of the features": float(FEATURES[rest.test].var(axis=0).mean()),
    }
    thetas = gridworld.rewards_of(gridworld.stream(seed, 2), config.thetas)
    return Shared(splits, Split(untested[train], untested[validation]), thetas, facts)


def run_seeds(
    config: Config, arm: str, seeds: tuple[int, ...], shared: tuple[Shared, ...], workdir: Path
) -> list[dict]:
    """One arm, all seeds: the embeddings, then the rewards on them, each trained side by side."""
    counts = config.answers if arm not in WITHOUT or arm == "single_pref" else (0,)
    chosen = chosen_settings(config, arm, seeds, shared, counts)
    cases = list(itertools.product(range(len(seeds)), config.held_out, counts))
    runs = [
        Run(place, seeds[place], shared[place].splits[held_out], n, chosen[place, n][0])
        for place, held_out, n in cases
    ]
    snapshots = [chosen[place, n][1] for place, _, n in cases]
    embedded = embeddings(config, arm, runs)
    of_runs = [embedded[snapshot][n] for n, snapshot in enumerate(snapshots)]
    accuracies = preferred(config, arm, runs, of_runs, [shared[run.place].thetas for run in runs])
    rows = []
    for (place, held_out, answers), run, z, accuracy in zip(
        cases, runs, of_runs, accuracies, strict=True
    ):
        error = predicted(z, run.split)
        if z[run.split.train].std(axis=0).max() < 1e-6:
            LOG.warning("%s at %d answers, seed %d: collapsed to a point", arm, answers, run.seed)
        # What needs no answers is the same at every number of them.
        for shown, number in itertools.product(
            (answers,) if answers else config.answers, range(len(config.preferences))
        ):
            figures = {"FPE": error, "TPA": accuracy[:, number]}
            keys = (held_out, shown, config.preferences[number])
            rows.append({"seed": seeds[place], **dict(zip(KEYS, keys, strict=True)), **figures})
    return rows


def predicted(z: np.ndarray, split: Split) -> np.ndarray:
    """The feature prediction error of each trajectory that is tested on."""
    values, _ = evaluation.feature_prediction_error(
        z[split.train], FEATURES[split.train], z[split.test], FEATURES[split.test], reduce_fn=None
    )
    return np.asarray(values)


def chosen_settings(
    config: Config,
    arm: str,
    seeds: tuple[int, ...],
    shared: tuple[Shared, ...],
    counts: tuple[int, ...],
) -> dict[tuple[int, int], tuple[dict[str, float], int]]:
    """{(place of the seed, answers): (setting, snapshot)} with the lowest FPE on validation trajectories."""
    first = {
        "rate": config.rates[0],
        "margin": config.margins[0],
        "divergence": config.divergences[0],
    }
    name = CHOOSES.get(arm, "rate")
    values = getattr(config, f"{name}s") if arm in CHOOSES else ()
    options = [first | {name: value} for value in values]
    places = list(itertools.product(range(len(seeds)), counts))
    if arm not in CHOOSES or len(options) == config.snapshots == 1:
        return dict.fromkeys(places, (first, 0))
    runs = [
        Run(place, seeds[place], shared[place].tuning, answers, option)
        for place, answers in places
        for option in options
    ]
    embedded = embeddings(config, arm, runs)
    errors = [
        predicted(z, run.split).mean()
        for of_snapshot in embedded
        for z, run in zip(of_snapshot, runs, strict=True)
    ]
    by_choice = np.reshape(errors, (config.snapshots, len(places), len(options)))
    choices = list(np.ndindex(config.snapshots, len(options)))
    chosen = {}
    for n, place in enumerate(places):
        of_place = by_choice[:, n]
        snapshot, option = min(choices, key=of_place.__getitem__)
        chosen[place] = options[option], snapshot
        LOG.info("%s %s: %s %g, snapshot %d", arm, place, name, values[option], snapshot + 1)
    return chosen


def asked_by(config: Config, arm: str, run: Run) -> Asked:
    """What an arm asks before the preferences."""
    rows, seed = run.split.train, gridworld.stream(run.seed, 3)
    if arm == "vae":
        return gridworld.alone(rows)
    if arm.startswith("multipref"):
        thetas = gridworld.rewards_of(gridworld.stream(run.seed, 4), tasks_of(arm))
        return gridworld.preferences(rows, run.answers, seed, thetas, config.beta)
    return gridworld.similarities(rows, run.answers, seed, config.beta if arm == "noisy" else None)


def tasks_of(arm: str) -> int:
    """How many tasks a `multipref` arm learns from."""
    return int(arm.removeprefix("multipref_"))


def embeddings(config: Config, arm: str, runs: list[Run]) -> list[list[np.ndarray]]:
    """[snapshots][runs] embeddings of all trajectories, [490, dim] each, of an arm."""
    inputs = [INPUTS] * len(runs)
    if arm in ("raw", "single_pref"):
        return [inputs]
    if arm == "features":
        return [[FEATURES] * len(runs)]
    module, loss = (variational if arm == "vae" else network)(config, arm)
    keys = jax.vmap(jax.random.key)(np.array([run.seed for run in runs]))
    params = jax.vmap(lambda key: started(module, arm, key))(keys)
    if arm == "random":
        params = jax.tree.map(lambda a: a[None], params)
    else:
        params = gridworld.trained(
            loss,
            params,
            inputs,
            [asked_by(config, arm, run) for run in runs],
            settings=jax.tree.map(lambda *values: np.array(values), *[run.setting for run in runs]),
            seeds=[gridworld.stream(run.seed, 5) for run in runs],
            batch=config.batch,
            steps=config.steps,
            snapshots=config.snapshots,
            label=arm,
        )

    def embed(params, x):
        if arm == "vae":
            return module.apply(params["net"], x, method="encode")[0]
        return module.apply(params["net"], x)

    over_runs = jax.jit(jax.vmap(embed))
    count = len(jax.tree.leaves(params)[0])
    each = [jax.tree.map(lambda a, n=n: a[n], params) for n in range(count)]
    return [list(np.asarray(over_runs(one, np.stack(inputs)))) for one in each]


def started(module: Any, arm: str, key: jax.Array) -> dict[str, Any]:
    """The parameters that an arm starts from: those of its network, and of its heads."""
    x = jnp.zeros((1, INPUTS.shape[1]))
    if arm == "vae":
        return {"net": module.init(key, x, key, jnp.arange(1))}
    params = {"net": module.init(key, x)}
    if arm.startswith("multipref"):
        shape = tasks_of(arm), module.dim
        params["heads"] = jax.random.normal(jax.random.fold_in(key, 1), shape) / shape[1] ** 0.5
    return params


def network(config: Config, arm: str) -> tuple[encoders.Mlp, Callable[..., jax.Array]]:
    """The network of arms that learn from answers, and an arm's loss."""
    module = encoders.Mlp(dim=config.dim, widths=config.widths)

    def embed(params, x) -> jax.Array:
        return jnp.asarray(module.apply(params["net"], x))

    def symmetric(params, batch, setting, *, key, axis_name):
        first, second, odd = jnp.unstack(embed(params, batch["x"]), axis=1)
        where = {"where": batch["where"], "axis_name": axis_name}
        return losses.symmetric_triplet(first, second, odd, margin=setting["margin"], **where)

    def one_sided(params, batch, setting, *, key, axis_name):
        return losses.given_triplet(
            *jnp.unstack(embed(params, batch["x"]), axis=1),
            margin=setting["margin"],
            similarity=negative_squared_euclidean,
            where=batch["where"],
            axis_name=axis_name,
        )

    def of_heads(params, batch, setting, *, key, axis_name):
        z = embed(params, batch["x"])
        rewards = jnp.sum(z * params["heads"][batch["tasks"]][:, None], axis=2)
        where = {"where": batch["where"], "axis_name": axis_name}
        return losses.bradley_terry(rewards[:, 0], rewards[:, 1], batch["labels"], **where)

    if arm.startswith("multipref"):
        return module, of_heads
    return module, one_sided if arm == "one_sided" else symmetric


def variational(config: Config, arm: str) -> tuple[encoders.Vae, Callable[..., jax.Array]]:
    """The variational autoencoder and its loss."""
    module = encoders.Vae(features=INPUTS.shape[1], dim=config.dim, widths=config.widths)

    def loss(params, batch, setting, *, key, axis_name):
        x = batch["x"][:, 0]
        decoded: Any = module.apply(params["net"], x, key, batch["ids"])
        return losses.gaussian_elbo(
            x,
            *decoded,
            divergence_weight=setting["divergence"],
            where=batch["where"],
            axis_name=axis_name,
        )

    return module, loss


def preferred(
    config: Config, arm: str, runs: list[Run], embedded: list[np.ndarray], thetas: list[np.ndarray]
) -> np.ndarray:
    """Test preference accuracy of rewards on frozen embeddings, [runs, thetas, preferences].

    The embeddings are standardized, so that arms differ in what they hold and not in their scale.
    """
    module = encoders.Mlp(dim=1, widths=config.reward_widths)

    def reward(params, x) -> jax.Array:
        return jnp.asarray(module.apply(params, x))[..., 0]

    loss_of = losses.expected_preference if arm == "expected" else losses.bradley_terry

    def loss(params, batch, setting, *, key, axis_name):
        rewards = reward(params, batch["x"])
        where = {"where": batch["where"], "axis_name": axis_name}
        return loss_of(rewards[:, 0], rewards[:, 1], batch["labels"], **where)

    frozen = [
        gridworld.standardized(z, run.split.train) for z, run in zip(embedded, runs, strict=True)
    ]
    cases = list(itertools.product(range(len(runs)), range(config.thetas), config.preferences))
    asked = []
    for n, task, count in cases:
        more = runs[n].answers if arm == "single_pref" else 0
        seed = gridworld.stream(runs[n].seed, 6, task)
        asked.append(
            gridworld.preferences(
                runs[n].split.train, count + more, seed, thetas[n][[task]], config.beta
            )
        )
    seeds = [gridworld.stream(runs[n].seed, 7, task) for n, task, _ in cases]
    keys = jax.vmap(jax.random.key)(np.array(seeds, np.uint32))
    params = gridworld.trained(
        loss,
        jax.vmap(lambda key: module.init(key, jnp.asarray(frozen[0])))(keys),
        [frozen[n] for n, _, _ in cases],
        asked,
        settings={"rate": np.full(len(cases), config.reward_rate)},
        seeds=seeds,
        batch=config.reward_batch,
        steps=config.reward_steps,
        label=f"rewards, {arm}",
    )

    @jax.jit
    @jax.vmap
    def accuracy(params, z, truth, pairs):
        return evaluation.preference_accuracy(reward(params, z), truth, pairs)

    truth = [-FEATURES @ thetas[n][task].astype(np.float32) for n, task, _ in cases]
    couples = [np.stack(np.triu_indices(len(run.split.test), 1), axis=1) for run in runs]
    pairs = [runs[n].split.test[couples[n]] for n, _, _ in cases]
    last = jax.tree.map(lambda a: a[-1], params)
    vectors = [frozen[n] for n, _, _ in cases]
    values = accuracy(last, np.stack(vectors), np.stack(truth), np.stack(pairs))
    return np.asarray(values).reshape(len(runs), config.thetas, len(config.preferences))


def claim(rows: list[dict]) -> runner.Claim:
    """The lowest FPE at every number of answers; the highest TPA from 500 answers on, at most preferences.

    On trajectories held out one by one, as in the paper; by whole paths it is reported.
    """
    rows = [row for row in rows if row["held out"] == "trajectories"]
    arms = dict.fromkeys(row["arm"] for row in rows)
    most = max((row["preferences"] for row in rows), default=0)
    asked = []
    for answers in sorted({row["answers"] for row in rows}):
        for figure, rivals in (("FPE", RIVALS), ("TPA", (*RIVALS, "single_pref"))):
            if "sirl" not in arms or (figure == "TPA" and answers < 500):
                continue
            compared = [
                runner.difference(
                    rows,
                    "sirl",
                    over=rival,
                    on=figure,
                    where=lambda row, n=answers: (row["answers"], row["preferences"]) == (n, most),
                    smaller=figure == "FPE",
                )
                for rival in rivals
                if rival in arms
            ]
            words = "predicts features best" if figure == "FPE" else "learns rewards best"
            asked.append((f"from {answers} answers SIRL {words}", compared))
    if not asked:
        return runner.judged("SIRL predicts features and learns rewards best", [])
    return runner.sentences(asked)


def pictures(rows: list[dict]) -> dict:
    """FPE and TPA against the number of answers, by what is held out, at the most preferences."""
    most = max(row["preferences"] for row in rows)
    shown = [row for row in runner.summary(rows) if row["preferences"] == most]
    drawn = {}
    for name in dict.fromkeys(row["held out"] for row in shown):
        part = [row for row in shown if row["held out"] == name]
        drawn[name] = pictures_.sweeps(part, x="answers", figures=("FPE", "TPA"))
    return drawn
