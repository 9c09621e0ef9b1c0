"""Hydra, later SimLAP (Wu et al. 2024): any two classes can be a positive pair, under a gate.

Claim: images of two arbitrary classes are positives in the subspace in which these classes agree; a network that
learns the gate of every pair of classes, together with the encoder, makes such pairs as good as usual ones or
better, keeps dimensions from collapsing, and its gates reveal how classes are related.
Data: ImageNet and CIFAR-10 in the paper. Here letters in 16 fonts each, no download: 256 letters to train on, of
which every seed holds out 4 fonts ("seen"), 50 letters to tune on, 100 letters that training never saw ("unseen"),
half of their fonts labeled. `full` has handwritten characters of unseen alphabets, `caltech` and `gpu` photographs
of unseen objects, from JAXSIM_DATA.
Predicts: without a gate arbitrary pairs do much worse than usual ones (25 % against 90 % on CIFAR-10 in the first
author's notes), with one as well. On unseen classes arbitrary pairs do better than usual ones. A gate that is
learned and one that is drawn at random for every pair of classes and never changed: not decided, in a pilot both
repaired the pairs.

The equations are those of the released code, the claims those of the abstract. Every arm has the same encoder,
projector, views, steps and batches, and chooses its learning rate and its temperature by the votes of neighbors
among classes that neither training nor testing sees. What decides are the features that the projector starts from;
projector and gates are left out, as in the paper. The cosine under a gate does not depend on the gate's size: how
many dimensions are open is no figure. Widths and steps are what 10 minutes allow. The learning rates were placed by
validation figures: at 0.001 all arms did worse than at 0.003.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import pictures as pictures_, runner, settings
from experiments.workbench import each
from experiments.workbench.networks import images
from experiments.workbench.sets import sources
from experiments.workbench.training import fits, tuning
from jaxsim import analysis, data, encoders, evaluation, losses, similarity
from jaxsim.data import augment
from jaxsim.numerics.types import Array, ArrayTree, PRNGKey


@dataclasses.dataclass(frozen=True)
class Config:
    """The classes held out, the networks and their training, and the settings tried."""

    seed: int = (
        0  # of what is held out, the networks' start, the views, the partners and the batches
    )
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "glyphs"  # glyphs, digits, or omniglot, caltech101 (need JAXSIM_DATA)
    size: int = 16  # sides of the images
    test_classes: int = 100  # unseen classes to test on; 0: all that there are
    validation_groups: int = 50  # letters, digits or alphabets to tune on
    per_test_class: int = 16  # images of each
    held_out: float = 0.25  # of the images of the classes that are trained on
    seen_classes: int = 100  # of these to test on; 0: all
    backbone: str = "convnet"  # or resnet18
    widths: tuple[int, ...] = (16, 32, 64)  # channels of the network's blocks
    hidden: int = 256  # of the projector
    dim: int = 64  # of its embeddings
    gate_table: int = 512  # numbers that the gate's network keeps for a class
    gate_hidden: int = 1024  # between its layers
    classes: int = 32  # per batch
    per_class: int = 4  # images of each, two views of every image
    steps: int = 300  # of training, for every rate and temperature tried
    rates: tuple[float, ...] = (3e-3, 1e-2)  # of Adam, at the start
    temperatures: tuple[float, ...] = (0.1,)  # of all losses
    beta: float = 1.0  # weight of the class pairs in the arm that has instances too
    neighbors: int = 5  # that vote for a class

    def __post_init__(self) -> None:
        settings.one_of(self, data=sources.CLASSES, backbone=("convnet", "resnet18"))
        settings.whole(self, 0, "test_classes", "seen_classes")
        settings.whole(self, 1, "size", "validation_groups", "widths", "hidden", "dim")
        settings.whole(self, 1, "gate_table", "gate_hidden", "steps", "neighbors")
        settings.whole(self, 2, "per_test_class", "classes", "per_class")
        settings.positive(self, "rates", "temperatures", "beta")
        settings.part(self, "held_out")
        settings.some(self, "widths", "rates", "temperatures")


LARGE = Config(
    data="omniglot",
    size=28,
    test_classes=0,
    validation_groups=5,
    per_test_class=20,
    seen_classes=0,
    hidden=2048,
    dim=256,
    steps=2000,
    temperatures=(0.05, 0.1, 0.2),
)
PHOTOGRAPHS = dataclasses.replace(
    LARGE, data="caltech101", size=64, validation_groups=10, per_test_class=40
)
PRESETS = {
    "smoke": Config(
        arms=("arbitrary", "hydra"),
        data="digits",
        test_classes=3,
        validation_groups=2,
        per_test_class=20,
        widths=(8,),
        hidden=16,
        dim=8,
        gate_table=8,
        gate_hidden=8,
        classes=5,
        steps=4,
        rates=(1e-3,),
        temperatures=(0.1,),
    ),
    "cpu": Config(arms=("identical", "arbitrary", "hydra", "simlap", "random_gate", "supcon")),
    "full": dataclasses.replace(LARGE, widths=(32, 32, 64, 64)),
    "caltech": dataclasses.replace(PHOTOGRAPHS, widths=(32, 64, 64, 128)),
    "gpu": dataclasses.replace(PHOTOGRAPHS, backbone="resnet18", per_class=8, steps=2400),
}
SEEDS = {"cpu": 3, "full": 5, "caltech": 3, "gpu": 5}
KEYS = ("classes",)
SHOWN = ("probe", "neighbors", "neighbors of z", "rank", "rank of z", "gates follow likeness")
ARMS = {
    "identical": "usual pairs: of the same class, no gate; each against the negatives alone",
    "arbitrary": "any two classes, no gate",
    "hydra": "any two classes, a learned gate, the cosine inside the subspace",
    "simlap": "any two classes, a learned gate, the dot product of unit vectors",
    "random_gate": "as hydra, the gate of each pair of classes drawn once and kept",
    "identical_gate": "usual pairs under a learned gate",
    "distinct": "two different classes, a learned gate",
    "with_instances": "hydra, and the two views of an image as a pair",
    "supcon": "supervised contrastive: usual pairs, in one softmax",
    "simclr": "the two views of an image as a pair: no labels",
}
# (partners, gate, similarity) of the arms that are Hydra's loss.
PAIRED = {
    "identical": ("identical", "open", similarity.gated_cosine),
    "arbitrary": ("arbitrary", "open", similarity.gated_cosine),
    "hydra": ("arbitrary", "learned", similarity.gated_cosine),
    "simlap": ("arbitrary", "learned", similarity.gated_dot),
    "random_gate": ("arbitrary", "random", similarity.gated_cosine),
    "identical_gate": ("identical", "learned", similarity.gated_cosine),
    "distinct": ("distinct", "learned", similarity.gated_cosine),
    "with_instances": ("arbitrary", "learned", similarity.gated_cosine),
}
SAMPLERS = {"arbitrary": data.arbitrary_partners, "distinct": data.distinct_partners}
PICTURED = 14  # classes whose gates are drawn
effective_rank = jax.jit(analysis.effective_rank)


class Network(NamedTuple):
    """A backbone, whose features are tested, and the projector that the losses look through."""

    backbone: Any
    projector: encoders.Projector

    def init(self, key: PRNGKey, x: Array) -> ArrayTree:
        """Variables of both."""
        backbone = self.backbone.init(key, x)
        features = self.backbone.apply(backbone, x)
        return {"backbone": backbone, "projector": self.projector.init(key, features)}

    def apply(self, variables: Any, x: Array, *, features: bool = False) -> Any:
        """Embeddings [rows, dim], and the features [rows, features] on request."""
        seen = self.backbone.apply(variables["backbone"], x)
        z = self.projector.apply(variables["projector"], seen)
        return (z, seen) if features else z

    def trained(self, params: Any, state: Any, x: Array, **rows: Any) -> tuple[jax.Array, Any]:
        """(embeddings, moved averages of the batch norms) by the statistics of the batch."""
        seen, backbone = self.backbone.apply(
            {"params": params["backbone"], **state["backbone"]},
            x,
            train=True,
            mutable=["batch_stats"],
            **rows,
        )
        z, projector = self.projector.apply(
            {"params": params["projector"], **state["projector"]},
            seen,
            train=True,
            mutable=["batch_stats"],
            **rows,
        )
        return z, {"backbone": dict(backbone), "projector": dict(projector)}


class Shared(NamedTuple):
    """What the arms share: images, and what their networks start from."""

    train: data.Images
    seen: tuple[data.Images, data.Images]  # (labeled, asked about) of classes trained on
    validation: tuple[data.Images, data.Images]
    unseen: tuple[data.Images, data.Images]
    start: dict[str, Any]  # {"network": variables, "gate": variables}
    facts: dict[str, float]


def fingerprint(config: Config) -> tuple[data.Images, ...]:
    """Of the data: all images."""
    return images.all_classes(config.data, config.size)


def prepare(config: Config, workdir: Path) -> Shared:
    """The images of each part, and the networks' start; how well the untrained network does, as a floor."""
    parts = images.unseen_classes(
        config.data,
        size=config.size,
        validation_groups=config.validation_groups,
        test_classes=config.test_classes,
        per_test_class=config.per_test_class,
        seed=config.seed,
    )
    known, validation, unseen = (numbered(part) for part in parts)
    train, rest = split(known, config.held_out, config.seed)
    chosen = np.random.default_rng(config.seed).permutation(np.unique(train.labels))
    chosen = chosen[: config.seen_classes or None]
    seen = train.of(np.isin(train.labels, chosen)), rest.of(np.isin(rest.labels, chosen))
    network, gate = networks(config, train)
    start = {
        "network": fits.initial(network, config.seed, train.images[:1]),
        "gate": fits.initial(gate, config.seed, train.labels[:1], train.labels[:1]),
    }
    tuned, tested = (split(part, 0.5, config.seed) for part in (validation, unseen))
    untrained = images.Model(network, start["network"])
    facts: dict[str, float] = {
        "images to train on": len(train.labels),
        "classes to train on": len(np.unique(train.labels)),
        "images of seen classes to test on": len(seen[1].labels),
        "images of unseen classes to test on": len(tested[1].labels),
        "neighbors untrained, seen": votes(config, untrained, *seen).mean(),
        "neighbors untrained, unseen": votes(config, untrained, *tested).mean(),
    }
    return Shared(train, seen, tuned, tested, start, facts)


