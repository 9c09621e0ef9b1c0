"""Stationary representations (Biondi et al. 2024): models trained to one fixed simplex can replace each other.

Claim: a search service keeps the gallery that an old model embedded. Where every model is trained to the same
fixed class vectors, the corners of a regular simplex, its successor can search there, even one that was trained
elsewhere from another start; a contrastive term between old and new embeddings of an image (HOC) makes it better
still.
Data: CIFAR-100 and parts of ImageNet in the paper. Here letters in 16 fonts each, no download: a server model
learns 34 letters and is replaced by one that learned 100; each is fine-tuned on two tasks of 25 further letters,
with a memory of 4 images of each letter before. Asked about are 100 letters that no model saw. `photos` and
`full` have Caltech-101, `gpu` has Omniglot, both from JAXSIM_DATA.
Predicts: across a replacement ordinary classifiers (ER) are near chance, the simplex is above, HOC clearly above
that; a rotated simplex, as regular, is at chance. Average accuracy (AA) likewise. Average compatibility (AC), the
paper's headline, counts pairs in which the successor gains however little; it says nothing about size, and with
models this small it may stay near 0.

The letters to tune on and to test on are the same for all seeds; a seed draws the others, the starts and the
batches. Rates are chosen once, with the first seed's models: for each kind of server model by its accuracy on the
letters to tune on, for every arm by its AA there. Accuracy is that of the nearest class mean, all classes equal.
AA asks for no progress on the local classes, so that it favors low rates: `local accuracy` says what was learned.
In `cpu` the lowest rate was chosen for the simplex and for HOC, which learned nearly nothing of the local classes
(1 %); backward-compatible training learned them (90 %) and has the higher AA. A choice of rates that asks for both
was not tried. The rates tried were widened once, after a run whose best ones were at both ends; it was not finished.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import pictures as pictures_, runner, settings
from experiments.workbench.measures import successors
from experiments.workbench.networks import class_vectors, images
from experiments.workbench.sets import sources
from experiments.workbench.training import fits, tuning
from jaxsim import data, encoders, evaluation, losses, similarity, training
from jaxsim.data import augment
from jaxsim.numerics.types import Array


@dataclasses.dataclass(frozen=True)
class Config:
    """The classes and their order, the network, its training, and the rates tried."""

    seed: int = 0  # of the classes to train on, the starts, the memory, the views and the batches
    arms: tuple[str, ...] = ()  # which arms to run; all by default
    data: str = "glyphs"  # glyphs, digits; caltech101 or omniglot (need JAXSIM_DATA)
    size: int = 16  # sides of the images
    server: tuple[int, ...] = (34, 100)  # classes of each server model; each has those before
    replacements: tuple[int, ...] = (0, 2)  # tasks that begin with the next one; the first is 0
    tasks: tuple[int, ...] = (25, 25, 25, 25)  # new classes of each local task
    slots: int = 256  # class vectors of the simplex, those that stay without a class among them
    validation_groups: int = 50  # classes, or alphabets of omniglot, to tune on
    test_classes: int = 100  # classes to test on
    per_test_class: int = 16  # images of each: every second is in the gallery, the others ask
    backbone: str = "group"  # a small network with group or batch norms, or resnet18
    widths: tuple[int, ...] = (16, 32, 64)  # channels of the small network's blocks
    memory: int = 4  # images of each class that later tasks see again
    batch: int = 64  # images per step, half of them of the memory
    server_steps: int = 600  # of a server model's training
    steps: int = 60  # of each task
    server_rates: tuple[float, ...] = (0.03, 0.1)  # of SGD with momentum .9
    rates: tuple[float, ...] = (0.0001, 0.001, 0.01, 0.03, 0.1)  # of the same, in the local tasks
    decay: float = 5e-4  # weight decay, of matrices alone

    def __post_init__(self) -> None:
        settings.one_of(self, data=sources.CLASSES, backbone=("group", "batch", "resnet18"))
        settings.whole(self, 1, "size", "server", "tasks", "validation_groups", "test_classes")
        settings.whole(self, 1, "widths", "memory", "server_steps", "steps")
        settings.whole(self, 2, "slots", "per_test_class", "batch")
        settings.positive(self, "server_rates", "rates", "decay")
        settings.some(self, "server", "tasks", "widths", "server_rates", "rates")
        if sorted(set(self.server)) != list(self.server):
            raise ValueError(f"server must rise, got {self.server}")
        if self.slots < (needed := max(self.server) + sum(self.tasks)):
            raise ValueError(
                f"slots must be at least {needed}, one for each class, got {self.slots}"
            )
        steps_up = sorted(set(self.replacements)) == list(self.replacements)
        first, *others = self.replacements or (-1,)
        if first != 0 or not steps_up or max(others, default=0) >= len(self.tasks):
            raise ValueError(
                f"replacements must rise from 0 to below the {len(self.tasks)} tasks, "
                f"got {self.replacements}"
            )
        if len(self.replacements) != len(self.server):
            raise ValueError(
                f"replacements must have a task for each of the {len(self.server)} server models, "
                f"got {self.replacements}"
            )


MAIN = ("er", "bct", "simplex", "hoc", "hoc_released", "rotated")
PHOTOS = Config(
    arms=MAIN,
    data="caltech101",
    size=32,
    server=(8, 24),
    tasks=(6, 6, 6, 6),
    slots=64,
    validation_groups=6,
    test_classes=27,
    per_test_class=30,
    widths=(32, 64, 128),
    memory=10,
    steps=100,
)
PRESETS = {
    "smoke": Config(
        arms=("er", "hoc"),
        data="digits",
        server=(2, 3),
        tasks=(2, 1, 1),
        slots=8,
        validation_groups=1,
        test_classes=2,
        per_test_class=20,
        widths=(8,),
        batch=16,
        server_steps=4,
        steps=2,
        server_rates=(0.1,),
        rates=(0.01,),
    ),
    "cpu": Config(arms=MAIN),
    "photos": PHOTOS,
    "full": dataclasses.replace(PHOTOS, arms=(), backbone="batch", server_steps=2000, steps=400),
    "gpu": dataclasses.replace(
        PHOTOS,
        arms=(),
        data="omniglot",
        size=28,
        server=(100, 300, 600),
        replacements=(0, 2, 4),
        tasks=(10, 15, 15, 15, 15, 15, 15),
        slots=1024,
        validation_groups=4,
        test_classes=300,
        per_test_class=20,
        backbone="resnet18",
        memory=5,
        batch=128,
        server_steps=8000,
        steps=1000,
    ),
}
SEEDS = {"cpu": 5, "photos": 5, "full": 5, "gpu": 5}
ACROSS = "accuracy across replacements"
SHOWN = (ACROSS, "accuracy within", "self-test", "AA", "AC", "AC with ties", "local accuracy")
ARMS = {
    "er": "experience replay: cross-entropy to class vectors that are learned",
    "bct": "backward-compatible training: ER, and cross-entropy to the class vectors of the model before",
    "simplex": "cross-entropy to the fixed simplex alone",
    "hoc": "stationary representations: the simplex, and higher-order compatibility",
    "hoc_released": "the same with the released code's form of HOC",
    "rotated": "HOC, but the second server model has a rotated simplex: it must fail",
    "hoc_previous": "HOC with the model before also where a server model replaces it",
    "hoc_half": "HOC with half of the loss, not nine tenths",
    "cl2r": "the simplex, and the old embeddings of what is remembered",
}


class Way(NamedTuple):
    """How an arm trains."""

    loss: Callable[..., jax.Array]
    server: str = "simplex"  # the kind of server models: learned, simplex or rotated
    previous: bool = False  # whether the model before is also what a replacement is compared with
    weight: float = 0.1  # of the cross-entropy, beside HOC


class Trained(NamedTuple):
    """A network with the class vectors that it was trained to."""

    variables: Any
    classes: Array  # [slots, dim of the embeddings]
    seen: np.ndarray  # bool [slots], classes that it has learned


class World(NamedTuple):
    """The images of a seed, and when their classes come."""

    train: data.Images
    slots: np.ndarray  # int32 [n], the row of each training image's class
    tasks: tuple[np.ndarray, ...]  # classes of the server, then of each local task
    validation: data.Images
    test: data.Images


class Rates(NamedTuple):
    """The learning rates that were chosen."""

    servers: dict[str, float]  # of each kind of server model
    arms: dict[str, float]


class Shared(NamedTuple):
    """What the arms of one seed share."""

    world: World
    servers: dict[str, list[Trained]]  # of each kind, one for each replacement
    rates: dict[str, float]  # of each arm
    facts: dict[str, float]


def replay_loss(z, old, batch, params, state, where):
    """Cross-entropy to learned class vectors of the classes so far."""
    logits = class_vectors.among(state["seen"])(z, params["classes"])
    return losses.cross_entropy(logits, batch["slots"], **where)


def influence_loss(z, old, batch, params, state, where):
    """The same, and for images of old classes under the model before's class vectors."""
    known = where["where"] & state["old seen"][batch["slots"]]
    influence = losses.backward_compatible(
        z,
        batch["slots"],
        state["old classes"],
        similarity=class_vectors.among(state["old seen"]),
        **{**where, "where": known},
    )
    return replay_loss(z, old, batch, params, state, where) + influence


