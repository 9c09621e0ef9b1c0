"""Images for the papers about losses: a small network trained on views, and what it makes of a set.

The configs of the experiments that use this have the fields that its functions name.
"""

import dataclasses
import functools
import hashlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxsim import analysis, data, encoders, evaluation, similarity, training
from jaxsim.data import augment
from jaxsim.numerics import masked

# What a label stands: a letter stays a letter when it moves or turns a little, a photograph when cropped.
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
}


@functools.cache
def train_and_test(name):
    """(train, test) of digits or cifar10, as `Images`; of digits-small every eighth image."""
    if name == "digits-small":
        return tuple(some.of(slice(None, None, 8)) for some in train_and_test("digits"))
    sources = {"digits": data.digits, "cifar10": data.cifar10_subset}
    if name not in sources:
        raise ValueError(f"data must be digits-small, {' or '.join(sources)}, got {name!r}")
    return tuple(sources[name](split) for split in ("train", "test"))


@functools.cache
def all_classes(config):
    """(to train and tune on, to test on); the same images where a seed draws the classes."""
    if config.data in ("digits", "glyphs"):
        return (data.digits() if config.data == "digits" else data.glyphs(size=config.size),)
    if config.data == "omniglot":
        return tuple(data.omniglot(split, size=config.size) for split in ("train", "test"))
    raise ValueError(f"data must be glyphs, digits or omniglot, got {config.data!r}")


def unseen_classes(config):
    """(train, validation, test): no class is in two of them; what is held out is drawn by the seed."""
    random = np.random.default_rng(config.seed)
    known, *unseen = all_classes(dataclasses.replace(config, seed=0, arms=()))
    names = random.permutation(np.unique(known.groups))
    held_out = config.validation_groups + (0 if unseen else config.test_classes)
    if held_out >= len(names):
        raise ValueError(
            f"{'validation_groups' if unseen else 'test_classes and validation_groups'} must leave "
            f"some of the {len(names)} groups of {config.data} to train on, got {held_out}"
        )
    if not unseen:
        tested, names = np.split(names, [config.test_classes])
        unseen = [known.of(np.isin(known.groups, tested))]
    tuned, taught = np.split(names, [config.validation_groups])
    train, validation = (known.of(np.isin(known.groups, some)) for some in (taught, tuned))
    tested = random.permutation(np.unique(unseen[0].labels))[: config.test_classes or None]
    rows = np.concatenate(
        [np.flatnonzero(unseen[0].labels == one)[: config.per_test_class] for one in tested]
    )
    return train, validation, unseen[0].of(rows)


class Model(NamedTuple):
    """A trained network."""

    module: object
    params: object


def network(config):
    """The network of a config: widths, dim, whether its last map is averaged or kept whole."""
    pooling = encoders.mean_of_places if config.data == "cifar10" else encoders.all_places
    return encoders.ConvNet(dim=config.dim, widths=config.widths, pooling=pooling)


def initial(module, images, seed):
    """Parameters of the start, the same for every arm of a seed."""
    return jax.jit(module.init)(jax.random.key(seed), images[:1])


def trained(objective, params, batches, *, rate, state, seed, workdir, about, label):
    """What `training.fit` makes of an objective, by Adam at a rate that falls to 0 as a cosine.

    The rate is a number in the optimizer's state, and an arm's settings belong into the objective's:
    runs that differ in numbers alone are then one program, compiled once.

    Args:
      objective, params, batches, state, workdir, label: as in `training.fit`; there is a state.
      rate: the highest learning rate.
      seed: of the views.
      about: a string for all that the run depends on.

    Returns: (params, state).
    """
    steps = len(batches)
    optimizer = optax.chain(
        optax.scale_by_adam(),
        optax.scale_by_schedule(training.cosine_warmup_decay(1.0, steps=steps, warmup=0.05)),
        optax.inject_hyperparams(optax.scale)(step_size=-rate),
    )
    return training.fit(
        objective,
        params,
        batches,
        optimizer=optimizer,
        state=state,
        key=jax.random.key(seed),
        workdir=workdir,
        fingerprint=hashlib.sha256(about.encode()).hexdigest()[:16],
        save_every=steps,
        label=label,
    )


