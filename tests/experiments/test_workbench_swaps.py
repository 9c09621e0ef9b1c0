"""Captions with phrases exchanged: the words stay, the order does not, and nothing else moves."""

import numpy as np
import pytest

from experiments.workbench.sets import swaps


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A man is riding a horse.", {"A horse is riding a man."}),
        (
            "a white dog behind the old man",
            {"a old man behind the white dog", "a old dog behind the white man"},
        ),
    ],
)
def test_phrases_or_their_first_words_change_places(caption, expected):
    found = {swaps.swapped(caption, np.random.default_rng(seed)) for seed in range(10)}
    assert found == expected


@pytest.mark.parametrize(
    "caption", ["A man rides.", "people walking", "", "a dog and a dog", "the cat of the cat"]
)
def test_without_two_phrases_there_is_none(caption):
    assert swaps.swapped(caption, np.random.default_rng(0)) is None
