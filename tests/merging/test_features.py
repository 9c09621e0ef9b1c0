"""Feature merging, against plain NumPy."""

import functools

import jax
import jax.numpy as jnp
import merging_by_hand as reference
import numpy as np
import pytest
import small_networks as networks

from jaxsim import merging

DISTANCES = {
    "all": merging.group_distance,
    "incoming": merging.incoming_distance,
    "by_size": merging.size_normalized_distance,
}
NETS = {
    "mlp": (networks.mlp, networks.mlp_spec, networks.MLP_AXES, []),
    "conv": (networks.conv, networks.conv_spec, networks.CONV_AXES, networks.CONV_NORMS),
}


def same(tree, expected, **tolerance):
    """Whether a tree has the tensors of {path: array}."""
    found = networks.paths(tree)
    assert set(found) >= set(expected)
    for path, values in expected.items():
        np.testing.assert_allclose(found[path], values, err_msg=path, **tolerance)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", DISTANCES)
@pytest.mark.parametrize("net", NETS)
def test_distances(net, kind, float64):
    make, spec_of, axes, _ = NETS[net]
    tree = make()
    spec, leaves = spec_of(tree), networks.paths(tree)
    for group in spec.groups:
        sizes = np.array([2.0, 1, 3, 1, 0, 1, 1][: spec.sizes(tree)[group]])
        rows = reference.features(
            leaves,
            axes,
            group,
            kind != "incoming",
            np.maximum(sizes, 1) if kind == "by_size" else None,
        )
        alive = sizes > 0
        expected = reference.distances(rows) * (alive[:, None] & alive)
        distance = functools.partial(DISTANCES[kind], spec=spec, group=group)
        jitted = jax.jit(lambda t, s, d=distance: d(t, sizes=s))(tree, sizes)
        np.testing.assert_allclose(jitted, expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(distance(tree, sizes=sizes), jitted, rtol=1e-12, atol=1e-12)


@pytest.mark.thorough
@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("net", NETS)
def test_a_pair(net, released, float64):
    make, spec_of, axes, norms = NETS[net]
    tree = make()
    spec = spec_of(tree)
    merge = merging.merge_pair_released if released else merging.merge_pair
    for group in spec.groups:
        n = spec.sizes(tree)[group]
        sizes, alive = np.arange(1.0, n + 1), np.ones(n, bool)
        alive[3] = False
        found, counted = jax.jit(lambda t, i, j, g=group, s=sizes: merge(t, spec, g, i, j, s))(
            tree, 1, 3
        )
        eager, _ = merge(tree, spec, group, 1, 3, sizes)
        same(eager, networks.paths(found), rtol=1e-12)
        expected, _ = reference.merged_pair(
            networks.paths(tree), axes, norms, group, 1, 3, list(sizes), released
        )
        order = [[k] for k in range(n) if k not in (1, 3)] + [[1, 3]]
        expected = reference.by_smallest_member(expected, axes, norms, {group: order})
        same(merging.compact(found, spec, {group: alive}), expected, rtol=1e-12)
        np.testing.assert_array_equal(
            counted, [*sizes[:1], sizes[1] + sizes[3], *sizes[2:3], 0, *sizes[4:]]
        )


@pytest.mark.parametrize("kind", DISTANCES)
@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("net", NETS)
def test_merging(net, released, kind, float64):
    make, spec_of, axes, norms = NETS[net]
    tree = make()
    spec = spec_of(tree)
    merge = merging.merge_pair_released if released else merging.merge_pair
    left = []
    for beta in (0.2, 0.35, 0.6):
        found = merging.iterative_feature_merging(
            tree, spec, beta=beta, merge=merge, distance=DISTANCES[kind]
        )
        expected, clusters = reference.merged(
            networks.paths(tree), axes, norms, beta=beta, released=released, kind=kind
        )
        expected = reference.by_smallest_member(expected, axes, norms, clusters)
        same(merging.compact(found.params, spec, found.alive), expected, rtol=1e-9, atol=1e-12)
        for group, lists in clusters.items():
            parts = {min(c): sorted(c) for c in lists}
            for smallest, channels in parts.items():
                assert np.flatnonzero(found.assignment[group] == smallest).tolist() == channels
            assert np.flatnonzero(found.alive[group]).tolist() == sorted(parts)
        left.append(sum(merging.feature_complexity(found.alive).values()))
    assert left[0] > left[-1]


@pytest.mark.thorough
def test_eager_is_jitted():
    tree = networks.mlp(widths=(4, 3))
    spec = networks.mlp_spec(tree)
    jitted = merging.iterative_feature_merging(tree, spec, beta=0.4)
    with jax.disable_jit():
        eager = merging.iterative_feature_merging(tree, spec, beta=0.4)
    same(eager.params, networks.paths(jitted.params), rtol=1e-12)
    for group in spec.groups:
        np.testing.assert_array_equal(eager.assignment[group], jitted.assignment[group])


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16])
def test_types_stay(dtype):
    tree = jax.tree.map(lambda a: jnp.asarray(a, dtype), networks.mlp())
    spec = networks.mlp_spec(tree)
    found = merging.iterative_feature_merging(tree, spec, beta=0.5)
    assert sum(merging.feature_complexity(found.alive).values()) < 13
    narrow = merging.compact(found.params, spec, found.alive)
    for leaf in jax.tree.leaves((found.params, narrow)):
        assert leaf.dtype == dtype
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(narrow))
    assert not jax.config.jax_enable_x64