def embedded(model, images, *, batch=256):
    """(embeddings [n, dim], backbone features [n, features]) of all images, in blocks of one shape."""
    apply = applied(model.module)
    found = []
    for start in range(0, len(images), batch):
        some = images[start : start + batch]
        padded = np.pad(some, [(0, batch - len(some))] + [(0, 0)] * 3)
        found.append([np.asarray(a)[: len(some)] for a in apply(model.params, padded)])
    return tuple(np.concatenate(both) for both in zip(*found, strict=True))


@functools.lru_cache(maxsize=8)
def applied(module):
    """(params, images) -> (embeddings, features) of a network, compiled once for all that are like it."""
    return jax.jit(functools.partial(module.apply, features=True))


@functools.cache
def views_of(name):
    """The views of a data set, compiled once."""
    return jax.jit(augment.views(VIEWS[name]))


def probed(features, train, test_features, test):
    """The test accuracy of a linear probe: train and test are `Images`."""
    return float(evaluation.linear_probe(features, train.labels, test_features, test.labels))


def flat(some):
    """The images of `Images` as vectors, [n, pixels]."""
    return some.images.reshape(len(some.images), -1)


def viewed(config, model, images, chosen, key):
    """Embeddings of a view of each chosen image, [chosen, dim]."""
    views = views_of(config.data)(key, images[chosen], chosen)
    return embedded(model, np.asarray(views))[0]


def looked_at(config, model, train, test, *, neighbors):
    """How good a trained network is on test images, and how their embeddings lie.

    Args:
      config: its data and seed choose the views.
      model: `Model`.
      train, test: `Images`; the probe and the votes learn from train.
      neighbors: how many vote for a class.

    Returns: figures; those of accuracy per test image.
    """
    apart, seen = embedded(model, train.images)
    embeddings, features = embedded(model, test.images)
    every, keys = np.arange(len(test.labels)), jax.random.split(jax.random.key(config.seed))
    one, other = (viewed(config, model, test.images, every, key) for key in keys)
    votes = functools.partial(
        evaluation.knn_accuracy, k=neighbors, reference_labels=train.labels, reduce_fn=None
    )
    probe = evaluation.linear_probe(seen, train.labels, features, test.labels, reduce_fn=None)
    return {
        "probe": np.asarray(probe[0], float),
        "kNN": np.asarray(votes(features, test.labels, references=seen)[0], float),
        "kNN of embeddings": np.asarray(votes(embeddings, test.labels, references=apart)[0], float),
        **{n: float(v) for n, v in geometry(embeddings, test.labels, one, other).items()},
    }


@jax.jit
def geometry(embeddings, labels, one, other):
    """How embeddings lie, and how far two views of an image stand out."""
    between = similarity.cosine(one, other)
    apart = analysis.local_separation(between, jnp.eye(len(between), dtype=bool))
    return {
        "uniformity": analysis.uniformity(embeddings),
        "tolerance": analysis.tolerance(embeddings, labels),
        "positive similarity": apart.positive,
        "local gap": apart.gap,
    }


def concentration(config, model, bank, train, miner, *, temperature, classmates):
    """Where a loss's gradient goes among a bank of all training images, seen from some of them.

    Args:
      config: its data and seed choose the views.
      model: `Model`.
      bank: [training images, dim].
      train: `Images`.
      miner: which pairs the loss keeps; the same function for every call that shall be compiled once.
      temperature: of its softmax; None where it has none: every negative kept has the same share.
      classmates: whether images of the same class are among the negatives.

    Returns: figures.
    """
    chosen = np.arange(0, len(bank), max(1, len(bank) // 512))
    views = viewed(config, model, train.images, chosen, jax.random.key(config.seed))
    own = chosen[:, None] == np.arange(len(bank))
    others = np.ones_like(own) if classmates else own | (train.labels[chosen, None] != train.labels)
    t = 1e6 if temperature is None else temperature
    return {n: float(v) for n, v in _concentrated(views, bank, own, others, t, miner).items()}


@functools.partial(jax.jit, static_argnames="miner")
def _concentrated(views, bank, own, others, temperature, miner):
    scores = similarity.cosine(views, bank)
    _, rivals = miner(scores, own, others)
    where = own | rivals
    entropy = analysis.ratio_entropy(scores, own, temperature=temperature, where=where)
    missed = 1 - masked.sum(masked.softmax(scores / temperature, where) * own, own)
    return {"entropy of the ratios": entropy.mean(), "1 - P of the positive": missed.mean()}
