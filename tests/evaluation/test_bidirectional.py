"""Ranks in both directions: the best of several captions, ties, what is not a number."""

import jax
import numpy as np
import pytest

from jaxsim import evaluation

OWNERS = np.array([0, 0, 1, 2, 2, 2, 3])
RELEVANT = OWNERS[None] == np.arange(4)[:, None]


def test_ranks_are_those_of_a_plain_loop():
    scores = np.random.default_rng(0).integers(0, 6, size=(4, 7)).astype(float)
    images, captions = jax.jit(evaluation.bidirectional_ranks)(scores, RELEVANT)
    for image in range(4):
        best = max(scores[image, image == OWNERS])
        others = [scores[image, c] for c in range(7) if OWNERS[c] != image]
        assert images[image] == 1 + sum(score >= best for score in others)
    for caption, owner in enumerate(OWNERS):
        others = [scores[image, caption] for image in range(4) if image != owner]
        assert captions[caption] == 1 + sum(score >= scores[owner, caption] for score in others)


def test_identity_and_constant_scores():
    one = np.eye(5, dtype=bool)
    for ranks in evaluation.bidirectional_ranks(np.eye(5), one):
        np.testing.assert_array_equal(ranks, 1)
    for ranks in evaluation.bidirectional_ranks(np.ones((5, 5)), one):
        np.testing.assert_array_equal(ranks, 5)


def test_what_has_nothing_relevant_and_what_is_not_a_number():
    scores, relevant = np.eye(3), np.eye(3, dtype=bool)
    relevant[1] = False
    images, captions = evaluation.bidirectional_ranks(scores, relevant)
    np.testing.assert_array_equal(images, [1, 0, 1])
    np.testing.assert_array_equal(captions, [1, 0, 1])
    scores[0, 2] = np.nan
    images, captions = evaluation.bidirectional_ranks(scores, np.eye(3, dtype=bool))
    np.testing.assert_array_equal(np.isnan(images), [True, False, False])
    np.testing.assert_array_equal(np.isnan(captions), [False, False, True])
    with pytest.raises(ValueError, match="relevant must be"):
        evaluation.bidirectional_ranks(scores, relevant[:2])
