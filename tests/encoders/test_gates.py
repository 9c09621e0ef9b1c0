"""Gates of class pairs and the projector, against their definitions in NumPy; one and eight devices; masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import encoders
from jaxsim.numerics import relaxations

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 5, 16)
PARTNERS = RANDOM.permutation(LABELS)
FEATURES = RANDOM.normal(size=(16, 6))
WHERE = np.arange(16) % 5 != 1
SHAPE = {"num_classes": 5, "dim": 4, "embed_dim": 6, "hidden": 7}


def drawn(module, *inputs):
    """Variables in float64, every one of them drawn, so that it shows."""
    variables = module.init(jax.random.key(0), *inputs)

    def leaf(path, a):
        values = RANDOM.normal(size=a.shape)
        return values**2 + 0.5 if path[-1].key == "var" else values

    return jax.tree_util.tree_map_with_path(leaf, variables)


def normed(layer, x, averages=None, where=None):
    """LayerNorm of rows; batch norm by its averages, or by the batch where these are False."""
    if averages is None:
        mean, var = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
    elif averages:
        mean, var = averages["mean"], averages["var"]
    else:
        mean, var = x[where].mean(axis=0), x[where].var(axis=0)
    return (x - mean) / np.sqrt(var + 1e-5) * layer["scale"] + layer["bias"]


def dense(layer, x):
    return x @ layer["kernel"] + layer.get("bias", 0)


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gate_by_hand(variables, combine, train, where):
    """The gate by its definition, from the module's variables."""
    params, stats = variables["params"], variables.get("batch_stats")

    def mlp(x):
        layers = params["mlp"]
        averages = [None] * 2
        if stats is not None:
            averages = [False if train else stats["mlp"][f"norm_{n}"] for n in range(2)]
        x = normed(layers["norm_0"], relu(x), averages[0], where)
        x = normed(layers["norm_1"], relu(dense(layers["dense"], x)), averages[1], where)
        return sigmoid(dense(layers["head"], x))

    a, b = params["table"][LABELS], params["table"][PARTNERS]
    return mlp((a + b) / 2) if combine == "mean" else mlp(a) * mlp(b)


@pytest.mark.thorough
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("combine", ["mean", "product"])
def test_the_gate_is_its_definition(combine, norm, train, float64):
    module = encoders.PairGate(**SHAPE, combine=combine, norm=norm)
    variables = drawn(module, LABELS, PARTNERS)
    assert ("batch_stats" in variables) == (norm == "batch")

    def gate(labels, partners):
        return module.apply(
            variables, labels, partners, train=train, where=WHERE, mutable=["batch_stats"]
        )[0]

    expected = gate_by_hand(variables, combine, train, WHERE)
    result = jax.jit(gate)(LABELS, PARTNERS)
    np.testing.assert_allclose(result[WHERE], expected[WHERE], rtol=1e-10)
    assert result.dtype == jnp.float64
    assert result.shape == (16, 4)


@pytest.mark.parametrize("combine", ["mean", "product"])
def test_the_two_classes_may_be_exchanged_and_the_batch_does_not_matter(combine, float64):
    module = encoders.PairGate(**SHAPE, combine=combine, opening=encoders.gumbel_gate)
    variables = drawn(module, LABELS, PARTNERS)
    gate = jax.jit(module.apply)
    whole = gate(variables, LABELS, PARTNERS)
    np.testing.assert_allclose(gate(variables, PARTNERS, LABELS), whole, rtol=1e-14)
    np.testing.assert_allclose(gate(variables, LABELS[3:5], PARTNERS[3:5]), whole[3:5], rtol=1e-13)
    noise = {"key": jax.random.key(3)}
    np.testing.assert_allclose(
        gate(variables, PARTNERS, LABELS, **noise),
        gate(variables, LABELS, PARTNERS, **noise),
        rtol=1e-14,
    )


