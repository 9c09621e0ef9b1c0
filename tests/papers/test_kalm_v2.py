"""The checks of KaLM-Embedding-V2's losses: candidates, cuts, focal weights, mixed negatives, scores."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import losses
from jaxsim.losses.pairs._kalm import mixture

Q = np.array([[1.0, 2, 0, 1], [0, 1, 2, -1]])
D = np.array([[[2.0, 1, 1, 0], [1, 0, 1, 1]], [[0, 2, 1, -1], [1, -1, 1, 2]]])
SCORES = np.array([[0.8, 0.6, 0.1], [0.9, 0.1, 0]])


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


NUMBERS = {
    "in batch": (losses.info_nce, (0.2902274909, 0.0375496456), 0.1638885682),
    "group": (losses.group_info_nce, (0.1326949380, 0.0000513733), 0.0663731556),
    "expanded": (losses.expanded_info_nce, (0.4267993054, 0.0725161477), 0.2496577266),
}


def unreduced(loss):
    """A loss's (values, weights), jitted."""
    return jax.jit(functools.partial(loss, temperature=0.1, reduce_fn=None))


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name):
    loss, each, mean = NUMBERS[name]
    values, counts = unreduced(loss)(Q, D)
    np.testing.assert_allclose(values, each, atol=1e-10)
    np.testing.assert_allclose(values @ counts / counts.sum(), mean, atol=1e-10)


def test_more_candidates_cost_more():
    rng = np.random.default_rng(0)
    q, d = rng.normal(size=(9, 5)), rng.normal(size=(9, 4, 5))
    group, batch, expanded = (
        unreduced(loss)(q, d)[0]
        for loss in (losses.group_info_nce, losses.info_nce, losses.expanded_info_nce)
    )
    assert (group < batch).all()
    assert (batch < expanded).all()


def test_neither_the_order_of_negatives_nor_sizes_matter():
    rng = np.random.default_rng(0)
    q, d = rng.normal(size=(4, 5)), rng.normal(size=(4, 4, 5))
    for loss in (losses.info_nce, losses.group_info_nce, losses.expanded_info_nce):
        values = unreduced(loss)
        expected, _ = values(q, d)
        turned = d[:, [0, 3, 1, 2]] * rng.uniform(0.1, 9, size=(4, 4, 1))
        np.testing.assert_allclose(values(3 * q, turned)[0], expected, rtol=1e-11)


@pytest.mark.thorough
def test_without_negatives_it_is_plain_info_nce():
    np.testing.assert_allclose(
        losses.info_nce(Q, D[:, :1], temperature=0.1), losses.info_nce(Q, D[:, 0], temperature=0.1)
    )


def test_matryoshka():
    def loss(q, d):
        cuts = losses.matryoshka(
            lambda z: losses.info_nce(z["q"], z["d"], temperature=0.1),
            dims=(4, 2),
            weights=(1.0, 0.3),
        )
        return cuts({"q": q, "d": d})

    value, (q, d) = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(Q, D)
    np.testing.assert_allclose(value, 0.3566438634, rtol=1e-9)
    np.testing.assert_allclose(
        q[0], [-0.6997409065, 0.3233546148, 0.0363672321, 0.0530316770], rtol=1e-8
    )
    np.testing.assert_allclose(
        d[0, 0], [0.1702836158, -0.5234644695, 0.1828972380, -0.2385549347], rtol=1e-8
    )


@functools.cache
def focal(reduction, gamma, temperature=1.0):
    """The focal cross-entropy of lists and its gradient, compiled once for each setting."""

    def loss(scores):
        return losses.list_softmax(
            scores,
            temperature=temperature,
            reduce_fn=functools.partial(reduction, gamma=gamma),
        )

    return jax.jit(jax.value_and_grad(loss))


FOCAL = {
    0.5: (
        0.5263586420,
        (-0.2140916660, 0.1332633552, 0.0808283107),
        (-0.2824173906, 0.1757933401, 0.1066240505),
    ),
    2.0: (
        0.2012322787,
        (-0.0916704829, 0.0570611475, 0.0346093354),
        (-0.2086942286, 0.1299036700, 0.0787905586),
    ),
}


@pytest.mark.parametrize("gamma", FOCAL)
def test_focal(gamma):
    expected, held, full = FOCAL[gamma]
    for reduction, slopes in (
        (losses.reducers.focal_mean, held),
        (losses.reducers.full_focal_mean, full),
    ):
        value, gradient = focal(reduction, gamma)(SCORES)
        np.testing.assert_allclose(value, expected, rtol=1e-9)
        np.testing.assert_allclose(gradient[0], slopes, rtol=2e-8)