def simplex_loss(z, old, batch, params, state, where):
    """Cross-entropy to the simplex, all of whose corners are in the softmax."""
    logits = similarity.dot(z, state["vertices"])
    return losses.cross_entropy(logits, batch["slots"], **where)


def hoc_loss(z, old, batch, params, state, where):
    """The paper's loss."""
    return losses.stationary(
        z, old, batch["slots"], state["vertices"], weight=state["weight"], **where
    )


def released_loss(z, old, batch, params, state, where):
    """The released code's loss."""
    entropy = simplex_loss(z, old, batch, params, state, where)
    compatible = losses.higher_order_compatibility_released(z, old, batch["slots"], **where)
    return state["weight"] * entropy + (1 - state["weight"]) * compatible


def retention_loss(z, old, batch, params, state, where):
    """The simplex, and old embeddings of remembered images; more of it the more classes are old."""
    remembered = where["where"] & batch["remembered"]
    kept = losses.embedding_distillation_cosine(z, old, **{**where, "where": remembered})
    return simplex_loss(z, old, batch, params, state, where) + state["retention"] * kept


WAYS = {
    "er": Way(replay_loss, server="learned"),
    "bct": Way(influence_loss, server="learned", previous=True),
    "simplex": Way(simplex_loss),
    "hoc": Way(hoc_loss),
    "hoc_released": Way(released_loss),
    "rotated": Way(hoc_loss, server="rotated"),
    "hoc_previous": Way(hoc_loss, previous=True),
    "hoc_half": Way(hoc_loss, weight=0.5),
    "cl2r": Way(retention_loss),
}
SERVERS = {
    "learned": Way(replay_loss, server="learned"),
    "simplex": Way(simplex_loss),
    "rotated": Way(simplex_loss, server="rotated"),
}