def numbered(part: data.Images) -> data.Images:
    """The images, their classes numbered from 0."""
    return part._replace(labels=np.unique(part.labels, return_inverse=True)[1].astype(np.int32))


def split(part: data.Images, share: float, seed: int) -> tuple[data.Images, data.Images]:
    """(rest, held out): that share of the images of each class, one at least, and one at least left."""
    random = np.random.default_rng(seed)
    out = np.zeros(len(part.labels), bool)
    for label in np.unique(part.labels):
        rows = random.permutation(np.flatnonzero(part.labels == label))
        out[rows[: min(max(1, round(share * len(rows))), len(rows) - 1)]] = True
    return part.of(~out), part.of(out)


def networks(config: Config, train: data.Images) -> tuple[Network, encoders.PairGate]:
    """The network, and the one that makes gates of pairs of classes."""
    if config.backbone == "resnet18":
        backbone = encoders.resnet18(stem="small")
    else:
        backbone = encoders.ConvNet(dim=None, widths=config.widths)
    projector = encoders.Projector(dim=config.dim, widths=(config.hidden,))
    gate = encoders.PairGate(
        num_classes=int(train.labels.max()) + 1,
        dim=config.dim,
        embed_dim=config.gate_table,
        hidden=config.gate_hidden,
    )
    return Network(backbone, projector), gate


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: figures on seen and on unseen classes, at the arm's best rate and temperature."""

    @functools.cache
    def at(rate: float, temperature: float) -> tuple[images.Model, Callable[..., jax.Array]]:
        return fitted(config, arm, rate, temperature, shared, workdir)

    def attempt(rate: float, temperature: float) -> float:
        model, _ = at(rate, temperature)
        return votes(config, model, *shared.validation).mean()

    choices = {"rate": config.rates, "temperature": config.temperatures}
    best = tuning.tuned_in_turn(choices, attempt, workdir=workdir)
    model, gate = at(best["rate"], best["temperature"])
    seen = figures(config, model, *shared.seen)
    unseen = figures(config, model, *shared.unseen)
    if PAIRED.get(arm, ("", "open"))[1] != "open":
        seen |= of_gates(gate, shared.train)
    return [{"classes": "seen", **seen}, {"classes": "unseen", **unseen}]


