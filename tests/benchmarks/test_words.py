"""Word and paragraph vectors beside gensim's: both sides learn two topics, ours from pieces that hold the text."""

import dataclasses

import numpy as np
import pytest

from benchmarks import words
from jaxsim import data

WORDS = 50  # of a topic
SMALL = {
    work: dataclasses.replace(settings, dim=16, sample=1.0, batch=8, length=8, drawn=8, epochs=10)
    for work, settings in words.WORK.items()
}


def topics():
    """Sentences of 20 words of one of two topics, and which."""
    random = np.random.default_rng(0)
    labels = random.integers(2, size=600)
    numbers = random.integers(WORDS, size=(600, 20)) + WORDS * labels[:, None]
    return [[f"w{number}" for number in row] for row in numbers], labels


def text_of(work, sentences):
    known = data.vocabulary(sentences)
    return words.Text(work, sentences, known, SMALL[work], 0), known


def test_pieces_of_documents_hold_every_word_of_each():
    sentences, _ = topics()
    sentences = [*sentences[:50], sentences[0] * 4]
    text, known = text_of("documents", sentences)
    terms = text.pieces["out"][:, : text.settings.length]
    for number, sentence in enumerate(sentences):
        rows = text.pieces["in"][:, 0] == number
        np.testing.assert_array_equal(
            terms[rows][text.pieces["seen"][rows]], known.ids(sentence), err_msg=str(number)
        )


@pytest.mark.thorough
@pytest.mark.parametrize("side", ["ours", "gensim"])
@pytest.mark.parametrize("work", ["words", "documents"])
def test_both_sides_learn_topics(work, side):
    if side == "gensim":
        pytest.importorskip("gensim", reason="needs gensim, of the extra peers")
    sentences, labels = topics()
    names, vectors, spent, _ = words.TURNS[side](work, sentences, SMALL[work], 0)
    assert spent.shape == (2,)
    if work == "documents" and side == "gensim":  # its rate falls by jobs of 10,000 words: one here
        assert vectors.shape == (len(sentences), SMALL[work].dim)
        return
    if work == "documents":
        assert words.worth_of_documents(vectors, labels)["accuracy"] > 0.75
        return
    topic = {name: int(name[1:]) >= WORDS for name in names if name != "<unk>"}
    known = np.array([name in topic for name in names])
    of_words = np.array([topic[name] for name in names if name in topic])
    centered = vectors[known] - vectors[known].mean(axis=0)
    units = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    same = of_words[:, None] == of_words
    cosines = units @ units.T
    assert cosines[same].mean() > cosines[~same].mean() + 0.2


def test_a_row_has_ratios_of_sums_and_means_of_figures():
    ours = {"words": 100, "seconds": 1.0, "core_seconds": 2.0, "start_s": 3.0, "versions": "a"}
    theirs = ours | {"seconds": 4.0, "versions": "b"}
    turns = {
        "ours": [ours | {"worth": {"men": 0.2}}, ours | {"worth": {"men": 0.4}}],
        "gensim": [theirs | {"worth": {"men": 0.5}}],
    }
    row = words.summary("words", turns)
    assert row["ours words/s"] == 100
    assert row["ours men"] == 0.3
    assert row["times as fast, words/s"] == 4
    assert row["times as fast, words/core s"] == 1
    assert "times as fast, words/s" not in words.summary("words", turns | {"gensim": []})
