"""Triples of two captions that mean the same and one that does not: which are ranked right, by strict inequalities."""

from typing import NamedTuple

import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


class TripleHits(NamedTuple):
    """Which triples are right; a tie is a miss."""

    both: np.ndarray  # bool [n], both conditions at once
    first: np.ndarray  # bool [n], the condition of the first caption
    second: np.ndarray  # bool [n], that of the second
    cosines: np.ndarray  # float64 [n, 3], what was compared


def triplet_text_hits(first: Array, second: Array, negative: Array) -> TripleHits:
    """SugarCrepe++'s text-only task (TOT): two captions are nearer to each other than either to the negative.

        first_i   cos(p1, p2) > cos(p1, n)
        second_i  cos(p1, p2) > cos(p2, n)
        both_i    first_i and second_i

    A third is chance for `both`. The first condition is the hard one where the negative has the words of the
    first caption. A vector of zeros has cosine 0 with everything: a miss.

    Args:
      first, second, negative: p1, p2, n [n, dim], embeddings; they need not be normalized.

    Returns: `TripleHits`; its cosines are of (p1, p2), (p1, n), (p2, n).
    Raises: ValueError for shapes that do not fit, or numbers that are not finite.
    Source: Dumpala et al. 2024 (SugarCrepe++, 2406.11171).
    """
    p1, p2, n = _rows(first=first, second=second, negative=negative)
    same, one, other = _cosines(p1, p2), _cosines(p1, n), _cosines(p2, n)
    return _hits(same > one, same > other, same, one, other)


def triplet_image_hits(images: Array, first: Array, second: Array, negative: Array) -> TripleHits:
    """SugarCrepe++'s image-to-text task (ITT): an image is nearer to both of its captions than to the negative.

        first_i   cos(x, p1) > cos(x, n)          (SugarCrepe's accuracy)
        second_i  cos(x, p2) > cos(x, n)
        both_i    first_i and second_i

    A third is chance for `both`, a half for either.

    Args:
      images: x [n, dim], embeddings of the images; a row for each triple.
      first, second, negative: p1, p2, n [n, dim].

    Returns: `TripleHits`; its cosines are of (x, p1), (x, p2), (x, n).
    Raises: ValueError for shapes that do not fit, or numbers that are not finite.
    Source: Dumpala et al. 2024 (SugarCrepe++, 2406.11171).
    """
    x, p1, p2, n = _rows(images=images, first=first, second=second, negative=negative)
    one, other, wrong = _cosines(x, p1), _cosines(x, p2), _cosines(x, n)
    return _hits(one > wrong, other > wrong, one, other, wrong)


def triplet_score_hits(first: Array, second: Array, negative: Array) -> np.ndarray:
    """SugarCrepe++ for models of pairs: an image's score with both captions is above that with the negative.

    Args:
      first, second, negative: scores [n] of the image with p1, p2 and n, by a cross-encoder.

    Returns: bool [n]; a tie is a miss.
    Raises: ValueError for shapes that do not fit, or numbers that are not finite.
    Source: Dumpala et al. 2024 (SugarCrepe++, 2406.11171).
    """
    scores = {"first": first, "second": second, "negative": negative}
    one, other, wrong = (checks.host_reals(name, array) for name, array in scores.items())
    checks.shaped("first", one, (None,), "one score per triple")
    for name, array in (("second", other), ("negative", wrong)):
        checks.shaped(name, array, one.shape, "one score per triple")
    for name, array in (("first", one), ("second", other), ("negative", wrong)):
        checks.finite_rows(name, array)
    return (one > wrong) & (other > wrong)


def _rows(**arrays):
    """Arrays of one shape in float64, each row times a power of two, which changes no cosine."""
    scaled, shape = [], None
    for name, array in arrays.items():
        rows = checks.host_reals(name, array)
        checks.shaped(name, rows, shape or (None, None), "one row per triple")
        checks.finite_rows(name, rows)
        shape = rows.shape
        rows = rows.astype(np.float64)
        _, exponents = np.frexp(np.abs(rows).max(axis=1, initial=0, keepdims=True))
        scaled.append(np.ldexp(rows, -exponents))
    return scaled


def _cosines(a, b):
    """Cosines of rows, 0 for a row of zeros; ties of rows of small whole numbers are ties.

    Rows that are normalized first round differently, and a tie, which is a miss, would be a hit by chance.
    """
    dots, squares = (a * b).sum(axis=1), (a * a).sum(axis=1) * (b * b).sum(axis=1)
    return np.divide(dots, np.sqrt(squares), out=np.zeros_like(dots), where=squares > 0)


def _hits(first, second, *cosines):
    return TripleHits(first & second, first, second, np.stack(cosines, axis=1))
