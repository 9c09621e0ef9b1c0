"""A checksum tells arrays apart by value, type, shape and name."""

import jax.numpy as jnp
import numpy as np

from jaxsim.storage import checksum

TREE = {"a": np.arange(6, dtype=np.float32), "b": [np.zeros(2, np.int32)]}


def test_equal_trees_are_equal_wherever_they_lie():
    assert checksum(TREE) == checksum({"a": jnp.arange(6.0), "b": [jnp.zeros(2, jnp.int32)]})
    assert len(checksum(TREE)) == 16


def test_all_that_differs_shows():
    others = [
        TREE | {"a": TREE["a"] + np.float32(1e-6)},
        TREE | {"a": TREE["a"].astype(np.float16)},
        TREE | {"a": TREE["a"].reshape(2, 3)},
        {"a": TREE["a"], "c": TREE["b"]},
        TREE | {"b": [np.zeros(1, np.int32), np.zeros(1, np.int32)]},
    ]
    assert len({checksum(tree) for tree in [TREE, *others]}) == 6
