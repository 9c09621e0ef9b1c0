"""Packed texts give the embeddings and gradients of padded ones, whatever the positions, masks and pooling."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import data, encoders, losses
from jaxsim.encoders._layers import Style, rms_norm
from jaxsim.encoders._positions import Rotary

SIZES = (5, 9, 1, 0, 12, 3, 7, 4)
RANDOM = np.random.default_rng(0)
TEXTS = [RANDOM.integers(1, 50, size).astype(np.int32) for size in SIZES]
SMALL = {
    "vocabulary": 50,
    "dim": 8,
    "layers": 2,
    "heads": 2,
    "hidden": 12,
    "max_length": 16,
    "dropout": 0.0,
    "dtype": jnp.float64,
}
BODIES = {
    "table of positions": {},
    "relative buckets": {"buckets": 8},
    "rotary, causal, grouped keys": {
        "rotary": Rotary(),
        "causal": True,
        "key_heads": 1,
        "norm": "pre",
        "style": Style(normalize=rms_norm(), gated=True, biases=()),
    },
    "windows": {"rotary": Rotary(), "local": (1,), "window": 2, "local_rotary": Rotary(100.0)},
}
POOLINGS = {
    "mean": encoders.mean,
    "cls": encoders.cls,
    "last": encoders.last,
    "largest": encoders.largest,
    "summed": encoders.summed,
    "weighted": encoders.weighted_mean,
    "side by side": encoders.side_by_side(encoders.mean, encoders.mean_by_root),
    "without the first": encoders.without_first(encoders.mean),
}


def both_ways(length=16, devices=1):
    """The same texts, padded and packed."""
    return data.padded(TEXTS, 12), data.packed(TEXTS, length, devices=devices)


def step(module, params, texts, count):
    """The loss of half of the texts as queries of the others, and its gradient."""

    def loss(params):
        vectors = module.apply(params, texts)[:count]
        half = len(vectors) // 2
        return losses.info_nce(vectors[:half], vectors[half:], temperature=0.5), vectors

    (value, vectors), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    return value, vectors, gradient


def exact_norm(dtype, name):
    """LayerNorm in float64: the library's are float32."""
    del dtype
    return nn.LayerNorm(dtype=jnp.float64, name=name)


@pytest.mark.thorough
@pytest.mark.parametrize("name", BODIES)
def test_the_gradient_of_a_packed_step_is_the_padded_ones(name, float64):
    del float64
    exact = "rotary" not in BODIES[name]  # angles are float32
    settings = SMALL | ({"style": Style(normalize=exact_norm)} if exact else {}) | BODIES[name]
    module = encoders.TextEncoder(encoders.Transformer(**settings))
    padded, packed = both_ways()
    params = jax.tree.map(jnp.float64, module.init(jax.random.key(0), padded))
    run = jax.jit(functools.partial(step, module, count=8))
    ours, theirs = (dict(jax.tree.leaves_with_path(run(params, one))) for one in (packed, padded))
    for path, array in ours.items():
        of_table = "embedding" in jax.tree_util.keystr(path)  # sums of float32
        tolerance = 1e-12 if exact and not of_table else 1e-6
        np.testing.assert_allclose(array, theirs[path], rtol=0, atol=tolerance, err_msg=str(path))


@pytest.mark.thorough
def test_every_pooling_is_that_of_the_text_by_itself():
    padded, packed = both_ways()
    pooled = [{**texts, "pooled": pooled_of(texts)} for texts in (padded, packed)]
    body = encoders.Transformer(**SMALL | {"dtype": jnp.float32, "layers": 1})
    params = encoders.TextEncoder(body).init(jax.random.key(0), padded)

    @jax.jit
    def vectors(params, texts):
        return [encoders.TextEncoder(body, one).apply(params, texts) for one in POOLINGS.values()]

    for ways, least in (((padded, packed), 1), (pooled, 3)):
        real = np.array(SIZES) >= least  # first and last of no token are undefined
        ours, theirs = (vectors(params, texts) for texts in ways)
        for name, one, other in zip(POOLINGS, ours, theirs, strict=True):
            np.testing.assert_allclose(
                np.asarray(one)[real], np.asarray(other)[real], atol=2e-6, err_msg=name
            )


def pooled_of(texts):
    """A mask that leaves out each text's first two tokens."""
    places = texts.get("positions", np.arange(texts["where"].shape[1]))
    return texts["where"] & (places >= 2)


@pytest.mark.thorough
def test_cuts_layers_and_places_of_packed_texts():
    padded, packed = both_ways()
    body = encoders.Transformer(**SMALL | {"dtype": jnp.float32})
    several = encoders.TextEncoder(body, top_layers=2)
    placed = encoders.TextEncoder(body, place=encoders.place_of(int(TEXTS[0][2])))
    params = several.init(jax.random.key(0), padded)

    @jax.jit
    def all_of(texts):
        whole = encoders.TextEncoder(body).apply(params, texts, all_layers=True)
        return *whole, several.apply(params, texts), placed.apply(params, texts)

    for ours, theirs in zip(all_of(packed), all_of(padded), strict=True):
        real = np.array(SIZES) > 0
        np.testing.assert_allclose(np.asarray(ours)[real], np.asarray(theirs)[real], atol=2e-6)


@pytest.mark.thorough
def test_what_packed_texts_do_not_contain_has_no_influence():
    _, packed = both_ways()
    body = encoders.Transformer(**SMALL | {"dtype": jnp.float32, "layers": 1})
    module = encoders.TextEncoder(body)
    params = module.init(jax.random.key(0), packed)
    encode = jax.jit(module.apply)
    other = {**packed, "tokens": np.where(packed["where"], packed["tokens"], 17)}
    np.testing.assert_array_equal(encode(params, packed), encode(params, other))


def test_what_cannot_be_packed_is_refused():
    _, packed = both_ways()
    for module in (
        encoders.BagEncoder(50, 4),
        encoders.SequenceNet(50, 4),
        encoders.MaskedLanguageModel(encoders.Transformer(**SMALL)),
    ):
        with pytest.raises(ValueError, match="texts must be padded, a text in each row"):
            module.init(jax.random.key(0), packed)
    module = encoders.TextEncoder(encoders.Transformer(**SMALL))
    part = {name: array for name, array in packed.items() if name != "starts"}
    with pytest.raises(ValueError, match="got no 'starts'"):
        module.init(jax.random.key(0), part)
    routed = encoders.Experts(2, router="sentence_top_k")
    module = encoders.TextEncoder(encoders.Transformer(**SMALL, experts=routed))
    with pytest.raises(ValueError, match="must not be packed where experts route"):
        module.init(jax.random.key(0), packed)