def retention(new: int, old: int, *, base: float = 10.0) -> float:
    """CL2R's weight of old embeddings: base sqrt(new classes / old classes), 0 before there are old ones."""
    return base * (new / old) ** 0.5 if old else 0.0


def fingerprint(config: Config) -> tuple[data.Images, ...]:
    """Of the data: all images."""
    return images.all_classes(config.data, config.size)


def world_of(config: Config) -> World:
    """The images; a seed draws which classes the server knows and in which task the others come."""
    train, validation, test = images.unseen_classes(
        config.data,
        size=config.size,
        validation_groups=config.validation_groups,
        test_classes=config.test_classes,
        per_test_class=config.per_test_class,
        seed=0,
    )
    sizes = (config.server[-1], *config.tasks)
    tasks = data.task_sequence(train.labels, sizes, seed=config.seed)
    server, local = tasks[0], np.concatenate(tasks[1:])
    row_of = dict(zip(server.tolist(), range(len(server)), strict=True))
    last = similarity.reverse_slots(np.arange(len(local), dtype=np.int32), config.slots)
    row_of |= dict(zip(local.tolist(), np.asarray(last).tolist(), strict=True))
    train = train.of(np.isin(train.labels, list(row_of)))
    slots = np.array([row_of[label] for label in train.labels.tolist()], np.int32)
    return World(train, slots, tasks, validation, test)


