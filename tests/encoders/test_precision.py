"""On accelerators products are bfloat16 by default; parameters, and whatever is summed, are float32."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import dtypes_of, equations, floats_of, names_of

from jaxsim import encoders, losses, pretrained, search, training

SMALL = {"vocabulary": 30, "dim": 16, "layers": 2, "heads": 2, "hidden": 24, "max_length": 16}
LLAMA = {
    "rotary": encoders.Rotary(),
    "segments": 0,
    "norm": "pre",
    "key_heads": 1,
    "style": encoders.Style(normalize=encoders.rms_norm(), gated=True, biases=(), head_norm=True),
}
KINDS = {"bert": {}, "llama": LLAMA, "mpnet": {"buckets": 8}}
TEXTS = {
    "tokens": np.random.default_rng(0).integers(5, 30, (6, 8), np.int32),
    "where": np.arange(8) < np.array([8, 3, 5, 1, 0, 7])[:, None],
}
SUMMED = ("reduce_sum", "reduce_max", "cumsum", "rsqrt", "sqrt", "log", "scatter-add")


@pytest.fixture
def card(monkeypatch):
    """The default backend is a GPU, as far as one can ask."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


def states_of(module):
    """The type of a transformer's states."""
    apply = functools.partial(module.init_with_output, jax.random.key(0))
    return jax.eval_shape(apply, TEXTS["tokens"], TEXTS["where"])[0].dtype


def test_the_backend_decides_unless_a_type_is_given(card, monkeypatch):
    assert states_of(encoders.Transformer(**SMALL)) == jnp.bfloat16
    assert states_of(encoders.Transformer(**SMALL, dtype=jnp.float32)) == jnp.float32
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert states_of(encoders.Transformer(**SMALL)) == jnp.float32
    assert states_of(encoders.Transformer(**SMALL, dtype=jnp.bfloat16)) == jnp.bfloat16


def test_images_follow_the_backend_too(card):
    net, images = encoders.ConvNet(dim=4, widths=(8,)), np.zeros((2, 4, 4, 1), np.float32)
    make = functools.partial(net.init_with_output, jax.random.key(0))
    assert "bfloat16" in dtypes_of(jax.make_jaxpr(make)(images))
    embeddings, params = jax.eval_shape(make, images)
    assert {leaf.dtype.name for leaf in jax.tree.leaves((embeddings, params))} == {"float32"}


def test_a_loaded_model_has_float32_parameters_and_vectors_near_those_of_float32(tiny, card):
    half, full = pretrained.load(tiny), pretrained.load(tiny, dtype=jnp.float32)
    texts = half.tokenize(["red green", "an old round light", "heavy"])
    assert "bfloat16" in dtypes_of(jax.make_jaxpr(half.encode)(half.params, texts))
    assert "bfloat16" not in dtypes_of(jax.make_jaxpr(full.encode)(full.params, texts))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(half.params)} == {"float32"}
    rounded, exact = half.encode(half.params, texts), full.encode(full.params, texts)
    assert rounded.dtype == exact.dtype == jnp.float32
    assert 0 < np.abs(rounded - exact).max() < 2.0**-5 * np.abs(exact).max()


def test_a_corpus_is_encoded_as_its_model_computes(tiny, card):
    model, texts = pretrained.load(tiny), ["red green", "an old round light", "heavy"]
    seen = []

    def watched(params, batch):
        seen.extend(leaf.dtype.name for leaf in jax.tree.leaves(params))
        return model.encode(params, batch)

    search.encode_corpus(watched, model.params, model.tokens, texts)
    assert set(seen) == {"bfloat16"}  # the parameters of a function that does not say
    watched.dtype = None
    seen.clear()
    found = search.encode_corpus(watched, model.params, model.tokens, texts)
    assert set(seen) == {"float32"}
    np.testing.assert_allclose(found, model.encode(model.params, model.tokenize(texts)), atol=0.02)
    assert hasattr(model.encode, "dtype")
    assert hasattr(encoders.as_function(model.module), "dtype")


@functools.cache
def step_of(kind, loss):
    """The jaxpr of a training step on one device, and of encoding."""
    module = encoders.TextEncoder(encoders.Transformer(**SMALL, **KINDS[kind]))
    encode = encoders.as_function(module)
    params = jax.jit(module.init)(jax.random.key(0), TEXTS)

    def objective(params, batch, *, key, axis_name):
        first, second = (
            encode(params, batch[side], key=k, axis_name=axis_name)
            for side, k in zip(("query", "document"), jax.random.split(key), strict=True)
        )
        return loss(first, second, where=batch["where"], axis_name=axis_name)

    way, optimizer = training.pmapped(jax.local_devices()[:1]), training.adamw(1e-3)
    carry = way.start(params, None, optimizer, None)
    ids = np.arange(6, dtype=np.int32)
    rows = way.feed({"query": TEXTS, "document": TEXTS, "where": ids >= 0, "ids": ids})
    step = way.step(objective, optimizer, carry)
    return jax.make_jaxpr(step)(carry, rows, jax.random.key(0), None), jax.make_jaxpr(encode)(
        params, TEXTS
    )


def elementwise(x, y, *, where, axis_name):
    """A loss without products, so that all there are belong to the encoder."""
    return jax.lax.pmean(jnp.sum(x * y, axis=1, where=where[:, None]).mean(), axis_name)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["training", "encoding"])
def test_products_are_bfloat16_and_sums_float32(kind, part, card):
    jaxpr = step_of(kind, elementwise)[part == "encoding"]
    products = [e for e in equations(jaxpr) if e.primitive.name == "dot_general"]
    assert len(products) >= 2 * SMALL["layers"]
    for product in products:
        # A gradient of logits is float32 and enters its product rounded to bfloat16.
        assert floats_of(product) == {"bfloat16"} or "BF16_BF16_F32" in str(
            product.params["precision"]
        )
    for equation in equations(jaxpr):
        if equation.primitive.name in SUMMED:
            assert floats_of(equation) <= {"float32"}, equation
    # Softmax is the only exponential on the way forward; that of GELU's slope is no sum.
    if part == "encoding":
        powers = [floats_of(e) for e in equations(jaxpr) if e.primitive.name == "exp"]
        assert powers
        assert all(found == {"float32"} for found in powers)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_float64_and_nothing_asks_the_host(kind, card):
    for jaxpr in step_of(kind, losses.info_nce):
        assert not dtypes_of(jaxpr) & {"float64", "int64", "uint64", "complex128"}
        outside = {n for n in names_of(jaxpr) if "callback" in n or "feed" in n or "print" in n}
        assert not outside
