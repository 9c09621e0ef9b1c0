"""Composed retrieval: a frozen pair of towers, sentences with pseudo-words, and the ranks of composed queries."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.workbench.measures.vectors import unit_rows
from experiments.workbench.networks import sentences
from experiments.workbench.training import fits
from jaxsim import data, losses
from jaxsim.numerics import unit
from jaxsim.numerics.types import Array, ArrayTree

BLOCK = 256  # pictures or sentences at a time


@dataclasses.dataclass(frozen=True)
class Towers:
    """A frozen encoder of pictures and one of texts, in one space."""

    image: Any  # a ConvNet
    text: Any  # a TextEncoder
    params: Any  # {"image", "text", "scale"}
    words: Any  # the tokenizer
    length: int  # tokens of a text, at most

    def pictures(self, images: np.ndarray) -> np.ndarray:
        """Unit vectors of pictures."""
        return _in_blocks(_images(self.image), self.params["image"], images)

    def maps(self, images: Array) -> jax.Array:
        """The feature map of pictures, the last of the network's."""
        return last_map(self.image, self.params["image"], images)

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of texts."""
        encoder = sentences.Encoder(self.text, self.params["text"], self.words, self.length)
        return encoder(texts)

    @property
    def word_norm(self) -> float:
        """The mean length of the rows of the token table."""
        table = self.params["text"]["params"]["transformer"]["tokens"]["embedding"]
        return float(np.linalg.norm(table, axis=1).mean())


def last_map(module: Any, params: ArrayTree, images: Array) -> jax.Array:
    """The feature map of a ConvNet's last block, [rows, height, width, channels]."""
    return module.apply(params, images, maps=True)[-1][-1]


@functools.lru_cache(maxsize=8)
def _images(module: Any) -> Any:
    return jax.jit(lambda params, images: unit(module.apply(params, images)))


def _in_blocks(function: Any, params: ArrayTree, rows: np.ndarray) -> np.ndarray:
    """A function of rows, block by block, each of one shape."""
    found = []
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        room = [(0, BLOCK - len(block))] + [(0, 0)] * (rows.ndim - 1)
        found.append(np.asarray(function(params, np.pad(block, room)))[: len(block)])
    return unit_rows(np.concatenate(found))


def towers(
    images: np.ndarray,
    captions: Sequence[str],
    owners: np.ndarray,
    *,
    image: Any,
    text: Any,
    words: Any,
    length: int,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    workdir: Path,
) -> Towers:
    """A pair of towers from scratch, by symmetric InfoNCE with a learned temperature; a finished run returns at once.

    Equal captions are no negatives of each other.

    Args:
      images: [n, size, size, channels]; captions: of them, perhaps several; owners: int, the image of each caption.
      image, text: the modules.
      words: the tokenizer.
      length: tokens of a caption, at most.
      steps, batch, rate, seed, workdir: of the training, as in `sentences.trained`.
    """
    place = {caption: number for number, caption in enumerate(dict.fromkeys(captions))}
    columns = {
        "text": sentences.token_ids(words, captions, length),
        "image": owners.astype(np.int32),
        "same": np.array([place[caption] for caption in captions], np.int32),
    }
    batches = sentences.batches(
        columns, batch=batch, steps=steps, seed=seed, buckets={"text": (length,)}
    ).map(lambda one: one | {"image": images[one["image"]]})
    keys = jax.random.split(jax.random.key(seed))
    example = data.padded([np.ones(2, np.int32)], length)
    start = {
        "image": image.init(keys[0], images[:1]),
        "text": text.init(keys[1], example),
        "scale": jnp.log(1 / 0.07),
    }
    encode = sentences.function_of(text)

    def objective(params, batch, *, key, axis_name):
        return losses.symmetric_info_nce(
            unit(image.apply(params["image"], batch["image"])),
            unit(encode(params["text"], batch["text"], axis_name=axis_name)),
            temperature=jnp.exp(-params["scale"]),
            query_ids=batch["same"],
            document_ids=batch["same"],
            where=batch["where"],
            axis_name=axis_name,
        )

    params = fits.fitted(
        objective, start, batches, rate=rate, seed=seed, workdir=workdir, label="towers"
    )
    return Towers(image, text, params, words, length)


def composed(
    words: Array, modifiers: dict[str, Array], *, start: int, end: int
) -> dict[str, jax.Array]:
    """A sentence of pseudo-words and a modifier: start, words, modifier, end, as a `TextEncoder` reads it.

    Pseudo-words keep their positions whatever the modifier; padding of the modifier changes nothing.

    Args:
      words: float [rows, tokens, dim].
      modifiers: {"tokens" int [rows, length], "where" bool}, without special tokens.
      start, end: ids of the special tokens.
    """
    rows, count = jnp.shape(words)[:2]
    length = modifiers["tokens"].shape[1]
    one = jnp.ones((rows, 1), jnp.int32)
    tokens = [one * start, jnp.zeros((rows, count), jnp.int32), modifiers["tokens"], one * end]
    where = [one > 0, jnp.ones((rows, count), bool), modifiers["where"], one > 0]
    return {
        "tokens": jnp.concatenate(tokens, axis=1),
        "where": jnp.concatenate(where, axis=1),
        "vectors": jnp.pad(jnp.asarray(words), ((0, 0), (1, length + 1), (0, 0))),
        "vectors_where": jnp.pad(jnp.ones((rows, count), bool), ((0, 0), (1, length + 1))),
    }


def ranks(
    queries: np.ndarray, gallery: np.ndarray, references: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Ranks of targets, int [n], 1 the best, in a gallery without a query's reference; ties count against a target.

    Args:
      queries: [n, dim]; gallery: [m, dim]; references, targets: int [n], places of the gallery.
    """
    scores = queries @ gallery.T
    rows = np.arange(len(queries))
    scores[rows, references] = -np.inf
    return (scores >= scores[rows, targets][:, None]).sum(axis=1)


def modifiers(words: Any, texts: Sequence[str], length: int) -> dict[str, np.ndarray]:
    """Token ids of modifiers without special tokens, padded: {"tokens", "where"} [n, length]."""
    ids = sentences.token_ids(words, texts, length + 2)
    return data.padded([row[1:-1] for row in ids], length)


def special(words: Any) -> dict[str, int]:
    """The ids of a text's first and last token."""
    (row,) = sentences.token_ids(words, ["a"], 3)
    return {"start": int(row[0]), "end": int(row[-1])}