def test_kinds_of_gates(float64):
    """Noise by the key and the id; without a key, as in evaluation, none."""
    kinds = (encoders.sigmoid_gate, encoders.gumbel_gate, relaxations.stochastic_gate)
    modules = [encoders.PairGate(**SHAPE, norm="layer", opening=kind) for kind in kinds]
    variables, key = drawn(modules[0], LABELS, PARTNERS), jax.random.key(5)
    plain, gumbel, stochastic = (m.apply(variables, LABELS, PARTNERS) for m in modules)
    logits = np.log(plain) - np.log1p(-plain)
    np.testing.assert_array_equal(gumbel, plain)
    np.testing.assert_allclose(stochastic, np.clip(logits + 0.5, 0, 1), rtol=1e-9, atol=1e-12)
    ids = np.arange(16) + 7
    draws = [
        m.apply(variables, LABELS, PARTNERS, key=key, ids=ids, train=True) for m in modules[1:]
    ]
    for place, row in enumerate(ids):
        one = jax.random.fold_in(key, row)
        noise = jax.random.gumbel(one, (4,), jnp.float64)
        np.testing.assert_allclose(draws[0][place], sigmoid(logits[place] + noise), rtol=1e-9)
        noise = jax.random.normal(one, (4,), jnp.float64)
        expected = np.clip(logits[place] + 0.5 + 0.5 * noise, 0, 1)
        np.testing.assert_allclose(draws[1][place], expected, rtol=1e-9, atol=1e-12)


def gate_loss(module, variables, key, target):
    """(params, labels, partners, target, where, axis) -> (loss of the whole batch, moved averages)."""

    def loss(params, labels, partners, target, where, axis_name=None):
        gate, moved = module.apply(
            {**variables, "params": params},
            labels,
            partners,
            train=True,
            key=key,
            where=where,
            axis_name=axis_name,
            mutable=["batch_stats"],
        )
        sums = jnp.sum(jnp.where(where[:, None], (gate - target) ** 2, 0)), jnp.sum(where)
        if axis_name is not None:
            sums = jax.lax.psum(sums, axis_name)
        return sums[0] / sums[1], moved

    return loss


def projector_loss(module, variables, key, target):
    """The same of a projector, (params, features, target, where, axis)."""

    def loss(params, features, target, where, axis_name=None):
        projected, moved = module.apply(
            {**variables, "params": params},
            features,
            train=True,
            where=where,
            axis_name=axis_name,
            mutable=["batch_stats"],
        )
        sums = jnp.sum(jnp.where(where[:, None], (projected - target) ** 2, 0)), jnp.sum(where)
        if axis_name is not None:
            sums = jax.lax.psum(sums, axis_name)
        return sums[0] / sums[1], moved

    return loss


CASES = {
    "gate": (
        encoders.PairGate(**SHAPE, opening=encoders.gumbel_gate),
        (LABELS, PARTNERS),
        gate_loss,
    ),
    "product": (
        encoders.PairGate(**SHAPE, combine="product", opening=relaxations.stochastic_gate),
        (LABELS, PARTNERS),
        gate_loss,
    ),
    "projector": (
        encoders.Projector(dim=4, widths=(7,), dtype=jnp.float64),
        (FEATURES,),
        projector_loss,
    ),
}


@pytest.mark.thorough
@pytest.mark.parametrize("spread", ["pmap", "vmap"])
@pytest.mark.parametrize("case", CASES)
def test_one_and_eight_devices_agree(case, spread, float64):
    """Values, averages and gradients, with uneven masks and noise of every row."""
    module, inputs, made = CASES[case]
    variables = drawn(module, *inputs)
    target = np.random.default_rng(1).normal(size=(16, 4))
    loss = made(module, variables, jax.random.key(2), target)
    arrays = (*inputs, target, WHERE)

    def split(a):
        return a.reshape(8, 2, *a.shape[1:])

    def each(*arrays):
        found = jax.value_and_grad(loss, has_aux=True)(
            variables["params"], *arrays, axis_name="devices"
        )
        return jax.lax.pmean(found, "devices")

    whole = jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"], *arrays)
    over = {"pmap": jax.pmap, "vmap": jax.vmap}[spread](each, axis_name="devices")
    parts = jax.tree.map(lambda a: a[3], over(*map(split, arrays)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), whole, parts)