def fitted(
    config: Config, arm: str, rate: float, temperature: float, shared: Shared, workdir: Path
) -> tuple[images.Model, Callable[..., jax.Array]]:
    """(the network trained by an arm, its gates: labels, partners -> [pairs, dim])"""
    network, gate = networks(config, shared.train)
    loss = loss_of(config, arm, gate)
    views = augment.views(images.VIEWS[config.data])

    def objective(params, state, batch, *, key, axis_name):
        first, second, drawn = jax.random.split(key, 3)
        both = [views(one, batch["image"], batch["ids"]) for one in (first, second)]
        twice = twice_of(batch["where"])
        z, moved = network.trained(
            params["network"],
            state["network"],
            jnp.concatenate(both),
            where=twice,
            axis_name=axis_name,
        )
        rows = {"where": batch["where"], "axis_name": axis_name}
        value, gate_moved = loss(params, state, z, batch, drawn, rows)
        return value, ({**state, "network": moved, "gate": gate_moved}, {})

    params, norms = {}, {}
    params["network"], norms["network"] = separated(shared.start["network"])
    params["gate"], norms["gate"] = separated_one(shared.start["gate"])
    if PAIRED.get(arm, ("", "open"))[1] != "learned":
        del params["gate"]
    params, state = images.trained(
        objective,
        params,
        data.class_batches(
            {"image": shared.train.images},
            shared.train.labels,
            classes=config.classes,
            per_class=config.per_class,
            seed=config.seed,
            steps=config.steps,
        ),
        rate=rate,
        state={**norms, "temperature": jnp.float32(temperature)},
        seed=config.seed,
        workdir=workdir / f"{rate:g}-{temperature:g}",
        label=f"{arm}, rate {rate:g}, temperature {temperature:g}",
    )
    variables = {
        part: {"params": params["network"][part], **state["network"][part]}
        for part in network._fields
    }

    def gates(labels, partners):
        if PAIRED[arm][1] == "random":
            return random_gates(labels, partners, config.dim)
        return gate.apply({"params": params["gate"], **state["gate"]}, labels, partners)

    return images.Model(network, variables), gates