@pytest.mark.thorough
@pytest.mark.parametrize("net", NETS)
def test_the_wide_network_is_the_narrow_one(net, float64):
    """Channels that are not alive have no influence, whether they are there or left out."""
    make, spec_of, _, _ = NETS[net]
    tree = make()
    spec = spec_of(tree)
    output = networks.mlp_output if net == "mlp" else networks.conv_output
    x = networks.RANDOM.normal(size=(4, 5) if net == "mlp" else (2, 4, 4, 2))
    widths = dict.fromkeys(spec.groups, 3)
    key = jax.random.key(0)
    for found in (
        merging.iterative_feature_merging(tree, spec, beta=0.3),
        merging.prune_by_magnitude(tree, spec, widths),
        merging.prune_at_random(tree, spec, widths, key=key),
        merging.merge_random_pairs(tree, spec, widths, key=key),
    ):
        narrow = merging.compact(found.params, spec, found.alive)
        np.testing.assert_allclose(output(found.params, x), output(narrow, x), atol=1e-12)


def test_folding_keeps_the_network(float64):
    tree = networks.conv()
    spec = networks.conv_spec(tree)
    folded = merging.fold_batch_norm(tree, spec)
    x = networks.RANDOM.normal(size=(2, 4, 4, 2))
    expected = networks.conv_output(tree, x)
    np.testing.assert_allclose(networks.conv_output(folded, x), expected, rtol=1e-9)
    np.testing.assert_allclose(folded["params"]["norm_0"]["scale"], 1)
    # A folded norm stays without effect where unlike channels are merged.
    found, _ = merging.merge_pair(folded, spec, "conv_0", 0, 1, np.ones(6))
    norm = found["params"]["norm_0"], found["batch_stats"]["norm_0"]
    np.testing.assert_allclose(
        norm[0]["scale"][0] / np.sqrt(norm[1]["var"][0] + networks.EPSILON), 1, rtol=1e-12
    )


def test_a_dense_layer_with_a_bias_is_folded(float64):
    tree = networks.mlp()
    random = np.random.default_rng(1)
    params = tree["params"] | {
        "norm": {"scale": random.normal(size=7), "bias": random.normal(size=7)}
    }
    tree = {"params": params, "stats": {"mean": random.normal(size=7), "var": random.random(7)}}
    spec = merging.chain(
        tree,
        ["params/dense_0", "params/dense_1", "params/head"],
        norms={"params/dense_0": ("params/norm", "stats")},
    )

    def first(tree, x):
        layer, norm = tree["params"]["dense_0"], tree["params"]["norm"]
        y = (x @ layer["kernel"] + layer["bias"] - tree["stats"]["mean"]) * norm["scale"]
        return y / np.sqrt(tree["stats"]["var"] + 1e-5) + norm["bias"]

    x = random.normal(size=(4, 5))
    np.testing.assert_allclose(
        first(merging.fold_batch_norm(tree, spec), x), first(tree, x), rtol=1e-9
    )


def test_magnitude(float64):
    tree = networks.mlp()
    spec, leaves = networks.mlp_spec(tree), networks.paths(tree)
    found = merging.prune_by_magnitude(tree, spec, {"dense_0": 3})
    norms = np.linalg.norm(reference.features(leaves, networks.MLP_AXES, "dense_0"), axis=1)
    best = sorted(np.argsort(-norms)[:3])
    assert np.flatnonzero(found.alive["dense_0"]).tolist() == best
    assert found.assignment["dense_0"].tolist() == [k if k in best else -1 for k in range(7)]
    assert found.alive["dense_1"].all()
    narrow = merging.compact(found.params, spec, found.alive)
    np.testing.assert_array_equal(
        narrow["params"]["dense_0"]["kernel"], leaves["params/dense_0/kernel"][:, best]
    )


