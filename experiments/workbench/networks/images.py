"""Images for the papers about losses: a small network trained on views, and what it makes of a set."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.workbench.measures.figures import each
from experiments.workbench.sets import sources
from experiments.workbench.training import fits
from jaxsim import analysis, data, encoders, evaluation, similarity, training
from jaxsim.data import augment
from jaxsim.numerics import masked
from jaxsim.numerics.types import ArrayTree, Objective

# What leaves a label as it is: a letter may move or turn a little, a photograph may be cropped.
VIEWS = {
    "digits": augment.chain(augment.shift(most=1), augment.rotate(degrees=10)),
    "digits-small": augment.chain(augment.shift(most=1), augment.rotate(degrees=10)),
    "glyphs": augment.chain(augment.shift(most=1), augment.rotate(degrees=10)),
    "omniglot": augment.chain(augment.shift(most=2), augment.rotate(degrees=10)),
    "cifar10": augment.chain(
        augment.crop(area=(0.2, 1.0)),
        augment.flip(),
        augment.sometimes(augment.colors(), chance=0.8),
        augment.grayscale(chance=0.2),
    ),
    "caltech101": augment.chain(augment.shift(most=4), augment.flip()),
}


@functools.cache
def train_and_test(name: str) -> tuple[data.Images, data.Images]:
    """(train, test) of a name of `sources.IMAGES`, read once."""
    images = sources.chosen(sources.IMAGES, name)
    return images("train"), images("test")


@functools.cache
def all_classes(name: str, size: int) -> tuple[data.Images, ...]:
    """(to train and tune on, to test on) of a name of `sources.CLASSES`; one where a seed draws the classes."""
    return sources.chosen(sources.CLASSES, name)(size)


def unseen_classes(
    name: str,
    *,
    size: int,
    validation_groups: int,
    test_classes: int,
    per_test_class: int,
    seed: int,
) -> tuple[data.Images, data.Images, data.Images]:
    """(train, validation, test): no class is in two of them; what is held out is drawn by the seed."""
    random = np.random.default_rng(seed)
    known, *unseen = all_classes(name, size)
    names = random.permutation(np.unique(known.groups))
    held_out = validation_groups + (0 if unseen else test_classes)
    if held_out >= len(names):
        raise ValueError(
            f"{'validation_groups' if unseen else 'test_classes and validation_groups'} must leave "
            f"some of the {len(names)} groups of {name} to train on, got {held_out}"
        )
    if not unseen:
        tested, names = np.split(names, [test_classes])
        unseen = [known.of(np.isin(known.groups, tested))]
    tuned, taught = np.split(names, [validation_groups])
    train, validation = (known.of(np.isin(known.groups, part)) for part in (taught, tuned))
    tested = random.permutation(np.unique(unseen[0].labels))[: test_classes or None]
    rows = [np.flatnonzero(unseen[0].labels == label)[:per_test_class] for label in tested]
    return train, validation, unseen[0].of(np.concatenate(rows))


class Model(NamedTuple):
    """A trained network."""

    module: Any
    params: ArrayTree


def network(name: str, *, dim: int, widths: tuple[int, ...]) -> Any:
    """The network for a data set: of photographs the last map is averaged, else it is kept whole."""
    pooling = encoders.mean_of_places if name == "cifar10" else encoders.all_places
    return encoders.ConvNet(dim=dim, widths=widths, pooling=pooling)


def trained(
    objective: Objective,
    params: ArrayTree,
    batches: data.Planned,
    *,
    rate: float,
    seed: int,
    workdir: Path,
    label: str,
    **settings: Any,
) -> Any:
    """A network trained by Adam at a rate that falls to 0 as a cosine: `fits.fitted`, which has the arguments."""
    return fits.fitted(
        objective,
        params,
        batches,
        rate=rate,
        seed=seed,
        workdir=workdir,
        label=label,
        rule=optax.adam,
        schedule=training.cosine_warmup_decay,
        warmup=0.05,
        **settings,
    )


def embedded(
    model: Model, images: np.ndarray, *, batch: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """(embeddings [n, dim], backbone features [n, features]) of all images, in blocks of one shape."""
    apply = applied(model.module)
    embeddings, features = [], []
    for start in range(0, len(images), batch):
        block = images[start : start + batch]
        padded = np.pad(block, [(0, batch - len(block))] + [(0, 0)] * (block.ndim - 1))
        vectors, maps = apply(model.params, padded)
        embeddings.append(np.asarray(vectors)[: len(block)])
        features.append(np.asarray(maps)[: len(block)])
    return np.concatenate(embeddings), np.concatenate(features)


@functools.lru_cache(maxsize=8)
def applied(module: Any) -> Callable[..., Any]:
    """(params, images) -> (embeddings, features) of a network, compiled once for all equal ones."""
    return jax.jit(functools.partial(module.apply, features=True))


@functools.cache
def views_of(name: str) -> Callable[..., jax.Array]:
    """The views of a data set, compiled once."""
    return jax.jit(augment.views(VIEWS[name]))


def probed(
    features: np.ndarray, train: data.Images, test_features: np.ndarray, test: data.Images
) -> float:
    """The test accuracy of a linear probe."""
    return float(evaluation.linear_probe(features, train.labels, test_features, test.labels))


def flat(images: data.Images) -> np.ndarray:
    """Images as vectors, [n, pixels]."""
    return images.images.reshape(len(images.images), -1)


def viewed(
    name: str, model: Model, images: np.ndarray, chosen: np.ndarray, key: jax.Array
) -> np.ndarray:
    """Embeddings of a view of each chosen image, [chosen, dim]."""
    views = views_of(name)(key, images[chosen], chosen)
    return embedded(model, np.asarray(views))[0]


def looked_at(
    name: str,
    model: Model,
    train: data.Images,
    test: data.Images,
    *,
    neighbors: int,
    seed: int,
) -> dict[str, Any]:
    """How good a trained network is on test images, and how their embeddings lie.

    Args:
      name: the data set, whose views are drawn.
      model: the network.
      train, test: the probe and the votes learn from train.
      neighbors: how many vote for a class.
      seed: of the views.

    Returns: figures; those of accuracy per test image.
    """
    train_embeddings, train_features = embedded(model, train.images)
    embeddings, features = embedded(model, test.images)
    every, keys = np.arange(len(test.labels)), jax.random.split(jax.random.key(seed))
    view, other = (viewed(name, model, test.images, every, key) for key in keys)
    votes = functools.partial(
        each, evaluation.knn_accuracy, k=neighbors, reference_labels=train.labels
    )
    lies = geometry(embeddings, test.labels, view, other)
    return {
        "probe": each(evaluation.linear_probe, train_features, train.labels, features, test.labels),
        "kNN": votes(features, test.labels, references=train_features),
        "kNN of embeddings": votes(embeddings, test.labels, references=train_embeddings),
        **{figure: float(value) for figure, value in lies.items()},
    }


@jax.jit
def geometry(
    embeddings: jax.Array, labels: jax.Array, view: jax.Array, other: jax.Array
) -> dict[str, jax.Array]:
    """How embeddings lie, and how far two views of an image are from those of others."""
    between = similarity.cosine(view, other)
    separation = analysis.local_separation(between, jnp.eye(len(between), dtype=bool))
    return {
        "uniformity": analysis.uniformity(embeddings),
        "tolerance": analysis.tolerance(embeddings, labels),
        "positive similarity": separation.positive,
        "local gap": separation.gap,
    }


def concentration(
    name: str,
    model: Model,
    bank: np.ndarray,
    train: data.Images,
    miner: Callable[..., Any],
    *,
    temperature: float | None,
    classmates: bool,
    seed: int,
) -> dict[str, float]:
    """Where a loss's gradient goes among a bank of all training images, seen from some of them.

    Args:
      name: the data set, whose views are drawn.
      model: the network.
      bank: [training images, dim].
      train: the images.
      miner: which pairs the loss keeps; the same function for every call that shall be compiled once.
      temperature: of its softmax; None where it has none: every negative kept has the same share.
      classmates: whether images of the same class are among the negatives.
      seed: of the views.

    Returns: figures.
    """
    chosen = np.arange(0, len(bank), max(1, len(bank) // 512))
    views = viewed(name, model, train.images, chosen, jax.random.key(seed))
    positives = chosen[:, None] == np.arange(len(bank))
    others = np.ones_like(positives)
    if not classmates:
        others = positives | (train.labels[chosen, None] != train.labels)
    t = 1e6 if temperature is None else temperature
    figures = _concentrated(views, bank, positives, others, t, miner)
    return {figure: float(value) for figure, value in figures.items()}


@functools.partial(jax.jit, static_argnames="miner")
def _concentrated(views, bank, positives, others, temperature, miner):
    scores = similarity.cosine(views, bank)
    _, rivals = miner(scores, positives, others)
    where = positives | rivals
    entropy = analysis.ratio_entropy(scores, positives, temperature=temperature, where=where)
    hits = masked.softmax(scores / temperature, where) * positives
    missed = 1 - masked.sum(hits, positives)
    return {"entropy of the ratios": entropy.mean(), "1 - P of the positive": missed.mean()}
