"""The checks of Hydra: gated similarities, its loss and gradients, its gate, and what they leave unchanged."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import data, encoders, losses
from jaxsim.similarity import cosine, dot, gated_cosine, gated_dot

Z = np.array([[1.0, 2, 0], [0, 1, -1], [2, 0, 1], [1, 1, 1]])
K = np.array([[1.0, 1, 0], [0, 2, -1], [1, 0, 1], [1, -1, 1]])
LABELS, PARTNERS = np.array([0, 1, 2, 2]), np.array([1, 2, 0, 2])
GATE = np.array([[1, 0.5, 0.2], [0.3, 0.9, 0.6], [0.8, 0.1, 0.4], [0.5, 0.5, 0.5]])


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


@functools.cache
def compiled(similarity, temperature):
    """Hydra and its gradients, jitted once for each similarity and temperature."""

    def loss(z, gate, keys, partners):
        return losses.hydra(
            z,
            LABELS,
            partners,
            gate,
            keys=keys,
            temperature=temperature,
            similarity=similarity,
        )

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))


def hydra(z=Z, gate=GATE, keys=K, partners=PARTNERS, *, similarity=gated_cosine, temperature=0.1):
    """(value, gradients by rows, gate and keys) of Hydra."""
    return compiled(similarity, temperature)(z, gate, keys, partners)


def test_gated_similarities():
    s = jax.jit(gated_cosine)((Z, GATE), K)
    np.testing.assert_allclose(s[0], [0.9486832981, 0.6933752453, 0.6933752453, 0.3112864031], 1e-9)
    np.testing.assert_allclose(
        s[2], [0.9626509402, -0.2169304578, 0.9761870602, 0.9701425001], 1e-9
    )
    s = jax.jit(gated_dot)((Z, GATE), K)
    np.testing.assert_allclose(s[0], [0.474341649, 0.2, 0.3162277660, 0.1290994449], 1e-9)


def test_open_gates_are_the_cosine():
    expected = jax.jit(cosine)(Z, K)
    for similarity in (gated_cosine, gated_dot):
        np.testing.assert_allclose(jax.jit(similarity)((Z, np.ones_like(Z)), K), expected, 1e-12)


def test_a_shut_gate_gives_zero_and_no_slope():
    shut = GATE * np.array([[0], [1], [1], [1]])

    def total(z, gate, k):
        return gated_cosine((z, gate), k)[:2].sum()

    gradients = jax.jit(jax.grad(total, argnums=(0, 1, 2)))(
        Z, shut, K * np.array([[0], [1], [1], [1]])
    )
    assert all(np.isfinite(g).all() for g in gradients)
    assert not gradients[0][0].any()
    assert not gradients[1][0].any()
    assert not jax.jit(gated_cosine)((Z, shut), K)[0].any()


def test_a_gate_that_does_not_fit_is_named():
    with pytest.raises(
        ValueError, match=r"vectors and gate must be .* got shapes \(4, 3\), \(4, 2\)"
    ):
        gated_cosine((Z, GATE[:, :2]), K)
    with pytest.raises(ValueError, match=r"x must be \(vectors, gate\), got ndarray"):
        gated_cosine(Z, K)


@pytest.mark.thorough
def test_masks():
    """Positives {1}, {2, 3}, {0}, {2, 3}; negatives {2, 3}, {0}, {1}, {0, 1}."""
    seen = []

    def rule(scores, positives, where, *, temperature):
        seen.append((np.asarray(positives), np.asarray(where & ~positives)))
        return scores.sum(axis=1), positives.any(axis=1)

    losses.hydra(Z, LABELS, PARTNERS, GATE, keys=K, rule=rule)
    positives, negatives = ([set(np.flatnonzero(row)) for row in mask] for mask in seen[0])
    assert positives == [{1}, {2, 3}, {0}, {2, 3}]
    assert negatives == [{2, 3}, {0}, {1}, {0, 1}]


@pytest.mark.parametrize(
    ("similarity", "temperature", "expected"),
    [
        (gated_cosine, 0.1, 6.1045086494),
        (gated_cosine, 1.0, 1.1514206387),
        (gated_dot, 0.1, 3.1151979769),
        (gated_dot, 1.0, 1.0100975371),
    ],
)
def test_loss(similarity, temperature, expected):
    value, _ = hydra(similarity=similarity, temperature=temperature)
    np.testing.assert_allclose(value, expected, rtol=1e-10)


def test_gradients():
    _, (z, gate, keys) = hydra()
    np.testing.assert_allclose(z[0], [0.5862450411, -0.2931225206, 0.0466747410], rtol=2e-9)
    np.testing.assert_allclose(gate[0], [0.6151131228, -1.2308408330, 0.0015364686], rtol=3e-8)
    np.testing.assert_allclose(keys[2], [-0.1433964512, -1.9155857675, 0.1433964512], rtol=2e-9)
    _, (z, gate, keys) = hydra(similarity=gated_dot)
    np.testing.assert_allclose(z[0], [0.3805693698, -0.1902846849, 0.0266701619], rtol=2e-9)
    np.testing.assert_allclose(gate[0], [0.8090078327, -1.1393247343, 0], rtol=2e-9, atol=1e-14)
    np.testing.assert_allclose(keys[2], [0.0301016513, -0.5878135733, -0.0301016513], rtol=3e-9)


def test_positives_do_not_compete():
    scores = jnp.array([[0.5, 0.1, 0.0, 0.2]])
    rule = jax.jit(losses.nt_xent.rule)
    one = jnp.array([[True, False, False, False]])
    both = jnp.array([[True, True, False, False]])
    value, count = rule(scores, one, one | ~both, temperature=0.1)
    np.testing.assert_allclose(value, 0.0549852354, rtol=1e-8)
    assert count == 1
    value, count = rule(scores, both, both | ~both, temperature=0.1)
    np.testing.assert_allclose(value * count, 0.0549852354 + 1.4076059645, rtol=1e-9)
    shifted, _ = rule(scores + 7, both, both | ~both, temperature=0.1)
    np.testing.assert_allclose(shifted, value, rtol=1e-12)


def test_sizes_do_not_matter_in_the_cosine():
    value, (z, gate, _) = hydra()
    sizes = np.array([[0.1], [2], [3], [40]])
    for scaled in ({"z": Z * sizes}, {"keys": K * sizes}, {"gate": GATE * sizes}):
        np.testing.assert_allclose(hydra(**scaled)[0], value, rtol=1e-12)
    np.testing.assert_allclose(np.sum(GATE * gate, axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(np.sum(Z * z, axis=1), 0, atol=1e-12)


def test_own_partners_and_open_gates_are_the_decoupled_loss():
    value, _ = hydra(partners=LABELS, gate=np.ones_like(Z))
    loss = jax.jit(functools.partial(losses.nt_xent, temperature=0.1))
    np.testing.assert_allclose(
        value, loss(Z, LABELS, references=K, reference_labels=LABELS), rtol=1e-12
    )


def test_average_per_anchor():
    def loss(z):
        return losses.hydra(z, LABELS, PARTNERS, GATE, keys=K, rule=losses.anchor_info_nce.rule)

    s, own, other = np.asarray(gated_cosine((Z, GATE), K)) / 0.1, [], []
    for i, (positives, negatives) in enumerate(
        [([1], [2, 3]), ([2, 3], [0]), ([0], [1]), ([2, 3], [0, 1])]
    ):
        own.append(
            np.mean([np.logaddexp.reduce(s[i, [p, *negatives]]) - s[i, p] for p in positives])
        )
        other.append(len(positives))
    np.testing.assert_allclose(jax.jit(loss)(Z), np.mean(own), rtol=1e-10)


def test_partners_that_are_not_there_count_nothing():
    value, gradients = hydra(partners=np.full(4, 9))
    assert value == 0
    assert not any(g.any() for g in gradients)


def test_a_batch_against_itself_leaves_the_anchor_out():
    alone = jax.jit(lambda z: losses.hydra(z, LABELS, PARTNERS, GATE))(Z)
    s, values = np.asarray(gated_cosine((Z, GATE), Z)) / 0.1, []
    for i, (positives, negatives) in enumerate(
        [([1], [2, 3]), ([2, 3], [0]), ([0], [1]), ([2], [0, 1])]
    ):
        values += [np.logaddexp.reduce(s[i, [p, *negatives]]) - s[i, p] for p in positives]
    np.testing.assert_allclose(alone, np.mean(values), rtol=1e-10)


def test_the_paper_mixes_it_with_instances():
    """(ins + beta dis) / (1 + beta), by composition, with a learned share of the ungated score."""

    def objective(z, alpha, beta=10.0):
        def similarity(x, y):
            return gated_dot(x, y) - alpha * dot(x[0], y)

        dis = losses.hydra(z, LABELS, PARTNERS, GATE, keys=K, similarity=similarity)
        return (losses.info_nce(z, K) + beta * dis) / (1 + beta)

    slope = jax.jit(jax.grad(objective, argnums=1))(Z, 0.1)
    steps = [jax.jit(objective)(Z, 0.1 + d) for d in (-1e-6, 1e-6)]
    np.testing.assert_allclose(slope, (steps[1] - steps[0]) / 2e-6, rtol=1e-6)


def test_open_gates_give_the_same_loss_under_both_similarities():
    open_gate = np.ones_like(Z)
    cosines, dots = (
        hydra(gate=open_gate, similarity=measure)[0] for measure in (gated_cosine, gated_dot)
    )
    np.testing.assert_allclose(cosines, dots, rtol=1e-12)


def test_a_pair_without_negatives_teaches_nothing():
    """Two classes in the batch, each the other's partner: released rows are log(e^l) - l = 0."""

    def loss(z):
        return losses.hydra(z, LABELS // 2, 1 - LABELS // 2, GATE, keys=K)

    value, gradient = jax.jit(jax.value_and_grad(loss))(Z)
    assert value == 0
    assert not gradient.any()


@pytest.mark.thorough
@pytest.mark.parametrize("combine", ["mean", "product"])
@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_the_gate_of_a_pair_is_symmetric_and_in_evaluation_independent_of_the_batch(norm, combine):
    module = encoders.PairGate(3, 3, embed_dim=8, hidden=6, norm=norm, combine=combine)
    gate = jax.jit(functools.partial(module.apply, module.init(jax.random.key(0), LABELS, LABELS)))
    whole = gate(LABELS, PARTNERS)
    np.testing.assert_allclose(gate(PARTNERS, LABELS), whole, rtol=1e-6)
    for row in range(4):
        alone = gate(LABELS[row : row + 1], PARTNERS[row : row + 1])
        np.testing.assert_allclose(alone[0], whole[row], rtol=1e-6)
    assert np.all((whole > 0) & (whole < 1))


@pytest.mark.thorough
def test_the_gate_trains_with_the_encoder():
    """The loss's gradient reaches all of the gate's network, and scaling the gate changes nothing."""
    module = encoders.PairGate(3, 3, embed_dim=8, hidden=6, norm="layer")
    params = module.init(jax.random.key(0), LABELS, PARTNERS)

    @jax.jit
    def loss(params, size=1.0):
        return losses.hydra(
            Z, LABELS, PARTNERS, size * module.apply(params, LABELS, PARTNERS), keys=K
        )

    gradient = jax.jit(jax.grad(loss))(params)
    assert all(g.any() for g in jax.tree.leaves(gradient))
    np.testing.assert_allclose(loss(params, 7.0), loss(params), rtol=1e-6)


@pytest.mark.thorough
def test_partners_from_the_batch_leave_no_anchor_without_a_positive():
    """Of those of the released code most are not there where there are many classes."""
    labels, key = np.arange(8) * 9, jax.random.key(0)
    for partners in (data.arbitrary_partners(key, labels), data.distinct_partners(key, labels)):
        assert np.isin(partners, labels).all()
    released = data.distinct_partners_released(key, labels, num_classes=90)
    assert np.isin(released, labels).mean() < 0.5
