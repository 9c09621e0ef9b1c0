"""Domains of texts that belong together in pairs: balanced pairs of each, and their figures."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.workbench.measures import figures
from experiments.workbench.networks import sentences, tfidf
from experiments.workbench.sets import sources
from jaxsim import data, evaluation

FILES = ("noun.artifact", "noun.person", "noun.plant", "noun.animal", "noun.act")
# () -> {domain: texts that belong together}
SOURCES: dict[str, Callable[[], dict[str, data.RelatedTexts]]] = {
    "wordnet": lambda: {name: data.sibling_definitions(name) for name in FILES},
    "news": lambda: data.titled_texts(data.ag_news()),
    "cocitations": lambda: {name: data.cocitations(name) for name in ("cacm", "cisi")},
    "docstrings-small": lambda: data.titled_texts(sources.labeled_docstrings(size="small")),
}
Ids = Callable[[Sequence[str]], list[np.ndarray]]  # texts -> token ids


class Asked(NamedTuple):
    """Balanced pairs of a domain."""

    ids: list[np.ndarray]  # tokens of its texts
    pairs: np.ndarray  # int [2 n, 2], places of texts, the right ones first
    labels: np.ndarray  # bool [2 n]


class Split(NamedTuple):
    """The pairs of a domain to learn from, to validate with and to test on."""

    train: data.RelatedTexts
    validation: data.RelatedTexts
    test: data.RelatedTexts


def splits(name: str, *, pairs: int, tests: int) -> dict[str, Split]:
    """The domains of a name of `SOURCES`, split, at most so many pairs of each to learn from and to test on."""
    parts = {}
    for domain, related in SOURCES[name]().items():
        train, *held_out = data.split_related(related, seed=0)
        parts[domain] = Split(at_most(train, pairs), *(at_most(one, tests) for one in held_out))
    return parts


def at_most(related: data.RelatedTexts, most: int) -> data.RelatedTexts:
    """At most so many pairs, drawn once for all, and their texts."""
    order = np.random.default_rng(0).permutation(len(related.pairs))[:most]
    members, places = np.unique(related.pairs[np.sort(order)], return_inverse=True)
    pairs = places.reshape(-1, 2).astype(np.int32)
    return data.RelatedTexts([related.texts[n] for n in members], pairs, related.groups[members])


def asked(related: data.RelatedTexts, ids: Ids, *, near: int) -> Asked:
    """Balanced pairs, whose wrong ones are among so many that are near by TF-IDF."""
    likeness = tfidf.scores(related.texts, related.texts)
    np.fill_diagonal(likeness, -1)
    nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :near]
    return Asked(ids(related.texts), *data.balanced_pairs(related, nearest, seed=0))


def columns(related: data.RelatedTexts, ids: Ids, length: int) -> dict[str, np.ndarray]:
    """Columns of pairs: tokens and masks of both sides, and the places of their texts."""
    first, second = (ids(sentences.at(related.texts, places)) for places in related.pairs.T)
    sides = {"first": first, "second": second}
    return {"places": related.pairs, **sentences.padded_columns(sides, length)}


def view_of(views: np.ndarray, asked: Asked) -> np.ndarray:
    """The view that each pair takes, a right one the same as its wrong one: int [2 n]."""
    return np.tile(np.arange(len(asked.pairs) // 2) % len(views), 2)


def scores_of(views: np.ndarray, asked: Asked) -> np.ndarray:
    """Cosines of pairs: float32 [2 n]."""
    view, (first, second) = view_of(views, asked), asked.pairs.T
    return np.sum(views[view, first] * views[view, second], axis=1)


def recalled(views: np.ndarray, asked: Asked) -> np.ndarray:
    """Whether a first text is closest to its second one of all second texts: float [n]."""
    first, second = asked.pairs[asked.labels].T
    others = np.unique(second)
    right = np.zeros(len(first))
    for view, vectors in enumerate(views):
        mine = view_of(views, asked)[: len(first)] == view
        scores = vectors[first[mine]] @ vectors[others].T
        right[mine] = others[scores.argmax(axis=1)] == second[mine]
    return right


def tested(views: np.ndarray, asked: Asked, *, repeats: int) -> dict[str, Any]:
    """Figures of unit vectors on a domain's pairs, of several views of which pairs take turns.

    Args:
      views: float [views, texts, dim].
      asked: the pairs.
      repeats: of the bootstrap.
    """
    scores = scores_of(views, asked)
    return {
        "AUC": figures.balanced(evaluation.roc_auc, scores, asked.labels, repeats=repeats),
        "F1max": figures.balanced(evaluation.f1_max, scores, asked.labels, repeats=repeats),
        "recall@1": recalled(views, asked),
    }
