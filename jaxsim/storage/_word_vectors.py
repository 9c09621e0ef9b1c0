"""Word vectors as the text file of word2vec, which gensim's KeyedVectors reads and writes.

A line "words dim", then for each word a line of the word and its numbers, with spaces between.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxsim.numerics.types import Array
from jaxsim.storage._atomic import write_text
from jaxsim.storage._fields import shown
from jaxsim.storage._targets import owned
from jaxsim.storage._texts import opened_text
from jaxsim.storage._vectors import _float32, _matrix


def save_word_vectors(path: str | os.PathLike, words: Sequence[str], vectors: Array) -> None:
    """Writes word or document vectors as word2vec's text format, atomically.

        gensim.models.KeyedVectors.load_word2vec_format(path)

    Args:
      path: any; gensim takes it as text.
      words: n different strings without white space: of n-grams and titles replace the spaces first.
      vectors: [n, dim] of real numbers, written as float32, exactly.

    Raises: ValueError for shapes that do not fit, a word with white space, an empty one or one that comes
    twice, or a path that another process writes; OSError naming the file.
    """
    vectors = _float32("vectors", _matrix(vectors))
    words = list(words)
    if len(words) != len(vectors):
        raise ValueError(f"words must be [{len(vectors)}], one per vector, got {len(words)}")
    seen = set()
    for word in words:
        if not isinstance(word, str) or word.split() != [word]:
            raise ValueError(f"words must be strings without white space, got {shown(word)}")
        if word in seen:
            raise ValueError(f"words must be different, got {shown(word)} twice")
        seen.add(word)
    lines = [f"{len(vectors)} {vectors.shape[1]}"]
    for word, row in zip(words, vectors, strict=True):
        lines.append(" ".join([word, *map(str, row)]))
    with owned(Path(path), "file"):
        write_text(path, "\n".join(lines) + "\n")


def load_word_vectors(path: str | os.PathLike) -> tuple[list[str], np.ndarray]:
    """Reads word vectors from word2vec's text format, gzipped if the name ends in .gz.

    Args:
      path: as `save_word_vectors` or gensim's `save_word2vec_format(path, binary=False)` wrote it.

    Returns: (words, vectors float32 [words, dim]), in the file's order.
    Raises: FileNotFoundError; ValueError naming the file and the line of what is not a word with its numbers.
    """
    words, rows, seen = [], [], set()
    with opened_text(path) as file:
        count, dim = _header(path, file.readline())
        for number, line in enumerate(file, start=2):
            word, *numbers = line.rstrip(" \r\n").split(" ")
            if not word or word in seen or len(numbers) != dim:
                raise ValueError(
                    f"{path}: line {number} must be a word that no earlier line has and {dim} numbers, got "
                    f"{shown(line)}"
                )
            seen.add(word)
            words.append(word)
            try:
                rows.append(np.array(numbers, np.float32))
            except ValueError as error:
                raise ValueError(f"{path}: line {number} must hold numbers: {error}") from error
    if len(words) != count:
        raise ValueError(
            f"{path}: must hold {count} words, as its first line says, got {len(words)}"
        )
    return words, np.stack(rows) if rows else np.zeros((0, dim), np.float32)


def _header(path, line):
    """The number of words and their dimension."""
    parts = line.split()
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() for part in parts):
        raise ValueError(
            f'{path}: line 1 must be "words dim", as word2vec writes it, got {shown(line)}'
        )
    return int(parts[0]), int(parts[1])
