"""Labeled images: digits and letters, which need no download, MNIST, Omniglot, Caltech-101 and a part of CIFAR-10.

Images are float32 [n, height, width, channels] from 0 to 1; pen strokes are 1 on 0.
"""

import csv
import io
import logging
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxsim.data._sources import (
    built_once,
    cache_folder,
    damage_named,
    prepared_path,
    prepared_tfds,
    tfds_source,
)
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array
from jaxsim.storage import load_arrays, save_arrays
from jaxsim.storage._texts import opened_text

LOG = logging.getLogger("jaxsim")
SANS, SLANTED = ("", "-Bold", "-Oblique", "-BoldOblique"), ("", "-Bold", "-Italic", "-BoldItalic")
FONTS = (
    *(f"DejaVuSans{style}" for style in SANS),
    *(f"DejaVuSansMono{style}" for style in SANS),
    *(f"DejaVuSerif{style}" for style in SLANTED),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
)
SAME_LETTER = 0.93  # mean cosine of two letters' pixels over the fonts


class Images(NamedTuple):
    """Labeled images: arrays of pixels, classes and groups."""

    images: np.ndarray  # float32 [n, height, width, channels]
    labels: np.ndarray  # int32 [n]
    # int32 [n], a coarser class (Omniglot's alphabet, all faces); the label where there is none.
    groups: np.ndarray

    def of(self, chosen: Array) -> "Images":
        """Selects images by a mask or an array of places."""
        return Images(*(column[chosen] for column in self))


def digits(split: str = "all", *, classes: Iterable[int] = range(10)) -> Images:
    """Digits: scikit-learn's handwritten digits, 8 x 8, 1,797 of 10 classes, no download.

    Args:
      split: "all"; "test", every fifth image of each class; "train", the others.
      classes: which digits.

    Returns: `Images`, [n, 8, 8, 1].
    Raises: ValueError for an unknown split.
    """
    checks.one_of("split", split, ("all", "train", "test"))
    from sklearn.datasets import load_digits

    dataset = load_digits()
    labels = dataset.target.astype(np.int32)
    nth = np.zeros(len(labels), int)
    for digit in range(10):
        members = labels == digit
        nth[members] = np.arange(members.sum())
    test = nth % 5 == 4
    mask = {"all": np.ones(len(labels), bool), "test": test, "train": ~test}[split]
    mask &= np.isin(labels, list(classes))
    images = (dataset.images / 16).astype(np.float32)[..., None]
    return Images(images, labels, labels).of(mask)


def glyphs(*, size: int = 16) -> Images:
    """Glyphs: printed letters in 16 fonts each, Latin, Greek and Cyrillic from the fonts that matplotlib ships.

    About 430 letters, each drawn as large as fits. Of letters that look the same at that size (Latin A and
    Greek Alpha, o and O) only the first is used, so that no class appears under two names. Drawn once,
    then kept in the cache.

    Args:
      size: of the sides, at most 64.

    Returns: `Images`, [n, size, size, 1], the fonts of a letter together and in one order.
    Raises: ValueError for an unknown size; ModuleNotFoundError without the `experiments` extra.
    """
    arrays = glyphs_drawn(size)
    images = (arrays["ink"] / np.float32(255))[..., None]
    return Images(images, arrays["labels"], arrays["labels"])


def glyphs_drawn(size: int) -> dict[str, np.ndarray]:
    """The letters of `glyphs`: {"ink" uint8 [n, size, size], "labels" int32 [n], "letters" int32 [labels], their code points}."""
    checks.at_most("size", size, 64, "what letters are drawn at")
    import matplotlib

    return cached(f"glyphs-2-{size}-{matplotlib.__version__}", lambda: _drawn_glyphs(size))


def omniglot(split: str, *, size: int = 28) -> Images:
    """Omniglot: handwritten characters of many alphabets, 20 of each, from JAXSIM_DATA.

    The alphabets of "train" and "test" are disjoint: 964 characters of 30 and 659 of 20. Decoded and
    made smaller once, by averaging, then kept in the cache.

    Args:
      split: "train" (the background set), "test" (the evaluation set), or "small1", "small2", five
        alphabets of "train" each.
      size: of the sides, at most 105.

    Returns: `Images`, [n, size, size, 1]; groups are alphabets.
    Raises: ValueError for an unknown split or size, or damaged data; FileNotFoundError without the data.
    """
    checks.one_of("split", split, ("train", "test", "small1", "small2"))
    checks.at_most("size", size, 105, "the drawings' own size")
    arrays = cached(
        f"omniglot-{split}-{size}",
        lambda: _decoded_omniglot(prepared_tfds("omniglot/3.0.0"), split, size),
    )
    images = (arrays["ink"] / np.float32(255))[..., None]
    return Images(images, arrays["labels"], arrays["groups"])


