"""Our attention on CPU is JAX's: value and gradient, grouped heads, masks, bias, narrow types; cuDNN's where it fits."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.cudnn import fused_attention_stablehlo

from jaxsim import encoders, pretrained
from jaxsim.encoders import _attention as module
from jaxsim.encoders._attention import (
    attention,
    blocked_attention,
    plain_attention,
    xla_attention,
)
from jaxsim.encoders._positions import visible

RANDOM = np.random.default_rng(0)
QUERY = np.float32(RANDOM.normal(size=(2, 5, 4, 6)))
KEY, VALUE = np.float32(RANDOM.normal(size=(2, 2, 7, 2, 6)))
MASK = RANDOM.random((2, 1, 5, 7)) < 0.6
MASK[0, 0, 1] = False  # who sees nothing
BIAS = np.float32(RANDOM.normal(size=(2, 4, 5, 7)))


def both(query, key, value):
    """(ours, jax.nn.dot_product_attention) on the same inputs."""
    theirs = jax.nn.dot_product_attention(
        query, key, value, bias=BIAS.astype(query.dtype), mask=MASK
    )
    return plain_attention(query, key, value, bias=BIAS.astype(query.dtype), mask=MASK), theirs


@pytest.mark.parametrize("size", [1.0, 1e3])
def test_value_and_gradient_are_those_of_jax(size):
    weights = np.float32(RANDOM.normal(size=QUERY.shape))

    def sums(which, *arrays):
        return (both(*arrays)[which] * weights).sum()

    inputs = (size * QUERY, KEY, VALUE)
    mine, theirs = jax.jit(both)(*inputs)
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
    gradients = [
        jax.jit(jax.grad(sums, (1, 2, 3)), static_argnums=0)(which, *inputs) for which in (0, 1)
    ]
    for ours, other in zip(*gradients, strict=True):
        assert np.isfinite(ours).all()
        if size == 1:  # logits of thousands are only known to 1e-4 in float32
            np.testing.assert_allclose(ours, other, rtol=1e-4, atol=1e-5)


def test_narrow_types_are_summed_in_float32():
    arrays = [jnp.asarray(a, jnp.bfloat16) for a in (QUERY, KEY, VALUE)]
    mine, _ = jax.jit(both)(*arrays)
    assert mine.dtype == jnp.bfloat16
    exact, _ = jax.jit(both)(*(np.asarray(a, np.float32) for a in arrays))
    np.testing.assert_allclose(np.float32(mine), exact, atol=0.03)


# Padding behind, before and between what is real, and a row of nothing else: that sees all of it.
WHERE = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 1],
        [1, 0, 1, 0, 1, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ],
    bool,
)


@pytest.mark.thorough
@pytest.mark.parametrize("sees", [{}, {"window": 2}, {"causal": True}])
def test_padding_anywhere_is_as_in_jax(sees):
    places = np.maximum(np.cumsum(WHERE, axis=1) - 1, 0)
    mask = visible(places, WHERE, **sees)
    query, key, value, slope = np.float32(RANDOM.normal(size=(4, 5, 8, 2, 8)))

    def both(attend):
        result, backward = jax.vjp(lambda *a: attend(*a), query, key, value)
        return result, *backward(slope)

    ours = both(lambda *a: plain_attention(*a, mask=mask))
    for one, other in zip(ours, both(lambda *a: xla_attention(*a, mask)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_vectors_of_padding_may_be_nan():
    encoder = encoders.Transformer(
        vocabulary=10, dim=8, layers=2, heads=2, hidden=8, max_length=8, dtype=jnp.float32
    )
    tokens, where = np.zeros((2, 5), int), np.arange(5)[None] < np.array([[3], [5]])
    vectors = np.float32(np.random.default_rng(3).normal(size=(2, 5, 8)))
    params = encoder.init(jax.random.key(0), tokens, where)

    @jax.jit
    def both(params, vectors):
        def total(params, vectors):
            states = encoder.apply(params, tokens, where, vectors=vectors)
            return jnp.sum(jnp.sin(states), where=where[..., None]), states

        (_, states), slopes = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)(
            params, vectors
        )
        return states[where], slopes

    expected = both(params, vectors)
    found = both(params, np.where(where[..., None], vectors, np.nan))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("own", [True, False], ids=["mask-of-rows", "one-mask"])
def test_blocks_of_rows_are_all_at_once(own, biased, monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    draw = np.random.default_rng(1)
    rows, length, heads, dim = 21, 6, 2, 4
    query, key, value, slope = np.float32(draw.normal(size=(4, rows, length, heads, dim)))
    mask = draw.random((rows if own else 1, 1, length, length)) < 0.6
    bias = np.float32(draw.normal(size=(rows, heads, length, length))) if biased else None

    def both(attend, **settings):
        result, backward = jax.vjp(
            lambda *a: attend(*a, mask=mask, bias=bias, **settings), query, key, value
        )
        return result, *backward(slope)

    scores = 2 * heads * length**2  # of two rows: ten blocks and a row
    for ours, whole in zip(
        jax.jit(lambda: both(blocked_attention, scores=scores))(),
        jax.jit(lambda: both(plain_attention))(),
        strict=True,
    ):
        np.testing.assert_allclose(ours, whole, rtol=1e-5, atol=1e-6)


def test_few_blocks_are_taken_at_once():
    def loops(rows, count):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jax, "device_count", lambda: count)
            mask = np.ones((1, 1, 16, 16), bool)
            attend = jax.make_jaxpr(lambda q: blocked_attention(q, q, q, mask=mask, scores=512))
            return "scan" in str(attend(jax.ShapeDtypeStruct((rows, 16, 2, 4), jnp.float32)))

    assert not loops(8, 1)  # 512 scores are those of a row
    assert loops(9, 1)
    assert not loops(9, 8)  # rows may be spread over devices


@pytest.fixture
def card(monkeypatch):
    """An NVIDIA card with cuDNN, as far as one can ask; programs for it can be written, not run."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(module, "cudnn_works", lambda dtype, dim: True)
    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", lambda: 91_000)