def prepare_all(config: Config, workdir: Path) -> Rates:
    """The rates: of each kind of server model, then of every arm, with the models of the first seed."""
    world, arms, rates = world_of(config), config.arms or tuple(ARMS), Rates({}, {})
    kinds = {"learned" if WAYS[arm].server == "learned" else "simplex" for arm in arms}
    for kind in sorted(kinds):

        def accuracy(rate, kind=kind):
            model = server_model(config, world, kind, len(config.server) - 1, rate, workdir)
            return float(np.mean(searched(config, kind, [model], world.validation)[0, 0]))

        folder = workdir / "servers" / kind
        rates.servers[kind] = tuning.tuned_rate(config.server_rates, accuracy, workdir=folder)
    if len(config.rates) == 1:
        return rates._replace(arms=dict.fromkeys(arms, config.rates[0]))
    servers = server_models(config, world, rates.servers, workdir)
    for arm in arms:

        def aa(rate, arm=arm):
            models = replaced(config, arm, rate, world, servers, workdir / arm)
            matrix = searched(config, WAYS[arm].server, models, world.validation)
            return float(evaluation.average_accuracy(matrix.mean(axis=2)))

        rates.arms[arm] = tuning.tuned_rate(config.rates, aa, workdir=workdir / arm)
    return rates


def prepare(config: Config, workdir: Path, common: Rates) -> Shared:
    """The server models of a seed."""
    world = world_of(config)
    pixels, labels = images.flat(world.test), world.test.labels
    gallery, queries = successors.halves(labels)
    by_pixels = pixels[queries], labels[queries], pixels[gallery], labels[gallery]
    facts: dict[str, float] = {
        "images to train on": len(world.slots),
        "classes to test on": len(np.unique(labels)),
        "accuracy by chance": 1 / len(np.unique(labels)),
        "accuracy of pixels": float(evaluation.template_accuracy(*by_pixels)),
        **{f"rate of {kind} servers": rate for kind, rate in common.servers.items()},
        **{f"rate of {arm}": rate for arm, rate in common.arms.items()},
    }
    servers = server_models(config, world, common.servers, workdir)
    return Shared(world, servers, common.arms, facts)


def server_models(
    config: Config, world: World, rates: dict[str, float], workdir: Path
) -> dict[str, list[Trained]]:
    """The server models of each kind that the arms need; a rotated simplex has the others' first model."""
    servers: dict[str, list[Trained]] = {}
    for kind in dict.fromkeys(WAYS[arm].server for arm in config.arms or ARMS):
        rate, servers[kind] = rates["learned" if kind == "learned" else "simplex"], []
        for number in range(len(config.server)):
            name = "simplex" if kind == "rotated" and number == 0 else kind
            model = server_model(config, world, name, number, rate, workdir)
            servers[kind].append(model)
    return servers


def server_model(
    config: Config, world: World, kind: str, number: int, rate: float, workdir: Path
) -> Trained:
    """A model trained elsewhere, from a start of its own, on the first classes of the server."""
    start = untrained(config, kind, config.seed * 1000 + number)
    classes = world.tasks[0][: config.server[number]]
    return fitted(
        config,
        SERVERS[kind],
        start,
        start,
        world,
        (classes, classes[:0]),
        rate=rate,
        steps=config.server_steps,
        workdir=workdir / "servers" / kind / f"server-{number}-{rate:g}",
    )


