"""The d-simplex head: a linear map whose logits are those of the fixed class vectors."""

import jax
import numpy as np
import pytest

from jaxsim import encoders, similarity

FEATURES = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)


def test_it_is_a_linear_map_without_a_bias():
    head = encoders.SimplexHead(classes=4)
    variables = head.init(jax.random.key(0), FEATURES)
    kernel = variables["params"]["junction"]["kernel"]
    assert jax.tree.map(np.shape, variables) == {"params": {"junction": {"kernel": (7, 3)}}}
    assert 0.3 < np.abs(kernel).max() <= 7**-0.5  # torch's start
    embeddings = head.apply(variables, FEATURES)
    np.testing.assert_allclose(embeddings, FEATURES @ np.float64(kernel), rtol=1e-5, atol=1e-6)
    logits = similarity.dot(embeddings, similarity.simplex_vertices(4))
    assert logits.shape == (5, 4)
    np.testing.assert_allclose(logits.sum(axis=1), 0, atol=1e-5)  # the class vectors add up to 0


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="classes must be a whole number of at least 2, got 1"):
        encoders.SimplexHead(classes=1).init(jax.random.key(0), FEATURES)
