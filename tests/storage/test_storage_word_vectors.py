"""Word vectors in word2vec's text format: there and back, and gensim's own reading and writing of it."""

import numpy as np
import pytest

from jaxsim import storage

WORDS = ["<unk>", "it's", "größe", "a_b", "x|y", "字"]
VECTORS = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
VECTORS[1] *= 1e-30


def test_vectors_come_back_as_they_were(tmp_path):
    path = tmp_path / "vectors.txt"
    storage.save_word_vectors(path, WORDS, VECTORS)
    words, vectors = storage.load_word_vectors(path)
    assert words == WORDS
    np.testing.assert_array_equal(vectors, VECTORS)
    assert path.read_text(encoding="utf-8").startswith("6 5\n<unk> ")
    storage.save_word_vectors(path, [], VECTORS[:0])
    assert storage.load_word_vectors(path)[1].shape == (0, 5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a b", *WORDS[1:]], "words must be strings without white space, got 'a b'"),
        (["", *WORDS[1:]], "words must be strings without white space"),
        (["a", "a", *WORDS[2:]], "words must be different, got 'a' twice"),
        (WORDS[1:], r"words must be \[6\], one per vector, got 5"),
    ],
)
def test_words_that_the_format_cannot_hold_are_named(words, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        storage.save_word_vectors(tmp_path / "vectors.txt", words, VECTORS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a 1 2\n", 'line 1 must be "words dim"'),
        ("1 2\na 1\n", "line 2 must be a word that no earlier line has and 2 numbers"),
        ("2 1\na 1\na 2\n", "line 3 must be a word that no earlier line has"),
        ("1 1\na x\n", "line 2 must hold numbers"),
        ("2 1\na 1\n", "must hold 2 words, as its first line says, got 1"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(text, said, tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"vectors\.txt: {said}"):
        storage.load_word_vectors(path)


def test_gensim_reads_and_writes_the_same_file(tmp_path):
    models = pytest.importorskip("gensim.models", reason="needs gensim, of the extra peers")
    ours, theirs = tmp_path / "ours.txt", tmp_path / "theirs.txt"
    storage.save_word_vectors(ours, WORDS, VECTORS)
    read = models.KeyedVectors.load_word2vec_format(ours)
    assert read.index_to_key == WORDS
    np.testing.assert_array_equal(read.vectors, VECTORS)
    read.save_word2vec_format(theirs)
    words, vectors = storage.load_word_vectors(theirs)
    assert words == WORDS
    np.testing.assert_array_equal(vectors, VECTORS)
