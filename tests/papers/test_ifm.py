"""The checks of iterative feature merging, and its traps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks as networks

from jaxsim import merging

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(8, 5))
IMAGES = RANDOM.normal(size=(3, 4, 4, 2))


@pytest.fixture(autouse=True)
def _double(float64):
    """All of it in double precision."""


def merged(tree, spec, beta, **settings):
    """(compact tree, widths, assignment)."""
    found = merging.iterative_feature_merging(tree, spec, beta=beta, **settings)
    narrow = merging.compact(found.params, spec, found.alive)
    return narrow, merging.feature_complexity(found.alive), found.assignment


def hidden(n, columns):
    """A tree of one hidden layer whose rows of weights are given, with its specification."""
    tree = {"in": {"kernel": np.asarray(columns, float)}, "out": {"kernel": np.ones((n, 1))}}
    return tree, merging.chain(tree, ["in", "out"])


def test_exact_duplicates_merge_without_a_change():
    tree = networks.mlp(twins=[(1, 4)])
    narrow, widths, assignment = merged(tree, networks.mlp_spec(tree), 1e-9)
    assert widths == {"dense_0": 6, "dense_1": 6}
    assert assignment["dense_0"].tolist() == [0, 1, 2, 3, 1, 5, 6]
    difference = networks.mlp_output(narrow, X) - networks.mlp_output(tree, X)
    assert np.abs(difference).max() < 1e-12


@pytest.mark.thorough
@pytest.mark.parametrize("folded", [False, True])
def test_duplicates_behind_a_batch_norm_merge_without_a_change(folded):
    tree = networks.conv(twins=[(2, 5)])
    spec = networks.conv_spec(tree)
    start = merging.fold_batch_norm(tree, spec) if folded else tree
    narrow, widths, _ = merged(start, spec, 1e-9)
    assert widths == {"conv_0": 5, "conv_1": 5}
    expected = networks.conv_output(tree, IMAGES)
    np.testing.assert_allclose(networks.conv_output(narrow, IMAGES), expected, atol=1e-12)


def test_the_released_merge_of_batch_norms_is_off_by_the_root_of_two():
    tree = networks.conv(twins=[(2, 5)])
    spec = networks.conv_spec(tree)
    right, _ = merging.merge_pair(tree, spec, "conv_0", 2, 5, jnp.ones(6))
    wrong, _ = merging.merge_pair_released(tree, spec, "conv_0", 2, 5, jnp.ones(6))
    parts = [networks.conv_output(t, IMAGES, layer=0)[..., 2] for t in (tree, right, wrong)]
    np.testing.assert_allclose(parts[1], 2 * parts[0], rtol=1e-12)
    np.testing.assert_allclose(parts[2] / parts[1], 1.414213562373095, rtol=2e-5)  # eps aside


def test_distances_are_symmetric_with_a_diagonal_of_zeros():
    tree = networks.mlp()
    squared = np.asarray(merging.group_distance(tree, networks.mlp_spec(tree), "dense_0"))
    np.testing.assert_array_equal(squared, squared.T)
    np.testing.assert_array_equal(np.diagonal(squared), 0)
    assert (squared >= 0).all()


def test_permuted_channels_permute_distances_and_clusters():
    tree, order = networks.mlp(), np.array([3, 0, 6, 1, 5, 2, 4])
    spec = networks.mlp_spec(tree)
    layers = tree["params"]
    permuted = {
        "params": {
            "dense_0": {
                "kernel": layers["dense_0"]["kernel"][:, order],
                "bias": layers["dense_0"]["bias"][order],
            },
            "dense_1": {
                "kernel": layers["dense_1"]["kernel"][order],
                "bias": layers["dense_1"]["bias"],
            },
            "head": layers["head"],
        }
    }
    squared = np.asarray(merging.group_distance(tree, spec, "dense_0"))
    again = merging.group_distance(permuted, spec, "dense_0")
    np.testing.assert_allclose(again, squared[np.ix_(order, order)], rtol=1e-12, atol=1e-12)
    _, widths, clusters = merged(tree, spec, 0.4)
    _, same_widths, shuffled = merged(permuted, spec, 0.4)
    assert widths == same_widths
    assert widths["dense_0"] < 7
    together = clusters["dense_0"][:, None] == clusters["dense_0"]
    np.testing.assert_array_equal(
        shuffled["dense_0"][:, None] == shuffled["dense_0"], together[np.ix_(order, order)]
    )


@pytest.mark.parametrize("beta", [0.1, 0.4, 0.7, 1.0])
def test_clusters_partition_the_channels_and_sizes_add_up(beta):
    tree = networks.mlp(widths=(12, 9))
    spec = networks.mlp_spec(tree)
    found = merging.iterative_feature_merging(tree, spec, beta=beta)
    for group, n in spec.sizes(tree).items():
        assignment, alive = found.assignment[group], found.alive[group]
        sizes = np.bincount(assignment, minlength=n)
        assert sizes.sum() == n
        np.testing.assert_array_equal(sizes > 0, alive)
        np.testing.assert_array_equal(assignment[assignment], assignment)
    # Sums are sums over the cluster, whatever the order of merging.
    bias, first = np.zeros(12), found.assignment["dense_0"]
    np.add.at(bias, first, tree["params"]["dense_0"]["bias"])
    np.testing.assert_allclose(found.params["params"]["dense_0"]["bias"], bias, atol=1e-12)
    # Means are means over the cluster too.
    reads = np.zeros((12, 9))
    np.add.at(reads, first, tree["params"]["dense_1"]["kernel"])
    reads /= np.maximum(np.bincount(first, minlength=12), 1)[:, None]
    summed = np.zeros((12, 9))
    np.add.at(summed.T, found.assignment["dense_1"], reads.T)
    np.testing.assert_allclose(found.params["params"]["dense_1"]["kernel"], summed, atol=1e-12)


def test_a_beta_of_zero_merges_nothing_and_one_merges_everything():
    tree = networks.mlp()
    spec = networks.mlp_spec(tree)
    narrow, widths, _ = merged(tree, spec, 0.0)
    assert widths == {"dense_0": 7, "dense_1": 6}
    jax.tree.map(np.testing.assert_array_equal, narrow, tree)
    for beta in (1.0, 3.0):
        assert merged(tree, spec, beta)[1] == {"dense_0": 1, "dense_1": 1}


def test_what_reads_channels_is_averaged_by_size():
    tree, spec = hidden(2, [[1.0, 2.0]])
    tree["out"]["kernel"] = np.array([[3.0], [0.0]])
    found, sizes = merging.merge_pair(tree, spec, "in", 0, 1, np.array([2.0, 1.0]))
    assert found["out"]["kernel"].tolist() == [[2.0], [0.0]]
    assert found["in"]["kernel"].tolist() == [[3.0, 0.0]]
    assert sizes.tolist() == [3.0, 0.0]


@pytest.mark.parametrize(
    ("ratio", "left"), [(0.0, (7, 6)), (0.3, (4, 4)), (0.5, (3, 3)), (1.0, (1, 1))]
)
def test_a_group_merges_for_a_share_of_its_channels_in_rounds(ratio, left):
    """ceil(r n) merges at most: of 7 and 6 channels 3 and 2 at .3, 4 and 3 at .5."""
    tree = networks.mlp()
    _, widths, _ = merged(tree, networks.mlp_spec(tree), 1.0, max_ratio=ratio)
    assert tuple(widths.values()) == left


def test_exact_ties_do_not_crash():
    """All channels equal, and a square whose sides are all as long."""
    tree, spec = hidden(4, np.ones((2, 4)))
    narrow, widths, _ = merged(tree, spec, 0.0)
    assert widths == {"in": 1}
    assert (np.ones(2) @ narrow["in"]["kernel"] @ narrow["out"]["kernel"]).item() == 8
    corners, spec = hidden(4, [[0.0, 0, 1, 1], [0, 1, 0, 1]])
    assert merged(corners, spec, 0.4)[1] == {"in": 4}
    assert merged(corners, spec, 1.0)[1] == {"in": 1}


def test_three_duplicates_do_not_merge_at_a_low_beta_unless_sizes_are_divided_by():
    """The sum of two is twice as long as the third; its mean is the third."""
    tree, spec = hidden(4, [[1.0, 1, 1, -2], [0, 0, 0, 2]])
    assert merged(tree, spec, 0.01)[1] == {"in": 3}
    normalized = merged(tree, spec, 0.01, distance=merging.size_normalized_distance)
    assert normalized[1] == {"in": 2}
    assert normalized[2]["in"].tolist() == [0, 0, 0, 3]


@pytest.mark.thorough
def test_the_largest_distance_grows_with_merging():
    """beta is of squared distances, and of their maximum at the time: here the second merge needs it."""
    tree, spec = hidden(4, [[0.0, 0.01, 1.0, 1.0], [0, 0, 0, 0.1]])
    squared = np.asarray(merging.group_distance(tree, spec, "in"))
    start = squared.max()
    pairs = np.argsort(squared[np.triu_indices(4, 1)])
    assert pairs[0] == 0
    assert squared[2, 3] / start > 0.0095  # not within this beta of the maximum at the start
    after, _ = merging.merge_pair(tree, spec, "in", 2, 3, jnp.ones(4))
    assert merging.group_distance(after, spec, "in").max() > 3.9 * start


def test_a_scaled_duplicate_is_not_near():
    """A network that computes the same, one channel made larger and read less: it is not merged."""
    tree = networks.mlp(twins=[(1, 4)])
    layers = tree["params"]
    layers["dense_0"]["kernel"][:, 4] *= 4
    layers["dense_0"]["bias"][4] *= 4
    layers["dense_1"]["kernel"][4] /= 4
    assert merged(tree, networks.mlp_spec(tree), 1e-3)[1]["dense_0"] == 7


@pytest.mark.thorough
def test_dead_channels_are_near_one_another():
    """Weight decay makes many channels of about zero: merging them is what pruning does too."""
    tree = networks.mlp()
    layers = tree["params"]
    for dead in (0, 3, 5):
        layers["dense_0"]["kernel"][:, dead] = 1e-8 * RANDOM.normal(size=5)
        layers["dense_0"]["bias"][dead] = 0
        layers["dense_1"]["kernel"][dead] = 1e-8 * RANDOM.normal(size=6)
    spec = networks.mlp_spec(tree)
    narrow, widths, assignment = merged(tree, spec, 1e-6)
    assert widths == {"dense_0": 5, "dense_1": 6}
    assert assignment["dense_0"].tolist() == [0, 1, 2, 0, 4, 0, 6]
    pruned = merging.prune_by_magnitude(tree, spec, widths)
    outputs = [networks.mlp_output(t, X) for t in (tree, narrow, pruned.params)]
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-6)
    np.testing.assert_allclose(outputs[2], outputs[0], atol=1e-6)


def test_opposite_channels_are_merged_without_a_bound():
    """Small weights of opposite sign are near, and cancel: an approximation."""
    tree, spec = hidden(3, [[0.1, -0.1, 3.0]])
    tree["out"]["kernel"] = np.array([[5.0], [5.0], [1.0]])
    narrow, widths, _ = merged(tree, spec, 0.01)
    assert widths == {"in": 2}
    x = np.array([[1.0]])

    def output(t):
        return np.maximum(x @ t["in"]["kernel"], 0) @ t["out"]["kernel"]

    assert abs((output(narrow) - output(tree)).item()) > 0.4


@pytest.mark.thorough
def test_a_channel_owns_all_places_that_read_it():
    """Flattened maps: the head's axis is [places * channels], the channel fastest."""
    tree = networks.conv()
    spec = networks.conv_spec(tree)
    role = spec.axes["params/head/kernel"][0]
    assert (role.group, role.places) == ("conv_1", 4)
    found = merging.prune_by_magnitude(tree, spec, {"conv_1": 4})
    kept = np.flatnonzero(found.alive["conv_1"])
    narrow = merging.compact(found.params, spec, found.alive)
    expected = tree["params"]["head"]["kernel"].reshape(4, 5, 3)[:, kept].reshape(16, 3)
    np.testing.assert_array_equal(narrow["params"]["head"]["kernel"], expected)
