"""Sentence pairs that people have graded, on one scale from 0 to 1: what to learn from, and tests by name."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxsim import data


class Pairs(NamedTuple):
    """Pairs of sentences with a grade each."""

    first: list[str]
    second: list[str]
    scores: np.ndarray  # float32 [pairs], from 0 to 1


class Split(NamedTuple):
    """Pairs to learn from, and pairs to test on by name, the main test first."""

    train: Pairs
    tests: dict[str, Pairs]


def scaled(pairs: data.GradedPairs, lowest: float, highest: float) -> Pairs:
    """Graded pairs on a scale from 0 to 1."""
    return Pairs(pairs.first, pairs.second, (pairs.scores - lowest) / (highest - lowest))


def sts() -> Split:
    """The STS Benchmark and SICK, from JAXSIM_DATA: their training parts, validation and trial to test on."""
    sets = scaled(data.sts_benchmark("train"), 0, 5), scaled(data.sick("train"), 1, 5)
    train = Pairs(
        [text for one in sets for text in one.first],
        [text for one in sets for text in one.second],
        np.concatenate([one.scores for one in sets]),
    )
    tests = {"stsb": scaled(data.sts_benchmark("validation"), 0, 5)}
    return Split(train, tests | {"sick": scaled(data.sick("trial"), 1, 5)})


def docstrings() -> Split:
    """Summary lines and bodies of docstrings, graded by path, which need no data."""
    train, test = (data.graded_docstrings(split, config="small") for split in ("train", "test"))
    return Split(scaled(train, 0, 1), {"docstrings": scaled(test, 0, 1)})


# {name in a config's data: what it loads}
SOURCES: dict[str, Callable[[], Split]] = {"sts": sts, "docstrings-small": docstrings}


def without(pairs: Pairs, known: Pairs) -> Pairs:
    """The pairs that are not among others, in either order."""
    seen = {frozenset(pair) for pair in zip(known.first, known.second, strict=True)}
    kept = [
        place
        for place, pair in enumerate(zip(pairs.first, pairs.second, strict=True))
        if frozenset(pair) not in seen
    ]
    return at(pairs, np.array(kept, int))


def at(pairs: Pairs, places: np.ndarray) -> Pairs:
    """The pairs at some places."""
    first, second = ([side[place] for place in places] for side in pairs[:2])
    return Pairs(first, second, pairs.scores[places])