def mnist(split: str) -> Images:
    """MNIST: handwritten digits, 28 x 28, 60,000 to train and 10,000 to test, from JAXSIM_DATA.

    Decoded once, then kept in the cache. The licence is not stated where the files are from.

    Args:
      split: "train" or "test".

    Returns: `Images`, [n, 28, 28, 1].
    Raises: ValueError for an unknown split or damaged data; FileNotFoundError without the data.
    """
    checks.one_of("split", split, ("train", "test"))
    arrays = cached(f"mnist-{split}", lambda: _decoded_mnist(prepared_tfds("mnist/3.0.1"), split))
    images = (arrays["ink"] / np.float32(255))[..., None]
    return Images(images, arrays["labels"], arrays["labels"])


def cifar10_subset(split: str) -> Images:
    """CIFAR-10 subset, recompressed as JPEG: 1,500 training and 300 test images a class, 32 x 32.

    Not the data set itself: results on it are not results on CIFAR-10. From JAXSIM_DATA.

    Args:
      split: "train" or "test".

    Returns: `Images`, [n, 32, 32, 3]; classes in alphabetical order.
    Raises: ValueError for an unknown split or damaged data; FileNotFoundError without the data.
    """
    checks.one_of("split", split, ("train", "test"))
    arrays = cached(
        f"cifar10-subset-{split}",
        lambda: _decoded_cifar10(prepared_path("cifar10_jpeg_subset", "images.tar.xz"), split),
    )
    return Images(arrays["pixels"] / np.float32(255), arrays["labels"], arrays["labels"])


def caltech101(split: str, *, disjoint: bool = False, size: int = 64) -> Images:
    """Caltech-101 photographs: 6,757 of 81 object classes, the square in the middle of each, from JAXSIM_DATA.

    Not the whole data set: 20 classes and the background are left out, and the photographs' shorter side is
    64 pixels. "Faces" and "Faces_easy" show the same people, also on the two sides of the disjoint split:
    they are one group. Decoded and made smaller once, by averaging, then kept in the cache.
    Licence: CC BY 4.0, as far as is known. Cite Fei-Fei, Fergus and Perona 2004.

    Args:
      split: "train", 30 images of each class, or "test", the others: 2,430 and 4,327.
      disjoint: "train" and "test" have no class in common: 4,058 images of 54 and 2,699 of 27.
      size: of the sides, at most 64.

    Returns: `Images`, [n, size, size, 3]; classes are numbered in alphabetical order, the same in all splits.
    Raises: ValueError for an unknown split or size, or damaged data; FileNotFoundError without the data.
    """
    checks.one_of("split", split, ("train", "test"))
    checks.at_most("size", size, 64, "the photographs' shorter side")
    arrays = cached(
        f"caltech101-{split}-{'disjoint' if disjoint else 'shared'}-{size}",
        lambda: _decoded_caltech101(split, disjoint, size),
    )
    return Images(arrays["pixels"] / np.float32(255), arrays["labels"], arrays["groups"])


