"""Labelled images: scikit-learn's digits, which need no file, Omniglot and a part of CIFAR-10.

Images are float32 [n, height, width, channels] from 0 to 1; pen strokes are 1 on 0.
"""

import io
import tarfile
from typing import NamedTuple

import numpy as np

from jaxsim.data.sources import cache_folder, prepared_path, prepared_tfds
from jaxsim.numerics import checks
from jaxsim.storage import load_arrays, save_arrays


class Images(NamedTuple):
    """Images with their classes."""

    images: np.ndarray  # float32 [n, height, width, channels]
    labels: np.ndarray  # int32 [n]
    groups: (
        np.ndarray
    )  # int32 [n], a coarser class (Omniglot's alphabet); the label where there is none

    def of(self, chosen):
        """Those that a mask or an array of places chooses."""
        return Images(*(column[chosen] for column in self))


def digits(split="all", *, classes=range(10)):
    """Handwritten digits, 8 x 8, from scikit-learn: 1,797 of 10 classes, no download.

    Args:
      split: "all"; "test", every fifth image of each class; "train", the others.
      classes: which digits.

    Returns: `Images`, [n, 8, 8, 1].
    Raises: ValueError for an unknown split.
    """
    checks.one_of("split", split, ("all", "train", "test"))
    from sklearn.datasets import load_digits

    found = load_digits()
    labels = found.target.astype(np.int32)
    nth = np.zeros(len(labels), int)
    for digit in range(10):
        own = labels == digit
        nth[own] = np.arange(own.sum())
    test = nth % 5 == 4
    kept = {"all": np.ones(len(labels), bool), "test": test, "train": ~test}[split]
    kept &= np.isin(labels, list(classes))
    images = (found.images / 16).astype(np.float32)[..., None]
    return Images(images, labels, labels).of(kept)


def omniglot(split, *, size=28):
    """Handwritten characters of many alphabets, 20 of each: from JAXSIM_DATA.

    The alphabets of "train" and "test" are disjoint: 964 characters of 30 and 659 of 20. Decoded and
    made smaller once, by averaging, then kept in the cache.

    Args:
      split: "train" (the background set), "test" (the evaluation set), or "small1", "small2", five
        alphabets of "train" each.
      size: of the sides, at most 105.

    Returns: `Images`, [n, size, size, 1]; groups are alphabets.
    Raises: ValueError for an unknown split or size; FileNotFoundError without the data.
    """
    checks.one_of("split", split, ("train", "test", "small1", "small2"))
    checks.at_most("size", size, 105, "the drawings' own size")
    found = _kept(
        f"omniglot-{split}-{size}",
        lambda: _decoded_omniglot(prepared_tfds("omniglot/3.0.0"), split, size),
    )
    images = (found["ink"] / np.float32(255))[..., None]
    return Images(images, found["labels"], found["groups"])


def cifar10_subset(split):
    """A part of CIFAR-10, recompressed as JPEG: 1,500 training and 300 test images a class, 32 x 32.

    Not the data set itself: figures on it are no figures on CIFAR-10. From JAXSIM_DATA.

    Args:
      split: "train" or "test".

    Returns: `Images`, [n, 32, 32, 3]; classes in alphabetical order.
    Raises: ValueError for an unknown split; FileNotFoundError without the data.
    """
    checks.one_of("split", split, ("train", "test"))
    found = _kept(
        f"cifar10-subset-{split}",
        lambda: _decoded_cifar10(prepared_path("cifar10_jpeg_subset", "images.tar.xz"), split),
    )
    return Images(found["pixels"] / np.float32(255), found["labels"], found["labels"])


def _kept(name, decode):
    """Decoded arrays, from the cache where they are there already."""
    path, about = cache_folder() / "images" / name, {"kind": "images", "version": 1}
    if not path.exists():
        save_arrays(path, decode(), **about)
    return load_arrays(path, **about)[0]


def _decoded_cifar10(path, split):
    """{"pixels" uint8 [n, 32, 32, 3], "labels" int32 [n]}."""
    from PIL import Image

    pixels, names = [], []
    with tarfile.open(path) as archive:
        for member in archive:
            part, name, _ = member.name.split("/")
            if part == split:
                pixels.append(np.asarray(Image.open(archive.extractfile(member)).convert("RGB")))
                names.append(name)
    _, labels = np.unique(names, return_inverse=True)
    return {"pixels": np.stack(pixels), "labels": labels.astype(np.int32)}


def _decoded_omniglot(folder, split, size):
    """{"ink" uint8 [n, size, size], "labels", "groups" int32 [n]}."""
    import tensorflow_datasets as tfds
    from PIL import Image

    builder = tfds.builder_from_directory(folder)
    source = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
    ink = np.empty((len(source), size, size), np.uint8)
    labels, groups = (np.empty(len(source), np.int32) for _ in range(2))
    for place in range(len(source)):
        row = source[place]
        # The files are 1-bit, and decoders differ in what white is: ink is 0 in all of them.
        drawn = np.asarray(Image.open(io.BytesIO(row["image"])).convert("L")) == 0
        small = Image.fromarray(np.uint8(255) * drawn).resize((size, size), Image.Resampling.BOX)
        ink[place], labels[place], groups[place] = small, row["label"], row["alphabet"]
    return {"ink": ink, "labels": labels, "groups": groups}
