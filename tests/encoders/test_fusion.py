"""Fusion heads, against their definitions in NumPy: fused logits, and each modality's from the same parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import encoders

RANDOM = np.random.default_rng(0)
A, V, T = (RANDOM.normal(size=(5, 4)) for _ in range(3))
WIDE = RANDOM.normal(size=(5, 6))
CLASSES = 3


def called(head, features):
    """(fused, unimodal, parameters), every bias drawn, so that it shows."""
    params = head.init(jax.random.key(0), features)["params"]
    keys = iter(jax.random.split(jax.random.key(1), len(jax.tree.leaves(params))))

    def drawn(leaf):
        key = next(keys)
        return jax.random.normal(key, leaf.shape) if leaf.ndim == 1 else leaf

    params = jax.tree.map(drawn, params)
    fused, unimodal = jax.jit(head.apply)({"params": params}, features)
    return fused, unimodal, jax.tree.map(lambda a: np.asarray(a, np.float64), params)


def linear(layer, x):
    return x @ layer["kernel"] + layer["bias"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def check(fused, unimodal, expected, alone):
    np.testing.assert_allclose(fused, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(unimodal, np.stack(alone, axis=1), rtol=1e-5, atol=1e-5)


def test_concatenation_leaves_the_other_modalities_at_zero():
    features = [jnp.float32(z) for z in (A, WIDE, V)]
    fused, unimodal, params = called(encoders.ConcatFusion(CLASSES), features)
    expected = linear(params, np.concatenate([A, WIDE, V], axis=1))
    alone = []
    for number in range(3):
        shown = [z * (place == number) for place, z in enumerate((A, WIDE, V))]
        alone.append(linear(params, np.concatenate(shown, axis=1)))
    check(fused, unimodal, expected, alone)
    np.testing.assert_allclose(unimodal.sum(axis=1), fused + 2 * params["bias"], atol=1e-5)


def test_masked_linear_heads_are_the_same_map(float64):
    w, u, b = (RANDOM.normal(size=shape) for shape in ((4, CLASSES), (6, CLASSES), CLASSES))
    fused, unimodal = encoders.masked_linear_heads([A, WIDE], [w, u], b)
    np.testing.assert_allclose(fused, A @ w + WIDE @ u + b, rtol=1e-12)
    np.testing.assert_allclose(unimodal[:, 0], A @ w + b, rtol=1e-12)
    np.testing.assert_allclose(unimodal[:, 1], WIDE @ u + b, rtol=1e-12)


def test_addition_has_a_map_for_each_or_one_for_all():
    features = [jnp.float32(z) for z in (A, WIDE)]
    fused, unimodal, params = called(encoders.SumFusion(CLASSES), features)
    alone = [linear(params["head_0"], A), linear(params["head_1"], WIDE)]
    check(fused, unimodal, sum(alone), alone)
    features = [jnp.float32(z) for z in (A, V, T)]
    fused, unimodal, params = called(encoders.SumFusion(CLASSES, shared=True), features)
    assert set(params) == {"head"}
    alone = [linear(params["head"], z) for z in (A, V, T)]
    check(fused, unimodal, sum(alone), alone)


def test_a_gate_is_one_modality_and_what_passes_the_other():
    features = [jnp.float32(z) for z in (A, WIDE)]
    fused, unimodal, params = called(encoders.GatedFusion(CLASSES, dim=7), features)
    x, y = linear(params["map_0"], A), linear(params["map_1"], WIDE)
    alone = [linear(params["head"], sigmoid(z) * z) for z in (x, y)]
    check(fused, unimodal, linear(params["head"], sigmoid(x) * y), alone)


@pytest.mark.thorough
def test_a_bilinear_fusion_maps_the_outer_product():
    features = [jnp.float32(z) for z in (A, V)]
    fused, unimodal, params = called(encoders.BilinearFusion(CLASSES, dim=7), features)

    def logits(x, y):
        outer = np.stack([np.outer(a, b).ravel() for a, b in zip(x, y, strict=True)])
        return linear(params["head"], linear(params["map"], outer))

    check(fused, unimodal, logits(A, V), [logits(A, A), logits(V, V)])


def test_weights_begin_as_xavier_has_them_and_biases_at_zero():
    features = [jnp.zeros((2, 300)), jnp.zeros((2, 100))]
    params = encoders.ConcatFusion(200).init(jax.random.key(0), features)["params"]
    kernel, bias = np.asarray(params["kernel"]), np.asarray(params["bias"])
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (400 + 200)), rtol=0.02)
    assert not bias.any()


@pytest.mark.parametrize(
    ("head", "features", "message"),
    [
        (encoders.ConcatFusion(3), A, "features must be a sequence of arrays.*got ndarray"),
        (encoders.ConcatFusion(3), [], "features must be a sequence of arrays"),
        (encoders.SumFusion(3), [A, V[:3]], r"features\[1\] must be \[5, any\]"),
        (encoders.SumFusion(3, shared=True), [A, WIDE], r"features\[1\] must be \[5, 4\]"),
        (encoders.GatedFusion(3), [A, V, T], "features must be of 2 modalities, got 3"),
        (encoders.BilinearFusion(3), [A, WIDE], r"features\[1\] must be \[5, 4\]"),
    ],
)
def test_features_that_do_not_fit_are_named(head, features, message):
    with pytest.raises(ValueError, match=message):
        head.init(jax.random.key(0), features)


def test_kernels_that_do_not_fit_are_named():
    w, b = np.zeros((4, 3)), np.zeros(3)
    with pytest.raises(ValueError, match="kernels must be 2, as features, got 1"):
        encoders.masked_linear_heads([A, V], [w], b)
    with pytest.raises(ValueError, match=r"kernels\[1\] must be \[4, 3\]"):
        encoders.masked_linear_heads([A, V], [w, w.T], b)
    with pytest.raises(ValueError, match="bias must be"):
        encoders.masked_linear_heads([A, V], [w, w], np.zeros((1, 3)))
