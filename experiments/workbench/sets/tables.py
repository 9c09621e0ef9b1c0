"""Tables for the papers about regression: a registry of sets, and the parts of a split as networks take them."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from experiments.workbench.networks import models
from jaxsim import data, pretrained, search

ANGLES = 60.0  # degrees to either side: none wraps around
ROTATED = 10_000  # digits
SPLITS = 20  # of every table


class Rows(NamedTuple):
    """Examples of one part of a split."""

    features: np.ndarray  # float32 [n, columns], standardized by the training rows
    labels: np.ndarray  # float32 [n], in bins: what training sees
    targets: np.ndarray  # float64 [n], in the table's unit: what is predicted and tested


class Parts(NamedTuple):
    """A split: settings are chosen on the validation rows, which are part of the split's training rows."""

    train: Rows
    validation: Rows
    test: Rows


def rotated_mnist() -> data.Table:
    """MNIST digits, each turned by an angle between -60 and 60 degrees, which is to be predicted."""
    from scipy import ndimage

    random = np.random.default_rng(0)
    images = data.mnist("train").images
    images = images[random.permutation(len(images))[:ROTATED], ..., 0]
    angles = random.uniform(-ANGLES, ANGLES, len(images))
    turned = [
        ndimage.rotate(image, angle, reshape=False, order=1)
        for image, angle in zip(images, angles, strict=True)
    ]
    return drawn(np.reshape(turned, (len(images), -1)), angles)


def sentence_pairs() -> data.Table:
    """STS Benchmark: frozen MiniLM vectors of two sentences, u and v, as |u - v| and u v; people's scores."""
    pairs = [data.sts_benchmark(split) for split in ("train", "validation")]
    model = pretrained.load(models.folder())
    first, second = (
        search.encode_corpus(model.encode, model.params, model.tokens, texts)
        for texts in (
            [*pairs[0].first, *pairs[1].first],
            [*pairs[0].second, *pairs[1].second],
        )
    )
    features = np.concatenate([np.abs(first - second), first * second], axis=1)
    return drawn(features, np.concatenate([part.scores for part in pairs]))


def drawn(features: np.ndarray, targets: np.ndarray) -> data.Table:
    """A table with 20 random splits, nine tenths to train on."""
    orders = [
        np.random.default_rng([0, number]).permutation(len(targets)) for number in range(SPLITS)
    ]
    test_rows = np.array(orders, np.int32)[:, : len(targets) // 10]
    return data.Table(features.astype(float), targets.astype(float), test_rows)


# name: the table, and the width of a bin in its target's unit (MPa, kWh/m^2, ..., degrees, points).
SOURCES: dict[str, tuple[Callable[[], data.Table], float]] = {
    "concrete": (functools.partial(data.regression, "concrete"), 1.0),
    "energy": (functools.partial(data.regression, "energy"), 0.5),
    "kin8nm": (functools.partial(data.regression, "kin8nm"), 0.05),
    "wine_quality_red": (functools.partial(data.regression, "wine_quality_red"), 1.0),
    "diabetes": (functools.partial(data.regression, "diabetes"), 10.0),
    "rotated_mnist": (rotated_mnist, 1.0),
    "sentence_pairs": (sentence_pairs, 0.1),
}


@functools.cache
def table(name: str) -> data.Table:
    """A table of the registry, read once."""
    return SOURCES[name][0]()


def bin_width(name: str) -> float:
    """The width of a bin of a table's labels, in the unit of its targets."""
    return SOURCES[name][1]


def parts(name: str, split: int, *, binned: bool, validation: float) -> Parts:
    """The parts of one split of a table.

    Args:
      name: of the table.
      split: its number, from 0 to 19.
      binned: whether training sees labels that are rounded to whole bins, or the targets in units of a bin.
      validation: the part of the training rows to choose settings on.
    """
    whole, width = table(name), bin_width(name)
    train, test = whole.split(split)
    train = np.random.default_rng([split, 1]).permutation(train)
    validated, train = np.split(train, [round(validation * len(train))])
    rows = train, validated, test
    features = data.standardized(*(whole.features[chosen] for chosen in rows))
    labels = whole.targets / width
    labels = (np.round(labels) if binned else labels).astype(np.float32)
    return Parts(
        *(
            Rows(x.astype(np.float32), labels[chosen], whole.targets[chosen])
            for x, chosen in zip(features, rows, strict=True)
        )
    )
