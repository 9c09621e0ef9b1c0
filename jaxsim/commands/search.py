"""`search`: queries of a file or at a prompt, ranked and shown."""

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxsim import data, search, storage
from jaxsim.commands.inputs import corpora, models, pictures
from jaxsim.commands.inputs.columns import column_of, ids_of
from jaxsim.commands.options.usual import QUERY_IDS, QUERY_PROMPTS
from jaxsim.commands.outputs.files import check_output

WIDTH = 100  # letters of a text that are shown


class Queries(NamedTuple):
    """Texts and their ids, as a file has them, or pictures."""

    texts: list  # of pictures: what they are called
    ids: list  # of strings
    images: list | None = None  # paths


def main(chosen: argparse.Namespace) -> None:
    """Runs the command."""
    if chosen.run:
        check_output(
            "--run",
            chosen.run,
            ours=_is_run,
            kind="a run",
            inputs={"--corpus": chosen.corpus, "--queries": chosen.queries},
        )
    queries = _queries(chosen) if chosen.queries or chosen.image else None
    corpus = corpora.read(chosen, words=bool(chosen.run))
    with contextlib.ExitStack() as stack:
        if chosen.run:
            stack.enter_context(storage.owned(chosen.run, "file"))
        answer = Answer(chosen, corpus, images=queries is not None and queries.images is not None)
        if queries is None:
            for query in [" ".join(chosen.query)] if chosen.query else asked():
                scores, places = answer([query])
                show(corpus, query, scores[0], places[0])
            return
        asked_for = queries.texts if queries.images is None else queries.images
        scores, places = answer(asked_for, queries.ids if chosen.ignore_self else None)
        if chosen.run:
            storage.save_run(chosen.run, queries.ids, corpus.ids, places, scores)
            print(f"{chosen.run}: {len(queries.texts)} rankings of {places.shape[1]}")
            return
    for query, *hits in zip(queries.texts, scores, places, strict=True):
        show(corpus, query, *hits)


class Answer:
    """Queries to (scores [queries, k], places int [queries, k]), -1 where a query has fewer texts."""

    def __init__(
        self, chosen: argparse.Namespace, corpus: corpora.Corpus, *, images: bool = False
    ) -> None:
        self.images = images  # whether queries are pictures
        if chosen.reranker and (images or corpus.images is not None):
            raise ValueError("--reranker reads texts, and pictures are searched for or with")
        if images and chosen.query_prompt is not None:
            raise ValueError("--query-prompt has no effect on pictures")
        self.corpus, self.k = corpus, min(chosen.k, len(corpus.texts))
        self.budget = min(chosen.budget, len(corpus.texts))
        if chosen.reranker and self.budget < self.k:
            raise ValueError(f"--budget must be at least --k={self.k}, got {self.budget}")
        both = corpus.images is not None, images
        self.model = models.embedding_model(chosen, texts=not all(both), images=any(both))
        self.prompt = None
        if not images:
            self.prompt = models.prompt_of(
                self.model, chosen.query_prompt, option="--query-prompt", usual=QUERY_PROMPTS
            )
        self.reranker = models.reranker(chosen) if chosen.reranker else None
        self.vectors = corpora.vectors_of(chosen, corpus, self.model)
        self.place_of = {name: place for place, name in enumerate(corpus.ids)}

    def __call__(
        self, queries: Sequence[str], own_ids: Sequence[str] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Answers.

        Args:
          queries: texts, or paths of pictures where queries are these.
          own_ids: of the queries, whose texts of the same id are left out; None leaves out nothing.
        """
        model = self.model
        if self.images:
            vectors = search.encode_images(
                model.encode_image, model.params, model.process, queries, label="encoding queries"
            )
        else:
            vectors = corpora.queries_of(model, queries, self.prompt)
        exclude = None
        if own_ids is not None:
            exclude = np.array([[self.place_of.get(name, -1)] for name in own_ids], np.int32)
        wanted = self.k if self.reranker is None else self.budget
        hits = corpora.nearest(vectors, self.vectors, wanted, model.similarity, exclude)
        return hits if self.reranker is None else self._reranked(queries, hits[1])

    def _reranked(self, queries, places):
        """The best k of each query's places [queries, budget] by the cross-encoder."""
        rows, columns = np.nonzero(places >= 0)
        score_pairs = self.reranker.scorer(queries, self.corpus.texts)
        scores = np.full(places.shape, -np.inf, np.float32)
        scores[rows, columns] = score_pairs(rows, places[rows, columns])
        if (bad := np.isnan(scores).any(axis=1)).any():
            raise ValueError(
                f"--reranker gives NaN for texts of {bad.sum()} of {len(queries)} queries, the first is "
                f"{queries[bad.argmax()]!r:.60}: its weights may be damaged"
            )
        order = np.lexsort((places, -scores), axis=1)[:, : self.k]
        return tuple(np.take_along_axis(one, order, axis=1) for one in (scores, places))


def _queries(chosen):
    """The queries of --queries or --image."""
    if chosen.image:
        if not Path(chosen.image).is_file():
            raise ValueError(
                f"--image must be a picture, got {chosen.image!r}: there is no such file"
            )
        return Queries([chosen.image], ["0"], [Path(chosen.image)])
    if Path(chosen.queries).is_dir():
        for option in ("query_column", "query_image_column", "query_id"):
            if getattr(chosen, option) is not None:
                raise ValueError(
                    f"--{option.replace('_', '-')} is for a table, and --queries={chosen.queries!r} is a folder"
                )
        images = pictures.in_folder(chosen.queries)
        names = pictures.names_in(chosen.queries, images)
        return Queries(names, names, images)
    rows = data.read_records(chosen.queries)
    ids = ids_of(
        rows,
        chosen.queries,
        chosen.query_id,
        QUERY_IDS,
        option="--query-id",
        words=bool(chosen.run),
    )
    if chosen.query_image_column is not None:
        images = pictures.in_column(rows, chosen.queries, chosen.query_image_column)
        return Queries(column_of(rows, chosen.queries, chosen.query_image_column), ids, images)
    return Queries(column_of(rows, chosen.queries, chosen.query_column or "query"), ids)


def asked() -> Iterator[str]:
    """Queries typed at a prompt, until an empty line or the end."""
    while True:
        try:
            query = input("query: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
        except EOFError:
            return
        except UnicodeDecodeError:
            raise ValueError("a query must be UTF-8 text, got other bytes") from None
        if not query.strip():
            return
        yield query


def show(corpus: corpora.Corpus, query: str, scores: np.ndarray, places: np.ndarray) -> None:
    """One ranking."""
    print(query)
    for score, place in zip(scores, places, strict=True):
        if place >= 0:
            text = " ".join(corpus.texts[place].split())
            print(f"  {score:8.4f}  {corpus.ids[place]}  {text[:WIDTH]}")


def _is_run(target):
    """Whether `save_run` wrote a file."""
    with Path(target).open("rb") as file:
        columns = file.readline(10_000).split()
    return len(columns) == 6 and (columns[1], columns[5]) == (b"Q0", b"jaxsim")
