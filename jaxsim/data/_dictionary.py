"""A dictionary: entries and their definitions, from WordNet in JAXSIM_DATA."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from jaxsim.data._running_text import synsets
from jaxsim.data._sources import prepared_path
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array
from jaxsim.storage._texts import opened_text


class Dictionary(NamedTuple):
    """Entries of a dictionary, and pairs of a definition and the entry that it defines."""

    entries: list[
        tuple[str, ...]
    ]  # the words or phrases of each entry; several where synonyms are merged
    definitions: list[str]  # of the pairs
    owners: np.ndarray  # int32 [pairs], places in `entries`

    def of(self, places: Array) -> "Dictionary":
        """Some of the entries, in this order, with their definitions.

        Args:
          places: int [n], in `entries`, none twice.
        """
        places = np.asarray(places, int)
        number = np.full(len(self.entries), -1, np.int32)
        number[places] = np.arange(len(places))
        senses = np.flatnonzero(number[self.owners] >= 0)
        return Dictionary(
            [self.entries[place] for place in places],
            [self.definitions[place] for place in senses],
            number[self.owners[senses]],
        )


def dictionary(*, in_sts: bool = False) -> Dictionary:
    """Dictionary entries of WordNet 3.0: 147,306 words and phrases with all of their definitions, from JAXSIM_DATA.

    Entries are in lower case; a definition that a word has twice counts once.

    Args:
      in_sts: keep the 1,757 synsets whose definition is, up to case and punctuation, a sentence of the tests of
        STS 2012 to 2015 (`sts_synsets`). With them one trains on sentences of those tests.

    Returns: `Dictionary`, an entry per word: synonyms are not merged (`merged_synonyms`).
    Raises: FileNotFoundError without the data; ValueError naming the file and line of what is damaged.
    Licence: the WordNet 3.0 licence.
    """
    left_out = frozenset() if in_sts else sts_synsets()
    known: dict[str, dict[str, None]] = {}
    for row in synsets():
        if row["id"] not in left_out:
            for lemma in row["lemmas"]:
                word = lemma.replace("_", " ").lower()
                known.setdefault(word, {}).setdefault(row["definition"])
    return dictionary_of((word, text) for word, texts in known.items() for text in texts)


def dictionary_of(pairs: Iterable[tuple[str, str]]) -> Dictionary:
    """A dictionary of pairs (word, definition): an entry per word, in their order.

    Args:
      pairs: of strings; a pair that comes twice counts once.

    Examples:
      >>> from jaxsim import data
      >>> found = data.dictionary_of([("car", "a vehicle"), ("van", "a vehicle"), ("car", "a wagon")])
      >>> found.entries, found.definitions, found.owners.tolist()
      ([('car',), ('van',)], ['a vehicle', 'a wagon', 'a vehicle'], [0, 0, 1])
    """
    known: dict[str, dict[str, None]] = {}
    for word, text in pairs:
        known.setdefault(word, {}).setdefault(text)
    counts = [len(texts) for texts in known.values()]
    return Dictionary(
        [(word,) for word in known],
        [text for texts in known.values() for text in texts],
        np.repeat(np.arange(len(known), dtype=np.int32), counts),
    )


def sts_synsets() -> frozenset[str]:
    """Ids of the synsets whose definition is a sentence of STS 2012 to 2015, up to case and punctuation.

    They are in the subsets OnWN and FNWN. Leave them out of training where those sets are the test.

    Raises: FileNotFoundError without the data.
    """
    with opened_text(prepared_path("wordnet", "in_sts.txt")) as file:
        return frozenset(line.strip() for line in file if line.strip())


def merged_synonyms(dictionary: Dictionary) -> Dictionary:
    """Merges synonyms: words with the same set of definitions become one entry.

    Their entry embeddings are equal, so that a classifier of entries could not distinguish them.

    Returns: `Dictionary`, entries in the order of their first words.

    Examples:
      >>> from jaxsim import data
      >>> pairs = [("car", "a vehicle"), ("van", "a box"), ("auto", "a vehicle")]
      >>> data.merged_synonyms(data.dictionary_of(pairs)).entries
      [('car', 'auto'), ('van',)]
    """
    texts: list[dict[str, None]] = [{} for _ in dictionary.entries]
    for owner, text in zip(dictionary.owners, dictionary.definitions, strict=True):
        texts[owner].setdefault(text)
    groups: dict[frozenset[str], list[int]] = {}
    for place, meanings in enumerate(texts):
        groups.setdefault(frozenset(meanings), []).append(place)
    firsts = [places[0] for places in groups.values()]
    entries = []
    for places in groups.values():
        words = [dictionary.entries[place] for place in places]
        entries.append(tuple(word for one in words for word in one))
    return dictionary.of(np.array(firsts))._replace(entries=entries)


def split_dictionary(
    dictionary: Dictionary, shares: Sequence[float] = (0.9, 0.05, 0.05), *, seed: int = 0
) -> list[Dictionary]:
    """Splits a dictionary by word and by definition: no part has a word, or a definition, of another.

    Entries are drawn; then a part loses the definitions that a later part has too, and the entries that are left
    without any. The last part, the test, stays whole.

    Args:
      dictionary: with synonyms merged, or a word's synonym may lose all of its definitions.
      shares: of the entries, above 0, with a sum of 1.
      seed: of the draw.

    Returns: a `Dictionary` for each share.
    Raises: ValueError for shares that are not a split.
    """
    parts_of = checks.host_reals("shares", shares).astype(float)
    checks.shaped("shares", parts_of, (None,), "one per part")
    if not (parts_of > 0).all() or abs(parts_of.sum() - 1) > 1e-9:
        raise ValueError(f"shares must be above 0 with a sum of 1, got {parts_of.tolist()}")
    count = len(dictionary.entries)
    ends = np.round(np.cumsum(parts_of)[:-1] * count).astype(int)
    order = np.random.default_rng(seed).permutation(count)
    parts, later = [], set()
    for places in np.split(order, ends)[::-1]:
        part = dictionary.of(np.sort(places))
        senses = [place for place, text in enumerate(part.definitions) if text not in later]
        later.update(part.definitions)
        part = part._replace(
            definitions=[part.definitions[place] for place in senses], owners=part.owners[senses]
        )
        parts.append(part.of(np.unique(part.owners)))
    return parts[::-1]
