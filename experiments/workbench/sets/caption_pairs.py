"""Pairs of captions of one image, to learn sentence embeddings from, and what these are tested on."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from experiments.workbench.networks import sentences
from experiments.workbench.sets import sources
from jaxsim import data


class Texts(NamedTuple):
    """What is learned from and what is tested on."""

    first: list[str]
    second: list[str]
    groups: np.ndarray  # int [pairs]: pairs of one group (image) are not in one batch
    validation: tuple[list[str], list[str]]
    test: tuple[list[str], list[str]]
    sts: dict[str, data.GradedPairs]


def captions() -> Texts:
    """Captions of COCO without the images of SugarCrepe++, all pairs of an image; tested on any images."""
    train = data.caption_pairs("train", per_image=10)
    held_out = [data.caption_pairs(s, in_sugarcrepe_pp=True) for s in ("validation", "test")]
    sts = {f"STS{year}": data.sts(year) for year in (12, 13, 14, 15)}
    sts["STS-B"] = data.sts_benchmark("validation")
    validation, test = ((pairs.first, pairs.second) for pairs in held_out)
    return Texts(train.first, train.second, train.images, validation, test, sts)


def captions_and_glosses() -> Texts:
    """Captions, and to train on words of WordNet with what they mean, too."""
    texts, rows = captions(), data.glosses()
    return texts._replace(
        first=[*texts.first, *(row["title"] for row in rows)],
        second=[*texts.second, *(row["document"] for row in rows)],
        groups=np.concatenate([texts.groups, texts.groups.max() + 1 + np.arange(len(rows))]),
    )


def docstrings() -> Texts:
    """Summary lines of few docstrings with the bodies below them, which need no data."""
    train, validation, test = (
        sources.text_pairs(split, size="small") for split in ("train", "validation", "test")
    )
    held_out = sentences.sides(validation), sentences.sides(test)
    sts = {"docstrings": data.graded_docstrings("test", config="small")}
    first, second = sentences.sides(train)
    return Texts(first, second, np.arange(len(first)), *held_out, sts)


SOURCES: dict[str, Callable[[], Texts]] = {
    "captions": captions,
    "captions-and-glosses": captions_and_glosses,
    "docstrings-small": docstrings,
}
