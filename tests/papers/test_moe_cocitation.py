"""Every number of the method's checks: negatives, routers, experts, pseudo-targets, the best F1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import encoders, evaluation, losses, merging
from jaxsim.losses import parts
from jaxsim.similarity import dot

RANDOM = np.random.default_rng(0)
SIMS = np.array([[0.9, 0.1], [0.2, 0.8]])
LOGITS = np.array([[2.0, 0, 0], [2, 0, 0], [0, 1, 0], [0, 0, 3]])


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


def of_scores(loss, scores, scale):
    """A loss of pairs on scores that are given: dot products with the unit vectors."""
    return float(loss(scores, np.eye(len(scores)), similarity=dot, temperature=1 / scale))


def softmax(z, axis=-1):
    powers = np.exp(z - z.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def test_mnr_of_orthonormal_pairs():
    np.testing.assert_allclose(
        of_scores(losses.info_nce, np.eye(2), 1), 0.31326168751822286, rtol=1e-9
    )


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("loss", "scale", "value"),
    [
        (losses.info_nce, 1, 0.4042943082168317),
        (losses.symmetric_info_nce, 1, 0.4037401785511448),
        (losses.info_nce, 20, 3.1283643231461156e-06),
    ],
)
def test_mnr_of_given_similarities(loss, scale, value):
    np.testing.assert_allclose(of_scores(loss, SIMS, scale), value, rtol=1e-9)


@pytest.mark.thorough
def test_mnr_gradient_rows_and_permuted_batches():
    a, b = RANDOM.normal(size=(2, 5, 3))

    def loss(a, b):
        return losses.info_nce(a, b, similarity=dot, temperature=1.0)

    value, slope = jax.value_and_grad(loss)(a, b)
    expected = (softmax(a @ b.T) - np.eye(5)) @ b / 5
    np.testing.assert_allclose(slope, expected, atol=1e-9)
    order = np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(loss(a[order], b[order]), value, rtol=1e-12)


@pytest.mark.thorough
def test_load_balance_and_z_loss():
    np.testing.assert_allclose(losses.load_balance(LOGITS), 1.0933485267532332, rtol=1e-9)
    np.testing.assert_allclose(losses.router_z(LOGITS), 5.504162581598209, rtol=1e-9)
    p = softmax(LOGITS).mean(axis=0)
    np.testing.assert_allclose(p, [0.45779804, 0.20860234, 0.33359963], atol=5e-9)
    even = np.log(np.array([[0.4, 0.3, 0.3], [0.3, 0.4, 0.3], [0.3, 0.3, 0.4]]))
    np.testing.assert_allclose(losses.load_balance(even), 1, rtol=1e-9)
    certain = np.tile([1e3, 0, 0], (4, 1))
    np.testing.assert_allclose(losses.load_balance(certain), 3, rtol=1e-9)
    dispatch = np.eye(3)[np.argmax(LOGITS, axis=1)]
    value = losses.load_balance(LOGITS, dispatch=dispatch)
    np.testing.assert_allclose(value, 1.0933485267532332, rtol=1e-9)


def test_mutual_information():
    table = np.array([[0.4, 0.1], [0.1, 0.4]])
    np.testing.assert_allclose(parts.table_information(table), 0.19274475702175753, rtol=1e-9)
    product = np.outer([0.2, 0.5, 0.3], [0.6, 0.4])
    np.testing.assert_allclose(parts.table_information(product), 0, atol=1e-12)
    logits = np.log(np.array([[0.8, 0.2], [0.2, 0.8]]))
    loss = losses.routing_information(logits, np.array([0, 1]), tasks=2)
    np.testing.assert_allclose(loss, -0.19274475702175753, rtol=1e-9)


def test_released_mutual_information_is_of_a_table_that_sums_to_k():
    logits, domains = RANDOM.normal(size=(6, 3)), np.array([0, 1, 1, 0, 1, 0])
    table = np.stack([softmax(logits[domains == task]).sum(axis=0) for task in range(2)])
    table = table / (table.sum() / 2 + 1e-4)
    product = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True)
    expected = -(table * np.log(table / product + 1e-4)).sum()
    loss = losses.routing_information_released(logits, domains, tasks=2)
    np.testing.assert_allclose(loss, expected, rtol=1e-9)


def feed_forward(params, states):
    """A dense feed-forward part."""
    first, last = params["feed_forward_in"], params["feed_forward_out"]
    hidden = jnp.tanh(states @ first["kernel"] + first["bias"])
    return hidden @ last["kernel"] + last["bias"]


def drawn_part(*first):
    shapes = {"feed_forward_in": ((4, 6), (6,)), "feed_forward_out": ((6, 4), (4,))}
    return {
        name: {
            "kernel": RANDOM.normal(size=(*first, *kernel)),
            "bias": RANDOM.normal(size=(*first, *bias)),
        }
        for name, (kernel, bias) in shapes.items()
    }


STATES = RANDOM.normal(size=(6, 5, 4))
DOMAINS = np.array([0, 2, 2, 0, 3, 2])
EXPERTS = 4


THOROUGH = pytest.mark.thorough


@pytest.mark.thorough
@pytest.mark.parametrize("k", [pytest.param(1, marks=THOROUGH), 2, pytest.param(4, marks=THOROUGH)])
def test_equal_experts_are_the_dense_model(k):
    dense = drawn_part()
    experts = merging.upcycle({"layer_0": dense}, EXPERTS)["layer_0"]
    wanted = feed_forward(dense, STATES)
    gates = RANDOM.normal(size=(6, 5, EXPERTS))
    enforced = encoders.route_enforced(DOMAINS, EXPERTS)[:, None]
    for weights in (enforced, encoders.route_top_k(gates, k)):
        mixed = encoders.mix_experts(experts, feed_forward, STATES, weights)
        np.testing.assert_allclose(mixed, wanted, atol=1e-6)
    # Without renormalization the output shrinks: by k of E for a flat gate.
    flat = encoders.route_top_k_released(np.zeros((6, 5, 8)), 2)
    eight = merging.upcycle({"layer_0": dense}, 8)["layer_0"]
    mixed = encoders.mix_experts(eight, feed_forward, STATES, flat)
    np.testing.assert_allclose(mixed, wanted / 4, atol=1e-6)


@pytest.mark.thorough
def test_one_sum_over_experts_is_a_gather_of_each_example_and_leaves_unused_ones_alone():
    experts = drawn_part(EXPERTS)
    weights = encoders.route_enforced(DOMAINS, EXPERTS)[:, None]

    def mixed(experts):
        return encoders.mix_experts(experts, feed_forward, STATES, weights)

    gathered = [
        feed_forward(jax.tree.map(lambda a, e=expert: a[e], experts), states)
        for expert, states in zip(DOMAINS, STATES, strict=True)
    ]
    np.testing.assert_allclose(mixed(experts), np.stack(gathered), atol=1e-9)
    slopes = jax.grad(lambda e: jnp.square(mixed(e)).sum())(experts)
    for leaf in jax.tree.leaves(slopes):
        assert not np.any(leaf[1])
        assert all(np.any(leaf[expert]) for expert in (0, 2, 3))


def test_top_k_of_all_experts_is_the_dense_mixture():
    experts, gates = drawn_part(EXPERTS), RANDOM.normal(size=(6, 5, EXPERTS))
    mixed = encoders.mix_experts(
        experts, feed_forward, STATES, encoders.route_top_k(gates, EXPERTS)
    )
    outputs = jax.vmap(feed_forward, in_axes=(0, None))(experts, STATES)
    expected = np.einsum("ble,eblh->blh", softmax(gates), outputs)
    np.testing.assert_allclose(mixed, expected, atol=1e-6)  # weights are float32


def test_f1_max_and_its_threshold():
    scores, labels = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([1, 0, 1, 1, 0], bool)
    # Theirs has 1e-8 in the denominator of F1.
    np.testing.assert_allclose(evaluation.f1_max(scores, labels), 0.857142852, atol=1e-8)
    accepted = scores >= 0.6
    hits = (accepted & labels).sum()
    precision, recall = hits / accepted.sum(), hits / labels.sum()
    np.testing.assert_allclose(2 * precision * recall / (precision + recall), 6 / 7)


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def reference_targets(a, b, temperature):
    p = softmax((a @ a.T + b @ b.T) / 2 * temperature)
    return p.argmax(axis=1), p.argmax(axis=0)


@pytest.mark.thorough
@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_mnr_plus_is_its_equation_and_its_gradient_is_that_of_the_logits(temperature):
    a, b = np.random.default_rng(7).normal(size=(2, 6, 3)) + 1
    rows, columns = reference_targets(a, b, temperature)
    targets = parts.mnr_plus_targets(a, b, temperature=temperature, similarity=dot)
    np.testing.assert_array_equal(targets, (rows, columns))
    assert (rows != columns).any()  # softmax by rows breaks the symmetry
    logits = a @ b.T / temperature

    def cross_entropy(z, targets):
        return np.mean(np.logaddexp.reduce(z, axis=1) - z[np.arange(6), targets])

    expected = (cross_entropy(logits, rows) + cross_entropy(logits.T, columns)) / 2
    loss = lambda a, t: losses.mnr_plus(a, b, temperature=t, similarity=dot)  # noqa: E731
    value, (slope, of_temperature) = jax.value_and_grad(loss, argnums=(0, 1))(a, temperature)
    np.testing.assert_allclose(value, expected, rtol=1e-9)
    of_rows = softmax(logits) - np.eye(6)[rows]
    of_columns = (softmax(logits.T) - np.eye(6)[columns]).T
    by_logits = (of_rows + of_columns) / 12
    np.testing.assert_allclose(slope, by_logits @ b / temperature, atol=1e-9)
    np.testing.assert_allclose(of_temperature, -(by_logits * logits).sum() / temperature, atol=1e-9)


@pytest.mark.thorough
def test_normalized_mnr_plus_has_targets_on_the_diagonal_where_rows_are_distinct():
    a, b = unit(RANDOM.normal(size=(8, 3))), unit(RANDOM.normal(size=(8, 3)))
    for targets in parts.mnr_plus_targets(a, b):
        np.testing.assert_array_equal(targets, np.arange(8))
    plain = losses.symmetric_info_nce(a, b, temperature=1.0)
    np.testing.assert_allclose(losses.mnr_plus(a, b), plain, rtol=1e-9)


@pytest.mark.thorough
def test_without_normalization_a_large_row_becomes_the_target_of_all():
    a, b = 0.1 * RANDOM.normal(size=(2, 8, 3)) + 1
    a[5] *= 3
    b[5] *= 3
    rows, _ = parts.mnr_plus_targets(a, b, similarity=dot)
    np.testing.assert_array_equal(rows, 5)