def untrained(config: Config, kind: str, seed: int) -> Trained:
    """A network's start, with its class vectors."""
    sample = images.all_classes(config.data, config.size)[0].images[:1]
    module = network(config, kind)
    variables = fits.initial(module, seed, sample)
    features = jax.eval_shape(module.apply, variables, sample).shape[1]
    vectors = class_vectors.start(kind, config.slots, features, seed)
    return Trained(variables, vectors, np.zeros(config.slots, bool))


def network(config: Config, kind: str) -> class_vectors.Network:
    """The network of a kind of class vectors."""
    slots = 0 if kind == "learned" else config.slots
    if config.backbone == "resnet18":
        return class_vectors.Network(encoders.resnet18(stem="small"), slots)
    photographs = config.data == "caltech101"
    pooling = encoders.mean_of_places if photographs else encoders.all_places
    backbone = encoders.ConvNet(None, config.widths, pooling=pooling, norm=config.backbone)
    return class_vectors.Network(backbone, slots)


def replaced(
    config: Config,
    arm: str,
    rate: float,
    world: World,
    servers: dict[str, list[Trained]],
    workdir: Path,
) -> list[Trained]:
    """The models of an arm after each task: some tasks begin with a server model in place of the last."""
    way = WAYS[arm]
    models: list[Trained] = []
    remembered: list[int] = []
    for number, classes in enumerate(world.tasks[1:]):
        if number in config.replacements:
            server = servers[way.server][config.replacements.index(number)]
            # Its classes are not the local ones: learned class vectors begin anew.
            fresh = untrained(config, way.server, config.seed * 1000 + 500 + number)
            vectors = fresh.classes if way.server == "learned" else server.classes
            start = server._replace(classes=vectors, seen=np.zeros(config.slots, bool))
        else:
            start = models[-1]
        old = models[-1] if models and way.previous else start
        models.append(
            fitted(
                config,
                way,
                start,
                old,
                world,
                (classes, np.array(remembered, np.int32)),
                rate=rate,
                steps=config.steps,
                workdir=workdir / f"task-{number}-{rate:g}",
            )
        )
        remembered += classes.tolist()
    return models


def fitted(
    config: Config,
    way: Way,
    start: Trained,
    old: Trained,
    world: World,
    classes: tuple[np.ndarray, np.ndarray],
    *,
    rate: float,
    steps: int,
    workdir: Path,
) -> Trained:
    """A network that goes on from a start with new classes, while it remembers others."""
    new, remembered = classes
    labels = world.train.labels
    learned = way.server == "learned"
    seen = np.zeros(config.slots, bool)
    seen[world.slots[np.isin(labels, np.append(new, remembered))]] = True
    params = {"net": start.variables["params"]}
    if learned:
        params["classes"] = start.classes
    state = {
        "stats": {name: part for name, part in start.variables.items() if name != "params"},
        "old": old.variables,
        "old classes": old.classes,
        "old seen": old.seen,
        "vertices": start.classes,
        "seen": seen,
        "weight": jnp.float32(way.weight),
        "retention": jnp.float32(retention(len(new), len(remembered))),
    }
    params, state = fits.fitted(
        objective_of(config, way),
        params,
        data.rehearsal_batches(
            {"image": world.train.images, "slots": world.slots},
            np.flatnonzero(np.isin(labels, new)),
            data.rehearsal_memory(labels, remembered, per_class=config.memory, seed=config.seed),
            batch_size=config.batch,
            seed=config.seed,
            steps=steps,
        ),
        rate=rate,
        seed=config.seed,
        workdir=workdir,
        label=f"{workdir.parent.name}, {workdir.name}",
        state=state,
        rule=lambda schedule: training.sgd(schedule, weight_decay=config.decay),
        schedule=cosine,
        warmup=0.0,
    )
    params, stats = jax.tree.map(np.asarray, (params, state["stats"]))
    classes_now = params["classes"] if learned else start.classes
    return Trained({"params": params["net"], **stats}, classes_now, seen)


