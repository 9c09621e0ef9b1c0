"""The nearest texts of a corpus: of a query on the command line, of a file of queries, or at a prompt.

    python -m jaxsim search --model out/ --corpus docs.jsonl "how do I sort by two keys"
    python -m jaxsim search --model out/ --corpus docs.jsonl --queries q.jsonl --run found.trec
    python -m jaxsim search --model out/ --corpus docs.jsonl --reranker cross/ --budget 50

The index is built where it is not there yet (see `index`). With a reranker the nearest `budget` texts of
each query are scored again by a cross-encoder.
"""

import argparse
import sys

import numpy as np

from jaxsim import data, pretrained, search, storage
from jaxsim.commands import corpora
from jaxsim.commands.columns import column_of
from jaxsim.numerics import unit

WIDTH = 100  # letters of a text that are shown


def main(arguments):
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxsim search", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("query", nargs="*", help="words of one query; none, and no --queries, asks for them")
    corpora.options(add)
    add("--queries", help="a file of queries")
    add("--query-column", default="query", help="that holds them (query)")
    add("--query-id", help="column of their ids; the row's number unless told")
    add("--query-prompt", help="name of the model's prompt for queries")
    add("--k", type=int, default=10, help="texts per query (10)")
    add("--run", help="file for the rankings, as TREC has them")
    add("--reranker", help="folder of a cross-encoder")
    add("--budget", type=int, default=50, help="texts per query that it scores (50)")
    chosen = parser.parse_args(arguments)
    if chosen.run and not chosen.queries:
        parser.error("--run needs --queries")
    corpus = corpora.indexed(chosen)
    answer = Answer(corpus, chosen)
    if chosen.queries:
        rows = data.read_records(chosen.queries)
        queries = column_of(rows, chosen.queries, chosen.query_column)
        names = [str(i) for i in range(len(rows))]
        if chosen.query_id:
            names = [str(name) for name in column_of(rows, chosen.queries, chosen.query_id)]
        scores, ids = answer(queries)
        if chosen.run:
            storage.save_run(chosen.run, names, corpus.ids, ids, scores)
            print(f"{chosen.run}: {len(queries)} rankings of {ids.shape[1]}")
            return
        for place, query in enumerate(queries):
            show(corpus, query, scores[place], ids[place])
        return
    for query in [" ".join(chosen.query)] if chosen.query else asked():
        scores, ids = answer([query])
        show(corpus, query, scores[0], ids[0])


class Answer:
    """Queries to (scores [queries, k], ids int [queries, k])."""

    def __init__(self, corpus, chosen):
        self.corpus, self.chosen = corpus, chosen
        self.k = min(chosen.k, len(corpus.texts))
        self.reranker = pretrained.load(chosen.reranker) if chosen.reranker else None
        if self.reranker is not None and not hasattr(self.reranker, "score"):
            raise ValueError(
                f"{chosen.reranker}: is no cross-encoder: it has no classification head"
            )

    def __call__(self, queries):
        model = self.corpus.model
        vectors = search.encode_corpus(
            model.encode,
            model.params,
            lambda some: model.tokens(some, prompt_name=self.chosen.query_prompt),
            queries,
            label="queries",
        )
        vectors = np.asarray(unit(vectors))
        if self.reranker is None:
            return (np.asarray(a) for a in search.exact(vectors, self.corpus.vectors, k=self.k))
        return self._reranked(queries, vectors)

    def _reranked(self, queries, vectors):
        budget = min(self.chosen.budget, len(self.corpus.texts))
        if budget < self.k:
            raise ValueError(f"budget must be at least k={self.k}, got {budget}")
        _, first = search.exact(vectors, self.corpus.vectors, k=budget)
        # Only texts that some query may ask for are tokenised.
        used = np.unique(np.asarray(first))
        model = self.reranker
        score = search.scorer(
            model.score,
            model.params,
            model.tokenize(queries),
            model.tokenize_candidates([self.corpus.texts[i] for i in used]),
            batch=128,
        )
        cheap = vectors @ self.corpus.vectors[used].T
        found = search.rerank(cheap, score, k=self.k, budget=budget)
        return np.asarray(found.scores), used[np.asarray(found.ids)]


def asked():
    """Queries typed at a prompt, until an empty line or the end."""
    while True:
        try:
            query = input("query: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
        except EOFError:
            return
        if not query:
            return
        yield query


def show(corpus, query, scores, ids):
    """One ranking."""
    print(query)
    for score, place in zip(scores, ids, strict=True):
        text = " ".join(corpus.texts[place].split())
        print(f"  {score:8.4f}  {corpus.ids[place]}  {text[:WIDTH]}")
