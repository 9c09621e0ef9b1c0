"""Residual networks: against their definition in NumPy, gradients included, and split over devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import encoders

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((6, 13, 10, 3))
WHERE = np.array([True, True, False, True, True, False])
NETS = {
    "basic": encoders.ResNet(blocks=(2, 1), widths=(3, 5), classes=4),
    "bottleneck": encoders.ResNet(blocks=(1, 2), widths=(2, 3), bottleneck=True, classes=4),
    "small stem": encoders.ResNet(blocks=(1, 1), widths=(3, 3), stem="small", last_stride=1),
}


@functools.cache
def variables(name):
    """Random ones, norms and moving averages too."""
    start = jax.eval_shape(NETS[name].init, jax.random.key(0), IMAGES)
    return jax.tree.map(lambda a: np.random.default_rng(a.size).uniform(0.2, 1, a.shape), start)


def convolved(x, kernel, stride):
    side = kernel.shape[0]
    x = np.pad(x, [(0, 0), (side // 2, side // 2), (side // 2, side // 2), (0, 0)])
    height, width = (-(-(n - side + 1) // stride) for n in x.shape[1:3])
    y = np.zeros((len(x), height, width, kernel.shape[-1]))
    for i in range(side):
        for j in range(side):
            part = x[:, i : i + stride * height : stride, j : j + stride * width : stride]
            y += np.einsum(
                "rhwc,hwcd->rhwd", part[:, :height, :width], kernel[i : i + 1, j : j + 1]
            )
    return y


def pooled_by_three(x):
    x = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
    y = np.zeros((len(x), (x.shape[1] - 1) // 2, (x.shape[2] - 1) // 2, x.shape[3]))
    for i in range(y.shape[1]):
        for j in range(y.shape[2]):
            y[:, i, j] = x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max(axis=(1, 2))
    return y


def by_hand(net, params, averages, x, where=None):
    """(output, maps, moved averages) in float64; batch statistics where there is a mask."""
    moved = {}

    def normed(x, path):
        weights, stats = params, averages
        for name in path:
            weights, stats = weights[name], stats[name]
        mean, var = stats["mean"], stats["var"]
        if where is not None:
            mean, var = x[where].mean(axis=(0, 1, 2)), x[where].var(axis=(0, 1, 2))
            moved[path] = 0.9 * stats["mean"] + 0.1 * mean, 0.9 * stats["var"] + 0.1 * var
        return (x - mean) / np.sqrt(var + 1e-5) * weights["scale"] + weights["bias"]

    large = net.stem == "large"
    x = convolved(x, params["conv"]["kernel"], 2 if large else 1)
    x = np.maximum(normed(x, ("norm",)), 0)
    maps = [pooled_by_three(x) if large else x]
    for stage, count in enumerate(net.blocks):
        x = maps[-1]
        for number in range(count):
            name = f"stage_{stage + 1}_{number}"
            weights = params[name]
            last = stage == len(net.blocks) - 1
            stride = (net.last_stride if last else 2) if stage and not number else 1
            strides = (1, stride, 1) if net.bottleneck else (stride, 1)
            y = x
            for place, step in enumerate(strides, 1):
                y = convolved(y, weights[f"conv_{place}"]["kernel"], step)
                y = normed(y, (name, f"norm_{place}"))
                y = np.maximum(y, 0) if place < len(strides) else y
            if "shortcut_conv" in weights:
                x = convolved(x, weights["shortcut_conv"]["kernel"], stride)
                x = normed(x, (name, "shortcut_norm"))
            x = np.maximum(x + y, 0)
        maps.append(x)
    out = x.mean(axis=(1, 2))
    if net.classes:
        out = out @ params["head"]["kernel"] + params["head"]["bias"]
    return out, maps, moved


def applied(net, params, averages, x, where, axis_name=None):
    settings = {"train": True, "where": where, "axis_name": axis_name, "mutable": ["batch_stats"]}
    return net.apply({"params": params, "batch_stats": averages}, x, maps=True, **settings)


@pytest.mark.thorough
@pytest.mark.parametrize("name", NETS)
def test_every_stage_is_its_definition(name, float64):
    net = NETS[name].clone(dtype=jnp.float64)
    params, averages = variables(name)["params"], variables(name)["batch_stats"]
    out, maps, _ = by_hand(net, params, averages, IMAGES)
    found, stages = jax.jit(functools.partial(net.apply, maps=True))(variables(name), IMAGES)
    # Pooling sums in float32.
    np.testing.assert_allclose(found, out, rtol=1e-5)
    for stage, expected in zip(stages, maps, strict=True):
        np.testing.assert_allclose(stage, expected, rtol=1e-9, atol=1e-9)
    out, maps, moved = by_hand(net, params, averages, IMAGES, WHERE)
    (found, stages), changed = jax.jit(functools.partial(applied, net))(
        params, averages, np.where(WHERE[:, None, None, None], IMAGES, np.nan), WHERE
    )
    np.testing.assert_allclose(found[WHERE], out[WHERE], rtol=1e-5)
    for stage, expected in zip(stages, maps, strict=True):
        np.testing.assert_allclose(stage[WHERE], expected[WHERE], rtol=1e-9, atol=1e-9)
    assert 2 * len(moved) == len(jax.tree.leaves(changed))
    for path, (mean, var) in moved.items():
        stats = changed["batch_stats"]
        for part in path:
            stats = stats[part]
        np.testing.assert_allclose(stats["mean"], mean, rtol=1e-9)
        np.testing.assert_allclose(stats["var"], var, rtol=1e-9)


@pytest.mark.thorough
@pytest.mark.parametrize("name", NETS)
def test_gradient_is_the_slope_of_its_definition(name, float64):
    """Along random directions of all parameters, by central differences in NumPy."""
    net = NETS[name].clone(dtype=jnp.float64)
    params, averages = variables(name)["params"], variables(name)["batch_stats"]
    weights = np.random.default_rng(1).normal(size=(net.widths[-1] * 4,))

    def value(params):
        _, maps, _ = by_hand(net, params, averages, IMAGES, WHERE)
        return (maps[-1][WHERE] ** 2 * weights[: maps[-1].shape[-1]]).sum()

    def loss(params):
        (_, maps), _ = applied(net, params, averages, IMAGES, WHERE)
        counted = jnp.where(WHERE[:, None, None, None], maps[-1], 0)
        return (counted**2 * weights[: maps[-1].shape[-1]]).sum()

    slopes = jax.jit(jax.grad(loss))(params)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        way = jax.tree.map(lambda a, r=rng: r.normal(size=a.shape), params)
        ahead, behind = (
            value(jax.tree.map(lambda a, b, s=step: a + s * b, params, way))
            for step in (1e-6, -1e-6)
        )
        along = sum(jax.tree.leaves(jax.tree.map(lambda a, b: np.vdot(a, b), slopes, way)))
        np.testing.assert_allclose(along, (ahead - behind) / 2e-6, rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
def test_one_and_eight_devices_agree(float64):
    """By vmap: without XLA's optimizations, as tests run, pmapped CPU devices have wrong gradients here."""
    net = NETS["basic"].clone(dtype=jnp.float64)
    params, averages = variables("basic")["params"], variables("basic")["batch_stats"]
    images = np.random.default_rng(1).random((16, 9, 8, 3))
    where = np.arange(16) % 5 != 1

    def each(x, where):
        def loss(params):
            (_, maps), changed = applied(net, params, averages, x, where, "devices")
            kept = jnp.where(where[:, None, None, None], maps[-1] ** 2, 0)
            return jax.lax.psum(kept.sum(), "devices"), changed

        found = jax.value_and_grad(loss, has_aux=True)(params)
        return jax.lax.pmean(found, "devices")

    one, eight = (
        jax.jit(jax.vmap(each, axis_name="devices"))(
            images.reshape(n, 16 // n, *images.shape[1:]), where.reshape(n, 16 // n)
        )
        for n in (1, 8)
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[0], b[5], rtol=1e-8, atol=1e-10), one, eight
    )


