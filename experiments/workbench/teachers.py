"""Teachers of text embeddings, and the texts that students learn from.

The configs of the experiments that use this have the fields that its functions name.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxsim import data, encoders, losses, pretrained, search, training

SHORT = 16  # tokens of the queries that neural teachers learn from


class Texts(NamedTuple):
    """What is searched, and what is learnt from: no query that is searched with is among it."""

    documents: list
    queries: list  # to test with
    truth: np.ndarray  # int [queries, most], rows of documents; -1 fills up
    grades: np.ndarray  # float [queries, most]
    train_documents: list
    train_queries: list
    labeled: list  # (query, document) pairs that belong together
    sts: data.GradedPairs | None


@functools.cache
def texts(name, count, seed):
    """The texts of a collection with `count` others: "docstrings" needs no data, the rest JAXSIM_DATA.

    Short texts stand for queries: titles, words that glosses define, queries of other collections.
    """
    if name.startswith("docstrings"):
        config = "all" if name == "docstrings" else "small"
        train, test = (data.docstrings(split, config=config) for split in ("train", "test"))
        train, test = ([s[i] for i in range(min(len(s), count))] for s in (train, test))
        sides = [[row[side] for row in train] for side in ("document", "query")]
        truth = np.arange(len(test))[:, None]
        return Texts(
            [row["document"] for row in test],
            [row["query"] for row in test],
            truth,
            np.ones(truth.shape),
            *sides,
            list(zip(*sides[::-1], strict=True)),
            None,
        )
    found = data.retrieval(name)
    glosses = data.glosses()
    chosen = np.random.default_rng(seed).permutation(len(glosses))[:count]
    glosses = [glosses[i] for i in chosen]
    pairs = [(row["title"], row["document"]) for row in glosses]
    others = [data.retrieval(n) for n in ("cacm", "cisi", "npl", "cranfield") if n != name]
    short = [*(t for t in found.titles if t), *(query for c in others for query in c.queries)]
    return Texts(
        found.documents,
        found.queries,
        found.truth,
        found.grades,
        [*found.documents, *(document for _, document in pairs)],
        [*short, *(query for query, _ in pairs[: count // 3])],
        pairs,
        data.sts_benchmark("validation"),
    )


def linear(config, found, workdir):
    """TF-IDF of words and pairs of words, turned to its leading directions: encode(texts) -> unit rows."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True, stop_words="english", max_features=30_000)
    every = [*found.train_documents, *found.train_queries]
    turn = TruncatedSVD(config.dim, random_state=0).fit(words.fit_transform(every))

    def encode(some):
        return unit_rows(turn.transform(words.transform(some)))

    return encode


def neural(config, found, workdir, *, dims=None):
    """A transformer trained by InfoNCE on labeled pairs; with `dims` by that of its first coordinates too."""
    words = tokenizer(config, found)
    module = encoders.TextEncoder(
        encoders.Transformer(
            vocabulary=config.vocabulary,
            dim=config.dim,
            layers=config.teacher_layers,
            heads=4,
            hidden=4 * config.dim,
            max_length=config.length,
            norm="pre",
            dropout=0.0,
        )
    )
    encode = encoders.as_function(module)
    queries, documents = zip(*found.labeled, strict=True)
    sides = tokens(words, queries, SHORT), tokens(words, documents, config.length)
    examples = [{"q": q, "d": d} for q, d in zip(*sides, strict=True)]

    def objective(params, batch, *, key, axis_name):
        both = {side: encode(params, batch[side]) for side in ("q", "d")}

        def loss(z):
            return losses.info_nce(z["q"], z["d"], where=batch["where"], axis_name=axis_name)

        return loss(both) if dims is None else losses.matryoshka(loss, dims=dims)(both)

    params = fitted(
        module,
        objective,
        examples,
        {"q": (SHORT,), "d": ends(config.length)},
        steps=config.teacher_steps,
        batch=64,
        rate=1e-3,
        seed=0,
        workdir=workdir,
        label="teacher",
        about=str((config, dims)),
    )
    return encoder(encode, params, words, config)


def folder(config, found, workdir):
    """A pretrained model, such as all-MiniLM-L6-v2's folder."""
    if not config.teacher_folder:
        raise ValueError(
            "teacher_folder must name a model's folder for the teacher 'folder', got ''"
        )
    model = pretrained.load(Path(config.teacher_folder))
    return lambda some: unit_rows(
        search.encode_corpus(model.encode, model.params, model.tokens, some, label="teacher")
    )


def remembered(encode):
    """The same with a memory: all arms ask for the same texts."""
    known = {}

    def encode_once(some):
        key = tuple(some)
        if key not in known:
            known[key] = encode(some)
        return known[key]

    return encode_once


TEACHERS = {
    "linear": linear,
    "neural": neural,
    "matryoshka": functools.partial(neural, dims=(256, 64, 16)),
    "folder": folder,
}


def tokenizer(config, found):
    """A WordPiece tokenizer of the texts learnt from."""
    every = [*found.train_documents, *found.train_queries]
    return data.train_wordpiece(every, size=config.vocabulary)


def tokens(words, some, length):
    """Token ids of texts, cut."""
    return data.text_tokens(words, list(some), max_length=length)


def encoder(encode, params, words, config):
    """Texts to unit rows by a model and its tokenizer."""
    return lambda some: unit_rows(
        search.encode_corpus(
            encode,
            params,
            lambda part: tokens(words, part, config.length),
            list(some),
            label="encoding",
        )
    )


def ridge(config, module, words, ids, targets):
    """A student without training: the best linear map of an untrained network's pooled words.

        W = T'P (P'P + cI)^-1

    Args:
      config: its seed, length and ridge, c as a part of the mean square of P.
      module: the student's network, whose heads are left out.
      words: the tokenizer.
      ids: token ids of the texts learnt from.
      targets: float [texts, dim], the teacher's vectors of these.

    Returns: function of texts to unit rows.
    """
    bare = module.clone(heads=())
    params = jax.jit(bare.init)(jax.random.key(config.seed), data.padded(ids[:1], config.length))
    encode = encoders.as_function(bare)
    pooled = search.encode_corpus(encode, params, lambda rows: rows, ids, label="features")
    square = pooled.T @ pooled
    strength = config.ridge * np.trace(square) / len(square)
    weights = np.linalg.solve(square + strength * np.eye(len(square)), pooled.T @ targets)
    features = functools.partial(search.encode_corpus, encode, params, label="encoding")
    return lambda some: unit_rows(
        features(lambda part: tokens(words, part, config.length), list(some)) @ weights
    )


def ends(length):
    """What documents are padded to: most definitions are short."""
    return (24, length) if length > 24 else (length,)


def fitted(
    module, objective, examples, buckets, *, steps, batch, rate, seed, workdir, label, about
):
    """Parameters trained by AdamW with warm-up and linear decay."""
    some = data.padded([np.ones(2, np.int32)], 16)
    return training.fit(
        objective,
        jax.jit(module.init)(jax.random.key(seed), some),
        data.batches(
            examples,
            batch_size=batch,
            buckets=buckets,
            seed=seed,
            steps=steps,
        ),
        optimizer=training.adamw(training.linear_warmup_decay(rate, steps=steps)),
        key=jax.random.key(seed),
        workdir=workdir,
        fingerprint=about,
        save_every=steps,
        label=label,
    )


def unit_rows(vectors):
    """Rows of norm 1, float32; a zero row stays."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.float32(vectors / np.where(norms > 0, norms, 1))
