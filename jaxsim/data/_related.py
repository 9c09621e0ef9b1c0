"""Texts of one domain that belong together in pairs: co-citations, definitions of siblings, titles with bodies."""

import csv
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxsim.data._classified import LabeledTexts
from jaxsim.data._running_text import synsets
from jaxsim.data._sources import prepared_path, prepared_rows
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array
from jaxsim.storage._fields import Fields
from jaxsim.storage._texts import opened_text

COLLECTIONS = ("cacm", "cisi")


class RelatedTexts(NamedTuple):
    """Texts, and pairs of them that belong together."""

    texts: list[str]
    pairs: np.ndarray  # int32 [pairs, 2], places in `texts`, each pair once
    groups: np.ndarray  # int32 [texts]: two of one group are not negatives of each other


def cocitations(name: str, *, least: int = 1) -> RelatedTexts:
    """Co-cited abstracts: pairs of papers that a third one cites together, from JAXSIM_DATA.

    Papers without an abstract are left out: of cacm's 5,320 pairs 2,632 stay, of cisi's all 38,672.

    Args:
      name: "cacm" (computing) or "cisi" (library science).
      least: how many papers must cite both, at least.

    Returns: `RelatedTexts`, each text a group by itself.
    Raises: ValueError for another name; FileNotFoundError without the data; ValueError naming the file and line of
    what is damaged.
    Source: the SMART collections CACM and CISI, whose citations are a part of them. Licence: none stated, research.
    """
    checks.one_of("name", name, COLLECTIONS)
    checks.whole("least", least)
    folder = f"retrieval/{name}"
    abstracts = {}
    for at, row in prepared_rows(folder, "corpus.jsonl.gz", _id=str, text=str):
        if row["_id"] in abstracts:
            raise Fields(at, row).wrong("_id", "an id that no earlier line has")
        abstracts[row["_id"]] = row["text"].strip()
    path, places, pairs = prepared_path(folder, "cocitations.tsv"), {}, []
    with opened_text(path) as file:
        for number, cells in enumerate(csv.reader(file, delimiter="\t"), start=1):
            if number == 1 and cells == ["doc_a", "doc_b", "count"]:
                continue
            fits = len(cells) == 3 and cells[2].isdecimal() and int(cells[2]) > 0
            if not fits or not {*cells[:2]} <= set(abstracts) or cells[0] == cells[1]:
                raise ValueError(
                    f"{path}: line {number} must have two papers of the corpus and how often they are "
                    f"cited together, got {checks.shown(cells)}"
                )
            both = cells[:2]
            if int(cells[2]) >= least and all(abstracts[one] for one in both):
                pairs.append([places.setdefault(one, len(places)) for one in both])
    texts = [abstracts[one] for one in places]
    return RelatedTexts(texts, _unique(pairs), np.arange(len(texts), dtype=np.int32))