def separated(variables: Any) -> tuple[Any, Any]:
    """(parameters, moving averages) of the variables of several modules."""
    params, averages = {}, {}
    for name, part in variables.items():
        params[name], averages[name] = separated_one(part)
    return params, averages


def separated_one(variables: Any) -> tuple[Any, Any]:
    """(parameters, the other collections) of a module's variables."""
    return variables["params"], {k: v for k, v in variables.items() if k != "params"}


def twice_of(column: jax.Array) -> jax.Array:
    """A column for both views."""
    return jnp.concatenate([column, column])


def loss_of(config: Config, arm: str, gate: encoders.PairGate) -> Callable[..., Any]:
    """(params, state, z of both views, batch, key, rows) -> (loss, the gate's moving averages) of an arm."""

    def usual(loss, names):
        def of(params, state, z, batch, key, rows):
            both = {**rows, "where": twice_of(rows["where"])}
            value = loss(z, twice_of(batch[names]), temperature=state["temperature"], **both)
            return value, state["gate"]

        return of

    def paired(params, state, z, batch, key, rows):
        """Both views as anchors, each compared with the other one; partners and gates are the same."""
        kind, opened, measure = PAIRED[arm]
        labels = partners = batch["labels"]
        if kind != "identical":
            partners = SAMPLERS[kind](key, labels, **rows)
        gates, moved = jnp.ones((len(labels), config.dim)), state["gate"]
        if opened == "random":
            gates = random_gates(labels, partners, config.dim)
        elif opened == "learned":
            gates, changed = gate.apply(
                {"params": params["gate"], **state["gate"]},
                labels,
                partners,
                train=True,
                mutable=["batch_stats"],
                **rows,
            )
            moved = dict(changed)
        rest = {"similarity": measure, "temperature": state["temperature"], **rows}
        first, second = jnp.split(z, 2)
        there = losses.hydra(first, labels, partners, gates, keys=second, **rest)
        back = losses.hydra(second, labels, partners, gates, keys=first, **rest)
        return (there + back) / 2, moved

    def with_instances(*args):
        """The paper's total: (instances + beta class pairs) / (1 + beta)."""
        alone, _ = usual(losses.nt_xent, "ids")(*args)
        value, moved = paired(*args)
        return (alone + config.beta * value) / (1 + config.beta), moved

    if arm == "with_instances":
        return with_instances
    if arm in PAIRED:
        return paired
    loss, names = {
        "supcon": (losses.supervised_contrastive, "labels"),
        "simclr": (losses.nt_xent, "ids"),
    }[arm]
    return usual(loss, names)