@pytest.mark.thorough
def test_a_split_batch_gives_the_same_maps_by_pmap():
    net = NETS["basic"]
    images = np.float32(np.random.default_rng(1).random((16, 9, 8, 3)))
    start = jax.tree.map(np.float32, variables("basic"))
    apply = functools.partial(applied, net, start["params"], start["batch_stats"])
    (whole, _), changed = jax.jit(apply)(images, np.ones(16, bool))
    each = jax.pmap(functools.partial(apply, axis_name="devices"), axis_name="devices")
    (parts, _), same = each(images.reshape(8, 2, 9, 8, 3), np.ones((8, 2), bool))
    np.testing.assert_allclose(parts.reshape(16, -1), whole, rtol=1e-4, atol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[3], rtol=1e-4), changed, same)


@pytest.mark.thorough
def test_sizes_are_torchvisions():
    images = np.zeros((2, 64, 64, 3), np.float32)
    for make, count, dim in (
        (encoders.resnet18, 11_689_512, 512),
        (encoders.resnet50, 25_557_032, 2048),
    ):
        net = make(classes=1000)
        start = jax.eval_shape(net.init, jax.random.key(0), images)
        assert sum(a.size for a in jax.tree.leaves(start["params"])) == count
        apply = functools.partial(net.apply, features=True, maps=True)
        logits, seen, maps = jax.eval_shape(apply, start, images)
        assert logits.shape == (2, 1000)
        assert seen.shape == (2, dim)
        assert [a.shape[1] for a in maps] == [16, 16, 8, 4, 2]


@pytest.mark.thorough
def test_pooling_may_be_learned_and_arithmetic_rounded():
    net = NETS["basic"].clone(pooling=encoders.GeM(), classes=None)
    start = net.init(jax.random.key(0), np.float32(IMAGES))
    exact, rounded = (
        jax.jit(net.clone(dtype=d).apply)(start, IMAGES) for d in (jnp.float32, jnp.bfloat16)
    )
    assert exact.shape == (6, 5)
    assert rounded.dtype == jnp.float32
    np.testing.assert_allclose(rounded, exact, atol=0.1)


def test_bad_arguments_are_named_by_a_resnet():
    for settings, message in (
        ({"stem": "tall"}, "stem must be one of 'large', 'small', got 'tall'"),
        ({"last_stride": 3}, "last_stride must be one of 1, 2, got 3"),
        ({"widths": (4,)}, r"widths must be one per stage of blocks=\(2, 2, 2, 2\), got \(4,\)"),
        ({"classes": 0}, "classes must be a whole number of at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            encoders.ResNet(**settings).init(jax.random.key(0), IMAGES)
    with pytest.raises(ValueError, match=r"images must be .*rows, height, width, channels"):
        encoders.resnet18().init(jax.random.key(0), IMAGES[0])
