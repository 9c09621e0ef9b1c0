"""Judged retrieval collections in BEIR's layout, and graded sentence pairs: from JAXSIM_DATA."""

import json
from typing import NamedTuple

import numpy as np

from jaxsim.data.sources import lines_of, prepared_path, prepared_tfds
from jaxsim.numerics import checks


class Collection(NamedTuple):
    """Documents, queries, and which documents are relevant to which query."""

    documents: list  # of strings, title first
    titles: list  # of strings, some empty
    queries: list  # of strings: those with a relevant document
    truth: np.ndarray  # int [queries, most], rows of `documents`; -1 fills up
    grades: np.ndarray  # float32 [queries, most], of the items of `truth`; 0 fills up


class GradedPairs(NamedTuple):
    """Sentence pairs with how alike people found them."""

    first: list  # of strings
    second: list  # of strings
    scores: np.ndarray  # float32 [pairs], from 0 to 5


def retrieval(name):
    """A collection: "cranfield", "cacm", "cisi", "npl", "time" or "adi".

    Judgements of 0 and below are left out, as are queries without any other.

    Returns: `Collection`.
    Raises: FileNotFoundError without the data.
    """
    folder = f"retrieval/{name}"
    rows = [json.loads(line) for line in lines_of(folder, "corpus.jsonl.gz")]
    place = {row["_id"]: number for number, row in enumerate(rows)}
    titles = [row.get("title") or "" for row in rows]
    documents = [f"{title} {row['text']}".strip() for title, row in zip(titles, rows, strict=True)]
    judged = {}
    lines = prepared_path(folder, "qrels/test.tsv").read_text(encoding="utf-8").splitlines()
    for line in lines[1:]:
        query, document, grade = line.split("\t")
        if float(grade) > 0 and document in place:
            judged.setdefault(query, []).append((place[document], float(grade)))
    texts = {}
    for line in lines_of(folder, "queries.jsonl.gz"):
        row = json.loads(line)
        if row["_id"] in judged:
            texts[row["_id"]] = row["text"]
    most = max(len(judged[query]) for query in texts)
    truth = np.full((len(texts), most), -1, np.int32)
    grades = np.zeros((len(texts), most), np.float32)
    for number, query in enumerate(texts):
        for column, (document, grade) in enumerate(judged[query]):
            truth[number, column], grades[number, column] = document, grade
    return Collection(documents, titles, list(texts.values()), truth, grades)


def sts_benchmark(split):
    """STS-B, as TFDS's glue/stsb 2.0.0 leaves it on disk.

    Args:
      split: "train" or "validation"; the test part has no scores.

    Returns: `GradedPairs`.
    Raises: ValueError for another split; FileNotFoundError without the data.
    """
    checks.one_of("split", split, ("train", "validation"))
    folder = prepared_tfds("glue/stsb/2.0.0")
    import tensorflow_datasets as tfds

    source = tfds.builder_from_directory(folder).as_data_source(split)
    rows = [source[place] for place in range(len(source))]
    first, second = ([row[name].decode() for row in rows] for name in ("sentence1", "sentence2"))
    return GradedPairs(first, second, np.array([row["label"] for row in rows], np.float32))
