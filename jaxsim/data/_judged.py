"""Judged retrieval collections in BEIR's layout, and graded sentence pairs: from JAXSIM_DATA."""

from typing import NamedTuple

import numpy as np

from jaxsim.data._sources import prepared_path, prepared_rows, prepared_tfds, tfds_source
from jaxsim.numerics import checks
from jaxsim.storage import load_qrels
from jaxsim.storage._fields import Fields


class Collection(NamedTuple):
    """Retrieval collection: documents, queries, and which documents are relevant to which query."""

    documents: list  # of strings, title first
    titles: list  # of strings, some empty
    queries: list  # of strings: those with a relevant document
    truth: np.ndarray  # int [queries, most], rows of `documents`; -1 fills up
    grades: np.ndarray  # float32 [queries, most], of the items of `truth`; 0 fills up


class GradedPairs(NamedTuple):
    """Sentence pairs with similarity scores."""

    first: list  # of strings
    second: list  # of strings
    scores: np.ndarray  # float32 [pairs], on the scale of their set, larger is more similar


def retrieval(name: str) -> Collection:
    """Loads a retrieval collection in BEIR's layout: "cranfield", "cacm", "cisi", "npl", "time" or "adi".

    Judgments of 0 and below are left out, and so are queries that have no others.

    Returns: `Collection`.
    Raises: FileNotFoundError without the data; ValueError naming the file and line of what is damaged.
    """
    folder = f"retrieval/{name}"
    place, titles, documents, texts = {}, [], [], {}
    for at, row in prepared_rows(folder, "corpus.jsonl.gz", _id=str, text=str):
        if place.setdefault(row["_id"], len(place)) != len(documents):
            raise Fields(at, row).wrong("_id", "an id that no earlier line has")
        titles.append(Fields(at, row).text("title", ""))
        documents.append(f"{titles[-1]} {row['text']}".strip())
    judged, queries = {}, set()
    for query, grades in load_qrels(prepared_path(folder, "qrels/test.tsv")).items():
        relevant = [(place[d], grade) for d, grade in grades.items() if grade > 0 and d in place]
        if relevant:
            judged[query] = relevant
    for at, row in prepared_rows(folder, "queries.jsonl.gz", _id=str, text=str):
        if row["_id"] in queries:
            raise Fields(at, row).wrong("_id", "an id that no earlier line has")
        queries.add(row["_id"])
        if row["_id"] in judged:
            texts[row["_id"]] = row["text"]
    if not texts:
        raise ValueError(
            f"{prepared_path(folder, 'qrels/test.tsv')}: judges no document of the corpus relevant to a "
            "query of queries.jsonl.gz"
        )
    most = max(len(judged[query]) for query in texts)
    truth = np.full((len(texts), most), -1, np.int32)
    grades = np.zeros((len(texts), most), np.float32)
    for number, query in enumerate(texts):
        for column, (document, grade) in enumerate(judged[query]):
            truth[number, column], grades[number, column] = document, grade
    return Collection(documents, titles, list(texts.values()), truth, grades)


def sts_benchmark(split: str) -> GradedPairs:
    """STS Benchmark (STS-B), as TFDS's glue/stsb 2.0.0 leaves it on disk.

    Args:
      split: "train" or "validation"; the test part has no scores.

    Returns: `GradedPairs`, scores from 0 to 5.
    Raises: ValueError for another split or damaged data; FileNotFoundError without the data.
    Source: Cer et al. 2017 (1708.00055). Licence: CC BY-SA 4.0 (scores); the texts by their sources.
    """
    checks.one_of("split", split, ("train", "validation"))
    rows = list(tfds_source(prepared_tfds("glue/stsb/2.0.0"), split))
    first, second = ([row[name].decode() for row in rows] for name in ("sentence1", "sentence2"))
    return GradedPairs(first, second, np.array([row["label"] for row in rows], np.float32))