def test_focal_weights():
    values, _ = losses.list_softmax(SCORES, reduce_fn=None)
    np.testing.assert_allclose(values, [0.8395462039, 0.6183690121], rtol=1e-9)
    weights = losses.reducers.focal_weights(values, gamma=0.5)
    np.testing.assert_allclose(weights, [0.7537197911, 0.6791004827], rtol=1e-9)
    values, _ = losses.list_softmax(SCORES, temperature=0.1, reduce_fn=None)
    weights = losses.reducers.focal_weights(values, gamma=0.5)
    np.testing.assert_allclose(weights, [0.3462799380, 0.0214163948], rtol=1e-8)
    value, _ = focal(losses.reducers.focal_mean, 0.5, 0.1)(SCORES)
    np.testing.assert_allclose(value, 0.0221202317, rtol=1e-8)


def test_without_gamma_it_is_the_plain_mean():
    np.testing.assert_allclose(
        focal(losses.reducers.focal_mean, 0.0)(SCORES)[0], 0.7289576080, rtol=1e-9
    )


def test_what_the_gradient_of_the_weight_adds():
    _, held = focal(losses.reducers.focal_mean, 0.5, 0.1)(SCORES)
    _, full = focal(losses.reducers.full_focal_mean, 0.5, 0.1)(SCORES)
    values, _ = losses.list_softmax(SCORES, temperature=0.1, reduce_fn=None)
    values = np.asarray(values)[:, None]
    np.testing.assert_allclose(
        full / held, np.broadcast_to(1 + 0.5 * values / np.expm1(values), (2, 3))
    )
    np.testing.assert_allclose(values[0], 0.1277308716, rtol=1e-9)
    np.testing.assert_allclose((full / held)[0], 1.46875, rtol=1e-5)


@pytest.mark.parametrize("reduction", [losses.reducers.focal_mean, losses.reducers.full_focal_mean])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_that_is_solved_has_a_finite_slope(reduction, dtype):
    scores = np.array([[1.0, -1, -1], [1, 0.999, -1]], dtype)
    value, gradient = focal(reduction, 0.5, 0.001)(scores)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[0]).max() < 1e-15  # rounding may leave something of a solved row
    assert gradient[1].any()


QUERY = np.array([1.0, 0, 0])
NEGATIVES = np.array([[0.6, 0.8, 0], [0, 1, 0], [0.8, 0, 0.6]])


def test_a_mixture_may_be_nearer_than_both():
    mixed = mixture(NEGATIVES[0], NEGATIVES[2], jnp.asarray(0.25))
    np.testing.assert_allclose(mixed, [0.8359173189, 0.2229112850, 0.5015503913], rtol=1e-9)
    np.testing.assert_allclose(
        0.25 * NEGATIVES[0] + 0.75 * NEGATIVES[2], mixed * 0.8972179222, rtol=1e-9
    )
    np.testing.assert_allclose(mixture(NEGATIVES[0], NEGATIVES[1], jnp.ones(())), NEGATIVES[0])
    np.testing.assert_allclose(mixture(NEGATIVES[1], NEGATIVES[1], jnp.asarray(0.3)), NEGATIVES[1])


@pytest.mark.thorough
@pytest.mark.parametrize(("temperature", "expected"), [(0.1, 0.8223286888), (1.0, 0.7166025257)])
def test_mix_list(temperature, expected):
    mixed, kept = losses.parts.mix_list(QUERY[None], NEGATIVES[None], temperature=temperature)
    assert mixed.shape == (1, 1, 3)
    assert kept.all()
    np.testing.assert_allclose(mixed[0, 0, 0], expected, rtol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(mixed), 1)
    if temperature == 0.1:
        shares = np.array([0.1191677110, 0.0002953872, 0.8805369018])
        direction = shares @ NEGATIVES
        np.testing.assert_allclose(mixed[0, 0], direction / np.linalg.norm(direction), rtol=1e-8)


def test_mix_pairs_mixes_two_different_negatives_that_are_there():
    eye = np.broadcast_to(np.eye(4), (50, 4, 4))
    where = np.ones((50, 4), bool)
    where[:25, 0] = False
    where[0, 1:3] = where[1] = False
    mix = jax.jit(functools.partial(losses.parts.mix_pairs, num=20))
    mixed, kept = (np.asarray(a) for a in mix(jax.random.key(0), eye, where=where))
    assert kept[2:].all()
    assert not kept[:2].any()
    used = mixed[kept] > 0
    assert (used.sum(axis=1) == 2).all()
    assert not used[: 23 * 20, 0].any()
    # All pairs of four come up alike: 500 draws, 6 pairs.
    pairs = np.unique(used[23 * 20 :], axis=0, return_counts=True)[1]
    assert len(pairs) == 6
    assert abs(pairs - 500 / 6).max() < 4 * np.sqrt(500 / 6)
    # Beta(2, 2): mean 1/2, variance 1/20.
    shares = mixed[kept].max(axis=1) / mixed[kept].sum(axis=1)
    spread = np.mean((shares - 0.5) ** 2)
    np.testing.assert_allclose(spread, 1 / 20, rtol=0.15)