def sibling_definitions(lexname: str) -> RelatedTexts:
    """Sibling definitions of WordNet: synsets that share their first hypernym, from JAXSIM_DATA.

    A hypernym's synsets are taken two by two in the file's order, so that a text is in one pair.

    Args:
      lexname: of the lexicographer's file that all are in, the hypernym too, such as "noun.artifact".

    Returns: `RelatedTexts`; a group is the synsets of one hypernym.
    Raises: ValueError for a lexname without such pairs; as `synsets`, whose source and licence are these.
    """
    rows = synsets()
    files = {row["id"]: row["lexname"] for row in rows}
    siblings = {}
    for row in rows:
        above = row["hypernyms"][:1]
        if row["lexname"] == lexname and above and files.get(above[0]) == lexname:
            siblings.setdefault(above[0], []).append(row["definition"])
    texts, pairs, groups = [], [], []
    for number, definitions in enumerate(siblings.values()):
        distinct = list(dict.fromkeys(definitions))
        distinct = distinct[: len(distinct) // 2 * 2]
        pairs += [[len(texts) + n, len(texts) + n + 1] for n in range(0, len(distinct), 2)]
        texts += distinct
        groups += [number] * len(distinct)
    if not pairs:
        known = sorted({name for name in files.values() if name.startswith("noun.")})
        raise ValueError(f"lexname must be one with siblings, such as {known}, got {lexname!r}")
    return RelatedTexts(texts, _unique(pairs), np.array(groups, np.int32))


def titled_texts(documents: LabeledTexts) -> dict[str, RelatedTexts]:
    """Titles with their bodies, by class: {class: pairs of a title and the body below it}.

    Args:
      documents: such as `ag_news()`; those without a title or a body are left out.

    Returns: {name: RelatedTexts}; a group is a document.
    """
    related = {}
    for label, name in enumerate(documents.names):
        rows = np.flatnonzero(documents.labels == label)
        both = [(documents.titles[row], documents.bodies[row]) for row in rows]
        both = [pair for pair in both if all(pair)]
        places = np.arange(len(both), dtype=np.int32)
        related[name] = RelatedTexts(
            [text for pair in both for text in pair],
            np.stack([2 * places, 2 * places + 1], axis=1),
            np.repeat(places, 2),
        )
    return related


def split_related(
    related: RelatedTexts, *, shares: Sequence[float] = (0.8, 0.1, 0.1), seed: int
) -> list[RelatedTexts]:
    """Splits related texts so that no text is in two parts, and no group either where that is possible.

    Texts that are connected, by pairs or groups, stay together. A component that is larger than the smallest
    part is split text by text, and pairs that cross the parts are dropped: of a citation graph that is one
    component about the sum of the squared shares stays.

    Args:
      related: as the loaders give it.
      shares: of the texts in each part, > 0 with a sum of 1.
      seed: of the draw.

    Returns: a list of `RelatedTexts`, one for each share, without texts that are in no pair.
    Raises: ValueError for shares that are none, and for a part without a pair.
    """
    checks.whole("seed", seed, 0)
    portions = np.asarray(shares, float)
    if portions.ndim != 1 or (portions <= 0).any() or abs(portions.sum() - 1) > 1e-6:
        raise ValueError(f"shares must be > 0 with a sum of 1, got {checks.shown(shares)}")
    count = len(related.texts)
    names = _components(count, related)
    sizes = np.bincount(names, minlength=count)
    large = sizes[names] > portions.min() * count
    names = np.where(large, count + np.arange(count), names)
    distinct, numbers, sizes = np.unique(names, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(distinct))
    ends = np.cumsum(sizes[order]) - sizes[order] / 2
    parts = np.empty(len(distinct), int)
    parts[order] = np.searchsorted(np.cumsum(portions)[:-1] * count, ends)
    of_text = parts[numbers]
    result = []
    for part in range(len(portions)):
        inside = related.pairs[(of_text[related.pairs] == part).all(axis=1)]
        if not len(inside):
            raise ValueError(
                f"shares must leave a pair in every part, part {part} of {count} texts has none"
            )
        members, places = np.unique(inside, return_inverse=True)
        pairs = places.reshape(inside.shape).astype(np.int32)
        result.append(
            RelatedTexts([related.texts[n] for n in members], pairs, related.groups[members])
        )
    return result


def balanced_pairs(
    related: RelatedTexts, candidates: Array, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Balanced test pairs: each pair that belongs together, and its first text with a hard negative.

    Accepting all of them has an F1 of 2/3. A pair whose first text has no negative among the candidates is
    left out with it, so that both kinds are equally many.

    Args:
      related: texts and pairs.
      candidates: int [texts, k], places of texts that are hard to distinguish from each one, such as its neighbors
        by TF-IDF; itself, its partners and its group among them are passed over.
      seed: of the draw among a text's candidates.

    Returns: (int32 [2 n, 2] places of texts, bool [2 n], which belong together), right ones first.
    Raises: ValueError for candidates of another shape or outside of the texts, and where no pair is left.
    """
    checks.whole("seed", seed, 0)
    candidates = checks.one_array("candidates", candidates)
    checks.shaped("candidates", candidates, (len(related.texts), None), "one row per text")
    checks.integers("candidates", candidates)
    checks.outside("candidates", candidates, len(related.texts))
    partners = {}
    for first, second in related.pairs.tolist():
        partners.setdefault(first, set()).add(second)
        partners.setdefault(second, set()).add(first)
    random, right, wrong = np.random.default_rng(seed), [], []
    for first, second in related.pairs.tolist():
        others = [
            other
            for other in candidates[first].tolist()
            if related.groups[other] != related.groups[first] and other not in partners[first]
        ]
        if others:
            right.append([first, second])
            wrong.append([first, others[random.integers(len(others))]])
    if not right:
        raise ValueError("candidates must hold a negative of one text at least, got none")
    labels = np.repeat([True, False], len(right))
    return np.array(right + wrong, np.int32), labels


def _unique(pairs):
    """Pairs once each, the smaller place first: int32 [pairs, 2]."""
    if not pairs:
        return np.zeros((0, 2), np.int32)
    return np.unique(np.sort(np.array(pairs, np.int32), axis=1), axis=0)


def _components(count, related):
    """The component of each text, named by one of its texts: int [count]."""
    above = list(range(count))

    def top(place):
        while above[place] != place:
            above[place] = above[above[place]]
            place = above[place]
        return place

    firsts = {}
    same = [
        (firsts.setdefault(group, place), place)
        for place, group in enumerate(related.groups.tolist())
    ]
    for one, other in [*related.pairs.tolist(), *same]:
        above[top(one)] = top(other)
    return np.array([top(place) for place in range(count)], int)
