"""Rows in blocks on one CPU: the values of all rows at once; gradients, and several devices, take them whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import encoders
from jaxsim.encoders import _few_rows
from jaxsim.encoders._transformer import Packing

ROWS, LENGTH = 7, 8
RANDOM = np.random.default_rng(0)
TOKENS = RANDOM.integers(0, 20, (ROWS, LENGTH)).astype(np.int32)
WHERE = np.arange(LENGTH) < RANDOM.integers(1, LENGTH + 1, ROWS)[:, None]
NET = encoders.Transformer(
    vocabulary=20, dim=8, layers=2, heads=2, hidden=12, max_length=LENGTH, dtype=jnp.float64
)
SEEN = WHERE & (RANDOM.random(WHERE.shape) < 0.7)
ASKED = {
    "tokens alone": {},
    "everything else": {
        "segments": RANDOM.integers(0, 2, (ROWS, LENGTH)),
        "vectors": RANDOM.normal(size=(ROWS, LENGTH, 8)),
        "vectors_where": RANDOM.random((ROWS, LENGTH)) < 0.3,
        "seen": SEEN,
        "positions": RANDOM.integers(0, LENGTH, (ROWS, 2)),
    },
    "packed, of all layers": {
        "packing": Packing(
            np.sort(RANDOM.integers(0, 3, (ROWS, LENGTH))), np.tile(np.arange(LENGTH), (ROWS, 1))
        ),
        "all_layers": True,
    },
}


@pytest.fixture(autouse=True)
def one_device(float64, monkeypatch):
    """Blocks of two rows: four of seven rows, and the last is filled up."""
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    monkeypatch.setattr(_few_rows, "TOKENS_ON_CPU", 2 * LENGTH)
    monkeypatch.setattr(_few_rows, "FEW", 0)


@pytest.fixture
def params(one_device):
    shapes = jax.eval_shape(NET.init, jax.random.key(0), TOKENS, WHERE)
    draw = np.random.default_rng(1)
    return jax.tree.map(lambda a: draw.normal(size=a.shape), shapes)


def looped(function, *arguments):
    return "scan" in str(jax.make_jaxpr(function)(*arguments))


def whole(function, monkeypatch):
    """What a function gives where rows are not cut."""
    monkeypatch.setattr(_few_rows, "TOKENS_ON_CPU", ROWS * LENGTH)
    return jax.jit(function)


@pytest.mark.parametrize("asked", ASKED)
def test_blocks_give_what_all_rows_give(asked, params, monkeypatch):
    def ours(params):
        return NET.apply(params, TOKENS, WHERE, **ASKED[asked])

    def theirs(params):
        return NET.apply(params, TOKENS, WHERE, **ASKED[asked])

    assert looped(ours, params)
    found = jax.jit(ours)(params)
    expected = whole(theirs, monkeypatch)(params)
    assert not looped(theirs, params)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_what_is_differentiated_is_taken_whole(params):
    def total(params, vectors):
        states = NET.apply(params, TOKENS, WHERE, vectors=vectors, vectors_where=WHERE & ~SEEN)
        return jnp.sum(jnp.sin(states), where=WHERE[..., None])

    draw = np.random.default_rng(2)
    vectors = draw.normal(size=(ROWS, LENGTH, 8))
    slopes = jax.grad(total, argnums=(0, 1))
    assert not looped(slopes, params, vectors)
    found = jax.jit(slopes)(params, vectors)
    # Against differences of the values in blocks, whose norms are of float32.
    step = jax.tree.map(lambda a: draw.normal(size=a.shape), (params, vectors))
    values = jax.jit(total)
    ends = [
        values(*jax.tree.map(lambda a, b, move=move: a + move * b, (params, vectors), step))
        for move in (1e-4, -1e-4)
    ]
    moved = sum(
        np.vdot(a, b) for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(step), strict=True)
    )
    np.testing.assert_allclose(moved, (ends[0] - ends[1]) / 2e-4, rtol=1e-4)
    _, forward = jax.jit(lambda *a: jax.jvp(total, a, step))(params, vectors)
    np.testing.assert_allclose(forward, moved, rtol=1e-5)


def test_images_go_by_a_few_too(monkeypatch):
    net = encoders.VisionTransformer(
        image=(4, 8), patch=4, dim=8, layers=1, heads=2, hidden=12, classes=3
    )
    draw = np.random.default_rng(3)
    images = np.float32(draw.random((20, 4, 8, 2)))
    variables = jax.tree.map(
        lambda a: np.float32(draw.normal(size=a.shape)),
        jax.eval_shape(net.init, jax.random.key(0), images),
    )

    def ours(images):
        return net.apply(variables, images, features=True, maps=True)

    def theirs(images):
        return net.apply(variables, images, features=True, maps=True)

    assert looped(ours, images)
    found = jax.jit(ours)(images)
    expected = whole(theirs, monkeypatch)(images)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_what_a_cache_holds_random_numbers_kept_values_and_several_devices_take_all_rows(
    params, monkeypatch
):
    def asked(**settings):
        return lambda params: NET.apply(params, TOKENS, WHERE, **settings)

    assert looped(asked(), params)
    dropped = {"deterministic": False, "rngs": {"dropout": jax.random.key(1)}}
    assert not looped(asked(**dropped), params)
    assert not looped(asked(capture_intermediates=True, mutable=["intermediates"]), params)
    monkeypatch.setattr(_few_rows, "FEW", ROWS * LENGTH * (12 + 2 * LENGTH))  # as many as there are
    assert not looped(asked(), params)
    monkeypatch.setattr(_few_rows, "FEW", 0)
    assert not looped(asked(positions=np.zeros((1, 2), int)), params)  # one row's, for all
    monkeypatch.setattr(jax, "device_count", lambda: 8)
    assert not looped(asked(), params)
