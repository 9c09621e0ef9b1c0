"""Entry embeddings of a dictionary: means of its definitions' vectors, and entries whose embeddings are equal."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from experiments.workbench import each
from experiments.workbench.measures.vectors import unit_rows
from jaxsim import data, evaluation
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


def entry_embeddings(vectors: Array, entry: Array, num_entries: int) -> np.ndarray:
    """The mean of the vectors of each entry's definitions (DefSent+): float [entries, dim].

    Args:
      vectors: float [definitions, dim].
      entry: int [definitions], whose each is.
      num_entries: how many entries there are; each has a definition.

    Raises: ValueError for an entry without one.
    """
    vectors, entry = checks.host_reals("vectors", vectors), np.asarray(entry)
    checks.shaped("entry", entry, (len(vectors),), "one per definition")
    checks.outside("entry", entry, num_entries)
    counts = np.bincount(entry, minlength=num_entries)
    if not counts.all():
        raise ValueError(f"entry must name every entry, got none of {int(np.argmin(counts))}")
    sums = np.zeros((num_entries, vectors.shape[1]), np.float64)
    np.add.at(sums, entry, vectors)
    return (sums / counts[:, None]).astype(vectors.dtype)


class Merged(NamedTuple):
    """Distinct rows, and which of them each row was."""

    table: np.ndarray  # [distinct, dim]
    place: np.ndarray  # int32 [rows]


def merge_identical(table: Array) -> Merged:
    """Rows that are equal bit by bit become one, in the order in which they first come."""
    table = np.ascontiguousarray(checks.host_reals("table", table))
    checks.shaped("table", table, (None, None), "one row per entry")
    _, first, place = np.unique(table, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    number = np.empty(len(first), np.int32)
    number[order] = np.arange(len(first))
    return Merged(table[first[order]], number[np.ravel(place)])


class Table(NamedTuple):
    """Definitions, the entry of each, and the frozen embeddings of the entries."""

    ids: list[np.ndarray]  # tokens of each definition
    owners: np.ndarray  # int [definitions], rows of the table
    rows: np.ndarray  # float [entries, dim]


def table(dictionary: data.Dictionary, ids: list[np.ndarray], vectors: Array) -> Table:
    """The entry embeddings of a dictionary by the vectors of its definitions, equal rows merged."""
    means = entry_embeddings(vectors, dictionary.owners, len(dictionary.entries))
    merged = merge_identical(means)
    return Table(ids, merged.place[dictionary.owners], merged.table)


def drawn(
    dictionary: data.Dictionary, count: int, *, preferred: Array, seed: int = 0
) -> data.Dictionary:
    """Some entries of a dictionary: preferred ones first, the others by chance.

    Args:
      dictionary: of it.
      count: how many, at most.
      preferred: bool [entries].
      seed: of the draw.
    """
    chance = np.random.default_rng(seed).random(len(dictionary.entries))
    order = np.argsort(chance - np.asarray(preferred), kind="stable")
    return dictionary.of(np.sort(order[:count]))


def sample(dictionary: data.Dictionary, most: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Some entries by chance: (places of their definitions, the number of the entry of each of these, how many)."""
    count = len(dictionary.entries)
    taken = np.random.default_rng(0).permutation(count)[:most]
    number = np.full(count, -1)
    number[taken] = np.arange(len(taken))
    owners = number[dictionary.owners]
    places = np.flatnonzero(owners >= 0)
    return places, owners[places], len(taken)


def one_for_each_word(
    dictionary: data.Dictionary, row_of: Array
) -> tuple[list[int], np.ndarray, list[int]]:
    """An entry for each word, equal words' entries too, as if synonyms had not been merged.

    Args:
      dictionary: with synonyms merged.
      row_of: int [entries], the row of each entry in a table.

    Returns: (places of definitions, the entry of each of these, the row of the table of each entry).
    """
    rows, owners, places = [], [], []
    of_entry: list[list[int]] = [[] for _ in dictionary.entries]
    for entry, words in enumerate(dictionary.entries):
        for _ in words:
            of_entry[entry].append(len(rows))
            rows.append(row_of[entry])
    for place, entry in enumerate(dictionary.owners):
        owners += of_entry[entry]
        places += [place] * len(of_entry[entry])
    return places, np.array(owners), rows


def partners(owners: Array, *, seed: int = 0) -> np.ndarray:
    """For each definition another of the same entry, by chance, or itself where there is no other: int32 [n]."""
    owners = np.asarray(owners)
    chance = np.random.default_rng(seed).random(len(owners))
    order = np.lexsort((chance, owners))
    ends = np.append(np.flatnonzero(np.diff(owners[order])) + 1, len(owners))
    starts = np.append(0, ends[:-1])
    following = np.arange(1, len(owners) + 1)
    following[ends - 1] = starts  # the last of an entry takes its first
    result = np.empty(len(owners), np.int32)
    result[order] = order[following]
    return result


def reverse_dictionary(
    encode: Callable[[list[str]], np.ndarray], test: data.Dictionary, *, most: int
) -> np.ndarray:
    """Reverse dictionary: the reciprocal rank, in the first ten, of the entry that a definition belongs to.

    An entry's vector is the mean of its other definitions'.

    Args:
      encode: definitions to vectors [texts, dim].
      test: entries and their definitions; those with several are asked for.
      most: entries, at most.

    Returns: float [questions].
    """
    asked, rest = questions(test, most)
    queries = encode([test.definitions[place] for place in asked])
    others = encode([test.definitions[place] for place in rest])
    number = np.full(len(test.entries), -1)
    number[test.owners[asked]] = np.arange(len(asked))
    table = entry_embeddings(others, number[test.owners[rest]], len(asked))
    scores = unit_rows(queries) @ unit_rows(table).T
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    return each(evaluation.reciprocal_rank, ids, np.arange(len(asked))[:, None])


def questions(test: data.Dictionary, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of one definition of each entry that has several, at most so many, and of their other ones."""
    counts = np.bincount(test.owners, minlength=len(test.entries))
    several = np.flatnonzero(counts > 1)
    taken = np.sort(np.random.default_rng(0).permutation(several)[:most])
    _, first = np.unique(test.owners, return_index=True)  # the first definition of each entry
    places = np.flatnonzero(np.isin(test.owners, taken))
    return first[taken], places[~np.isin(places, first[taken])]
