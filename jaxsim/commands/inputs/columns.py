"""Columns of a table: found by their usual names, or named."""

import itertools
import logging
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxsim.commands.options.usual import (
    CLASSES,
    DOCUMENTS,
    IDS,
    NEGATIVES,
    QUERIES,
    SCORES,
    TEXTS,
)
from jaxsim.data._records import Records
from jaxsim.storage._fields import shown

LOG = logging.getLogger("jaxsim")


class Pairs(NamedTuple):
    """The columns of a table of pairs."""

    queries: list  # of strings
    documents: list  # of strings
    negatives: list | None  # of lists of strings; rows may have different numbers of them
    scores: list | None  # of floats


class Labeled(NamedTuple):
    """The columns of a table of texts with classes."""

    texts: list  # of strings
    labels: list  # of strings or whole numbers


def taken(table: Pairs | Labeled, places: Iterable[int]) -> Any:
    """The rows of a table at some places, as a table of its kind."""
    places = list(places)
    columns = [None if column is None else [column[place] for place in places] for column in table]
    if isinstance(table, Pairs) and not any(columns[2] or ()):
        columns[2] = None
    return type(table)(*columns)


def labeled_of(
    rows: Sequence[dict],
    path: str | os.PathLike,
    *,
    text: str | None = None,
    label: str | None = None,
) -> Labeled:
    """Texts with their classes.

    Args:
      rows: dicts.
      path: of the file, for errors.
      text, label: names of columns; None finds them by their names. A class is a string or a whole number.

    Returns: `Labeled`.
    Raises: ValueError naming the columns that are there where they do not fit, and a row without a class.
    """
    columns = names_of(rows)
    texts = _strings(rows, columns, path, _column(columns, path, "text", text, TEXTS))
    label = str(_column(columns, path, "label", label, CLASSES))
    return Labeled(texts, classes_of(rows, path, label))


def classes_of(rows: Sequence[dict], path: str | os.PathLike, name: str) -> list[str | int]:
    """The values of a column of classes: strings or whole numbers.

    Raises: ValueError naming the row of anything else.
    """
    for place, row in enumerate(rows):
        value = row.get(name)
        if not isinstance(value, (str, int)) or isinstance(value, bool) or value == "":
            raise ValueError(
                f"{path}: {row_at(rows, place)} must have a string or a whole number in {name!r}, "
                f"{_came(row, name)}"
            )
    return [row[name] for row in rows]


def is_labeled(rows: Sequence[dict]) -> bool:
    """Whether a table has a text and a class, and no pairs."""
    names = names_of(rows)
    pairs = any(name in names for name in QUERIES) and any(name in names for name in DOCUMENTS)
    return not pairs and all(any(n in names for n in usual) for usual in (TEXTS, CLASSES))


def pairs_of(
    rows: Sequence[dict],
    path: str | os.PathLike,
    *,
    query: str | None = None,
    document: str | None = None,
    negative: str | None = None,
    score: str | None = None,
) -> Pairs:
    """Pairs, triplets or graded pairs of a table.

    Args:
      rows: dicts.
      path: of the file, for errors.
      query, document, negative, score: names of columns; None finds them by their names. Negatives are a
        string, a list of strings, or the columns negative_1, negative_2 and so on. A row has none in a column that
        it lacks, and none where there is null or an empty string.

    Returns: `Pairs`.
    Raises: ValueError naming the columns that are there where they do not fit.
    """
    columns = names_of(rows)
    query = _column(columns, path, "query", query, QUERIES)
    document = _column(columns, path, "document", document, DOCUMENTS)
    score = _column(columns, path, "score", score, SCORES, needed=False)
    names = [name for name in columns if name.startswith("negative_")] if negative is None else []
    if first := _column(columns, path, "negative", negative, NEGATIVES, needed=False):
        names = [first, *names]
    texts = [_strings(rows, columns, path, name) for name in (query, document)]
    negatives = [_negatives(rows, place, names, path) for place in range(len(rows))]
    if negative is not None and not any(negatives):
        raise ValueError(f"{path}: the column {negative!r} must hold negatives, no row has one")
    scores = None
    if score is not None:
        scores = [_number(rows, place, score, path) for place in range(len(rows))]
    return Pairs(*texts, negatives if any(negatives) else None, scores)


def column_of(rows: Sequence[dict], path: str | os.PathLike, name: str) -> list[str]:
    """The strings of one column, or of several joined by a space: "title,text".

    Raises: ValueError naming the columns that are there, the row of what is not a string, a column of
    nothing but empty strings.
    """
    columns = names_of(rows)
    return _strings(rows, columns, path, _column(columns, path, "column", name, ()))


