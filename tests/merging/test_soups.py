"""Soups and fusion: numbers by hand, types, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import merging

BASE = np.array([1.0, 2, 3, 4])
A, B = np.array([1.3, 2, 3, 4]), np.array([1, 2.4, 3, 4.3])
RANDOM = np.random.default_rng(0)


def tree(scale=1.0):
    return {
        "dense": {
            "kernel": scale * RANDOM.normal(size=(3, 2)),
            "bias": scale * RANDOM.normal(size=2),
        },
        "head": {"kernel": scale * RANDOM.normal(size=(2, 2))},
    }


def close(found, expected):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14), found, expected
    )


def test_a_soup_is_the_mean(float64):
    trees = [tree() for _ in range(3)]
    close(merging.soup(trees), jax.tree.map(lambda *a: sum(a) / 3, *trees))
    weighted = merging.soup(trees, weights=[1, 0, 3])
    close(weighted, jax.tree.map(lambda a, b, c: (a + 3 * c) / 4, *trees))
    close(merging.soup(trees[:1]), trees[0])


def test_sums_are_in_float64_and_types_stay():
    values = [jnp.asarray([256.0], jnp.bfloat16)] + [jnp.asarray([1.0], jnp.bfloat16)] * 255
    found = merging.soup([{"x": value, "step": jnp.int32(7)} for value in values])
    assert found["x"].dtype == jnp.bfloat16
    assert found["x"].item() == 2.0  # 511 / 256, rounded once; in bfloat16 the sum stays 256
    assert found["step"].dtype == jnp.int32
    assert found["step"].item() == 7


@pytest.mark.parametrize(
    ("unit", "power", "expected"),
    [
        ("tensor", 1, [1.1125, 2.25, 3, 4.1875]),
        ("element", 1, [1.3, 2.4, 3, 4.3]),
        ("tensor", 0, [1.15, 2.2, 3, 4.15]),
        ("tensor", -1, [1.1875, 2.15, 3, 4.1125]),
    ],
)
def test_fusion_by_hand(unit, power, expected, float64):
    trees = [{"w": A}, {"w": B}]
    found = merging.fuse({"w": BASE}, trees, unit=unit, power=power)
    np.testing.assert_allclose(found["w"], expected, rtol=1e-12)


@pytest.mark.parametrize("power", [-2.0, -1.0, 0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("unit", ["model", "layer", "tensor", "element"])
def test_fusion_is_its_formula(unit, power, float64):
    base, trees, prior = tree(), [tree() for _ in range(3)], np.array([0.2, 0.3, 0.5])
    names = [("dense", "kernel"), ("dense", "bias"), ("head", "kernel")]
    group = {"model": lambda n: 0, "layer": lambda n: n[0], "tensor": lambda n: n, "element": None}
    found = merging.fuse(base, trees, unit=unit, power=power, prior=prior)
    for layer, name in names:
        start = base[layer][name]
        moves = [t[layer][name] - start for t in trees]
        if unit == "element":
            lengths = np.abs(moves)
        else:
            same = [n for n in names if group[unit](n) == group[unit]((layer, name))]
            lengths = np.array(
                [np.sqrt(sum(np.sum((t[a][b] - base[a][b]) ** 2) for a, b in same)) for t in trees]
            )
            lengths = lengths.reshape(3, *[1] * start.ndim)
        shares = prior.reshape(3, *[1] * start.ndim) * lengths**power
        expected = start + np.sum(shares / shares.sum(axis=0) * moves, axis=0)
        np.testing.assert_allclose(found[layer][name], expected, rtol=1e-9)
        between = np.stack([t[layer][name] for t in trees])
        assert (found[layer][name] >= between.min(axis=0) - 1e-12).all()
        assert (found[layer][name] <= between.max(axis=0) + 1e-12).all()


@pytest.mark.parametrize("unit", ["model", "layer", "tensor", "element"])
@pytest.mark.parametrize("power", [-1.0, 0.0, 1.0])
def test_equal_checkpoints_and_one_alone_return_themselves(unit, power, float64):
    base, one = tree(), tree()
    close(merging.fuse(base, [one, one], unit=unit, power=power), one)
    close(merging.fuse(base, [one], unit=unit, power=power), one)
    close(merging.fuse(base, [base, base], unit=unit, power=power), base)


def test_a_checkpoint_that_did_not_move(float64):
    trees = [{"w": BASE}, {"w": B}, {"w": A}]
    np.testing.assert_allclose(merging.fuse({"w": BASE}, trees, power=-1)["w"], BASE)
    found = merging.fuse({"w": BASE}, trees[:2], power=1)
    np.testing.assert_allclose(found["w"], B)


def test_what_does_not_fit_is_named():
    one, other = {"a": np.ones(2), "b": np.ones(3)}, {"a": np.ones(2)}
    with pytest.raises(ValueError, match="number 1 and the first differ at 'b'"):
        merging.soup([one, other])
    with pytest.raises(ValueError, match=r"number 1 has .* at 'a' and the first"):
        merging.soup([other, {"a": np.ones(3)}])
    with pytest.raises(ValueError, match="weights must be"):
        merging.soup([one, one], weights=[1, 2, 3])
    with pytest.raises(ValueError, match="weights must be >= 0 with a sum above 0"):
        merging.soup([one, one], weights=[1, -1])
    with pytest.raises(ValueError, match="trees must hold one tree at least, got none"):
        merging.soup([])
    with pytest.raises(ValueError, match="trees must be equal where they are not floats"):
        merging.soup([{"step": np.int32(1)}, {"step": np.int32(2)}])
    with pytest.raises(
        ValueError, match="unit must be one of 'model', 'layer', 'tensor', 'element'"
    ):
        merging.fuse(one, [one], unit="row")
    with pytest.raises(ValueError, match="trees must hold one tree at least, got none"):
        merging.fuse(one, [])
