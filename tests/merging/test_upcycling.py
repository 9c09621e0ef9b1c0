"""Upcycling: what is copied, what is shared, and the way back."""

import jax
import numpy as np
import pytest

from jaxsim import merging

RANDOM = np.random.default_rng(0)


def layer():
    shapes = {
        "query": {"kernel": (4, 4), "bias": (4,)},
        "feed_forward_in": {"kernel": (4, 6), "bias": (6,)},
        "feed_forward_gate": {"kernel": (4, 6)},
        "feed_forward_out": {"kernel": (6, 4), "bias": (4,)},
        "feed_forward_norm": {"scale": (4,), "bias": (4,)},
    }
    return jax.tree.map(
        lambda shape: np.float32(RANDOM.normal(size=shape)),
        shapes,
        is_leaf=lambda a: isinstance(a, tuple),
    )


DENSE = {"params": {"transformer": {"layer_0": layer(), "layer_1": layer()}}}


def equal(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_feed_forward_parts_get_a_first_axis_and_all_else_is_shared():
    layers = merging.upcycle(DENSE, 3)["params"]["transformer"]
    for name, before in DENSE["params"]["transformer"].items():
        after = layers[name]
        assert set(after) == set(before)
        for part in before:
            inside = part.startswith("feed_forward") and part != "feed_forward_norm"
            for leaf, old in zip(
                jax.tree.leaves(after[part]), jax.tree.leaves(before[part]), strict=True
            ):
                wanted = np.stack([old] * 3) if inside else old
                np.testing.assert_array_equal(leaf, wanted)


def test_every_expert_is_the_dense_model_again():
    upcycled = merging.upcycle(DENSE, 2, key=jax.random.key(0))
    for expert in range(2):
        equal(merging.take_expert(upcycled, expert), DENSE)


def test_chosen_layers_alone_and_their_routers():
    upcycled = merging.upcycle(DENSE, 5, layers=[1], key=jax.random.key(0), deviation=0.1)
    layers = upcycled["params"]["transformer"]
    equal(layers["layer_0"], DENSE["params"]["transformer"]["layer_0"])
    router = np.asarray(layers["layer_1"]["router"]["kernel"])
    assert router.shape == (4, 5)
    assert 0 < np.abs(router).max() <= 0.2
    assert "router" not in DENSE["params"]["transformer"]["layer_1"]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: merging.upcycle(DENSE, 0), "experts must be a whole number"),
        (lambda: merging.upcycle({"a": np.ones(2)}, 2), "tree must have layers"),
        (lambda: merging.upcycle(DENSE, 2, layers=[2]), "has no layer 2"),
        (lambda: merging.upcycle(merging.upcycle(DENSE, 2), 2), "tree must be of a dense model"),
        (lambda: merging.upcycle(DENSE, 2, deviation=0), "deviation must be"),
        (lambda: merging.take_expert(DENSE, 0), "tree must have experts"),
        (lambda: merging.take_expert(merging.upcycle(DENSE, 2), 2), "expert must be below 2"),
    ],
)
def test_refusals_name_the_argument(act, message):
    with pytest.raises(ValueError, match=message):
        act()
