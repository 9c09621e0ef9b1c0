"""Text for search: corpora of queries and items, and the dual and cross-encoders trained on them.

The configs of the experiments that use this have the fields that its functions name.
"""

import functools
import hashlib
import json
from typing import NamedTuple

import jax
import numpy as np

from jaxsim import data, encoders, losses, search, similarity, storage, training
from jaxsim.numerics import mean

MARKERS = {
    "query_markers": (data.SPECIAL["[unused0]"], data.SPECIAL["[unused1]"]),
    "candidate_marker": data.SPECIAL["[unused2]"],
}


class Corpus(NamedTuple):
    """Queries, items, and which item each query is about."""

    queries: list  # (left context, mention, right context)
    items: list  # (title, text)
    gold: np.ndarray  # int [queries]


class Model(NamedTuple):
    """A trained encoder: its plain function and its parameters."""

    function: object
    params: object


def docstrings(split, *, config):
    """Summary lines as mentions without context, bodies as items without a title."""
    source = data.docstrings(split, config=config)
    rows = [source[place] for place in range(len(source))]
    return Corpus(
        [("", row["query"], "") for row in rows],
        [("", row["document"]) for row in rows],
        np.arange(len(rows)),
    )


@functools.cache
def entities(split, *, queries, items, seed):
    """Mentions in SemCor and WordNet's glosses, some of each: the glosses that are meant come first.

    A test mention's gloss may occur in training, its sentence's genre does not.
    """
    random = np.random.default_rng([seed, ("train", "validation", "test").index(split)])
    mentions = data.entity_mentions(split)
    mentions = [mentions[i] for i in random.permutation(len(mentions))[:queries]]
    glosses = {row["id"]: row for row in data.glosses()}
    meant = dict.fromkeys(row["synset"] for row in mentions)
    if lost := [name for name in meant if name not in glosses]:
        raise ValueError(
            f"the prepared datasets semcor and wordnet do not fit together: synset {lost[0]!r} has no "
            "gloss"
        )
    others = [glosses_id for glosses_id in glosses if glosses_id not in meant]
    chosen = [*meant, *(others[i] for i in random.permutation(len(others)))]
    chosen = chosen[: max(items, len(meant))]
    place = {name: number for number, name in enumerate(chosen)}
    return Corpus(
        [(row["left"], row["mention"], row["right"]) for row in mentions],
        [(glosses[name]["title"], glosses[name]["document"]) for name in chosen],
        np.array([place[row["synset"]] for row in mentions]),
    )


def corpora(config):
    """(training, test) of the data that a config names, the test side with as many items as it wants.

    Raises: ValueError for unknown data or too many items; FileNotFoundError without JAXSIM_DATA.
    """
    queries = config.anchor_queries + config.held_out_queries + config.test_queries
    if config.data == "entities":
        train = entities("train", queries=config.training_queries, items=0, seed=0)
        test = entities("test", queries=queries, items=config.items, seed=0)
        _check_count(queries, test)
        return train, test
    known = {"docstrings": "all", "docstrings-small": "small"}
    if config.data not in known:
        raise ValueError(
            f"data must be one of {(*known, 'entities', 'maxsim')}, got {config.data!r}"
        )
    train, test = (docstrings(split, config=known[config.data]) for split in ("train", "test"))
    if len(test.items) < config.items:
        raise ValueError(f"items must be at most {len(test.items)}, got {config.items}")
    kept = slice(config.items)
    test = Corpus(test.queries[kept], test.items[kept], test.gold[kept])
    _check_count(queries, test)
    return train, test


def _check_count(queries, test):
    if queries > len(test.queries):
        raise ValueError(
            "anchor_queries, held_out_queries and test_queries must add up to at most "
            f"{len(test.queries)}, the queries that there are, got {queries}"
        )


