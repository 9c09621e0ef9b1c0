"""An expensive similarity without training: late interaction of a pretrained encoder's token vectors.

f(q, i) is the mean over the query's tokens of the largest cosine with a token of the item: not bilinear
in any pooled vector, and as expensive as an exact score is. Items and queries are captions of SugarCrepe++;
the dual encoder is the same model's mean over tokens, which is a strong one here.
"""

from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from experiments.workbench.measures.vectors import unit_rows
from experiments.workbench.networks import models
from experiments.workbench.networks.two_stage import Scored
from experiments.workbench.sets.entities import Corpus
from jaxsim import data, encoders, pretrained, similarity
from jaxsim.storage import fill


def captions(*, items: int, queries: int, seed: int) -> Corpus:
    """Distinct captions: items among the first and the negative captions, queries among the second ones.

    Raises: FileNotFoundError without JAXSIM_DATA.
    """
    random = np.random.default_rng(seed)
    triples = []
    for subset in data.SUGARCREPE_PP:
        triples += data.sugarcrepe_pp(subset)
    pool = list(dict.fromkeys(text for row in triples for text in (row.first, row.negative)))
    asked = list(dict.fromkeys(row.second for row in triples))
    for name, wanted, texts in (("items", items, pool), ("queries", queries, asked)):
        if wanted > len(texts):
            raise ValueError(f"{name} must be at most {len(texts)}, got {wanted}")
    chosen = np.sort(random.permutation(len(pool))[:items])
    asking = random.permutation(len(asked))[:queries]
    return Corpus(
        [("", asked[i], "") for i in asking],
        [("", pool[i]) for i in chosen],
        np.zeros(queries, int),
    )


def token_vectors(
    model: pretrained.TextModel, texts: list[str], *, tokens: int, batch: int = 64
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Unit vectors of a text's tokens without the special ones, and the mean over all of its tokens.

    Args:
      model: a `TextModel` that averages states.
      texts: strings.
      tokens: how many are kept.

    Returns: ({"vectors" float32 [n, tokens, dim], "where" bool [n, tokens]}, float32 [n, dim]).
    """

    def states(states, where):
        return states

    module = model.module.clone(pooling=states, heads=())
    encode = jax.jit(encoders.as_function(module))
    inputs = model.tokenize(texts)
    length = inputs["tokens"].shape[1]
    vectors, where, means = [], [], []
    for start in range(0, len(texts), batch):
        block = {name: column[start : start + batch] for name, column in inputs.items()}
        count = len(block["where"])
        block = {n: np.pad(column, ((0, batch - count), (0, 0))) for n, column in block.items()}
        states_of_block = np.asarray(encode(model.params, block), np.float32)[:count]
        real = block["where"][:count]
        lengths = real.sum(axis=1, keepdims=True)
        means.append((states_of_block * real[..., None]).sum(axis=1) / lengths)
        # The first and the last real token are special.
        inner = real & (np.arange(length) > 0) & (np.arange(length) < lengths - 1)
        vectors.append(states_of_block[:, 1 : tokens + 1])
        where.append(inner[:, 1 : tokens + 1])
    rows, mask = unit_rows(np.concatenate(vectors)), np.concatenate(where)
    return {"vectors": np.where(mask[..., None], rows, 0), "where": mask}, np.concatenate(means)


def scored(
    *,
    items: int,
    queries: int,
    fixed_items: int,
    tokens: int,
    folder: str,
    seed: int,
    workdir: Path,
) -> Scored:
    """The testbed: all scores of queries with items and of fixed items with items.

    Args:
      items, queries: captions drawn.
      fixed_items: items that all items are scored with.
      tokens: of a text, at most.
      folder: of all-MiniLM-L6-v2; "" where its Python package is installed.
      seed: of the draws.
      workdir: where the scores are kept; a killed run resumes.
    """
    corpus = captions(items=items, queries=queries, seed=seed)
    model = pretrained.load(models.folder(folder))
    query_tokens, query_means = token_vectors(
        model, [text for _, text, _ in corpus.queries], tokens=tokens
    )
    item_tokens, item_means = token_vectors(
        model, [text for _, text in corpus.items], tokens=tokens
    )
    about = data.fingerprint([[*corpus.queries, *corpus.items, tokens]])
    scores = fill(
        workdir / "scores",
        (queries, items),
        tile_of(query_tokens, item_tokens),
        rows=50,
        fingerprint=about,
        label="scoring pairs",
        unit="pairs",
    )
    fixed = np.random.default_rng(seed).permutation(items)[:fixed_items]
    item_scores = fill(
        workdir / "item_scores",
        (fixed_items, items),
        tile_of({name: column[fixed] for name, column in item_tokens.items()}, item_tokens),
        rows=50,
        fingerprint=about,
        label="scoring items",
        unit="pairs",
    ).T
    return Scored(
        corpus,
        scores,
        unit_rows(query_means),
        unit_rows(item_means),
        (item_scores, fixed.astype(np.int32)),
    )


def tile_of(
    side: dict[str, np.ndarray], pool: dict[str, np.ndarray], *, block: int = 1000
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """(rows of a side, columns) -> their scores with all items, by blocks of items."""
    kernel = jax.jit(similarity.mean_max_sim)

    def compute(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        queries = {name: column[rows] for name, column in side.items()}
        scores = []
        for start in range(0, len(columns), block):
            items = {name: column[start : start + block] for name, column in pool.items()}
            scores.append(np.asarray(kernel(queries, items)))
        return np.concatenate(scores, axis=1)

    return compute
