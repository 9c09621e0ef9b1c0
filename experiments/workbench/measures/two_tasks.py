"""Retrieval and graded sentence pairs for one encoder: their sets, how texts are read, and figures of both tasks."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import runner
from experiments.workbench.measures import figures
from experiments.workbench.measures.figures import each
from experiments.workbench.measures.vectors import unit_rows
from experiments.workbench.networks import sentences, tfidf
from experiments.workbench.sets import graded, sources
from jaxsim import analysis, data, encoders, evaluation, search
from jaxsim.numerics.types import ArrayTree, Encode

PARTS = {"train": 0.8, "validation": 0.05, "test": 0.15}  # of the docstrings' distinct bodies


class Sets(NamedTuple):
    """What is learned from and what is tested on."""

    pairs: list[tuple[str, str]]  # queries with their documents
    validation: list[tuple[str, str]]
    tests: dict[str, data.Collection]
    graded: graded.Pairs
    graded_validation: graded.Pairs
    graded_tests: dict[str, graded.Pairs]


def docstrings_and_sts() -> Sets:
    """Docstrings, and the STS Benchmark; tested on other years of STS too."""
    tests = {"stsb": data.sts_benchmark("validation")}
    tests |= {f"sts{year}": data.sts(year) for year in (12, 13, 14, 15)}
    learned = graded.scaled(data.sts_benchmark("train"), 0, 5)
    return sets("docstrings", learned, {n: graded.scaled(one, 0, 5) for n, one in tests.items()})


def docstrings_small() -> Sets:
    """Few docstrings, graded by path too, which need no data."""
    return sets("docstrings-small", *graded.docstrings())


def sets(name: str, learned: graded.Pairs, tests: dict[str, graded.Pairs]) -> Sets:
    """Docstrings by name with graded pairs; a tenth of what is learned from is to validate with."""
    order = np.random.default_rng(0).permutation(len(learned.scores))
    held, rest = np.split(order, [len(order) // 10])
    train, validation, test = split_pairs(name)
    return Sets(
        train,
        validation,
        {name: sources.collection(test)},
        graded.at(learned, rest),
        graded.at(learned, held),
        {name: graded.without(pairs, learned) for name, pairs in tests.items()},
    )


def split_pairs(name: str) -> list[list[tuple[str, str]]]:
    """Docstrings of all packages to learn from, to validate and to test with; no body is in two parts."""
    pairs = [pair for split in PARTS for pair in sources.DOCSTRINGS[name](split)]
    documents = np.unique([document for _, document in pairs], return_inverse=True)[1]
    ends = np.round(np.cumsum(list(PARTS.values())) * (documents.max() + 1)).astype(int)
    order = np.random.default_rng(0).permutation(documents.max() + 1)
    part = np.searchsorted(ends, order[documents], side="right")
    return [sentences.at(pairs, np.flatnonzero(part == place)) for place in range(len(PARTS))]


SOURCES: dict[str, Callable[[], Sets]] = {
    "docstrings-and-sts": docstrings_and_sts,
    "docstrings-small": docstrings_small,
}


class Kind(NamedTuple):
    """How texts of a kind are read."""

    instruction: str
    length: int  # tokens, at most
    skipped: int  # of the instruction, which are not pooled


class Corpus(NamedTuple):
    """Token ids of what is searched."""

    queries: list[np.ndarray]
    documents: list[np.ndarray]
    truth: np.ndarray
    grades: np.ndarray


class Graded(NamedTuple):
    """Token ids of the distinct texts of graded pairs, and which texts are compared."""

    texts: list[np.ndarray]
    pairs: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]  # places, places, grades


class Reader(NamedTuple):
    """A tokenizer, or a pretrained model, and how it reads texts of each kind."""

    words: Any
    kinds: dict[str, Kind]

    def ids(self, kind: str, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of texts of a kind, behind its instruction, cut."""
        rows = [self.kinds[kind].instruction + text for text in texts]
        return sentences.token_ids(self.words, rows, self.kinds[kind].length)

    def corpus(self, test: data.Collection, most: int) -> Corpus:
        """A collection, of whose queries so many are drawn."""
        test = sources.asked(test, most)
        documents = self.ids("document", test.documents)
        return Corpus(self.ids("query", test.queries), documents, test.truth, test.grades)

    def graded(self, tests: Mapping[str, graded.Pairs], most: int) -> Graded:
        """Graded pairs by name, of each of which so many are drawn."""
        drawn, texts = {}, set()
        for name, pairs in tests.items():
            places = np.random.default_rng(0).permutation(len(pairs.scores))[:most]
            drawn[name] = graded.at(pairs, places)
            texts |= {*drawn[name].first, *drawn[name].second}
        distinct = sorted(texts)
        compared = {}
        for name, pairs in drawn.items():
            first, second = sentences.places(distinct, pairs.first, pairs.second)
            compared[name] = first, second, pairs.scores
        return Graded(self.ids("sentence", distinct), compared)

    def retrieval_columns(
        self, queries: list[str], documents: list[str], negatives: int
    ) -> dict[str, Any]:
        """Queries with their document and the negatives that TF-IDF finds; equal texts have equal numbers."""
        numbers = np.unique(np.array(documents), return_inverse=True)[1]
        scores = np.asarray(tfidf.scores(queries, documents))
        scores[numbers[:, None] == numbers[None]] = -np.inf
        nearest = np.argsort(-scores, axis=1, kind="stable")[:, :negatives]
        places = np.concatenate([np.arange(len(queries))[:, None], nearest], axis=1)
        rows = self.ids("document", documents)
        return {
            "query": self.ids("query", queries),
            "documents": [sentences.at(rows, row) for row in places],
            "numbers": numbers[places].astype(np.int32),
        }


