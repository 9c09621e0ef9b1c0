"""Which columns of a table hold what: found by the names that people give them, or told."""

import itertools
from typing import NamedTuple

from jaxsim.data.records import Records

IDS = ("id", "_id", "doc_id", "docid", "name")
QUERY_IDS = ("query_id", "query-id", "qid", "id", "_id")
QUERIES = ("query", "anchor", "question", "sentence1", "text1", "premise")
DOCUMENTS = ("document", "positive", "answer", "passage", "sentence2", "text2", "hypothesis")
NEGATIVES = ("negative", "negatives")
SCORES = ("score", "similarity", "label")


class Pairs(NamedTuple):
    """The columns of a table of pairs."""

    queries: list  # of strings
    documents: list  # of strings
    negatives: list | None  # of lists of strings, as many in every row
    scores: list | None  # of floats


def pairs_of(rows, path, *, query=None, document=None, negative=None, score=None):
    """Pairs, triplets or graded pairs of a table.

    Args:
      rows: dicts.
      path: of the file, for errors.
      query, document, negative, score: names of columns; None finds them by their names. Negatives are a
        string, a list of strings, or the columns negative_1, negative_2 and so on.

    Returns: `Pairs`.
    Raises: ValueError naming the columns that are there where they do not fit.
    """
    first = rows[0]
    query = _found(first, path, "query", query, QUERIES)
    document = _found(first, path, "document", document, DOCUMENTS)
    score = _found(first, path, "score", score, SCORES, needed=False)
    numbered = [name for name in first if name.startswith("negative_")]
    negative = (
        None
        if negative is None and numbered
        else _found(first, path, "negative", negative, NEGATIVES, needed=False)
    )
    names = [negative] if negative else numbered
    texts = [_strings(rows, path, name) for name in (query, document)]
    negatives = [_negatives(row, names, path, place) for place, row in enumerate(rows)]
    counts = sorted({len(some) for some in negatives})
    if len(counts) > 1:
        raise ValueError(
            f"{path}: rows must have equally many negatives, got from {counts[0]} to {counts[-1]}"
        )
    scores = None if score is None else [_number(row, score, path, i) for i, row in enumerate(rows)]
    return Pairs(*texts, negatives if names else None, scores)


def column_of(rows, path, name):
    """The strings of one column, or of several joined by a space: "title,text".

    Raises: ValueError naming the columns that are there.
    """
    return _strings(rows, path, _found(rows[0], path, "column", name, ()))


def ids_of(rows, path, name=None, usual=IDS, *, option="--id", words=False):
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
        raise ValueError(f"{path}: has no column {name!r}, it has {', '.join(columns)}")
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


def names_of(rows):
    """The columns of a table, {name: None} in the order in which they first occur; rows may differ in them."""
    return dict.fromkeys(itertools.chain.from_iterable(rows))


def row_at(rows, place):
    """A row for errors: "row 3", or "row 3 (line 5)" where its line in the file is known and another."""
    return rows.at(place) if isinstance(rows, Records) else f"row {place + 1}"


def _id(row, name, words):
    """The id of a row, None where it has none."""
    value = row.get(name)
    if isinstance(value, str):
        return value if value.strip() and not (words and value.split() != [value]) else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _came(row, name):
    """What a row has in a column, for errors."""
    return f"got {row[name]!r:.60}" if name in row else "which it lacks"


def _found(row, path, what, told, usual, needed=True):
    if told is not None:
        for name in parts_of(told, row):
            if name not in row:
                raise ValueError(f"{path}: has no column {name!r}, it has {', '.join(row)}")
        return told
    there = [name for name in usual if name in row]
    if there or not needed:
        return there[0] if there else None
    raise ValueError(
        f"{path}: no column for the {what}: looked for {', '.join(usual)}, it has {', '.join(row)}; "
        f"name it with --{what}"
    )


def parts_of(told, row):
    """The columns that a name stands for: itself where there is one so called, else its parts at commas."""
    return [told] if told in row else told.split(",")


def _strings(rows, path, told):
    names = parts_of(told, rows[0])
    for place, row in enumerate(rows):
        for name in names:
            if not isinstance(row.get(name), str):
                raise ValueError(
                    f"{path}: row {place + 1} must have a string in {name!r}, got {row.get(name)!r:.60}"
                )
    return [" ".join(filter(None, (row[name] for name in names))) for row in rows]


def _negatives(row, names, path, place):
    found = []
    for name in names:
        value = row.get(name)
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise ValueError(
                f"{path}: row {place + 1} must have strings in {name!r}, got {value!r:.60}"
            )
        found += value
    return found


def _number(row, name, path, place):
    try:
        return float(row[name])
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{path}: row {place + 1} must have a number in {name!r}, got {row.get(name)!r:.60}"
        ) from None
