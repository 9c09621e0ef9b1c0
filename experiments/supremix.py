"""Mixup your own pairs (Wu et al. 2023): mixtures of embeddings as harder pairs of a contrastive regression.

Claim: SupCon on the labels of a regression ignores their order, and its pairs are too easy. SupReMix
mixes the anchor with a negative (a hard negative whose label lies between) and two negatives on either
side of it (a hard positive), and lets far labels push harder; its embeddings predict better than those of
ordinary regression, SupCon and SupCR, now Rank-N-Contrast.
Data: ages, scores and images in the paper. Here the strength of concrete (UCI) with its usual splits, from
JAXSIM_DATA, a split per seed; `smoke` takes scikit-learn's diabetes; `full` adds two more UCI tables, STS-B
on frozen vectors and the angles of turned digits, and labels that are not binned.
Predicts: above SupCon, by what mixed positives and magnifying add; mixed negatives add nothing, for unit
vectors they are the same negatives at another temperature; Rank-N-Contrast and plain L1 are not beaten.

Every arm trains the same encoder for the same number of steps on the same noisy views, and chooses among
the same rates and as many values of one setting, by the validation error of ridge regression on its frozen
encoder, whose penalty is chosen with them. An arm's runs train side by side, `together` at a time.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.sets import tables
from experiments.workbench.training import mixtures, tuning
from jaxsim import data, encoders, evaluation, losses, numerics, storage, training
from jaxsim.numerics.types import ArrayTree, Batch, Objective, PRNGKey


@dataclasses.dataclass(frozen=True)
class Config:
    """The tables and their labels, the encoder and its training, and the settings that arms choose among."""

    seed: int = 0  # the split of the tables, from 0 to 19; of the start, the batches and the views
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: tuple[str, ...] = ("concrete",)  # tables, all but diabetes from JAXSIM_DATA
    labels: tuple[str, ...] = ("binned",)  # what training sees: binned, or raw
    validation: float = 0.1  # part of the training rows to choose settings on
    widths: tuple[int, ...] = (128, 128, 128)  # of the encoder's layers
    dim: int = 64  # of the head of contrastive losses
    noise: float = 0.1  # standard deviation of the views' noise, on standardized inputs
    batch: int = 32  # examples per step, two views of each
    steps: int = 640  # of training, for every rate and setting tried
    rates: tuple[float, ...] = (1e-3, 3e-3)  # of Adam, at the start
    values: int = 2  # how many values of its setting an arm tries
    together: int = 20  # runs that train side by side, each with the cube of its views in memory
    ridges: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1)  # penalties of the probe
    window: float = 5.0  # bins within which the neighbors of a mixed positive lie
    neighbors: int = 5  # that are averaged

    def __post_init__(self) -> None:
        settings.one_of(self, data=tables.SOURCES, labels=("binned", "raw"), values=(1, 2, 3))
        settings.whole(self, 0, "seed")
        settings.whole(self, 1, "widths", "dim", "batch", "steps", "neighbors", "together")
        settings.positive(self, "noise", "rates", "ridges", "window", "validation")
        settings.part(self, "validation")
        settings.some(self, "data", "labels", "widths", "rates", "ridges")
        if self.seed >= tables.SPLITS:
            raise ValueError(f"seed must be below {tables.SPLITS}, a split each, got {self.seed}")


PAPER = ("l1", "supcon", "rank_n_contrast")  # what the paper says it beats
METHODS = (
    "inputs",
    "l1",
    "l1_c_mixup",
    "l1_lds",
    "supcon",
    "supcon_magnified",
    "rank_n_contrast",
    "mixed_negatives",
    "mixed_positives",
    "supremix_unmagnified",
    "supremix",
    "supremix_released",
)
SWEEP = ("window_1", "window_2", "window_10", "beta_5_5", "beta_8_2")
PRESETS = {
    "smoke": Config(
        arms=("inputs", "l1", "supcon", "supremix"),
        data=("diabetes",),
        widths=(32,),
        dim=16,
        batch=16,
        steps=20,
        rates=(3e-3,),
        values=1,
        ridges=(1e-2,),
    ),
    "cpu": Config(arms=METHODS, steps=400),
    "full": Config(
        arms=METHODS,
        data=("concrete", "energy", "kin8nm", "sentence_pairs", "rotated_mnist"),
        labels=("binned", "raw"),
        batch=64,
        steps=2000,
        rates=(3e-4, 1e-3, 3e-3),
        values=3,
        together=9,
    ),
    "gpu": Config(
        data=("rotated_mnist", "kin8nm"),
        widths=(512, 512, 512),
        arms=("l1", "supcon", "rank_n_contrast", "supremix", *SWEEP),
        dim=128,
        batch=256,
        steps=4000,
    ),
}
SEEDS = {"cpu": 5, "full": 5, "gpu": 3}
ARMS = {
    "inputs": "no network: the probes on the standardized inputs",
    "l1": "absolute error, end to end",
    "l1_c_mixup": "absolute error on mixtures with partners of near labels",
    "l1_lds": "absolute error, rare labels count more (LDS)",
    "supcon": "supervised contrastive: equal labels are positives",
    "supcon_magnified": "the same, far labels push harder",
    "rank_n_contrast": "Rank-N-Contrast: each example against all that are farther in their labels",
    "mixed_negatives": "magnified SupCon with mixed negatives only",
    "mixed_positives": "magnified SupCon with mixed positives only",
    "supremix_unmagnified": "SupReMix without magnifying",
    "supremix": "SupReMix: both mixtures, magnified",
    "supremix_released": "SupReMix with the slips of its released code",
    "window_1": "SupReMix, neighbors less than 1 bin away: none where labels are binned",
    "window_2": "SupReMix, neighbors less than 2 bins away",
    "window_10": "SupReMix, neighbors less than 10 bins away",
    "beta_5_5": "SupReMix, shares of the anchor from Beta(5, 5)",
    "beta_8_2": "SupReMix, shares of the anchor from Beta(8, 2)",
}
KEYS = ("data", "labels")
SHOWN = ("relative MAE", "MAE", "5-NN MAE", "few-shot MAE", "distance Spearman")


class Shared(NamedTuple):
    """What the arms share: the parts of this split, by table and kind of labels."""

    parts: dict[tuple[str, str], tables.Parts]
    facts: dict[str, float]


class Outputs(NamedTuple):
    """What a loss sees of a batch of views."""

    embeddings: jax.Array  # [views, dim] of the head
    features: jax.Array  # [views, width] of the encoder
    labels: jax.Array  # [views], in bins
    weights: jax.Array  # [views], against imbalance
    scale: jax.Array  # (mean, standard deviation) of the training labels


def absolute_error(out: Outputs, value: Any, key: PRNGKey, axis_name: str) -> jax.Array:
    """The head's first output predicts the standardized label."""
    errors = jnp.abs(out.embeddings[:, 0] - (out.labels - out.scale[0]) / out.scale[1])
    return numerics.mean(errors * out.weights, jnp.ones_like(errors), axis_name)


