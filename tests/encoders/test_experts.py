"""Experts in a transformer against a float64 NumPy pass, and against each domain's dense model."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxsim import encoders, losses, merging

RANDOM = np.random.default_rng(0)
SIZES = {"vocabulary": 20, "dim": 4, "layers": 2, "heads": 2, "hidden": 6, "max_length": 8}
ROWS, LENGTH, EXPERTS = 8, 6, 3
WHERE = np.arange(LENGTH) < RANDOM.integers(2, LENGTH + 1, size=(ROWS, 1))
TOKENS = np.where(WHERE, RANDOM.integers(1, 20, size=(ROWS, LENGTH)), 0)
DOMAINS = np.arange(ROWS) % EXPERTS


def module_of(router, norm="pre", **settings):
    experts = encoders.Experts(EXPERTS, router, **settings)
    return encoders.Transformer(**SIZES, norm=norm, dropout=0.0, experts=experts)


def drawn(module, **inputs):
    """Random numbers in the place of every parameter: nothing is compiled."""
    random = np.random.default_rng(1)
    tree = jax.eval_shape(module.init, jax.random.key(0), TOKENS, WHERE, **inputs)
    return jax.tree.map(lambda leaf: np.float32(0.6 * random.normal(size=leaf.shape)), tree)


@functools.cache
def built(router, **settings):
    """(module, parameters, its jitted function) of a router."""
    module = module_of(router, **settings)
    params = drawn(module, **({} if module.experts.learned else {"domain": DOMAINS}))
    return module, params, jax.jit(module.apply, static_argnames="router_logits")


def of_expert(params, expert):
    """The dense model of one expert, by the names of the parameters."""

    def taken(path, leaf):
        inside = any("feed_forward" in part.key and "norm" not in part.key for part in path)
        return leaf[expert] if inside else leaf

    return jax.tree_util.tree_map_with_path(taken, params)


def norm(x, p):
    centered = x - x.mean(axis=-1, keepdims=True)
    return (
        centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-12) * p["scale"]
        + p["bias"]
    )


def dense(x, p, expert=...):
    return x @ p["kernel"][expert] + p["bias"][expert]


def gelu(x):
    return x * (1 + np.vectorize(math.erf)(x / np.sqrt(2))) / 2


def softmax(z):
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def top(z, k):
    p = softmax(z)
    p[np.argsort(-p)[k:]] = 0
    return p


def weights_of(router, k, states, real, p, domain):
    """[length, experts] of one text, whose padding the released routers see."""
    if router == "enforced":
        return np.eye(EXPERTS)[np.broadcast_to(domain, len(states))], None
    gate = p["router"]["kernel"]
    if router == "token_top_k":
        logits = states @ gate
        rows = [top(z, k) for z in logits]
        return np.array([row / row.sum() for row in rows]), logits
    logits = (states if "released" in router else states[real]).mean(axis=0) @ gate
    if "switch" in router:
        one = np.eye(EXPERTS)[np.argmax(logits)]
    else:
        one = top(logits, k)
        one = one if "released" in router else one / one.sum()
    return np.broadcast_to(one, (len(states), EXPERTS)), logits


def forward(params, row, router, k, domain):
    """One text with its padding, by the equations of the pre-norm form: (states, router logits)."""
    p = jax.tree.map(np.float64, params)["params"]
    tokens, real = TOKENS[row], WHERE[row]
    x = p["tokens"]["embedding"][tokens] + p["segments"]["embedding"][0]
    x = x + p["positions"]["embedding"][np.maximum(np.cumsum(real) - 1, 0)]
    every = []
    for number in range(2):
        layer = p[f"layer_{number}"]
        h = norm(x, layer["attention_norm"])
        q, keys, v = (dense(h, layer[n]).reshape(len(x), 2, -1) for n in ("query", "key", "value"))
        mixed = []
        for head in range(2):
            logits = q[:, head] @ keys[:, head].T / np.sqrt(q.shape[-1])
            mixed.append(softmax(np.where(real, logits, -np.inf)) @ v[:, head])
        x = x + dense(np.concatenate(mixed, axis=1), layer["attention_out"])
        h = norm(x, layer["feed_forward_norm"])
        weights, logits = weights_of(router, k, h, real, layer, domain)
        outputs = [
            dense(gelu(dense(h, layer["feed_forward_in"], e)), layer["feed_forward_out"], e)
            for e in range(EXPERTS)
        ]
        x = x + np.einsum("le,eld->ld", weights, outputs)
        every.append(logits)
    return norm(x, p["norm"]), every


ALL = [
    ("enforced", 2),
    ("sentence_switch", 2),
    ("sentence_switch_released", 2),
    ("sentence_top_k", 2),
    ("sentence_top_k_released", 2),
    ("token_top_k", 2),
    ("token_top_k", EXPERTS),
]


@pytest.mark.parametrize(("router", "k"), ALL)
def test_every_router_is_its_equations(router, k):
    module, params, apply = built(router, k=k)
    learned = module.experts.learned
    inputs = {"router_logits": True} if learned else {"domain": DOMAINS}
    states = apply(params, TOKENS, WHERE, **inputs)
    states, logits = states if learned else (states, None)
    for row in range(ROWS):
        expected, of_layers = forward(params, row, router, k, DOMAINS[row])
        real = WHERE[row]
        np.testing.assert_allclose(states[row][real], expected[real], rtol=1e-4, atol=2e-5)
        if learned:
            assert logits.dtype == jnp.float32
            for number, wanted in enumerate(of_layers):
                got, wanted = logits[row, number], np.asarray(wanted)
                chosen = real if wanted.ndim == 2 else ...
                np.testing.assert_allclose(got[chosen], wanted[chosen], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("norm", ["pre", pytest.param("post", marks=pytest.mark.thorough)])
def test_enforced_routing_is_each_domain_through_its_own_dense_model(norm):
    module = module_of("enforced", norm)
    params = drawn(module, domain=DOMAINS)
    dense_model = jax.jit(module.clone(experts=None).apply)
    apply = jax.jit(module.apply)
    mixed = apply(params, TOKENS, WHERE, domain=DOMAINS)
    by_token = apply(params, TOKENS, WHERE, domain=np.broadcast_to(DOMAINS[:, None], TOKENS.shape))
    np.testing.assert_array_equal(mixed, by_token)
    for domain in range(EXPERTS):
        alone = dense_model(of_expert(params, domain), TOKENS, WHERE)
        one = apply(params, TOKENS, WHERE, domain=domain)
        np.testing.assert_allclose(one, alone, atol=1e-6)
        mine = domain == DOMAINS
        np.testing.assert_allclose(mixed[mine], alone[mine], atol=1e-6)


@pytest.mark.thorough
def test_experts_that_are_copies_are_the_dense_model_except_of_the_released_top_k():
    plain = module_of("enforced").clone(experts=None)
    params = drawn(plain)
    wanted = jax.jit(plain.apply)(params, TOKENS, WHERE)
    for router, k in ALL:
        module, _, apply = built(router, k=k)
        key = jax.random.key(0) if module.experts.learned else None
        upcycled = merging.upcycle(params, EXPERTS, key=key, deviation=0.5)
        inputs = {} if module.experts.learned else {"domain": DOMAINS}
        off = np.abs(apply(upcycled, TOKENS, WHERE, **inputs) - wanted).max()
        assert off > 1e-3 if router == "sentence_top_k_released" else off < 1e-6, router


@pytest.mark.thorough
def test_experts_without_tokens_get_a_gradient_of_exactly_zero():
    module, params, _ = built("enforced")

    @jax.jit
    def slopes(params, domain):
        return jax.grad(lambda p: jnp.square(module.apply(p, TOKENS, WHERE, domain=domain)).sum())(
            params
        )

    for domain in (np.where(DOMAINS == 2, 0, DOMAINS), jnp.int32(1)):
        used = set(np.unique(domain).tolist())
        for number in range(2):
            layer = slopes(params, domain)["params"][f"layer_{number}"]
            for name in ("feed_forward_in", "feed_forward_out"):
                for leaf in jax.tree.leaves(layer[name]):
                    nonzero = {e for e in range(EXPERTS) if np.any(leaf[e] != 0)}
                    assert nonzero == used


@pytest.mark.thorough
def test_switch_routers_learn_by_router_losses_alone():
    module, params, _ = built("sentence_switch", k=2)

    def values(params):
        states, logits = module.apply(params, TOKENS, WHERE, router_logits=True)
        of_router = losses.load_balance(logits), losses.enforced_routing(logits, DOMAINS)
        return jnp.stack([jnp.square(states).sum(), *of_router])

    slopes = jax.jit(jax.jacrev(values))(params)["params"]["layer_0"]["router"]["kernel"]
    of_task, *of_losses = slopes
    assert not np.any(of_task)
    assert all(np.any(of_loss) for of_loss in of_losses)


@pytest.mark.thorough
def test_one_device_and_eight_give_the_same_numbers():
    module, params, _ = built("token_top_k", k=2)

    def loss(params, tokens, where, domains, axis_name=None):
        states, logits = module.apply(params, tokens, where, router_logits=True)
        shared = {"where": where.any(axis=1), "axis_name": axis_name}
        of_tokens = jnp.broadcast_to(where[:, None], logits.shape[:-1])
        by_text = (logits * where[:, None, :, None]).sum(axis=2)
        value = losses.load_balance(logits, where=of_tokens, axis_name=axis_name)
        value += losses.router_z(logits, where=of_tokens, axis_name=axis_name)
        value += losses.routing_information(by_text, domains, tasks=EXPERTS, **shared)
        total = jnp.square(jnp.where(where[..., None], states, 0)).sum()
        return value + (total if axis_name is None else jax.lax.psum(total, axis_name))

    mesh = jax.make_mesh((8,), ("devices",), axis_types=(AxisType.Auto,))
    rows, whole = PartitionSpec("devices"), PartitionSpec()

    def on_each(params, *arrays):
        value, slopes = jax.value_and_grad(loss)(params, *arrays, axis_name="devices")
        return value, jax.lax.pmean(slopes, "devices")

    spread = jax.jit(
        jax.shard_map(
            on_each, mesh=mesh, in_specs=(whole, rows, rows, rows), out_specs=whole, check_vma=False
        )
    )
    one = jax.jit(jax.value_and_grad(loss))(params, TOKENS, WHERE, DOMAINS)
    eight = spread(params, TOKENS, WHERE, DOMAINS)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_one_layer_alone_may_have_experts_and_text_encoders_pass_the_domain_on():
    experts = encoders.Experts(EXPERTS, layers=(1,))
    body = encoders.Transformer(**SIZES, dropout=0.0, experts=experts)
    module = encoders.TextEncoder(body)
    texts = {"tokens": TOKENS, "where": WHERE, "domain": DOMAINS}
    params = jax.eval_shape(module.init, jax.random.key(0), texts)["params"]["transformer"]
    assert params["layer_0"]["feed_forward_in"]["kernel"].shape == (4, 6)
    assert params["layer_1"]["feed_forward_in"]["kernel"].shape == (EXPERTS, 4, 6)
    assert params["layer_1"]["feed_forward_in"]["bias"].shape == (EXPERTS, 6)
    routed = module.clone(transformer=body.clone(experts=encoders.Experts(EXPERTS, "token_top_k")))
    encode = encoders.as_function(routed, router_logits=True)
    texts.pop("domain")
    params = jax.eval_shape(routed.init, jax.random.key(0), texts)
    vectors, logits = jax.eval_shape(encode, params, texts)
    assert vectors.shape == (ROWS, 4)
    assert logits.shape == (ROWS, 2, LENGTH, EXPERTS)


@pytest.mark.parametrize(
    ("logits", "k", "weights", "released"),
    [
        ([0.0, 0.0, 0.0, 0.0], 2, [0.5, 0.5, 0, 0], [0.25, 0.25, 0, 0]),
        (np.log([0.5, 0.3, 0.2]), 2, [0.625, 0.375, 0], [0.5, 0.3, 0]),
        (np.log([0.2, 0.3, 0.5]), 3, [0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
    ],
)
def test_top_k_keeps_the_largest_probabilities(logits, k, weights, released):
    np.testing.assert_allclose(encoders.route_top_k(np.array(logits), k), weights, atol=1e-6)
    np.testing.assert_allclose(
        encoders.route_top_k_released(np.array(logits), k), released, atol=1e-6
    )


def test_switch_takes_the_first_largest_and_enforced_what_it_is_given():
    np.testing.assert_array_equal(encoders.route_switch(np.array([1.0, 3.0, 3.0])), [0, 1, 0])
    np.testing.assert_array_equal(encoders.route_enforced(np.array([1, 0]), 2), np.eye(2)[::-1])
    assert np.isnan(encoders.route_enforced(np.array([2]), 2)).all()
    assert np.isnan(encoders.route_switch(np.array([np.nan, 1.0]))).all()


def test_a_mixture_in_bfloat16_sums_in_float32():
    states = jnp.ones((1, 2, 3), jnp.bfloat16)
    mixed = encoders.mix_experts(
        jnp.arange(2.0), lambda one, x: (x * one).astype(x.dtype), states, np.full((1, 1, 2), 0.5)
    )
    assert mixed.dtype == jnp.float32
    np.testing.assert_array_equal(mixed, 0.5)


def applied(**inputs):
    inputs = {"router": "enforced", "call": {}, "layers": (0, 1)} | inputs
    module = module_of(inputs["router"], layers=inputs["layers"])
    jax.eval_shape(
        functools.partial(module.init, **inputs["call"]), jax.random.key(0), TOKENS, WHERE
    )


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: encoders.Experts(0), "count must be"),
        (lambda: encoders.Experts(2, "best"), "router must be one of"),
        (lambda: encoders.Experts(2, "token_top_k", k=3), "k must be at most 2"),
        (lambda: encoders.Experts(2, layers=()), "layers must name one layer at least"),
        (applied, "domain must be given"),
        (lambda: applied(router="token_top_k", layers=(2,)), "experts must be in the 2 layers"),
        (lambda: applied(call={"domain": 0.5}), "domain must be integers"),
        (lambda: applied(call={"domain": np.arange(3)}), "domain must be one for all"),
        (lambda: applied(router="token_top_k", call={"domain": 0}), "domain must be None"),
        (
            lambda: applied(call={"domain": 0, "router_logits": True}),
            "router_logits needs experts whose router",
        ),
        (
            lambda: applied(
                router="sentence_top_k", call={"positions": np.zeros((ROWS, 1), np.int32)}
            ),
            "positions must be None",
        ),
        (
            lambda: encoders.Transformer(**SIZES).init(jax.random.key(0), TOKENS, WHERE, domain=0),
            "domain must be None without experts",
        ),
    ],
)
def test_refusals_name_the_argument(act, message):
    with pytest.raises(ValueError, match=message):
        act()