def arrays(asking=64, keys=64, dim=32, dtype=jnp.bfloat16, shared=4):
    draw = np.random.default_rng(0).normal
    query, key, value = (
        jnp.asarray(draw(size=(2, length, heads, dim)), dtype)
        for length, heads in ((asking, 4), (keys, shared), (keys, shared))
    )
    return query, key, value, jnp.arange(keys) % jnp.array([3, 5])[:, None] > 0


def with_gradient(query, key, value, where, **settings):
    """A program of attention, forward and backward."""

    def value_of(*inputs):
        return attention(*inputs, mask=where[:, None, None], **settings).astype(jnp.float32).sum()

    return jax.value_and_grad(value_of, (0, 1, 2))(query, key, value)


def text_of(inputs, platform="cuda", **settings):
    """The program that a platform's compiler gets."""
    traced = jax.jit(lambda *a: with_gradient(*a, **settings)).trace(*inputs)
    return traced.lower(lowering_platforms=(platform,)).as_text()


def test_a_card_gets_cudnn_s_attention_forward_and_backward(card):
    for shared in (4, 2):
        text = text_of(arrays(shared=shared))
        assert "__cudnn$fmha" in text
        assert "Backward" in text
        assert "dot_general" not in text
    # What runs on the host of that machine is not cuDNN's.
    text = text_of(arrays(), "cpu")
    assert "cudnn" not in text
    assert "dot_general" in text
    assert "cudnn" not in text_of(arrays(), cudnn=False)


@pytest.mark.parametrize(
    "other",
    [
        {"asking": 1},
        {"asking": 3},
        {"keys": 63},
        {"dim": 20},
        {"dim": 136},
        {"dtype": jnp.float32},
    ],
)
def test_shapes_and_types_that_cudnn_does_not_take_run_through_xla(other, card):
    assert "cudnn" not in text_of(arrays(**other))


def test_a_learned_bias_has_its_gradient(card):
    bias = jnp.zeros((2, 4, 64, 64), jnp.bfloat16)
    assert "cudnn" not in text_of(arrays(), bias=bias)


def test_on_the_host_of_a_machine_with_a_card_it_is_the_same(card):
    inputs = arrays()
    value, gradients = jax.jit(with_gradient)(*inputs)
    query, key, vectors, where = inputs
    expected = plain_attention(query, key, vectors, mask=where[:, None, None])
    np.testing.assert_allclose(value, expected.astype(jnp.float32).sum(), rtol=0.02, atol=0.5)
    assert {g.dtype for g in gradients} == {jnp.dtype("bfloat16")}


def test_where_cudnn_does_not_run_xla_does_and_the_log_says_why(monkeypatch, caplog):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    module.cudnn_works.cache_clear()
    with caplog.at_level(logging.INFO, "jaxsim"):
        text = text_of(arrays(), "cpu")
    module.cudnn_works.cache_clear()
    assert "cudnn" not in text
    assert "attention runs through XLA" in caplog.text


@pytest.mark.parametrize(("scale", "works"), [(1.0, True), (1.2, False)])
def test_cudnn_is_used_if_it_agrees_with_xla(scale, works, monkeypatch, caplog):
    monkeypatch.setattr(
        module,
        "cudnn_attention",
        lambda *inputs: (scale * xla_attention(*inputs)).astype("bfloat16"),
    )
    module.cudnn_works.cache_clear()
    assert jax.jit(lambda x: x + module.cudnn_works("bfloat16", 32))(0) == works
    module.cudnn_works.cache_clear()
    assert ("differs by 0.2" in caplog.text) == (not works)


def test_a_transformer_and_a_loaded_model_can_leave_cudnn_out(card, tiny):
    sizes = {"vocabulary": 9, "dim": 32, "layers": 1, "heads": 2, "hidden": 8, "max_length": 16}
    tokens, where = np.zeros((2, 16), np.int32), np.ones((2, 16), bool)
    for cudnn in (True, False):
        transformer = encoders.Transformer(**sizes, cudnn=cudnn)
        start = jax.jit(transformer.init_with_output).trace(jax.random.key(0), tokens, where)
        text = start.lower(lowering_platforms=("cuda",)).as_text()
        assert ("__cudnn$fmha" in text) == cudnn
        assert pretrained.load(tiny, cudnn=cudnn).module.transformer.cudnn == cudnn