def supcon(
    out: Outputs, value: Any, key: PRNGKey, axis_name: str, *, magnified: bool = False
) -> jax.Array:
    """Supervised contrastive on bins; `value` is the temperature."""
    return losses.regression_supervised_contrastive(
        out.embeddings,
        out.labels,
        temperature=value,
        distance_weight=losses.parts.linear_weight if magnified else None,
        axis_name=axis_name,
    )


def rank_n_contrast(out: Outputs, value: Any, key: PRNGKey, axis_name: str) -> jax.Array:
    """On the encoder's features, neither normalized nor with a head, as published."""
    return losses.rank_n_contrast(out.features, out.labels, temperature=value, axis_name=axis_name)


def supremix(
    out: Outputs,
    value: Any,
    key: PRNGKey,
    axis_name: str,
    *,
    window: float,
    shares: tuple[float, float] | None = None,
    **options: Any,
) -> jax.Array:
    """SupReMix or a part of it; labels are in bins, and so is the window."""
    drawn: dict[str, Any] = {"key": key}
    if shares is not None:
        count = len(out.labels)  # of one device: these arms are not split
        drawn = {"shares": jax.random.beta(key, *shares, (count, count))}
    return losses.supremix(
        out.embeddings,
        out.labels,
        temperature=value,
        window=window,
        axis_name=axis_name,
        **drawn,
        **options,
    )


