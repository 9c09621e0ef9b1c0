"""Conditional similarity: GeneCIS's templates, its crops, and triplets mined from what captions name."""

import gzip
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxsim.data._sources import prepared_path
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array
from jaxsim.storage import Fields

GENECIS = ("focus_object", "change_object")
TRIES = 100  # of drawing a target


class ConditionTemplate(NamedTuple):
    """A question of GeneCIS: which image of a gallery matches a reference and a condition."""

    reference: str  # file name in COCO val2017
    condition: str
    target: str
    gallery: list[str]  # the others


def genecis(task: str) -> list[ConditionTemplate]:
    """GeneCIS templates of COCO objects: a reference image, a condition in words, a target among 14 others.

    1,960 templates each. The attribute tasks, whose images are Visual Genome's, are not read. For evaluation only.

    Args:
      task: "focus_object" or "change_object".

    Returns: a list of `ConditionTemplate`, in the file's order.
    Raises: FileNotFoundError without the data; ValueError naming the file and the field of what is damaged.
    Source: Vaze et al. 2023 (2306.07969). Licence: CC BY-NC 4.0.
    """
    checks.one_of("task", task, GENECIS)
    path = prepared_path("genecis", f"{task}.json.gz")
    try:
        rows = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"{path}: must be gzipped JSON, got {error}") from error
    if not isinstance(rows, list):
        raise ValueError(f"{path}: must be a list of templates, got {rows!r:.40}")
    templates = []
    for number, row in enumerate(rows):
        fields = Fields(path, row, f"[{number}]")
        places = [row.get("reference"), row.get("target"), *(row.get("gallery") or [])]
        numbers = [one.get("val_image_id") if isinstance(one, dict) else None for one in places]
        if len(places) < 3 or any(type(one) is not int for one in numbers):
            raise fields.wrong("gallery", 'images {"val_image_id": int}, with reference and target')
        reference, target, *gallery = (f"{one:012d}.jpg" for one in numbers)
        templates.append(ConditionTemplate(reference, fields.text("condition"), target, gallery))
    return templates


def vg_crop(
    box: Sequence[float], image_size: tuple[int, int], *, dilation: float = 0.7
) -> tuple[int, int, int, int]:
    """GeneCIS's crop of an object of Visual Genome: its box, grown to the left and to the top, as released.

        left = max(0, x - dilation w),  right = min(W, left + (1 + dilation) w), and likewise in height

    Args:
      box: (x, y, width, height), pixels.
      image_size: (W, H), pixels.
      dilation: how far the box grows, in parts of its size, >= 0.

    Returns: (left, top, right, bottom), whole pixels.
    Raises: ValueError for a box without size or a negative dilation.
    Source: Vaze et al. 2023 (2306.07969), from the released code.
    """
    x, y, width, height = (float(one) for one in box)
    if width <= 0 or height <= 0:
        raise ValueError(f"box must have a width and a height above 0, got {tuple(box)}")
    checks.finite("dilation", dilation)
    if dilation < 0:
        raise ValueError(f"dilation must be at least 0, got {dilation}")
    edges = []
    for start, size, most in ((x, width, image_size[0]), (y, height, image_size[1])):
        low = max(0.0, start - dilation * size)
        edges.append((int(low), int(min(most, low + (1 + dilation) * size))))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


class ConditionTriplets(NamedTuple):
    """Triplets of rows: a reference, a target with its subject and another object, a distractor with that object."""

    references: np.ndarray  # int64 [n], places of rows
    targets: np.ndarray
    distractors: np.ndarray


def condition_triplets(
    subjects: Array,
    objects: Array,
    images: Array,
    *,
    count: int,
    seed: int,
    least_images: int = 5,
    least_objects: int = 2,
) -> ConditionTriplets:
    """GeneCIS triplets (mining): references and targets of one subject with different objects, in different images.

    A subject is drawn by its number of images, a reference among its rows, an object among the subject's, a target
    among the rows of both; a pair of one object or one image is drawn again, 100 times at most, and then left out.
    The distractor is any row with the target's object.

    Args:
      subjects, objects: int [rows], what each row names: "a dog on a beach" has subject dog and object beach.
      images: int [rows], the image that the row is about.
      count: triplets to draw.
      seed: of the draws.
      least_images, least_objects: distinct ones that a subject must have.

    Returns: `ConditionTriplets`, at most `count`.
    Raises: ValueError for columns that do not fit, or where no subject is left.
    Source: Vaze et al. 2023 (2306.07969), section 4, from the released code.
    """
    named = {"subjects": subjects, "objects": objects, "images": images}
    columns = {name: checks.one_array(name, column) for name, column in named.items()}
    for name, column in columns.items():
        checks.integers(name, column)
        checks.shaped(name, column, np.shape(subjects), "one per row")
    for name, value in (("count", count), ("least_images", least_images)):
        checks.whole(name, value)
    checks.whole("least_objects", least_objects, 2)
    subjects, objects, images = columns.values()
    random = np.random.default_rng(seed)
    known, weights = [], []
    for subject in np.unique(subjects):
        rows = np.flatnonzero(subjects == subject)
        pictures = len(np.unique(images[rows]))
        if pictures >= least_images and len(np.unique(objects[rows])) >= least_objects:
            known.append((rows, _by_value(objects[rows], rows)))
            weights.append(pictures)
    if not known:
        raise ValueError(
            f"subjects must have {least_images} images and {least_objects} objects, none of "
            f"{len(np.unique(subjects))} has"
        )
    with_object = _by_value(objects, np.arange(len(objects)))
    drawn = random.choice(len(known), count, p=np.array(weights) / np.sum(weights))
    queries = []
    for subject in drawn:
        rows, by_object = known[subject]
        names = list(by_object)
        reference = random.choice(rows)
        for _ in range(TRIES):
            target = random.choice(by_object[names[random.integers(len(names))]])
            if objects[target] != objects[reference] and images[target] != images[reference]:
                distractor = random.choice(with_object[objects[target]])
                queries.append((reference, target, distractor))
                break
    return ConditionTriplets(*np.array(queries, np.int64).reshape(-1, 3).T)


def _by_value(values, rows):
    """The rows of each value."""
    return {value: rows[values == value] for value in np.unique(values)}