def random_gates(labels: jax.Array, partners: jax.Array, dim: int) -> jax.Array:
    """A uniform gate for every pair of classes, the same whenever the pair comes."""

    def drawn(one, other):
        key = jax.random.key(0)
        for label in (jnp.minimum(one, other), jnp.maximum(one, other)):
            key = jax.random.fold_in(key, label)
        return jax.random.uniform(key, (dim,))

    return jax.vmap(drawn)(labels, partners)


def votes(
    config: Config, model: images.Model, labeled: data.Images, asked: data.Images
) -> np.ndarray:
    """Per image asked about: whether the nearest labeled images vote for its class, by the features."""
    _, references = images.embedded(model, labeled.images)
    _, features = images.embedded(model, asked.images)
    return voted(config, references, labeled, features, asked)


def voted(
    config: Config,
    references: np.ndarray,
    labeled: data.Images,
    vectors: np.ndarray,
    asked: data.Images,
) -> np.ndarray:
    """1 for each image whose class its nearest neighbors vote for, else 0."""
    return each(
        evaluation.knn_accuracy,
        vectors,
        asked.labels,
        references=references,
        reference_labels=labeled.labels,
        k=config.neighbors,
    )


def figures(
    config: Config, model: images.Model, labeled: data.Images, asked: data.Images
) -> dict[str, Any]:
    """Accuracies per image, of which classes are drawn as a whole, and how many dimensions are used."""
    z, features = images.embedded(model, asked.images)
    labeled_z, labeled_features = images.embedded(model, labeled.images)
    by_image = {
        "probe": each(
            evaluation.linear_probe,
            labeled_features,
            labeled.labels,
            features,
            asked.labels,
            tolerance=1e-4,
        ),
        "neighbors": voted(config, labeled_features, labeled, features, asked),
        "neighbors of z": voted(config, labeled_z, labeled, z, asked),
    }
    return {
        **{name: runner.Grouped(values, asked.labels) for name, values in by_image.items()},
        "rank": rank(features),
        "rank of z": rank(z),
        "spectrum of z": np.asarray(analysis.covariance_spectrum(z), float),
    }


def rank(vectors: np.ndarray) -> float:
    """The effective rank of centered vectors."""
    return float(effective_rank(vectors - vectors.mean(axis=0)))


def of_gates(gates: Callable[..., jax.Array], train: data.Images) -> dict[str, Any]:
    """Whether classes whose images look similar have similar gates, and both for a few classes."""
    labels = np.unique(train.labels)
    means = np.stack([images.flat(train.of(train.labels == c)).mean(axis=0) for c in labels])
    likeness, overlap = np.corrcoef(means), np.corrcoef(np.asarray(gates(labels, labels)))
    pairs = np.triu_indices(len(labels), 1)
    shown = np.ix_(labels[:PICTURED], labels[:PICTURED])
    return {
        "gates follow likeness": float(evaluation.spearman(overlap[pairs], likeness[pairs])),
        "correlation of gates": overlap[shown].ravel(),
        "correlation of classes": likeness[shown].ravel(),
    }


