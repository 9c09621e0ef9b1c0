"""What `train --judged` shows: how well a judged collection is searched, whenever the run is validated."""

import argparse
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxsim import data, storage
from jaxsim.commands import evaluate
from jaxsim.commands.inputs import columns, corpora, models
from jaxsim.commands.options.usual import DOCUMENT_PROMPTS, QUERY_IDS, QUERY_PROMPTS
from jaxsim.numerics.types import ArrayTree
from jaxsim.search._corpus import encode_corpus
from jaxsim.search._sparse_files import encode_sparse_corpus
from jaxsim.search._tokens import encode_tokens

DEPTH, K = 100, 10  # of a ranking, and of the figures
FIGURES = (f"nDCG@{K}", f"recall@{K}", "MRR")


class Judged:
    """A judged collection: queries and a corpus with their ids, and the grades of documents.

    Args:
      corpus, queries, qrels: files.

    Raises: ValueError for files that do not fit, and for judgments of none of the queries.
    """

    def __init__(self, corpus: str, queries: str, qrels: str) -> None:
        rows = data.read_records(corpus)
        title = "title,text" if "title" in columns.names_of(rows) else "text"
        self.documents = columns.column_of(rows, corpus, title)
        self.document_ids = columns.ids_of(rows, corpus)
        rows = data.read_records(queries)
        name = "query" if "query" in columns.names_of(rows) else "text"
        self.queries = columns.column_of(rows, queries, name)
        self.query_ids = columns.ids_of(rows, queries, usual=QUERY_IDS)
        self.judgments = storage.load_qrels(qrels)
        if not set(evaluate.relevant_of(self.judgments)) & set(self.query_ids):
            raise ValueError(f"{qrels}: judges no document of a query of {queries} relevant")

    def figures(self, model: Any, prompts: tuple, params: ArrayTree) -> dict[str, float]:
        """{"judged ...": float} of a model with these parameters."""
        sides = ((self.queries, prompts[0]), (self.documents, prompts[1]))
        of_documents = encode_sparse_corpus if models.is_sparse(model) else encode_corpus
        vectors = [] if not models.is_late(model) else tokens_of(model, params, *sides)
        vectors = vectors or [
            encode(
                models.encode_of(model),
                params,
                functools.partial(model.tokens, prompt=prompt),
                texts,
                label="encoding what is judged",
            )
            for encode, (texts, prompt) in zip((encode_corpus, of_documents), sides, strict=True)
        ]
        k = min(DEPTH, len(self.documents))
        queries, documents = vectors
        scores, places = corpora.nearest(queries, documents, k, model.similarity)
        run = {
            query: [
                (self.document_ids[place], float(score))
                for place, score in zip(places[row], scores[row], strict=True)
            ]
            for row, query in enumerate(self.query_ids)
        }
        found = evaluate.values(run, self.judgments, K)
        return {f"judged {name}": float(np.mean(found[name])) for name in FIGURES}


def tokens_of(model: Any, params: ArrayTree, queries: tuple, documents: tuple) -> list[Any]:
    """The token vectors of queries and of documents, each (texts, prompt), of a model of late interaction."""
    of_queries = model.replace(params=params).embed(queries[0], side="query", prompt=queries[1])
    rows = functools.partial(model.rows, prompt=documents[1])
    of_documents = encode_tokens(
        model.encode, params, rows, documents[0], label="encoding what is judged"
    )
    return [of_queries, corpora.TokenVectors(*of_documents)]


def figures_of(options: argparse.Namespace, model: Any) -> Callable[[ArrayTree], dict[str, float]]:
    """A function of parameters to the figures of --judged; to none without it."""
    if options.judged is None:
        return lambda params: {}
    prompts = tuple(
        models.prompt_of(
            model, getattr(options, f"{side}_prompt"), option=f"--{side}-prompt", usual=usual
        )
        for side, usual in (("query", QUERY_PROMPTS), ("document", DOCUMENT_PROMPTS))
    )
    return functools.partial(options.collection.figures, model, prompts)