def released(out: Outputs, value: Any, key: PRNGKey, axis_name: str, *, window: float) -> jax.Array:
    """SupReMix as the released code computes it."""
    count = len(out.labels)
    loss = mixtures.supremix_released(
        out.embeddings,
        out.labels,
        shares=jax.random.beta(key, 2.0, 8.0, (count, count)),
        temperature=value,
        window=window,
    )
    return numerics.mean(loss[None], jnp.ones(1), axis_name)


class Arm(NamedTuple):
    """How an arm trains, and the values of its setting to try, the usual one first."""

    loss: Callable[..., jax.Array]
    setting: str  # temperature, decay of the weights, or bandwidth of C-Mixup in bins
    values: tuple[float, ...]
    batch: str = "plain"  # or mixed (C-Mixup), or weighted (LDS)


TEMPERATURES = (0.5, 0.2, 1.0)  # 0.5 is the paper's for ages
DECAYS = (1e-4, 0.3, 1e-2)


def arm_of(config: Config, name: str) -> Arm:
    """What is particular to each arm."""
    mixed = functools.partial(supremix, window=config.window)
    kinds = losses.parts
    contrastive = {
        "supcon": supcon,
        "supcon_magnified": functools.partial(supcon, magnified=True),
        "mixed_negatives": functools.partial(mixed, mixtures=(kinds.mixed_negatives,)),
        "mixed_positives": functools.partial(mixed, mixtures=(kinds.mixed_positives,)),
        "supremix_unmagnified": functools.partial(mixed, distance_weight=None),
        "supremix": mixed,
        "supremix_released": functools.partial(released, window=config.window),
        "window_1": functools.partial(supremix, window=1.0),
        "window_2": functools.partial(supremix, window=2.0),
        "window_10": functools.partial(supremix, window=10.0),
        "beta_5_5": functools.partial(mixed, shares=(5.0, 5.0)),
        "beta_8_2": functools.partial(mixed, shares=(8.0, 2.0)),
    }
    others = {
        "l1": Arm(absolute_error, "decay", DECAYS),
        "l1_c_mixup": Arm(absolute_error, "bandwidth", (2.0, 10.0, 0.5), "mixed"),
        "l1_lds": Arm(absolute_error, "decay", DECAYS, "weighted"),
        "rank_n_contrast": Arm(rank_n_contrast, "temperature", (2.0, 1.0, 4.0)),
    }
    return others[name] if name in others else Arm(contrastive[name], "temperature", TEMPERATURES)


def fingerprint(config: Config) -> dict[str, str]:
    """Of the data: each table."""
    return {name: storage.checksum(tables.table(name)) for name in config.data}


def prepare(config: Config, workdir: Path) -> Shared:
    """The parts of the seed's split of every table."""
    parts, facts = {}, {}
    for name in config.data:
        for kind in config.labels:
            parts[name, kind] = tables.parts(
                name, config.seed, binned=kind == "binned", validation=config.validation
            )
        rows = parts[name, config.labels[0]]
        facts[f"rows of {name} to train on"] = len(rows.train.targets)
        facts[f"rows of {name} to test on"] = len(rows.test.targets)
    return Shared(parts, facts)


def run_seeds(
    config: Config, arm: str, seeds: Sequence[int], shared: Sequence[Shared], workdir: Path
) -> list[dict]:
    """One arm on all splits at once: its errors on every table, at the rate and setting best there."""
    rows = []
    for name in config.data:
        for kind in config.labels:
            parts = [one.parts[name, kind] for one in shared]
            folder = workdir / f"{name}-{kind}"
            keys = {"data": name, "labels": kind}
            if arm == "inputs":
                encoded = [[one] for one in parts]
            else:
                encoded = trained(config, arm, seeds, parts, label=f"{arm}, {name}, {kind}")
            for seed, one, options in zip(seeds, parts, encoded, strict=True):
                figures = figures_of(config, name, one, options, folder / f"{seed}")
                rows.append({"seed": seed, **keys, **figures})
    return rows


