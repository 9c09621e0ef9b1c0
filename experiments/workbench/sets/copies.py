"""Copy detection on any images: edited copies to train on, a benchmark with hard negatives, and its uAP."""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsim import evaluation
from jaxsim.data import augment, copies
from jaxsim.numerics.types import PRNGKey

CROP = (0.2, 0.7)  # the part of an image that a crop shows
PART = (0.3, 0.7)  # the part that a reference shows which is a crop itself
QUALITY = 30, 91  # of JPEG
BLOCK = 256  # images at a time
EDITS = augment.chain(
    augment.flip(),
    augment.colors(brightness=0.3, contrast=0.3, saturation=0.3),
    augment.sometimes(augment.blur(sigma=(0.3, 1.2)), chance=0.5),
)
WHOLE = copies.whole(EDITS)
CROPPED = copies.chain(copies.crop(area=CROP), WHOLE)
CLEAN_PART = copies.crop(area=PART)
PASTED = copies.paste(visible=0.8)
TRUE = ("crop", "pasted", "edited")  # kinds of queries that have a reference


class Copies(NamedTuple):
    """Views of images to train on, those of an image in no order."""

    pixels: np.ndarray  # uint8 [n, height, width, channels]
    images: np.ndarray  # int32 [n], the image that a view is of
    content: np.ndarray  # float32 [n], how much of the image it keeps
    hard: np.ndarray  # bool [n], shows more than the reference of its image


class Benchmark(NamedTuple):
    """References, and queries that look like one of them: copies, hard negatives, and others."""

    references: np.ndarray  # float32 [m, height, width, channels]
    queries: np.ndarray  # float32 [n, ...]
    kinds: np.ndarray  # str [n]: those of `TRUE`, or reverse, sibling, distractor
    about: np.ndarray  # int [n], the reference that a query looks like; -1 of a distractor
    content: np.ndarray  # float [n], of the query by that of the reference

    @property
    def copied(self) -> np.ndarray:
        """Which queries are copies of what they are about: bool [n]."""
        return np.isin(self.kinds, TRUE)


def drawn(view: Any, key: PRNGKey, images: np.ndarray, *others: np.ndarray) -> Any:
    """(images, shares) of a view of each image, in blocks of one shape."""
    blocks = []
    for start in range(0, len(images), BLOCK):
        parts = [part[start : start + BLOCK] for part in (images, *others)]
        count = len(parts[0])
        padded = [np.pad(p, [(0, BLOCK - count), (0, 0), (0, 0), (0, 0)]) for p in parts]
        ids = np.arange(start, start + BLOCK)
        pictures, shares = compiled(view)(key, padded[0], ids, *padded[1:])
        blocks.append((np.asarray(pictures)[:count], np.asarray(shares)[:count]))
    return tuple(np.concatenate(part) for part in zip(*blocks, strict=True))


@functools.cache
def compiled(view: Any) -> Any:
    """A view of a batch, compiled once."""
    return jax.jit(augment.views(view))


def uploaded(key: PRNGKey, images: np.ndarray) -> np.ndarray:
    """JPEG of a random quality."""
    return copies.jpeg(images, np.asarray(jax.random.randint(key, (len(images),), *QUALITY)))