def scored(config, workdir):
    """Both encoders trained, and the cross-encoder's scores of some test queries with all items.

    Args:
      config: what `dual_encoder` and `cross_encoder` take, data, items, and how many anchor_queries,
        held_out_queries and test_queries are drawn, in this order.
      workdir: for the checkpoints and the scores; a killed run goes on.

    Returns: (corpus of the drawn queries, scores [queries, items], the dual encoder's vectors of the
    queries and of the items).
    """
    train, test = corpora(config)
    words = tokenizer(train, workdir / "tokenizer.json", vocabulary=config.vocabulary)
    queries, items = tokenized(train, words, config)
    dual = dual_encoder(queries, items, train.gold, config, workdir / "dual_encoder")
    mined = hard_negatives(dual, queries, items, train.gold, count=config.mined)
    cross = cross_encoder(queries, items, train.gold, mined, config, workdir / "cross_encoder")

    queries, items = tokenized(test, words, config)
    count = config.anchor_queries + config.held_out_queries + config.test_queries
    chosen = np.random.default_rng(config.seed).permutation(len(queries))[:count]
    drawn = data.padded([queries[i] for i in chosen], config.query_length)
    padded_items = data.padded(items, config.item_length)
    scorer = search.scorer(
        cross.function,
        cross.params,
        drawn,
        padded_items,
        query_buckets=(config.query_length // 2, config.query_length),
        item_buckets=(config.item_length,),  # nearly all items are cut
    )
    scores = search.anchor_scores(
        scorer,
        len(chosen),
        len(items),
        path=workdir / "scores",
        fingerprint=storage.checksum(cross.params),
        label="scoring pairs",
    )
    corpus = Corpus([test.queries[i] for i in chosen], test.items, test.gold[chosen])
    return corpus, scores, *(embedded(dual, side) for side in (drawn, padded_items))


def tokenizer(corpus, path, *, vocabulary):
    """A WordPiece tokenizer of a corpus' own words, from its file where that is there."""
    if not path.exists():
        texts = [" ".join(parts) for parts in (*corpus.queries, *corpus.items)]
        data.save_tokenizer(path, data.train_wordpiece(texts, size=vocabulary))
    return data.load_tokenizer(path)


def tokenized(corpus, tokenizer, config):
    """Token ids of all queries and all items: two lists of int arrays."""
    queries = data.mention_tokens(
        tokenizer, *zip(*corpus.queries, strict=True), max_length=config.query_length
    )
    items = data.entity_tokens(
        tokenizer, *zip(*corpus.items, strict=True), max_length=config.item_length
    )
    return queries, items


def dual_encoder(queries, items, gold, config, workdir):
    """One encoder for queries and items, trained by InfoNCE with in-batch negatives.

    Args:
      queries, items: token ids, as `tokenized` gives them.
      gold: int [queries], the item of each.
      config: seed, dim, layers, heads, dual_dropout, vocabulary, query_length, item_length,
        dual_steps, dual_batch, dual_rate, temperature.
      workdir: for the checkpoints.

    Returns: `Model`, encode(params, texts) -> [rows, dim], to be compared by cosine.
    """
    module = encoders.TextEncoder(transformer(config, dropout=config.dual_dropout))
    encode = encoders.as_function(module)
    examples = [
        {"query": query, "item": items[item]} for query, item in zip(queries, gold, strict=True)
    ]
    copies = np.asarray(gold, np.int32)  # an item that several queries mean is nobody's negative

    def objective(params, batch, *, key, axis_name):
        keys = jax.random.split(key)
        query, item = (
            encode(params, batch[name], key=key, axis_name=axis_name)
            for name, key in zip(("query", "item"), keys, strict=True)
        )
        return losses.info_nce(
            query,
            item,
            temperature=config.temperature,
            document_ids=jax.numpy.asarray(copies)[batch["ids"]],
            where=batch["where"],
            axis_name=axis_name,
        )

    params = fitted(
        module,
        objective,
        examples,
        {"query": (config.query_length,), "item": (config.item_length,)},
        (padded_one(queries),),
        steps=config.dual_steps,
        batch=config.dual_batch,
        rate=config.dual_rate,
        seed=config.seed,
        about={"temperature": config.temperature},
        workdir=workdir,
        label="dual encoder",
    )
    return Model(encode, params)


def cross_encoder(queries, items, gold, mined, config, workdir):
    """A cross-encoder trained by softmax over one positive and N negatives, half of them mined.

    The paper's are all mined, by an encoder that has read more than these pairs: without any that
    are easy this one, from scratch, has nothing to begin with.

    Args:
      queries, items, gold: as for `dual_encoder`.
      mined: int [queries, most], items that are hard for each; some of them are drawn.
      config: as for `dual_encoder`, and head, cross_dropout, negatives, cross_steps, cross_batch, cross_rate.
      workdir: for the checkpoints.

    Returns: `Model`, score(params, queries, candidates) -> [pairs].
    """
    heads = {
        "emb": functools.partial(encoders.EmbCrossEncoder, **MARKERS),
        "cls": encoders.ClsCrossEncoder,
    }
    module = heads[config.head](transformer(config, dropout=config.cross_dropout))
    score = encoders.as_function(module)
    random = np.random.default_rng(config.seed)
    hard = random.permuted(mined, axis=1)[:, : config.negatives // 2]
    easy = random.integers(len(items) - 1, size=(len(queries), config.negatives - hard.shape[1]))
    easy += easy >= np.asarray(gold)[:, None]  # any item but the query's own
    drawn = np.concatenate([hard, easy], axis=1)
    examples = [
        {"query": query, "candidates": [items[right], *(items[i] for i in wrong)]}
        for query, right, wrong in zip(queries, gold, drawn, strict=True)
    ]

    def objective(params, batch, *, key, axis_name):
        scores = encoders.score_lists(score)(
            params, batch["query"], batch["candidates"], key=key, axis_name=axis_name
        )
        hit = (scores.argmax(axis=1) == 0).astype(scores.dtype)
        metrics = {"accuracy": mean(hit, batch["where"].astype(hit.dtype), axis_name)}
        return losses.list_softmax(scores, where=batch["where"], axis_name=axis_name), metrics

    params = fitted(
        module,
        objective,
        examples,
        {"query": (config.query_length,), "candidates": (config.item_length,)},
        (padded_one(queries), padded_one(items)),
        steps=config.cross_steps,
        batch=config.cross_batch,
        rate=config.cross_rate,
        seed=config.seed,
        about={},
        workdir=workdir,
        label="cross-encoder",
    )
    return Model(score, params)


def transformer(config, *, dropout):
    """The transformer of both encoders: before-norm, and equal tokens attend to each other at the start.

    The paper starts from BERT. From scratch on some thousand pairs a cross-encoder ends where it began,
    at equal scores for all (measured: the loss of 8 candidates stays at log 8), unless it is told that
    equal words matter.
    """
    return encoders.Transformer(
        vocabulary=config.vocabulary,
        dim=config.dim,
        layers=config.layers,
        heads=config.heads,
        hidden=4 * config.dim,
        max_length=config.query_length + config.item_length,
        norm="pre",
        dropout=dropout,
        initial=config.dim**-0.5,
        place_initial=0.02,
        matching=1.0,
    )


def fitted(
    module,
    objective,
    examples,
    buckets,
    inputs,
    *,
    steps,
    batch,
    rate,
    seed,
    about,
    workdir,
    label,
):
    """Parameters trained by AdamW with linear warm-up and decay, in a workdir that knows its run."""
    about = [str(module), seed, about, len(examples), steps, batch, rate]
    digest = hashlib.sha256(json.dumps(about).encode())
    for example in examples:
        for column in example.values():
            for text in column if isinstance(column, list) else [column]:
                digest.update(text.tobytes())
    first, key = jax.random.split(jax.random.key(seed))
    params = jax.jit(module.init)(first, *inputs)
    return training.fit(
        objective,
        params,
        data.batches(examples, batch_size=batch, buckets=buckets, seed=seed, steps=steps),
        optimizer=training.adamw(training.linear_warmup_decay(rate, steps=steps)),
        key=key,
        workdir=workdir,
        fingerprint=digest.hexdigest()[:16],
        label=label,
    )


def embedded(model, texts, *, batch=512):
    """Embeddings of all texts, as one array [texts, dim]."""
    encode = jax.jit(model.function)
    length = texts["tokens"].shape[1]
    rows = []
    for start in range(0, len(texts["tokens"]), batch):
        some = jax.tree.map(lambda a, start=start: a[start : start + batch], texts)
        count = len(some["tokens"])
        some = jax.tree.map(lambda a, count=count: np.pad(a, ((0, batch - count), (0, 0))), some)
        assert some["tokens"].shape == (batch, length)
        rows.append(np.asarray(encode(model.params, some))[:count])
    return np.concatenate(rows)


def hard_negatives(model, queries, items, gold, *, count):
    """The items closest to each query by a dual encoder, without its own: int [queries, count]."""
    sides = [embedded(model, data.padded(texts)) for texts in (queries, items)]
    _, ids = search.exact(*sides, k=count + 1, similarity=similarity.cosine)
    ids, own = np.asarray(ids), np.asarray(gold)[:, None]
    # Its own item where it was found, the last one where it was not, moves to the end.
    order = np.argsort(ids == own, axis=1, kind="stable")
    return np.take_along_axis(ids, order, axis=1)[:, :count]


def tfidf_scores(queries, items):
    """TF-IDF similarities [queries, items]: scikit-learn's defaults, fitted on the items."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(dtype=np.float32)
    columns = vectorizer.fit_transform(" ".join(item) for item in items)
    return (vectorizer.transform(" ".join(query) for query in queries) @ columns.T).toarray()


def padded_one(texts):
    """The first text, as a batch of one: what a module is initialized with."""
    return data.padded(texts[:1])
