"""Dictionaries to learn sentence embeddings from, and the graded pairs that these are tested on."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxsim import data

STS = ("STS12", "STS13", "STS14", "STS15")
SUBSETS = ("OnWN", "FNWN")  # of STS 2012 to 2014, whose sentences are definitions


class Texts(NamedTuple):
    """What is learned from and what is tested on."""

    train: data.Dictionary  # with synonyms merged
    test: data.Dictionary  # of other words and definitions
    running: list[str]  # more sentences for masked words
    validation: data.GradedPairs  # that rates are chosen on
    sts: dict[str, data.GradedPairs]
    definitions: dict[str, data.GradedPairs]  # subsets of these, pairs of definitions
    others: dict[str, data.GradedPairs]  # further tests

    def tree(self) -> dict[str, Any]:
        """What a fingerprint is of."""
        parts: dict[str, Any] = {}
        for name, one in {"train": self.train, "test": self.test}.items():
            parts[name] = [list(map(list, one.entries)), one.definitions, one.owners]
        parts["running"] = self.running
        parts["pairs"] = [list(self.validation), *map(list, self.sts.values())]
        parts["other pairs"] = [list(one) for one in self.others.values()]
        return parts


@functools.cache
def wordnet() -> Texts:
    """WordNet's definitions, sentences of MASC, and graded pairs."""
    train, _, test = data.split_dictionary(data.merged_synonyms(data.dictionary()))
    years = {name: int(name[3:]) for name in STS}
    return Texts(
        train,
        test,
        [" ".join(words) for words in data.running_text("masc")],
        data.sts_benchmark("validation"),
        {name: data.sts(year) for name, year in years.items()},
        {name: data.sts(years[name], subsets=SUBSETS) for name in ("STS12", "STS13", "STS14")},
        {"SICK": data.sick("trial")},
    )


@functools.cache
def docstrings() -> Texts:
    """Names of functions as entries, summary lines and sentences of the bodies as definitions: no data is needed."""
    parts = {}
    for split in ("train", "test"):
        source = data.docstrings(split, config="small")
        rows = [source[place] for place in range(len(source))]
        pairs = [(row["name"].replace("_", " "), row["query"]) for row in rows]
        for row in rows:
            more = data.sentences(row["document"])[:2]
            pairs += [(row["name"].replace("_", " "), text) for text in more]
        parts[split] = data.merged_synonyms(data.dictionary_of(pairs))
    graded = {s: data.graded_docstrings(s, config="small") for s in ("train", "test")}
    tests = {"docstrings": graded["test"]}
    return Texts(parts["train"], parts["test"], [], graded["train"], tests, tests, tests)


# {name in a config's data: what it loads}
SOURCES: dict[str, Callable[[], Texts]] = {"wordnet": wordnet, "docstrings-small": docstrings}


def single_tokens(
    dictionary: data.Dictionary, pieces: dict[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """(places of definitions, ids of words) of all pairs whose word is a single token."""
    places, targets = [], []
    for place, owner in enumerate(dictionary.owners):
        known = [pieces[word] for word in dictionary.entries[owner] if word in pieces]
        places += [place] * len(known)
        targets += known
    return np.array(places, np.int32), np.array(targets, np.int32)
