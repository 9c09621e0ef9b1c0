"""Lookup tables as parameters: items that are embedded by their number."""

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import PRNGKey


def in_out_tables(key: PRNGKey, items: int, dim: int) -> dict[str, jax.Array]:
    """word2vec's input and output tables: what an item predicts with, and what it is predicted by.

    Args:
      key: a jax.random key.
      items: how many.
      dim: of an embedding.

    Returns: {"in": uniform in +-1 / (2 dim), "out": zeros}, float32 [items, dim] each.
    Source: the word2vec program, as fastText and gensim start.
    """
    checks.whole("items", items)
    checks.whole("dim", dim)
    start = jax.random.uniform(key, (items, dim), jnp.float32, -0.5, 0.5) / dim
    return {"in": start, "out": jnp.zeros((items, dim), jnp.float32)}


def paragraph_tables(
    key: PRNGKey,
    documents: int,
    terms: int,
    dim: int,
    *,
    bits: int | None = None,
    words: int | None = None,
    word_dim: int | None = None,
    deviation: float = 0.1,
) -> dict[str, jax.Array]:
    """Tables of paragraph vectors: a row per document, and an output row and bias per term.

    Of these losses: `binary_pv_dbow` takes `dim` bits per document; with `bits` documents are real and
    projected (`real_binary_pv_dbow`); with `words` there are vectors of context words (`binary_pv_dm`, whose
    output rows are wider by `word_dim`).

    Args:
      key: a jax.random key.
      documents: how many.
      terms: how many can be predicted.
      dim: of a document's row.
      bits: of the projected code; None projects nothing.
      words: how many context words there are; None has none.
      word_dim: of a context word.
      deviation: of the start of documents and projection. Zeros would give codes of zeros that never part;
        far from 0 the sigmoid's slope vanishes.

    Returns: {"documents": N(0, deviation^2) [documents, dim], "out": zeros [terms, width], "bias": zeros
    [terms]}, with "projection": [dim, bits] and "projection_bias": [bits], or "words": [words, word_dim],
    where asked for; float32.
    Source: binary paragraph vectors (Grzegorczyk and Kurdziel 2017, 1611.01116).
    """
    for name, count in (("documents", documents), ("terms", terms), ("dim", dim)):
        checks.whole(name, count)
    checks.not_negative("deviation", deviation)
    if (words is None) != (word_dim is None):
        raise ValueError(f"words and word_dim go together, got {words} and {word_dim}")
    of_documents, of_projection, of_words = jax.random.split(key, 3)
    width = dim if bits is None else bits
    tables = {"documents": _normal(of_documents, (documents, dim), deviation)}
    if bits is not None:
        checks.whole("bits", bits)
        tables["projection"] = _normal(of_projection, (dim, bits), deviation)
        tables["projection_bias"] = jnp.zeros(bits, jnp.float32)
    if words is not None and word_dim is not None:
        checks.whole("words", words)
        checks.whole("word_dim", word_dim)
        tables["words"] = _normal(of_words, (words, word_dim), deviation)
        width += word_dim
    tables["out"] = jnp.zeros((terms, width), jnp.float32)
    return tables | {"bias": jnp.zeros(terms, jnp.float32)}


def sense_tables(key: PRNGKey, words: int, senses: int, dim: int) -> dict[str, jax.Array]:
    """Tables of disambiguated skip-gram with one disambiguation for all words, as its first stage has them.

    Args:
      key: a jax.random key.
      words: how many.
      senses: of each word.
      dim: of a vector.

    Returns: {"senses": uniform in +-1 / (2 dim senses) [words, senses, dim], "out": zeros [words, dim],
    "bias": zeros [words], "weights": zeros [dim, senses], "offsets": zeros [senses]}, float32.
    Source: Grzegorczyk and Kurdziel 2018, released code.
    """
    for name, count in (("words", words), ("senses", senses), ("dim", dim)):
        checks.whole(name, count)
    start = jax.random.uniform(key, (words, senses, dim), jnp.float32, -0.5, 0.5)
    return {
        "senses": start / (dim * senses),
        "out": jnp.zeros((words, dim), jnp.float32),
        "bias": jnp.zeros(words, jnp.float32),
        "weights": jnp.zeros((dim, senses), jnp.float32),
        "offsets": jnp.zeros(senses, jnp.float32),
    }


def disambiguation_per_word(tables: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Gives every word a copy of the shared disambiguation, as the second stage begins.

    Args:
      tables: as `sense_tables` gives them, trained.

    Returns: the tables with "weights" [words, dim, senses] and "offsets" [words, senses].
    """
    words = len(tables["senses"])
    copies = {
        name: jnp.broadcast_to(tables[name], (words, *tables[name].shape))
        for name in ("weights", "offsets")
    }
    return {**tables, **copies}


def _normal(key, shape, deviation):
    return deviation * jax.random.normal(key, shape, jnp.float32)
