"""Packed bits: there and back, and distances by counting."""

import jax
import numpy as np
import pytest

from jaxsim import similarity

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dim", [1, 32, 33, 100])
def test_bits_come_back_and_their_distances_are_counts(dim):
    x, y = RNG.random((5, dim)) < 0.5, RNG.random((9, dim)) < 0.5
    words = [similarity.pack(side) for side in (x, y)]
    assert words[0].shape == (5, -(-dim // 32))
    assert words[0].dtype == np.uint32
    np.testing.assert_array_equal(similarity.unpack(words[0], dim), x)
    result = jax.jit(similarity.negative_hamming)(*words)
    np.testing.assert_array_equal(result, -(x[:, None] != y).sum(axis=2).astype(np.float32))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="bits must be boolean"):
        similarity.pack(np.ones((2, 3)))
    words = similarity.pack(np.ones((2, 40), bool))
    with pytest.raises(ValueError, match="equal words, got 2 and 1"):
        similarity.negative_hamming(words, words[:, :1])
    with pytest.raises(ValueError, match=r"y must be uint32 \[n, words\], got float32"):
        similarity.negative_hamming(words, np.ones((2, 2), np.float32))