def test_draws(float64):
    tree = networks.mlp(widths=(1, 6))
    spec, keys = networks.mlp_spec(tree), jax.random.split(jax.random.key(3), 40)
    widths = {"dense_0": 1, "dense_1": 4}
    kept, pairs = set(), set()
    for key in keys:
        pruned = merging.prune_at_random(tree, spec, widths, key=key)
        merged = merging.merge_random_pairs(tree, spec, widths, key=key)
        for found in (pruned, merged):
            assert merging.feature_complexity(found.alive) == widths
        kept.add(tuple(np.flatnonzero(pruned.alive["dense_1"]).tolist()))
        pairs.add(tuple(merged.assignment["dense_1"].tolist()))
        again = merging.merge_random_pairs(tree, spec, widths, key=key)
        np.testing.assert_array_equal(again.assignment["dense_1"], merged.assignment["dense_1"])
    assert len(kept) == 15  # of 6 channels, 4 kept: all choices come up
    assert len(pairs) > 20
    # Merging adds what makes channels up, whatever the pairs.
    for name in ("kernel", "bias"):
        expected = tree["params"]["dense_1"][name].sum(axis=-1)
        np.testing.assert_allclose(merged.params["params"]["dense_1"][name].sum(axis=-1), expected)


def test_several_tensors_share_a_group(float64):
    """A residual stream: two layers produce it, two read it, one of them does both."""
    random = np.random.default_rng(5)
    tree = {
        "stem": random.normal(size=(3, 5)),
        "block": random.normal(size=(5, 5)),
        "head": random.normal(size=(5, 2)),
    }
    stream = merging.Produced("stream"), merging.Consumed("stream")
    spec = merging.MergeSpec(
        {"stem": (None, stream[0]), "block": (stream[1], stream[0]), "head": (stream[1], None)}
    )
    axes = {
        "stem": (None, ("out", "stream")),
        "block": (("in", "stream", 1), ("out", "stream")),
        "head": (("in", "stream", 1), None),
    }
    found = merging.iterative_feature_merging(tree, spec, beta=0.5)
    expected, clusters = reference.merged(tree, axes, beta=0.5)
    assert 1 < len(clusters["stream"]) < 5
    expected = reference.by_smallest_member(expected, axes, [], clusters)
    same(merging.compact(found.params, spec, found.alive), expected, rtol=1e-9)


def test_what_does_not_fit_is_named():
    tree = networks.mlp()
    spec = networks.mlp_spec(tree)
    with pytest.raises(ValueError, match="group must be one of dense_0, dense_1, got 'dense_2'"):
        merging.group_distance(tree, spec, "dense_2")
    with pytest.raises(ValueError, match="beta must be >= 0, got -1"):
        merging.iterative_feature_merging(tree, spec, beta=-1)
    broken = jax.tree.map(np.copy, tree)
    broken["params"]["head"]["kernel"][0, 0] = np.nan
    with pytest.raises(ValueError, match="params must be finite, 'params/head/kernel' is not"):
        merging.iterative_feature_merging(broken, spec)
    with pytest.raises(ValueError, match=r"params must be known, .* is traced"):
        jax.jit(lambda t: merging.iterative_feature_merging(t, spec).params)(tree)
    with pytest.raises(ValueError, match="params must have 'params/dense_1/kernel'"):
        merging.group_distance({"params": {"dense_0": tree["params"]["dense_0"]}}, spec, "dense_0")
    other = {"params": tree["params"] | {"dense_1": networks.mlp((6, 6))["params"]["dense_1"]}}
    with pytest.raises(ValueError, match="as many channels of 'dense_0' wherever it is named, 7"):
        merging.group_distance(other, spec, "dense_0")
    with pytest.raises(
        ValueError, match=r"widths\['dense_0'\] must be at most 7, its channels, got 8"
    ):
        merging.prune_by_magnitude(tree, spec, {"dense_0": 8})
    with pytest.raises(ValueError, match="alive must be"):
        merging.compact(tree, spec, {"dense_0": np.ones(6, bool)})
    with pytest.raises(ValueError, match="layers must read what the one before makes, 6 channels"):
        merging.chain(tree, ["params/dense_1", "params/dense_0"])
    with pytest.raises(ValueError, match="norms must name a kernel that produces a group"):
        merging.MergeSpec(spec.axes, (merging.BatchNorm("x", "a", "b", "c", "d"),))
