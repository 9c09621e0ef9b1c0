"""Every number of the method's checks that is about losses: cuts of size and depth, ranked pairs.

Encoders that return all their layers come with the experiment.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import losses, similarity

Q = np.array([[1.0, 2, 0, 1], [0, 1, 2, -1]])
P = np.array([[2.0, 1, 1, 0], [1, -1, 1, 2]])
Q1 = np.array([[1.0, 0, 1, 0], [0, 1, 0, 1]])
P1 = np.array([[1.0, 1, 0, 0], [0, 1, 1, 0]])
LAST = {"q": Q, "p": P}
# Place 0 is not looked at: NaN would show.
STATES = jax.tree.map(lambda a, b: np.stack([np.nan * a, a, b]), {"q": Q1, "p": P1}, LAST)


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


@jax.jit
def base(z):
    """The loss that each cut is given."""
    return losses.info_nce(z["q"], z["p"], temperature=0.2)


coordinate_kl = jax.jit(losses.coordinate_kl)


def test_sizes_by_hand():
    at = jax.jit(jax.value_and_grad(losses.matryoshka(base, dims=(4, 2), weights=(1.0, 0.5))))
    value, gradient = at(LAST)
    np.testing.assert_allclose(value, 3.1361658984, atol=1e-10)
    np.testing.assert_allclose(
        gradient["q"][0], [-0.0161149373, -0.0272236274, -0.0022141661, 0.0705621920], atol=1e-10
    )
    np.testing.assert_allclose(
        gradient["p"][1], [-0.4677503927, -0.6976879242, -0.8003503246, 0.2852063966], atol=1e-10
    )
    for name, rows in LAST.items():  # each size is scale invariant
        np.testing.assert_allclose(np.sum(rows * gradient[name], axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(base(LAST), 1.6915476494, atol=1e-10)
    np.testing.assert_allclose(losses.matryoshka(base, dims=(2,))(LAST), 2.8892364981, atol=1e-10)
    np.testing.assert_allclose(losses.matryoshka(base, dims=(4,))(LAST), base(LAST), rtol=1e-15)


def test_a_classifier_is_cut_with_its_embeddings():
    # MRL-E: one matrix and one bias for all sizes.
    z = np.array([[1.0, -1, 2, 0], [0, 1, 1, 3]])
    w = np.array([[1.0, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0]])
    bias, labels = np.array([0.1, 0, -0.1]), np.array([0, 1])

    def cross_entropy(cut):
        logits = cut["z"] @ cut["w"].T + bias
        return -jnp.mean(jax.nn.log_softmax(logits)[np.arange(2), labels])

    loss = losses.matryoshka(cross_entropy, dims=(2, 4), weights=(1.0, 0.5))
    value, gradient = jax.jit(jax.value_and_grad(loss))({"z": z, "w": w})
    np.testing.assert_allclose(value, 0.6333223282, atol=1e-10)
    np.testing.assert_allclose(
        gradient["z"][0], [-0.0469263948, 0.1623467015, -0.0135564617, 0.0039185020], atol=1e-10
    )


S, T = np.array([[1.0, 0, -1, 2]]), np.array([[0.5, 0.5, 0, 1]])


def test_coordinate_kl_by_hand():
    kl = jax.jit(jax.value_and_grad(losses.coordinate_kl, argnums=(0, 1)))
    np.testing.assert_allclose(kl(S, T, temperature=1.0)[0], 0.2471170678, atol=1e-10)
    value, (student, teacher) = kl(S, T, temperature=0.3)
    np.testing.assert_allclose(value, 0.7494356289, atol=1e-10)
    np.testing.assert_allclose(0.3 * value, 0.2248306887, atol=1e-10)
    expected = [-0.0992282971, -0.1324024765, -0.0251956121, 0.2568263858]
    np.testing.assert_allclose(0.3 * student[0], expected, atol=1e-10)
    expected = [0.0811853020, 0.5266176767, 0.1415308853, -0.7493338640]
    np.testing.assert_allclose(0.3 * teacher[0], expected, atol=1e-10)
    # A hot softmax leaves the variance of the difference.
    np.testing.assert_allclose(1e8 * kl(S, T, temperature=1e4)[0], 0.3125, rtol=1e-3)
    assert kl(S, S, temperature=1.0)[0] == 0


def test_coordinate_kl_of_unit_vectors_is_almost_nothing():
    s, t = np.random.default_rng(0).normal(size=(2, 2000, 384))
    s, t = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (s, t))
    found = [
        float(coordinate_kl(s, t, temperature=temperature)) for temperature in (1.0, 0.3, 0.05)
    ]
    np.testing.assert_allclose(found, [0.0026, 0.029, 1.04], rtol=0.02)


VARIANTS = {
    "paper": losses.matryoshka_2d,
    "a1": losses.matryoshka_2d_a1,
    "a2": losses.matryoshka_2d_a2,
}


@functools.cache
def jitted(name, dim):
    """A variant and its gradient, compiled once for all layers."""

    def loss(states, layer, size, temperature):
        size = size if dim is None else dim
        return VARIANTS[name](base, temperature=temperature)(states, layer, size)

    return jax.jit(jax.value_and_grad(loss))


def over_cuts(name, temperature, dim=2, states=STATES):
    """The loss at layer 1 and size 2, and its gradient; with dim=None the size is traced."""
    return jitted(name, dim)(states, 1, 2, temperature)


TERMS, KL = 2.3846948300 + 3.0075950201, {1.0: 0.5427477884, 0.3: 2.9090984734}
TOTALS = {
    ("paper", 1.0): TERMS + KL[1.0],
    ("paper", 0.3): TERMS + 0.3 * KL[0.3],
    ("a1", 1.0): 5.9350376384,
    ("a1", 0.3): 5.6541087126,
    ("a2", 1.0): 5.9885592400,
    ("a2", 0.3): 6.3510812496,
}


@pytest.mark.parametrize(("name", "temperature"), TOTALS)
def test_layers_and_sizes_by_hand(name, temperature):
    value, gradient = over_cuts(name, temperature)
    np.testing.assert_allclose(value, TOTALS[name, temperature], atol=2e-10)
    assert not gradient["q"][0].any()


@pytest.mark.thorough
def test_a_size_drawn_inside_jit_is_cut_by_zeroing():
    value, gradient = over_cuts("paper", 0.3)
    traced, slope = over_cuts("paper", 0.3, dim=None)
    np.testing.assert_allclose(traced, value, rtol=1e-14)
    for name in gradient:
        np.testing.assert_allclose(slope[name][1:], gradient[name][1:], atol=1e-14)


def test_only_the_released_forms_pull_the_last_layer():
    free = [-0.0312305966, -0.0034660369, -0.0030733685, 0.0631067134]
    held = [-0.0154604370, -0.0275508775, -0.0022141661, 0.0705621920]
    for name, expected in (("a1", free), ("paper", held)):
        gradient = over_cuts(name, 0.3)[1]["q"][-1, 0]
        np.testing.assert_allclose(gradient, expected, atol=1e-10)


def test_the_terms_that_make_the_totals():
    shallow = {"q": Q1, "p": P1}
    np.testing.assert_allclose(base(LAST) + base(shallow), 2.3846948300, atol=1e-10)
    cut = losses.matryoshka(base, dims=(2,))
    np.testing.assert_allclose(cut(LAST) + cut(shallow), 3.0075950201, atol=1e-10)
    for temperature, expected in KL.items():
        found = coordinate_kl(shallow, LAST, temperature=temperature)
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_adaptive_layers_are_their_equation():
    rng = np.random.default_rng(1)
    states = {name: rng.normal(size=(4, 2, 4)) for name in ("q", "p")}
    place = [jax.tree.map(lambda a, i=i: a[i], states) for i in range(4)]
    loss = losses.adaptive_layers(
        base,
        last_weight=0.7,
        prior_weight=2.0,
        kl_weight=0.5,
        depth_weight=losses.parts.log_depth_weight,
    )
    found = jax.jit(loss)(states, jnp.array([2, 0]))
    expected = 0.7 * base(place[3])
    for layer in (2, 0):
        expected += 2.0 / 2 * base(place[layer]) / (1 + np.log(1 + layer))
        expected += 0.5 * 0.3 * coordinate_kl(place[layer], place[3], temperature=0.3)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_adaptive_matryoshka_draws_for_each_layer():
    rng = np.random.default_rng(2)
    states = {name: rng.normal(size=(3, 2, 4)) for name in ("q", "p")}
    place = [jax.tree.map(lambda a, i=i: a[i], states) for i in range(3)]
    at = jax.jit(losses.adaptive_matryoshka(base, dims=(4, 2, 1), weights=(1.0, 0.5, 0.25)))

    def cuts(z):
        return [w * base(losses.parts.leading(z, m)) for m, w in ((4, 1.0), (2, 0.5), (1, 0.25))]

    possible = [
        last + prior + 0.3 * coordinate_kl(place[layer], place[2], temperature=0.3)
        for last in cuts(place[2])
        for layer in (0, 1)
        for prior in cuts(place[layer])
    ]
    found = [float(at(states, key)) for key in jax.random.split(jax.random.key(0), 60)]
    hits = np.isclose(np.array(found)[:, None], np.array(possible), rtol=1e-9, atol=0)
    assert hits.any(axis=1).all()
    assert (
        hits.any(axis=0).sum() > 12
    )  # of 18: own draws for the last layer, the layer and the prior


def test_sizes_drawn_without_replacement():
    at = jax.jit(losses.matryoshka_drawn(base, dims=(4, 2, 1), draws=2, weights=(1.0, 0.5, 0.25)))
    terms = np.array(
        [w * base(losses.parts.leading(LAST, m)) for m, w in ((4, 1.0), (2, 0.5), (1, 0.25))]
    )
    found = [float(at(LAST, key)) for key in jax.random.split(jax.random.key(0), 30)]
    possible = terms.sum() - terms  # all but one
    hits = np.isclose(np.array(found)[:, None], possible, rtol=1e-12, atol=0)
    assert (hits.sum(axis=1) == 1).all()
    assert hits.any(axis=0).all()


def test_draws_of_layers_and_sizes():
    keys = jax.random.split(jax.random.key(1), 200)
    draw = functools.partial(losses.parts.draw_layer_dim, num_layers=4, dims=(8, 16))
    layers, dims = jax.jit(jax.vmap(draw))(keys)
    assert set(np.asarray(layers).tolist()) == {1, 2, 3}
    assert set(np.asarray(dims).tolist()) == {8, 16}
    both = jax.jit(jax.vmap(functools.partial(losses.parts.draw_layers, num_layers=3, draws=2)))(
        keys
    )
    assert set(np.asarray(both).ravel().tolist()) == {0, 1, 2}
    assert (both[:, 0] != both[:, 1]).all()


def test_pair_rank_by_hand():
    rank = jax.jit(jax.value_and_grad(losses.pair_rank))
    s, y = np.array([0.9, 0.1, 0.5, 0.3]), np.array([1.0, 0, 0.5, 0.5])
    np.testing.assert_allclose(rank(s, y)[0], 0.0188147090, atol=1e-10)
    value, gradient = rank(s, y, temperature=0.2)
    np.testing.assert_allclose(value, 0.5345339755, atol=1e-10)
    expected = [-0.5960146101, 1.5279334769, 0, -0.9319188668]
    np.testing.assert_allclose(gradient, expected, atol=1e-10)
    value, _ = rank(np.array([0.1, 0.9, 0.5, 0.3]), y, temperature=0.2)
    np.testing.assert_allclose(value, 4.5345339755, atol=1e-10)
    value, gradient = rank(s, np.ones(4))
    assert value == 0
    assert not gradient.any()


@pytest.mark.thorough
def test_angle_scores_by_hand():
    x, y = np.array([[1.0, 2, 0, 1]]), np.array([[2.0, 1, 1, 0]])
    np.testing.assert_allclose(similarity.angle_score(x, y), [[2 / 3]], rtol=1e-12)
    np.testing.assert_allclose(similarity.angle_score(x[:, :2], y[:, :2]), [[1.4]], rtol=1e-12)
    np.testing.assert_allclose(similarity.angle_score(x, [[1], [-1]] * x), [[1, 1]], rtol=1e-12)
    with pytest.raises(ValueError, match="must have an even dimension"):
        similarity.angle_score(x[:, :3], y[:, :3])


def test_sizes_and_weights_of_depth():
    assert losses.parts.geometric_dims(768) == (8, 16, 32, 64, 128, 256, 512)
    np.testing.assert_allclose(losses.parts.log_depth_weight(5), 0.3582, atol=5e-5)
    assert losses.parts.linear_depth_weight(4) == 0.2
    with pytest.raises(ValueError, match="dims must be at most 4, that of the embeddings, got 8"):
        losses.matryoshka(base, dims=(8, 2))(LAST)
    with pytest.raises(ValueError, match="weights must be one per dims, 2 in all, got 1"):
        losses.matryoshka(base, dims=(4, 2), weights=(1.0,))


def test_what_a_cut_does_not_see():
    order, shift = np.array([1, 0, 2, 3]), np.array([[3.0], [0.5]])
    permuted = jax.tree.map(lambda a: a[..., order], STATES)
    value, _ = over_cuts("paper", 1.0)
    np.testing.assert_allclose(over_cuts("paper", 1.0, states=permuted)[0], value, rtol=1e-12)
    scaled = {"q": STATES["q"] * shift, "p": STATES["p"]}
    cuts = losses.matryoshka(base, dims=(4, 2))
    np.testing.assert_allclose(cuts({"q": Q * shift, "p": P}), cuts(LAST), rtol=1e-12)
    assert abs(over_cuts("paper", 1.0, states=scaled)[0] - value) > 1e-3  # KL sees the scale
    same = jax.tree.map(lambda a: np.stack([a, a, a]), LAST)
    np.testing.assert_allclose(over_cuts("paper", 1.0, states=same)[0], 2 * cuts(LAST), rtol=1e-12)
