"""TREC runs and qrels: what trec_eval, ranx and others read.

run     query Q0 document rank score tag
qrels   query 0 document relevance      (or the three tab-separated columns of BEIR, with a header)

Columns are separated by white space. Where tabs alone separate them, as in BEIR's files, an id may hold
spaces. Text is UTF-8, a byte order mark at its beginning is not part of it, and a name that ends in .gz is
gzipped.
"""

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array
from jaxsim.storage._atomic import write_text
from jaxsim.storage._texts import opened_text

HEADERS = "score", "relevance", "rel", "grade", "label", "rating", "judgment", "judgment"
WHOLE = re.compile(r"([+-]?[0-9]{1,18})(\.0*)?", re.ASCII)
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f]")
LARGEST = 2**31 - 1


def save_run(
    path: str | os.PathLike,
    query_ids: Sequence[Any],
    document_ids: Sequence[Any],
    ids: Array,
    scores: Array,
    *,
    tag: str = "jaxsim",
) -> None:
    """Writes a TREC run file: a ranking per query.

    trec_eval sorts by score and breaks ties by name: to keep the order of a ranking with ties, its equal
    scores are written with gaps of one step of float32.

    Args:
      path: the file, written under a temporary name and renamed.
      query_ids: [m] strings without white space, each once.
      document_ids: [n] strings without white space.
      ids: int [m, k], rows of `document_ids`, best first, each once in a row; -1 is left out.
      scores: [m, k], finite, never rising within a row.
      tag: the name of the run.

    Raises: ValueError for shapes or names that do not fit, documents that occur twice in a row, or scores
    that rise.
    """
    ids = np.asarray(ids)
    with np.errstate(over="ignore"):
        scores = np.asarray(scores, np.float32)
    if ids.shape != scores.shape or ids.ndim != 2 or len(ids) != len(query_ids):
        raise ValueError(
            f"ids and scores must be [{len(query_ids)}, k] both, got shapes {ids.shape}, {scores.shape}"
        )
    if ids.size:
        checks.integers("ids", ids)
        if ids.max() >= len(document_ids):
            raise ValueError(f"ids must be below {len(document_ids)} documents, got {ids.max()}")
    for name, names in (("query_ids", query_ids), ("document_ids", document_ids), ("tag", [tag])):
        for place, text in enumerate(names):
            if not _is_word(text):
                raise ValueError(
                    f"{name} must be words without white space, got {str(text)!r} in row {place + 1}"
                )
    if len(set(query_ids)) < len(query_ids):
        twice = next(query for query in query_ids if list(query_ids).count(query) > 1)
        raise ValueError(f"query_ids must differ, got {twice!r} twice")
    lines = []
    for query, row, values in zip(query_ids, ids, scores, strict=True):
        row, values = row[row >= 0], values[row >= 0]
        if not np.isfinite(values).all():
            raise ValueError(f"scores must be finite float32: query {query!r}")
        if (np.diff(values) > 0).any():
            raise ValueError(f"scores must never rise within a row: query {query!r}")
        named = [document_ids[document] for document in row]
        if len(set(named)) < len(named):
            twice = next(document for document in named if named.count(document) > 1)
            raise ValueError(
                f"a query must rank a document once: query {query!r} has {twice!r} twice"
            )
        below = np.float32(np.inf)
        for rank, (document, value) in enumerate(zip(named, values, strict=True), 1):
            below = min(value, np.nextafter(below, np.float32(-np.inf)))
            lines.append(f"{query} Q0 {document} {rank} {float(below)!r} {tag}\n")
    write_text(path, "".join(lines))


def load_run(path: str | os.PathLike) -> dict[str, list[tuple[str, float]]]:
    """Reads a TREC run file.

    Returns: {query: [(document, score)]}, by score from the highest, equal ones in the order of the file.
    Raises: FileNotFoundError; ValueError naming the file and the line of another number of columns, a rank
    that is not a whole number, a score that is not finite, a document that its query has already.
    """
    run = {}
    for number, words in _lines(path, (6,), "a run has 6 columns"):
        query, _, document, rank, score, _ = words
        if not rank.isdecimal() and not WHOLE.fullmatch(rank):
            raise ValueError(
                f"{path}, line {number}: the rank must be a whole number, got {rank!r}"
            )
        documents = run.setdefault(query, {})
        if document in documents:
            first = next(n for n, w in _lines(path, (6,), "") if (w[0], w[2]) == (query, document))
            raise ValueError(
                f"{path}, line {number}: ranks {document!r} again for {query!r}, as line {first} did"
            )
        try:
            value = float(score)
        except ValueError:
            value = None
        if value is None or "_" in score:  # Python's own 1_000 is not TREC's
            raise ValueError(f"{path}, line {number}: {score!r} is not a number")
        if not math.isfinite(value):
            raise ValueError(f"{path}, line {number}: the score must be finite, got {score!r}")
        documents[document] = value
    return {
        query: sorted(documents.items(), key=lambda ranked: -ranked[1])
        for query, documents in run.items()
    }