def edited(view: Any, key: PRNGKey, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(images, shares) of a view, through JPEG."""
    first, second = jax.random.split(key)
    pictures, shares = drawn(view, first, images)
    return uploaded(second, pictures), shares


def pasted(
    key: PRNGKey, images: np.ndarray, backgrounds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(images, shares) of edited crops that lie on other images, through JPEG."""
    first, second, third = jax.random.split(key, 3)
    pictures, shares = drawn(CROPPED, first, images)
    pictures, visible = drawn(PASTED, second, pictures, backgrounds)
    return uploaded(third, pictures), shares * visible


def training_copies(images: np.ndarray, *, seed: int) -> Copies:
    """Eight views of each image: its reference, four copies of that, edits, and the whole.

    The reference of every second image is a part of it: then the whole is a hard negative, which shows
    more than the reference and cannot be its copy.

    Args:
      images: float32 [n, height, width, channels].
      seed: of all draws.
    """
    count = len(images)
    keys = iter(jax.random.split(jax.random.key(seed), 8))
    random = np.random.default_rng(seed)
    partial = random.permutation(count) % 2 == 1
    parts, shares = drawn(CLEAN_PART, next(keys), images)
    references = np.where(partial[:, None, None, None], parts, images)
    shares = np.where(partial, shares, 1)
    of_reference = [(references, np.ones(count))]
    for view in (WHOLE, CROPPED, CROPPED, CROPPED):
        of_reference.append(edited(view, next(keys), references))
    of_reference.append(pasted(next(keys), references, images[random.permutation(count)]))
    of_whole = [(images, np.ones(count)), edited(WHOLE, next(keys), images)]
    made = [*((pictures, part * shares) for pictures, part in of_reference), *of_whole]
    pixels = [np.rint(np.clip(pictures, 0, 1) * 255).astype(np.uint8) for pictures, _ in made]
    hard = np.zeros((len(made), count), bool)
    hard[len(of_reference) :] = partial
    return Copies(
        np.concatenate(pixels),
        np.tile(np.arange(count, dtype=np.int32), len(made)),
        np.concatenate([content for _, content in made]).astype(np.float32),
        hard.reshape(-1),
    )


def shuffled(views: Copies, *, seed: int) -> np.ndarray:
    """The contents dealt anew among the views of each image: the control of what norms learn from them."""
    random = np.random.default_rng([seed, 1])
    content = np.empty_like(views.content)
    order = np.argsort(views.images, kind="stable")
    ends = np.cumsum(np.bincount(views.images))[:-1]
    for places in np.split(order, ends):
        content[places] = views.content[random.permutation(places)]
    return content


def benchmark(images: np.ndarray, *, seed: int) -> Benchmark:
    """A benchmark in the proportions of NDEC: of ten images four are whole references, two are parts.

    Queries are edited, references are not. Of the whole references one half has a crop, a quarter each a
    pasted crop and an edit of the whole among the queries, all true copies; each part has the whole that it
    is of (reverse), half of them another crop too (sibling): hard negatives. The other images are
    distractors, whole and cropped.

    Args:
      images: float32 [n, height, width, channels], in random order, ten at least.
      seed: of the views.
    """
    unit = len(images) // 10
    whole, partial, others = np.split(images[: 10 * unit], [4 * unit, 6 * unit])
    keys = iter(jax.random.split(jax.random.key(seed), 8))
    parts, shares = drawn(CLEAN_PART, next(keys), partial)
    near = np.arange(4 * unit, 6 * unit)
    made = [
        ("crop", np.arange(2 * unit), *edited(CROPPED, next(keys), whole[: 2 * unit])),
        (
            "pasted",
            np.arange(2 * unit, 3 * unit),
            *pasted(next(keys), whole[2 * unit : 3 * unit], others[:unit]),
        ),
        (
            "edited",
            np.arange(3 * unit, 4 * unit),
            *edited(WHOLE, next(keys), whole[3 * unit :]),
        ),
        ("reverse", near, *edited(WHOLE, next(keys), partial)),
        ("sibling", near[:unit], *edited(CROPPED, next(keys), partial[:unit])),
        *(
            ("distractor", np.full(2 * unit, -1), *edited(view, next(keys), part))
            for view, part in zip((WHOLE, CROPPED), np.split(others, 2), strict=True)
        ),
    ]
    kinds, about, queries, content = zip(*made, strict=True)
    references = np.concatenate([whole, parts])
    of_reference = np.concatenate([np.ones(4 * unit), shares])
    places = np.concatenate(about)
    return Benchmark(
        references,
        np.concatenate(queries),
        np.repeat(kinds, [len(one) for one in about]),
        places,
        np.concatenate(content) / np.where(places < 0, 1, of_reference[places]),
    )


def resampled_precision(
    scores: np.ndarray, right: np.ndarray, copied: np.ndarray, *, repeats: int, seed: int = 0
) -> tuple[float, np.ndarray]:
    """Micro average precision (uAP) of all candidates of all queries, and its bootstrap over queries.

    Args:
      scores: float [queries, candidates]; -inf is a candidate that a filter dropped.
      right: bool [queries, candidates], the query's true reference.
      copied: bool [queries], whether a query has a true reference, found or missed.
      repeats: of the bootstrap; a query's copies in a draw are accepted together.
      seed: of the draws: equal ones for all rankings of as many queries.

    Returns: (value, float64 [repeats]), NaN where a score is.
    """
    flat, truth, listed = scores.ravel(), right.ravel(), scores.ravel() != -np.inf
    value = evaluation.micro_average_precision(
        flat, truth, positives=int(copied.sum()), where=listed
    )
    count = len(copied)
    counts = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), repeats)
    order = np.lexsort((truth, -flat))  # what is wrong comes first among ties, as there
    order = order[listed[order]]
    weights = counts[:, order // scores.shape[1]].astype(float)
    hits = np.cumsum(weights * truth[order], axis=1)
    precision = hits / np.maximum(np.cumsum(weights, axis=1), 1)
    total = np.maximum(counts @ copied, 1)
    values = (weights * truth[order] * precision).sum(axis=1) / total
    return float(value), np.where(np.isnan(flat).any(), np.nan, values)
