"""What arms make of small inputs, by hand; settings that leave nothing to train on."""

import dataclasses

import numpy as np
import pytest

from experiments import leaf, multi_similarity


def test_smaller_outputs():
    vectors = np.array([[0.6, -0.8, 0.0], [1.0, 0.0, 0.0], [-0.6, 0.0, 0.8]], np.float32)
    np.testing.assert_allclose(leaf.cut("first 2", vectors, vectors)[0], [0.6, -0.8], atol=1e-6)
    np.testing.assert_allclose(
        leaf.cut("sign", vectors, vectors)[0], np.array([1, -1, 0]) / 2**0.5, atol=1e-6
    )
    np.testing.assert_allclose(leaf.cut("int8", vectors, vectors), vectors, atol=0.004)


def test_classes_to_train_on_must_be_left():
    config = dataclasses.replace(multi_similarity.PRESETS["smoke"], validation_groups=9)
    with pytest.raises(ValueError, match=r"must leave some of the 10 groups of digits .*, got 12"):
        multi_similarity.parts(config)
    with pytest.raises(
        ValueError, match="test_classes must be a whole number of at least 1, got 0"
    ):
        dataclasses.replace(config, test_classes=0)