def save_qrels(path: str | os.PathLike, judgments: Mapping[str, Mapping[str, int]]) -> None:
    """Writes a qrels file: judgments {query: {document: relevance}} in TREC's four columns.

    Raises: ValueError for ids with white space and relevances that are not whole numbers of 32 bits.
    """
    lines = []
    for query, documents in judgments.items():
        for document, relevance in documents.items():
            for text in (query, document):
                if not _is_word(text):
                    raise ValueError(f"ids must be words without white space, got {str(text)!r}")
            if not abs(relevance) <= LARGEST or relevance != int(relevance):
                raise ValueError(
                    f"relevances must be whole numbers of 32 bits, got {relevance!r} for {query!r} and "
                    f"{document!r}"
                )
            lines.append(f"{query} 0 {document} {int(relevance)}\n")
    write_text(path, "".join(lines))


def load_qrels(path: str | os.PathLike) -> dict[str, dict[str, int]]:
    """Reads a qrels file: TREC's four columns, or BEIR's three with a header.

    Returns: {query: {document: relevance}}, whole numbers; those below 1 are not relevant.
    Raises: FileNotFoundError; ValueError naming the file and the line of another number of columns, a grade
    that is not a whole number of 32 bits, a pair that is judged twice and not equally.
    """
    judgments, columns, grades = {}, None, {}
    wanted = "qrels have 3 or 4 columns"
    for number, words in _lines(path, (3, 4), wanted):
        query, document, grade = words[0], words[-2], words[-1]
        if columns is None:
            columns, first = len(words), number
            if grade.lower() in HEADERS:
                continue
        if len(words) != columns:
            raise ValueError(
                f"{path}, line {number}: has {len(words)} columns, line {first} has {columns}"
            )
        if grade not in grades:
            grades[grade] = _grade(path, number, grade, number == first)
        grade = grades[grade]
        if judgments.setdefault(query, {}).setdefault(document, grade) != grade:
            raise ValueError(
                f"{path}, line {number}: {query} and {document} are judged twice, with different grades: "
                f"{judgments[query][document]} before, now {grade}"
            )
    return judgments


def ranking_arrays(
    run: Mapping[str, Sequence[tuple[str, float]]],
    judgments: Mapping[str, Mapping[str, int]],
    k: int | None = None,
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Converts a run and its qrels to arrays for `jaxsim.evaluation`.

    Args:
      run: as `load_run` gives it.
      judgments: as `load_qrels` gives it.
      k: cut the ranking; None keeps the longest.

    Returns: (queries [m], those that are judged, in the order of the judgments; relevance of what was
    returned, int [m, k], 0 for what is not judged; where bool [m, k], False beyond a ranking's end;
    relevances of all judged documents int [m, j], the highest first, 0 for padding).

    Examples:
      >>> from jaxsim import storage
      >>> run, judgments = {"q": [("a", 2.0), ("b", 1.0)]}, {"q": {"b": 1}}
      >>> queries, relevance, where, relevances = storage.ranking_arrays(run, judgments)
      >>> print(queries, relevance.tolist(), relevances.tolist())
      ['q'] [[0, 1]] [[1]]
    """
    if k is not None:
        checks.whole("k", k)
    queries = list(judgments)
    longest = max((len(run.get(query, ())) for query in queries), default=0)
    width = longest if k is None else k
    most = max((len(documents) for documents in judgments.values()), default=0)
    relevance, where = np.zeros((len(queries), width), int), np.zeros((len(queries), width), bool)
    ideal = np.zeros((len(queries), most), int)
    for row, query in enumerate(queries):
        returned = [document for document, _ in run.get(query, ())][:width]
        relevance[row, : len(returned)] = [judgments[query].get(d, 0) for d in returned]
        where[row, : len(returned)] = True
        judged = sorted(judgments[query].values(), reverse=True)
        ideal[row, : len(judged)] = judged
    return queries, relevance, where, ideal


def _lines(path, counts, wanted):
    """The number and the columns of each line that is not blank; `counts` of them may be there."""
    path = Path(path)
    with opened_text(path) as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\r\n")
            if line.isascii() and line.isprintable():  # no tabs, nothing white but the space
                words = line.split()
            else:
                words = _words(path, number, line, counts)
            if len(words) in counts:
                yield number, words
            elif words:
                raise ValueError(f"{path}, line {number}: {wanted}, got {len(words)}")


def _words(path, number, line, counts):
    """The columns of a line with tabs or letters beyond ASCII, whose white space is part of a word."""
    if match := CONTROL.search(line):
        raise ValueError(
            f"{path}, line {number}: holds the control character {match.group()!a}: "
            "save the file as UTF-8 text"
        )
    words = [word.strip(" ") for word in line.split("\t")]
    if len(words) not in counts:
        words = re.split(r"[ \t]+", line.strip(" \t"))
        return words if words != [""] else []
    if "" in words:
        raise ValueError(f"{path}, line {number}: column {words.index('') + 1} is empty")
    return words


def _is_word(text):
    """Whether a file holds this text as one word, and gives it back."""
    text = str(text)
    if text.isascii() and text.isprintable():
        return text != "" and " " not in text
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return text.split() == [text] and not CONTROL.search(text) and not text.startswith("\ufeff")


def _grade(path, number, word, first):
    match = WHOLE.fullmatch(word)
    value = int(match.group(1)) if match else LARGEST + 1
    if abs(value) > LARGEST:
        raise ValueError(
            f"{path}, line {number}: the relevance must be a whole number of 32 bits, got {word!r}"
            + f" (a header would end in {', '.join(HEADERS)})" * first
        )
    return value
