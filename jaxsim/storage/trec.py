"""Rankings and judgements as TREC has them: what trec_eval, ranx and their kin read.

run     query Q0 document rank score tag
qrels   query 0 document relevance      (or the three tab-separated columns of BEIR, with a header)
"""

from pathlib import Path

import numpy as np

from jaxsim.storage.atomic import write_text


def save_run(path, query_ids, document_ids, ids, scores, *, tag="jaxsim"):
    """Writes a ranking.

    trec_eval sorts by score and breaks ties by name: to keep the order of a ranking with ties, its equal
    scores are written one step of float32 apart.

    Args:
      path: the file, written aside and renamed.
      query_ids: [m] strings without white space.
      document_ids: [n] strings without white space.
      ids: int [m, k], rows of `document_ids`, best first; -1 is left out.
      scores: [m, k], never rising within a row.
      tag: the name of the run.

    Raises: ValueError for shapes or names that do not fit, or scores that rise.
    """
    ids, scores = np.asarray(ids), np.asarray(scores, np.float32)
    if ids.shape != scores.shape or ids.ndim != 2 or len(ids) != len(query_ids):
        raise ValueError(
            f"ids and scores must be [{len(query_ids)}, k] both, got shapes {ids.shape}, {scores.shape}"
        )
    for name, names in (("query_ids", query_ids), ("document_ids", document_ids), ("tag", [tag])):
        for text in names:
            if not str(text) or str(text).split() != [str(text)]:
                raise ValueError(f"{name} must be words without white space, got {str(text)!r}")
    lines = []
    for query, row, values in zip(query_ids, ids, scores, strict=True):
        row, values = row[row >= 0], values[row >= 0]
        if np.isnan(values).any() or (np.diff(values) > 0).any():
            raise ValueError(f"scores must never rise within a row: query {query!r}")
        below = np.float32(np.inf)
        for rank, (document, value) in enumerate(zip(row, values, strict=True), 1):
            below = min(value, np.nextafter(below, np.float32(-np.inf)))
            lines.append(f"{query} Q0 {document_ids[document]} {rank} {float(below)!r} {tag}\n")
    write_text(path, "".join(lines))


def load_run(path):
    """Reads a ranking.

    Returns: {query: [(document, score)]}, by score from the highest, equal ones in the order of the file.
    Raises: FileNotFoundError; ValueError naming the file and the line.
    """
    found = {}
    for number, words in _lines(path):
        if len(words) != 6:
            raise ValueError(f"{path}, line {number}: a run has 6 columns, got {len(words)}")
        found.setdefault(words[0], []).append((words[2], _number(path, number, words[4], float)))
    return {query: sorted(rows, key=lambda row: -row[1]) for query, rows in found.items()}


def save_qrels(path, judgements):
    """Writes judgements {query: {document: relevance}} in TREC's four columns."""
    lines = [
        f"{query} 0 {document} {int(relevance)}\n"
        for query, documents in judgements.items()
        for document, relevance in documents.items()
    ]
    write_text(path, "".join(lines))


def load_qrels(path):
    """Reads judgements: TREC's four columns, or BEIR's three with a header.

    Returns: {query: {document: relevance}}.
    Raises: FileNotFoundError; ValueError naming the file and the line.
    """
    found = {}
    for number, words in _lines(path):
        if len(words) not in (3, 4):
            raise ValueError(f"{path}, line {number}: qrels have 3 or 4 columns, got {len(words)}")
        query, document, relevance = words[0], words[-2], words[-1]
        if number == 1 and not relevance.lstrip("+-").isdigit():
            continue  # BEIR's header
        value = _number(path, number, relevance, int)
        if found.setdefault(query, {}).setdefault(document, value) != value:
            raise ValueError(
                f"{path}, line {number}: {query} and {document} are judged twice, unlike"
            )
    return found


def ranking_arrays(run, judgements, k=None):
    """A run and its judgements as arrays for `jaxsim.evaluation`.

    Args:
      run: as `load_run` gives it.
      judgements: as `load_qrels` gives it.
      k: cut the ranking; None keeps the longest.

    Returns: (queries [m], those that are judged, in the order of the judgements; relevance of what was
    returned, int [m, k], 0 for what is not judged; where bool [m, k], False beyond a ranking's end;
    relevances of all judged documents int [m, j], the highest first, 0 for padding).

    Examples:
      >>> from jaxsim import storage
      >>> run, judgements = {"q": [("a", 2.0), ("b", 1.0)]}, {"q": {"b": 1}}
      >>> queries, relevance, where, relevances = storage.ranking_arrays(run, judgements)
      >>> print(queries, relevance.tolist(), relevances.tolist())
      ['q'] [[0, 1]] [[1]]
    """
    queries = list(judgements)
    longest = max((len(run.get(query, ())) for query in queries), default=0)
    width = longest if k is None else k
    most = max((len(documents) for documents in judgements.values()), default=0)
    relevance, where = np.zeros((len(queries), width), int), np.zeros((len(queries), width), bool)
    ideal = np.zeros((len(queries), most), int)
    for row, query in enumerate(queries):
        returned = [document for document, _ in run.get(query, ())][:width]
        relevance[row, : len(returned)] = [judgements[query].get(d, 0) for d in returned]
        where[row, : len(returned)] = True
        judged = sorted(judgements[query].values(), reverse=True)
        ideal[row, : len(judged)] = judged
    return queries, relevance, where, ideal


def _lines(path):
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line.split()


def _number(path, number, word, kind):
    try:
        return kind(word)
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {word!r} is no number") from error
