"""Pairs: cut together, scored by their numbers, and the same whichever way they are asked for."""

import numpy as np
import pytest

from jaxsim import pretrained
from jaxsim.pretrained._tokenizer import Tokenizer

RANDOM = np.random.default_rng(0)
WORDS = ["red", "green", "blue", "round", "square", "large", "small", "old", "new", "bright"]


def texts(lengths):
    return [" ".join(RANDOM.choice(WORDS, length)) for length in lengths]


@pytest.fixture(scope="module")
def model(tiny_cross):
    return pretrained.load(tiny_cross)


@pytest.mark.parametrize("side", ["right", "left"])
def test_pairs_are_cut_as_tokenizers_cuts_them(model, side):
    most = 10
    ours = Tokenizer(model.tokenizer.backend, most, cut_left=side == "left")
    queries, candidates = zip(*((a, b) for a in range(13) for b in range(13)), strict=True)
    queries, candidates = texts(queries), texts(candidates)
    sides = ours.pairs(queries, candidates)
    backend = ours.backend
    backend.enable_truncation(most, direction=side)
    expected = backend.encode_batch(list(zip(queries, candidates, strict=True)))
    for first, second, whole in zip(*sides, expected, strict=True):
        assert [*first, *second] == whole.ids
        assert len(first) == whole.type_ids.count(0)


@pytest.mark.thorough
def test_a_scorer_gives_what_each_pair_gives_alone(model):
    queries, candidates = texts([1, 2, 9, 40]), texts([26, 3, 0, 60, 12])
    score_pairs = model.scorer(queries, candidates, batch=8)
    rows, ids = np.divmod(RANDOM.permutation(20), 5)
    expected = [
        model.score(model.params, *model.tokenize_pairs([queries[q]], [candidates[i]], length=32))[
            0
        ]
        for q, i in zip(rows, ids, strict=True)
    ]
    np.testing.assert_allclose(score_pairs(rows, ids), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(score_pairs(rows[:3], ids[:3]), expected[:3], rtol=1e-5, atol=1e-6)
    assert score_pairs([], []).shape == (0,)


def test_a_long_text_next_to_a_short_one_is_not_cut(model):
    short, long = texts([2, 26])
    assert [len(ids) for (ids,) in model.tokenizer.pairs([short], [long])] == [4, 27]
    other = long.rsplit(" ", 1)[0] + " " + ("old" if long.split()[-1] != "old" else "new")
    first, second = model.scorer([short], [long, other])([0, 0], [0, 1])
    assert first != second


def test_a_scorer_says_what_is_wrong(model):
    with pytest.raises(ValueError, match="candidates must not be empty, got 0 texts"):
        model.scorer(["red"], [])
    with pytest.raises(ValueError, match="queries must be strings, got NoneType None at place 1"):
        model.scorer(["red", None], ["blue"])
    score_pairs = model.scorer(["red"], ["blue"])
    with pytest.raises(ValueError, match="item_ids must be from 0 to 0, rows of candidates, got 1"):
        score_pairs([0], [1])
    with pytest.raises(ValueError, match=r"query_rows must be integers \[pairs\], got float64"):
        score_pairs([0.0], [0])
    with pytest.raises(ValueError, match="must be as many, got 2 and 1"):
        score_pairs([0, 0], [0])