def ids_of(
    rows: Sequence[dict],
    path: str | os.PathLike,
    name: str | None = None,
    usual: Sequence[str] = IDS,
    *,
    option: str = "--id",
    words: bool = False,
) -> list[str]:
    """The ids of a table's rows: strings, each once.

    Args:
      rows: dicts.
      path: of the file, for errors.
      name: of the column; None takes the first of `usual` that is there, and the rows' numbers from 0 where
        none is; "" takes the rows' numbers.
      usual: names that a column of ids has.
      option: what names another column, for errors.
      words: refuse white space inside an id, as the files of TREC have it.

    Returns: a list of strings; whole numbers become their digits.
    Raises: ValueError naming the file, the column and the row of an id that is missing, null, empty, not a
    string or a whole number, or that an earlier row has.
    """
    columns = names_of(rows)
    if name is None:
        name = next((one for one in usual if one in columns), "")
        if not name:
            return [str(place) for place in range(len(rows))]
        remedy = f'; name another column with {option}, or number the rows with {option} ""'
    elif not name:
        return [str(place) for place in range(len(rows))]
    elif name not in columns:
        raise ValueError(f"{path}: has no column {name!r}, it has {_listed(columns)}")
    else:
        remedy = ""
    ids = [_id(row, name, words) for row in rows]
    if None in ids:
        place = ids.index(None)
        wanted = "an id (a string without white space, or a whole number)"
        wanted = wanted if words else "an id (a string or a whole number)"
        raise ValueError(
            f"{path}: {row_at(rows, place)} must have {wanted} in {name!r}, "
            f"{_came(rows[place], name)}{remedy}"
        )
    if len(set(ids)) < len(ids):
        first = {}
        for place, text in enumerate(ids):
            if first.setdefault(text, place) != place:
                raise ValueError(
                    f"{path}: {row_at(rows, place)} has the id {text!r} in {name!r}, and so has "
                    f"{row_at(rows, first[text])}: ids must differ{remedy}"
                )
    return ids


def names_of(rows: Sequence[dict]) -> dict[str, None]:
    """The columns of a table, {name: None} in the order in which they first occur; rows may differ in them."""
    return dict.fromkeys(itertools.chain.from_iterable(rows))


def row_at(rows: Sequence[dict], place: int) -> str:
    """A row for errors: "row 3", or "row 3 (line 5)" where its line in the file is known and another."""
    return rows.at(place) if isinstance(rows, Records) else f"row {place + 1}"


def _id(row, name, words):
    """The id of a row, None where it has none."""
    value = row.get(name)
    if isinstance(value, str):
        return value if value.strip() and not (words and value.split() != [value]) else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def parts_of(name: str, columns: Mapping[str, None]) -> list[str]:
    """The columns that a name means: the one of that name if it is there, else its parts at commas."""
    return [name] if name in columns else name.split(",")


def _column(columns, path, what, name, usual, needed=True):
    if name is not None:
        for part in parts_of(name, columns):
            if part not in columns:
                raise ValueError(f"{path}: has no column {part!r}, it has {_listed(columns)}")
        return name
    there = [name for name in usual if name in columns]
    if there or not needed:
        return there[0] if there else None
    raise ValueError(
        f"{path}: no column for the {what}: looked for {', '.join(usual)}, it has "
        f"{_listed(columns)}; name it with --{what}"
    )


def _listed(columns):
    """The first columns for errors, in one line."""
    names = [name if name.isprintable() and name.strip() else repr(name) for name in columns]
    return ", ".join(names[:20]) + f" and {len(names) - 20} more" * (len(names) > 20)


def _strings(rows, columns, path, name):
    names = parts_of(name, columns)
    for place, row in enumerate(rows):
        for part in names:
            if not isinstance(row.get(part), str):
                raise ValueError(
                    f"{path}: {row_at(rows, place)} must have a string in {part!r}, "
                    f"{_came(row, part)}"
                )
    texts = [" ".join(filter(None, (row[part] for part in names))) for row in rows]
    if not any(texts):
        raise ValueError(f"{path}: the column {name!r} must hold texts, all {len(rows)} are empty")
    empty = [place for place, text in enumerate(texts) if not text.strip()]
    if empty:
        first = row_at(rows, empty[0])
        LOG.warning(
            "%s: %d of %d texts in %r are empty, first %s", path, len(empty), len(rows), name, first
        )
    return texts


def _negatives(rows, place, names, path):
    texts = []
    for name in names:
        value = rows[place].get(name)
        value = [] if value is None else [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise ValueError(
                f"{path}: {row_at(rows, place)} must have a string or a list of strings in {name!r}, "
                f"{_came(rows[place], name)}"
            )
        texts += filter(None, value)
    return texts


def _number(rows, place, name, path):
    row = rows[place]
    try:
        value = float(row.get(name))
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not abs(value) <= float(np.finfo(np.float32).max):
        raise ValueError(
            f"{path}: {row_at(rows, place)} must have a finite number (of float32) in {name!r}, "
            f"{_came(row, name)}"
        )
    return value


def _came(row, name):
    """What a row has in a column, for errors."""
    return f"got {shown(row[name])}" if name in row else "which it lacks"