def objective_of(config: Config, way: Way) -> Callable[..., Any]:
    """The objective of an arm: the old network is in its evaluation mode, and both see the same view."""
    module = network(config, way.server)
    views = augment.views(images.VIEWS[config.data])

    def objective(params, state, batch, *, key, axis_name):
        x = views(key, batch["image"], batch["ids"])
        where = {"where": batch["where"], "axis_name": axis_name}
        variables = {"params": params["net"], **state["stats"]}
        z, moved = module.apply(variables, x, train=True, mutable=list(state["stats"]), **where)
        old = module.apply(state["old"], x)
        loss = way.loss(z, old, batch, params, state, where)
        return loss, ({**state, "stats": dict(moved)}, {})

    return objective


def cosine(peak: float, *, steps: int, warmup: float) -> optax.Schedule:
    """The paper's schedule: a cosine from the rate to a hundredth of it."""
    return optax.cosine_decay_schedule(peak, steps, alpha=0.01)


def searched(config: Config, kind: str, models: list[Trained], part: data.Images) -> np.ndarray:
    """[models, models, classes], the accuracy of queries by a model in the gallery of an earlier one."""
    module = network(config, kind)
    nets = [images.Model(module, model.variables) for model in models]
    return successors.accuracies(
        [images.embedded(net, part.images)[0] for net in nets], part.labels
    )


def run(config: Config, arm: str, shared: Shared, workdir: Path) -> list[dict]:
    """One arm, one seed: its models after each task, and how each searches what those before indexed."""
    models = replaced(config, arm, shared.rates[arm], shared.world, shared.servers, workdir)
    matrix = searched(config, WAYS[arm].server, models, shared.world.test)
    new, old = np.tril_indices(len(models))
    server = np.searchsorted(config.replacements, np.arange(len(models)), side="right")
    across, pairs = server[new] != server[old], matrix[new, old]
    parts = {
        ACROSS: pairs[across],
        "accuracy within": pairs[~across & (new > old)],
        "self-test": pairs[new == old],
        "AA": pairs,
    }
    return [
        {
            "data": config.data,
            **{name: part for name, part in parts.items() if part.size},
            "AC": successors.compatibility(matrix, strict=True),
            "AC with ties": successors.compatibility(matrix, strict=False),
            "local accuracy": learned_locally(config, arm, models[-1], shared.world),
            **successors.cells(matrix),
        }
    ]


def learned_locally(config: Config, arm: str, model: Trained, world: World) -> float:
    """The last model's accuracy on the images of all local classes, by their class vectors."""
    local = model.seen[world.slots]
    module = network(config, WAYS[arm].server)
    z, _ = images.embedded(images.Model(module, model.variables), world.train.images[local])
    logits = class_vectors.among(model.seen)(z, model.classes)
    return float(np.mean(np.argmax(logits, axis=1) == world.slots[local]))


def claim(rows: list[dict]) -> runner.Claim:
    """The simplex above ordinary classifiers, HOC above both, a rotated simplex below; AA and AC likewise."""
    above = functools.partial(runner.above, rows)
    return runner.sentences(
        [
            (
                "across a replacement the simplex is above ordinary classifiers",
                above("simplex", "er", on=ACROSS),
            ),
            ("HOC is above both there", above("hoc", "er", "simplex", on=ACROSS)),
            ("a rotated simplex fails there", above("hoc", "rotated", on=ACROSS)),
            ("HOC has the highest AA", above("hoc", "er", "bct", "simplex", on="AA")),
            ("HOC has the highest AC", above("hoc", "er", "bct", "simplex", on="AC")),
        ]
    )


def pictures(rows: list[dict]) -> dict:
    """compatibility.png: the mean matrix of each arm; accuracy.png: across the replacements, by arm."""
    shown = runner.summary(rows)
    return {
        "compatibility": successors.heat_maps(shown),
        "accuracy": pictures_.dots(shown, y=ACROSS, panel="data"),
    }
