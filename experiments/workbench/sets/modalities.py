"""Two modalities of one thing, one of them noisy, and a small network that fuses them."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsim import data, encoders

NAMES = "first", "second"


class Pairs(NamedTuple):
    """Labeled pairs; the second modality at several levels of noise."""

    first: np.ndarray  # float32 [pairs, ...]
    second: np.ndarray  # float32 [levels, pairs, ...]
    labels: np.ndarray  # int32 [pairs]


def halves(sizes: Sequence[int], noises: Sequence[float], *, seed: int) -> list[Pairs]:
    """Left and right halves of scikit-learn's digits, drawn by the seed: parts of so many pairs, then the others.

    The right half has Gaussian noise of each deviation, the same draw in all.
    """
    images = data.digits()
    random = np.random.default_rng(seed)
    order = random.permutation(len(images.labels))
    if sum(sizes) >= len(order):
        raise ValueError(f"sizes must leave some of the {len(order)} digits, got {tuple(sizes)}")
    pixels = images.images[order, :, :, 0]
    left, right = (half.reshape(len(order), -1) for half in np.split(pixels, 2, axis=2))
    whole = Pairs(left, _noisy(right, noises, random), images.labels[order])
    return _cut(whole, sizes)


def heard_and_seen(sizes: Sequence[int], noises: Sequence[float], *, seed: int) -> list[Pairs]:
    """Spoken and handwritten digits paired by label: so many pairs of one part, the next, and a test part.

    No recording and no image is in two parts, and those to test on are the official ones. The images have
    Gaussian noise of each deviation, the same draw in all.
    """
    random = np.random.default_rng(seed)
    parts = []
    for split in ("train", "test"):
        heard, seen = data.spoken_digits(split), data.mnist(split)
        recordings, pictures = data.label_pairs(heard.labels, seen.labels, seed=seed)
        noisy = _noisy(seen.images[pictures], noises, random)
        parts.append(Pairs(heard.images[recordings], noisy, heard.labels[recordings]))
    if sum(sizes) > len(parts[0].labels):
        raise ValueError(
            f"sizes must be at most {len(parts[0].labels)} pairs, got {sum(sizes)} of {tuple(sizes)}"
        )
    *cut, _ = _cut(parts[0], sizes)
    return [*cut, parts[1]]


PARTS = {"digits": halves, "spoken-mnist": heard_and_seen}


class Network(NamedTuple):
    """An encoder for each modality, and the head that fuses their features."""

    encoders: tuple[Any, Any]
    head: encoders.ConcatFusion

    def initial(self, first: np.ndarray, second: np.ndarray, seed: int) -> dict[str, Any]:
        """Parameters of the start for a batch of each modality."""
        return _initial(self, jax.random.key(seed), first, second)

    def features(self, params: Any, first: jax.Array, second: jax.Array) -> list[jax.Array]:
        """The features of both modalities, float [rows, dim] each; by GELU, under which none dies."""
        pairs = zip(NAMES, self.encoders, (first, second), strict=True)
        return [jax.nn.gelu(module.apply(params[name], x)) for name, module, x in pairs]

    def logits(self, params: Any, features: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
        """(fused [rows, classes], unimodal [rows, 2, classes])"""
        return self.head.apply(params["head"], list(features))


@functools.partial(jax.jit, static_argnums=0)
def _initial(network, key, first, second):
    keys = jax.random.split(key, 3)
    inputs = zip(NAMES, network.encoders, keys[:2], (first, second), strict=True)
    params = {name: module.init(key, x) for name, module, key, x in inputs}
    return params | {"head": network.head.init(keys[2], network.features(params, first, second))}


def network(name: str, *, dim: int, widths: tuple[int, ...]) -> Network:
    """The network for a data set: perceptrons for halves of digits, small convolutional networks else."""
    if name == "digits":
        one = encoders.Mlp(dim=dim, widths=widths)
    else:
        one = encoders.ConvNet(dim=dim, widths=widths, pooling=encoders.mean_of_places)
    return Network((one, one), encoders.ConcatFusion(10))


def _noisy(x, noises, random):
    draw = random.normal(size=x.shape).astype(np.float32)
    return np.stack([x + np.float32(deviation) * draw for deviation in noises])


def _cut(whole, sizes):
    """Parts of so many pairs each, then what is left."""
    places = np.cumsum(sizes)
    columns = (
        np.split(whole.first, places),
        np.split(whole.second, places, axis=1),
        np.split(whole.labels, places),
    )
    return [Pairs(*part) for part in zip(*columns, strict=True)]