def reader(words: Any, module: Any, read: Mapping[str, tuple[str, int]]) -> Reader:
    """How texts of each kind are read.

    Args:
      words: a tokenizer, or a pretrained model.
      module: the text encoder; only one that pools the mean leaves instructions out.
      read: {"query", "document" and "sentence": (instruction, most tokens of the text)}.
    """
    kinds = {}
    for name, (text, length) in read.items():
        skipped = 0
        if text and module.pooling is encoders.mean:
            skipped = len(sentences.token_ids(words, [text], length)[0]) - 1  # without its end
        kinds[name] = Kind(f"{text} " if text else "", length + skipped, skipped)
    return Reader(words, kinds)


def pooled(texts: dict[str, Any], skipped: int) -> dict[str, Any]:
    """Texts whose first tokens are read and not pooled."""
    behind = jnp.arange(texts["tokens"].shape[1]) >= skipped
    return {**texts, "pooled": texts["where"] & behind}


class Trained(NamedTuple):
    """A trained encoder and how it reads texts."""

    module: Any
    params: Any
    kinds: dict[str, Kind]

    def vectors(self, kind: str, ids: list[np.ndarray]) -> np.ndarray:
        """Unit vectors of token ids of a kind of texts."""
        encode = _reading(self.module, self.kinds[kind].skipped)
        return unit_rows(search.encode_corpus(encode, self.params, lambda rows: rows, ids))

    def retrieved(self, test: Corpus) -> dict[str, np.ndarray]:
        """Figures of each query."""
        queries = self.vectors("query", test.queries)
        documents = self.vectors("document", test.documents)
        _, ids = search.exact(queries, documents, k=10)
        return {
            "nDCG@10": each(evaluation.ndcg, ids, test.truth, 10, grades=test.grades),
            "MRR@10": each(evaluation.reciprocal_rank, ids, test.truth),
        }

    def correlated(self, tests: Graded, *, repeats: int) -> dict[str, runner.Resampled]:
        """Spearman's correlation of the cosines with the grades, by test set."""
        rows = self.vectors("sentence", tests.texts)
        correlations = {}
        for name, (first, second, grades) in tests.pairs.items():
            cosines = np.sum(rows[first] * rows[second], axis=1)
            correlations[name] = figures.spearman(cosines, grades, repeats=repeats)
        return correlations

    def geometry(self, test: Corpus, most: int = 500) -> dict[str, float]:
        """How alike the tokens of a text are, and over how many directions the vectors of texts are spread."""
        ids = test.documents[:most]
        rows = self.vectors("document", ids)
        texts = data.padded(ids, sentences.whole(max(map(len, ids))))
        params: ArrayTree = {"params": self.params["params"]["transformer"]}
        states = unit_rows(_states(self.module)(params, texts["tokens"], texts["where"]))
        cosines = np.einsum("bid,bjd->bij", states, states)
        others = ~np.eye(states.shape[1], dtype=bool)
        pairs = texts["where"][:, :, None] & texts["where"][:, None] & others
        return {
            "token similarity": float(cosines[pairs].mean()),
            "effective rank": float(analysis.effective_rank(rows - rows.mean(axis=0))),
        }


@functools.lru_cache(maxsize=8)
def _reading(module: Any, skipped: int) -> Encode:
    """The plain function of a module, without the first tokens in its pooling."""
    encode = sentences.function_of(module)
    return lambda params, texts: encode(params, pooled(texts, skipped))


@functools.lru_cache(maxsize=4)
def _states(module: Any) -> Callable[..., jax.Array]:
    """States of the tokens of texts."""
    return jax.jit(encoders.as_function(module.transformer))