def cached(name: str, decode: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Decoded arrays, from the cache if they are there; what is damaged there is made again."""
    path, about = cache_folder() / "images" / name, {"kind": "images", "version": 1}
    if path.exists():
        try:
            return load_arrays(path, **about)[0]
        except ValueError as error:
            LOG.warning("%s: made again", error)
            path.unlink(missing_ok=True)
    built_once(path, lambda: save_arrays(path, decode(), **about))
    return load_arrays(path, **about)[0]


def _drawn_glyphs(size):
    """{"ink" uint8 [n, size, size], "labels" int32 [n], "letters" int32 [labels]}."""
    import matplotlib
    from matplotlib.ft2font import FT2Font
    from PIL import Image, ImageDraw, ImageFont

    paths = [Path(matplotlib.get_data_path()) / "fonts/ttf" / f"{name}.ttf" for name in FONTS]
    fonts = [ImageFont.truetype(str(path), 64) for path in paths]
    known = set.intersection(*(set(FT2Font(str(path)).get_charmap()) for path in paths))
    letters = [c for c in map(chr, sorted(known)) if unicodedata.category(c) in ("Lu", "Ll", "Lo")]

    def drawn(letter, font):
        left, top, right, bottom = font.getbbox(letter)
        side = max(right - left, bottom - top) + 8
        picture = Image.new("L", (side, side))
        corner = (side - right - left) // 2, (side - bottom - top) // 2
        ImageDraw.Draw(picture).text(corner, letter, fill=255, font=font)
        return np.asarray(picture.resize((size, size), Image.Resampling.BOX))

    ink = np.array([[drawn(letter, font) for font in fonts] for letter in letters])
    flat = ink.reshape(len(letters), len(fonts), -1).astype(np.float32)
    flat /= np.linalg.norm(flat, axis=-1, keepdims=True)
    cosines = np.einsum("afp,bfp->ab", flat, flat) / len(fonts)
    distinct = []
    for place in range(len(letters)):
        if (cosines[place, distinct] < SAME_LETTER).all():
            distinct.append(place)
    labels = np.repeat(np.arange(len(distinct), dtype=np.int32), len(fonts))
    points = np.array([ord(letters[place]) for place in distinct], np.int32)
    return {"ink": ink[distinct].reshape(-1, size, size), "labels": labels, "letters": points}


def _decoded_cifar10(path, split):
    """{"pixels" uint8 [n, 32, 32, 3], "labels" int32 [n]}."""
    from PIL import Image

    pixels, names = [], []
    with damage_named(path), tarfile.open(path) as archive:
        for member in archive:
            part, name, _ = member.name.split("/")
            if part == split:
                pixels.append(np.asarray(Image.open(archive.extractfile(member)).convert("RGB")))
                names.append(name)
        pixels = np.stack(pixels)
    _, labels = np.unique(names, return_inverse=True)
    return {"pixels": pixels, "labels": labels.astype(np.int32)}


def _decoded_caltech101(split, disjoint, size):
    """{"pixels" uint8 [n, size, size, 3], "labels", "groups" int32 [n]}."""
    from PIL import Image

    table = prepared_path("caltech101_64px", "splits.tsv")
    path = prepared_path("caltech101_64px", "images.zip")
    column = "split_class_disjoint" if disjoint else "split_30_per_class"
    with damage_named(table), opened_text(table) as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
        names, labels = np.unique([row["class"] for row in rows], return_inverse=True)
        chosen = np.flatnonzero([row[column] == split for row in rows])
        files = [rows[place]["path"] for place in chosen]
    with damage_named(path), zipfile.ZipFile(path) as archive:
        pixels = []
        for name in files:
            photograph = Image.open(io.BytesIO(archive.read(name))).convert("RGB")
            pixels.append(np.asarray(_middle(photograph, size)))
        pixels = np.stack(pixels)
    _, groups = np.unique([name.removesuffix("_easy") for name in names], return_inverse=True)
    labels, groups = np.int32(labels[chosen]), np.int32(groups[labels[chosen]])
    return {"pixels": pixels, "labels": labels, "groups": groups}


def _middle(picture, size):
    """The largest square in the middle of a picture, made smaller by averaging."""
    from PIL import Image

    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    box = left, top, left + side, top + side
    return picture.resize((size, size), Image.Resampling.BOX, box=box)


def _decoded_mnist(folder, split):
    """{"ink" uint8 [n, 28, 28], "labels" int32 [n]}."""
    import tensorflow_datasets as tfds
    from PIL import Image

    source = tfds_source(folder, split, decoders={"image": tfds.decode.SkipDecoding()})
    ink, labels = np.empty((len(source), 28, 28), np.uint8), np.empty(len(source), np.int32)
    for place in range(len(source)):
        row = source[place]
        with damage_named(folder):
            ink[place] = np.asarray(Image.open(io.BytesIO(row["image"])).convert("L"))
        labels[place] = row["label"]
    return {"ink": ink, "labels": labels}


def _decoded_omniglot(folder, split, size):
    """{"ink" uint8 [n, size, size], "labels", "groups" int32 [n]}."""
    import tensorflow_datasets as tfds
    from PIL import Image

    source = tfds_source(folder, split, decoders={"image": tfds.decode.SkipDecoding()})
    ink = np.empty((len(source), size, size), np.uint8)
    labels, groups = (np.empty(len(source), np.int32) for _ in range(2))
    for place in range(len(source)):
        row = source[place]
        # The files are 1-bit, and decoders differ in what white is: ink is 0 in all of them.
        with damage_named(folder):
            drawn = np.asarray(Image.open(io.BytesIO(row["image"])).convert("L")) == 0
        small = Image.fromarray(np.uint8(255) * drawn).resize((size, size), Image.Resampling.BOX)
        ink[place], labels[place], groups[place] = small, row["label"], row["alphabet"]
    return {"ink": ink, "labels": labels, "groups": groups}