def test_padding_has_no_influence(float64):
    """Classes that are not there, and features that are NaN."""
    module = encoders.PairGate(**SHAPE)
    variables = drawn(module, LABELS, PARTNERS)
    rest = {"train": True, "where": WHERE, "mutable": ["batch_stats"]}
    gate, moved = module.apply(variables, LABELS, PARTNERS, **rest)
    spoiled = [np.where(WHERE, classes, -1) for classes in (LABELS, PARTNERS)]
    again, same = module.apply(variables, *spoiled, **rest)
    np.testing.assert_array_equal(again[WHERE], gate[WHERE])
    jax.tree.map(np.testing.assert_array_equal, moved, same)
    projector = encoders.Projector(dim=4, widths=(7,), dtype=jnp.float64)
    variables = drawn(projector, FEATURES)
    z, moved = projector.apply(variables, FEATURES, **rest)
    again, same = projector.apply(variables, np.where(WHERE[:, None], FEATURES, np.nan), **rest)
    np.testing.assert_array_equal(again[WHERE], z[WHERE])
    jax.tree.map(np.testing.assert_array_equal, moved, same)


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_the_projector_is_its_definition(norm, float64):
    module = encoders.Projector(dim=4, widths=(7, 5), norm=norm, dtype=jnp.float64)
    variables = drawn(module, FEATURES)
    params, stats = variables["params"], variables.get("batch_stats", {})
    x = FEATURES
    for number in range(2):
        x = dense(params[f"dense_{number}"], x)
        if norm != "none":
            x = normed(params[f"norm_{number}"], x, stats.get(f"norm_{number}"))
        x = relu(x)
    expected = normed(params["norm"], dense(params["head"], x))
    np.testing.assert_allclose(jax.jit(module.apply)(variables, FEATURES), expected, rtol=1e-10)
    assert "bias" not in params["head"]
    assert ("bias" in params["dense_0"]) == (norm != "batch")


def test_what_it_starts_from():
    """A table of N(0, 1), dense layers uniform up to 1 / sqrt(inputs): gates half open."""
    module, classes = encoders.PairGate(num_classes=300, dim=64), np.arange(300)
    variables = jax.jit(module.init)(jax.random.key(0), classes, classes)
    table = np.asarray(variables["params"]["table"])
    np.testing.assert_allclose(table.std(), 1, rtol=0.01)
    assert table.shape == (300, 512)
    for name, inputs in (("dense", 512), ("head", 1024)):
        largest = np.abs(variables["params"]["mlp"][name]["kernel"]).max()
        assert 0.99 / inputs**0.5 < largest <= 1 / inputs**0.5
    partners = np.roll(classes, 1)
    gate, _ = module.apply(variables, classes, partners, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(np.mean(gate), 0.5, atol=0.02)
    assert 0.05 < np.std(gate) < 0.2


def test_a_class_that_does_not_exist_is_named_or_nan():
    module = encoders.PairGate(**SHAPE, norm="layer")
    variables = module.init(jax.random.key(0), LABELS, PARTNERS)
    for wrong in (np.array([5]), np.array([-1])):
        with pytest.raises(ValueError, match=r"partners must be .*0 to 4"):
            module.apply(variables, np.array([0]), wrong)
        assert np.isnan(jax.jit(module.apply)(variables, np.array([0]), wrong)).all()


@pytest.mark.parametrize(
    ("module", "inputs", "message"),
    [
        (
            encoders.PairGate(5, 4, combine="sum"),
            (LABELS, PARTNERS),
            "combine must be one of 'mean', 'product', got 'sum'",
        ),
        (
            encoders.PairGate(5, 4, norm="none"),
            (LABELS, PARTNERS),
            "norm must be one of 'batch', 'layer', got 'none'",
        ),
        (encoders.PairGate(0, 4), (LABELS, PARTNERS), "num_classes must be a whole number"),
        (encoders.PairGate(5, 4), (LABELS, PARTNERS[:3]), r"partners must be \[16\]"),
        (encoders.PairGate(5, 4), (LABELS[None], PARTNERS), r"labels must be \[any\]"),
        (
            encoders.PairGate(5, 4, opening="sigmoid"),
            (LABELS, PARTNERS),
            "opening must be a function",
        ),
        (encoders.Projector(norm="group"), (FEATURES,), "norm must be one of 'batch', 'layer'"),
        (encoders.Projector(widths=(0,)), (FEATURES,), "widths must be a whole number"),
        (encoders.Projector(), (FEATURES[0],), r"features must be \[any, any\]"),
    ],
)
def test_what_does_not_fit_is_named(module, inputs, message):
    with pytest.raises(ValueError, match=message):
        module.init(jax.random.key(0), *inputs)