def claim(rows: list[dict]) -> runner.Claim:
    """What a gate repairs, whether it must be learned, and what arbitrary pairs are good for."""
    arms = {row["arm"] for row in rows}

    def better(arm, over, classes, on="probe", compare=runner.difference, **rest):
        if not {arm, over} <= arms:
            return []
        return [compare(rows, arm, over=over, on=on, where=of_classes(classes), **rest)]

    repaired = better("hydra", "arbitrary", "seen")
    as_good = better("hydra", "identical", "seen", compare=runner.no_worse, by=0.01)
    learned = better("hydra", "random_gate", "seen") + better("hydra", "random_gate", "unseen")
    moved = better("hydra", "identical", "unseen") + better("hydra", "supcon", "unseen")
    wide = better("hydra", "identical", "seen", on="rank")
    return runner.sentences(
        [
            ("a learned gate repairs arbitrary pairs", repaired),
            ("under it they are within a point of usual pairs", as_good),
            ("on unseen classes they beat usual pairs", moved),
            ("the gate must be learned: a random one is worse", learned),
            ("the features have a higher effective rank than those of usual pairs", wide),
        ]
    )


def of_classes(classes: str) -> Callable[[dict], bool]:
    """Rows of seen or of unseen classes."""
    return lambda row: row["classes"] == classes


def pictures(rows: list[dict]) -> dict:
    """accuracy.png and rank.png by arm; gates.png: how gates of classes correlate, beside their images."""
    shown = runner.summary(rows)
    drawn = {
        "accuracy": pictures_.bars(shown, y="probe", panel="classes"),
        "rank": pictures_.bars(shown, y="rank", panel="classes"),
        "spectrum": spectra(rows),
    }
    gated = [row for row in rows if "correlation of gates" in row and row["seed"] == 0]
    return drawn | ({"gates": heat_maps(gated)} if gated else {})


def spectra(rows: list[dict]) -> Any:
    """The variances of z along its principal directions, on seen classes, the mean of all seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(pictures_.WIDTH * 0.7, 3.6), layout="constrained")
    ax = figure.subplots()
    for arm, style in pictures_.styles_of(rows).items():
        own = [
            row["spectrum of z"] for row in rows if (row["arm"], row["classes"]) == (arm, "seen")
        ]
        shares = np.mean([values / values.sum() for values in own], axis=0)
        shares = shares[shares > 1e-6]  # one is 0: the projector's norm centers every z
        ax.semilogy(np.arange(1, len(shares) + 1), shares, label=arm, **{**style, "marker": ""})
    ax.set_xlabel("principal direction of z")
    ax.set_ylabel("share of the variance")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    return figure


def heat_maps(rows: list[dict]) -> Any:
    """A square for every pair of some classes: how their images correlate, and their gates in each arm."""
    from matplotlib.figure import Figure

    panels = {"images of the classes": rows[0]["correlation of classes"]}
    panels |= {f"gates of {row['arm']}": row["correlation of gates"] for row in rows}
    width = min(pictures_.WIDTH, 2.6 * len(panels))
    figure = Figure(figsize=(width, width / len(panels) + 0.7), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    side = round(len(panels["images of the classes"]) ** 0.5)
    matrices = [np.reshape(values, (side, side)) for values in panels.values()]
    order = np.argsort(np.linalg.eigh(matrices[0])[1][:, -1])  # neighbors look similar
    for ax, name, matrix in zip(axes, panels, matrices, strict=True):
        drawn = ax.imshow(matrix[np.ix_(order, order)], vmin=-1, vmax=1, cmap="RdBu_r")
        ax.set_title(name, fontsize=9)
        ax.set_xticks([])
        ax.set_yticks([])
    figure.colorbar(drawn, ax=axes, label="correlation", shrink=0.8)
    figure.suptitle(f"{side} classes with each other", fontsize=10)
    return figure