def trained(
    config: Config, arm: str, seeds: Sequence[int], parts: Sequence[tables.Parts], *, label: str
) -> list[list[tables.Parts]]:
    """For every split, its parts as the encoders see them that were trained at each setting.

    Splits and settings train side by side, `together` at a time. A split's runs start from the same
    parameters and see the same batches.
    """
    which = arm_of(config, arm)
    grid = tuning.grid(rate=config.rates, value=which.values[: config.values])
    runs = [(split, option) for split in range(len(parts)) for option in grid]
    columns = {}
    for name in grid[0]:
        columns[name] = jnp.array([option[name] for _, option in runs])
    columns["split"] = jnp.array([split for split, _ in runs])
    keys = jnp.stack([jax.random.key(seeds[split]) for split, _ in runs])
    module = encoders.Mlp(dim=config.dim, widths=config.widths)
    inputs = parts[0].train.features[:1]
    start = jax.jit(jax.vmap(lambda key: module.init(jax.random.fold_in(key, 1), inputs)))(keys)
    ends = []
    for first in range(0, len(runs), config.together):
        side_by_side = slice(first, first + config.together)
        params, settings_, of_runs = jax.tree.map(
            lambda a, rows=side_by_side: a[rows], (start, columns, keys)
        )
        end, _ = training.fit_seeds(
            lambda chosen: objective(config, which, module, chosen),
            params,
            draws(config, which, parts),
            optimizer=lambda chosen: optimizer(config, which, chosen),
            settings=settings_,
            keys=of_runs,
            steps=config.steps,
            label=label,
        )
        ends += [jax.tree.map(lambda a, n=n: a[-1, n], end) for n in range(len(of_runs))]
    encode = jax.jit(lambda params, x: module.apply(params, x, features=True)[1])
    encoded: list[list[tables.Parts]] = [[] for _ in parts]
    for params, (split, _) in zip(ends, runs, strict=True):
        seen = [
            part._replace(features=np.asarray(encode(params, part.features)))
            for part in parts[split]
        ]
        encoded[split].append(tables.Parts(*seen))
    return encoded


def objective(config: Config, arm: Arm, module: encoders.Mlp, chosen: ArrayTree) -> Objective:
    """The loss of two noisy views of a batch."""

    def loss(params, batch, *, key, axis_name):
        first, second, key = jax.random.split(key, 3)
        x = batch["x"]
        noise = [config.noise * jax.random.normal(k, x.shape) for k in (first, second)]
        views = jnp.concatenate([x + one for one in noise])
        embeddings, features = module.apply(params, views, features=True)
        labels, weights = jnp.tile(batch["y"], 2), jnp.tile(batch["weights"], 2)
        out = Outputs(embeddings, jnp.asarray(features), labels, weights, batch["scale"][0])
        return arm.loss(out, chosen["value"], key, axis_name)

    return loss


def draws(
    config: Config, arm: Arm, parts: Sequence[tables.Parts]
) -> Callable[[ArrayTree], Callable[[PRNGKey], Batch]]:
    """Batches of a split's training rows, without repeats in a batch."""
    x = jnp.stack([part.train.features for part in parts])
    y = jnp.stack([part.train.labels for part in parts])
    scale = jnp.stack([y.mean(axis=1), y.std(axis=1)], axis=1)
    weights = jnp.ones_like(y)
    if arm.batch == "weighted":
        weights = jnp.stack([data.label_density_weights(part.train.labels) for part in parts])
    size = min(config.batch, y.shape[1])

    def of_run(chosen):
        split = chosen["split"]

        def batch(key):
            key, partner, share = jax.random.split(key, 3)
            rows = jax.random.choice(key, y.shape[1], (size,), replace=False)
            one = {"x": x[split, rows], "y": y[split, rows]}
            if arm.batch == "mixed":
                others = data.c_mixup_partners(
                    partner, one["y"], y[split], bandwidth=chosen["value"]
                )
                a = jax.random.beta(share, 2.0, 2.0, (size,))
                one = {
                    "x": a[:, None] * one["x"] + (1 - a[:, None]) * x[split, others],
                    "y": a * one["y"] + (1 - a) * y[split, others],
                }
            scales = jnp.tile(scale[split], (size, 1))
            return {**one, "weights": weights[split, rows], "scale": scales}

        return batch

    return of_run