def test_draws_do_not_depend_on_devices():
    negatives = np.random.default_rng(0).normal(size=(6, 4, 3))
    whole, _ = jax.jit(losses.parts.mix_pairs)(jax.random.key(1), negatives)
    split = jax.vmap(
        lambda n: losses.parts.mix_pairs(jax.random.key(1), n, axis_name="d")[0], axis_name="d"
    )
    np.testing.assert_array_equal(
        jax.jit(split)(negatives.reshape(3, 2, 4, 3)).reshape(whole.shape), whole
    )


def test_bad_negatives_are_named():
    with pytest.raises(ValueError, match=r"negatives must be two or more per row.*got 1"):
        losses.parts.mix_pairs(jax.random.key(0), np.ones((2, 1, 3)))
    with pytest.raises(ValueError, match=r"where must be \[2, 3\]"):
        losses.parts.mix_pairs(jax.random.key(0), np.ones((2, 3, 3)), where=np.ones(2, bool))
    with pytest.raises(ValueError, match=r"extra must be \[2, any, any\], some per query"):
        losses.info_nce_with_extra(Q, D, np.ones((3, 1, 4)))


def unit(a):
    """Rows of norm 1."""
    return a / np.linalg.norm(a, axis=-1, keepdims=True)


def kalm_by_hand(q, d, extra, temperature, gamma):
    """The loss by its equations, in loops."""
    s = unit(q) @ unit(d).reshape(-1, d.shape[-1]).T / temperature
    more = np.einsum("bd,bkd->bk", unit(q), unit(extra)) / temperature
    own = s[np.arange(len(q)), np.arange(len(q)) * d.shape[1]]
    values = np.logaddexp.reduce(np.concatenate([s, more], axis=1), axis=1) - own
    return np.mean((-np.expm1(-values)) ** gamma * values)


@pytest.mark.thorough
def test_kalm_is_made_of_its_parts():
    rng = np.random.default_rng(0)
    q, d, key = rng.normal(size=(4, 5)), rng.normal(size=(4, 4, 5)), jax.random.key(2)

    def mixtures(d):
        drawn, _ = losses.parts.mix_pairs(key, d[:, 1:], num=3)
        listed, _ = losses.parts.mix_list(q, d[:, 1:], temperature=0.1)
        return jnp.concatenate([drawn, listed], axis=1)

    def loss(d):
        return losses.kalm(q, d, key=key, pairs=3, temperature=0.1)

    extra = jax.jit(mixtures)(d)
    value, slope = jax.jit(jax.value_and_grad(loss))(d)
    np.testing.assert_allclose(value, kalm_by_hand(q, d, np.asarray(extra), 0.1, 0.5), rtol=1e-11)
    assert np.isfinite(slope).all()
    plain = unreduced(losses.info_nce)(q, d)[0]
    mixed = unreduced(losses.info_nce_with_extra)(q, d, extra)[0]
    assert (mixed > plain).all()


def test_score_distillation():
    student, teacher = np.array([[0.8, 0.6, 0.1]]), np.array([[0.7, 0.65, 0.2]])

    def loss(student, teacher, student_temperature, teacher_temperature):
        return losses.score_distillation(
            student,
            teacher,
            student_temperature=student_temperature,
            teacher_temperature=teacher_temperature,
        )

    loss = jax.jit(jax.value_and_grad(loss))
    value, gradient = loss(student, teacher, 0.1, 0.1)
    np.testing.assert_allclose(value, 0.2217674816, rtol=1e-9)
    np.testing.assert_allclose(gradient[0], [2.6023062512, -2.5685658252, -0.0337404261], rtol=1e-8)
    np.testing.assert_allclose(gradient.sum(), 0, atol=1e-12)
    np.testing.assert_allclose(loss(student, teacher, 0.05, 0.02)[0], 0.0530482801, rtol=1e-8)
    np.testing.assert_allclose(loss(student, teacher, 1.0, 1.0)[0], 0.0036259091, rtol=1e-7)
    np.testing.assert_allclose(loss(teacher, teacher, 0.1, 0.1)[0], 0, atol=1e-15)