def optimizer(config: Config, arm: Arm, chosen: dict[str, Any]) -> optax.GradientTransformation:
    """Adam at a rate that falls to 0 as a cosine; with the decay of the weights that an arm tries."""
    decay = chosen["value"] if arm.setting == "decay" else 0.0
    return optax.chain(
        optax.scale_by_adam(),
        optax.add_decayed_weights(decay),
        optax.scale_by_schedule(training.cosine_warmup_decay(1.0, steps=config.steps)),
        optax.scale(-chosen["rate"]),
    )


def figures_of(
    config: Config,
    name: str,
    parts: tables.Parts,
    options: list[tables.Parts],
    folder: Path,
) -> dict[str, float]:
    """Test errors of the probes on the features that do best on the validation rows.

    search.json of the folder says what was tried: options are numbered by rate, then by value.
    """
    train, test = parts.train, parts.test

    def error(one):
        seen = options[one["option"]]
        probed = seen.train.features, train.targets, seen.validation.features
        return float(evaluation.ridge_probe(*probed, parts.validation.targets, ridge=one["ridge"]))

    tried = tuning.grid(option=range(len(options)), ridge=config.ridges)
    errors = [error(one) for one in tried]
    chosen = runner.best(range(len(tried)), lambda number: -errors[number])
    best = tried[chosen]
    storage.write_json(folder / "search.json", {"tried": tried, "errors": errors, "chosen": chosen})
    seen = options[best["option"]]
    features, test_features = seen.train.features, seen.test.features
    predicted = evaluation.ridge_regression(
        features, train.targets, test_features, ridge=best["ridge"]
    )
    neighbors = evaluation.knn_regression(
        features, train.targets, test_features, k=config.neighbors
    )
    width = tables.bin_width(name)
    near = functools.partial(
        data.label_density, training=train.targets, bin_width=width, kernel_size=5
    )
    rare = np.quantile(near(train.targets), 0.1)
    shots = evaluation.shot_mae(predicted, test.targets, near(test.targets), few=rare, many=np.inf)
    constant = np.abs(test.targets - np.median(train.targets)).mean()
    return {
        "relative MAE": float(shots.all) / constant,
        "MAE": float(shots.all),
        "5-NN MAE": float(evaluation.mean_absolute_error(np.asarray(neighbors), test.targets)),
        "few-shot MAE": float(shots.few),
        "distance Spearman": float(evaluation.distance_spearman(test_features, test.targets)),
        "validation MAE": errors[chosen],
    }


def claim(rows: list[dict]) -> runner.Claim:
    """SupReMix below what the paper names, in the ridge error; its parts are reported."""
    return runner.against(
        rows,
        "supremix",
        on="relative MAE",
        needed=PAPER,
        question="SupReMix's embeddings predict better than ordinary regression's, SupCon's and "
        "Rank-N-Contrast's",
        smaller=True,
    )


def pictures(rows: list[dict]) -> dict:
    """error.png: the ridge error by arm; order.png: how far distances follow labels."""
    shown = runner.summary(rows)
    error = pictures_.dots(
        shown,
        y="relative MAE",
        panel="data",
        question="Does SupReMix predict better than SupCon, Rank-N-Contrast and plain regression?",
        unit="part of the median's error",
    )
    order = pictures_.dots(
        shown,
        y="distance Spearman",
        panel="data",
        question="Do distances of embeddings follow those of labels?",
    )
    return {"error": error, "order": order}
