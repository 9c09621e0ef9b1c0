"""Every number of the method's checks: orders of graded pairs, several positives, the sampler, the fusion."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import data, losses, merging
from jaxsim.numerics import unit

X = np.array([0.9, 0.2, 0.5, 0.4])
Y = np.array([1.0, 0.0, 0.5, 0.5])
SWAPPED = np.array([0.2, 0.9, 0.5, 0.4])


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


@functools.cache
def jitted(loss, temperature):
    """A loss and its gradient, compiled once for each temperature."""
    settings = {} if temperature is None else {"temperature": temperature}
    return jax.jit(jax.value_and_grad(lambda x, y: loss(x, y, **settings)))


def at(loss, x, y, temperature=None):
    """(value, gradient by the predicted scores) of a loss."""
    return jitted(loss, temperature)(np.asarray(x, float), np.asarray(y, float))


CASES = {
    "pearson": (
        losses.pearson,
        None,
        0.0292746566,
        [0.1066731147, 0.2666827866, 0, -0.3733559013],
    ),
    "rank": (
        losses.rank_kl,
        0.05,
        5.000487001e-05,
        [-0.0014537739, 0.0000041458, 0.0014496941, -0.0000000660],
    ),
    "rank, warm": (
        losses.rank_kl,
        1.0,
        0.0014178904,
        [-0.0067230112, 0.0091284038, 0.0016723198, -0.0040777124],
    ),
    "pro": (
        losses.pro,
        0.05,
        0.0585064287,
        [-0.0000261558, 0.5554348608, -0.1580787095, -0.3973403017],
    ),
    "pro, warm": (
        losses.pro,
        1.0,
        0.7292375151,
        [-0.2008066309, 0.2220759740, -0.0425025231, -0.0462647290],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_by_hand(case):
    loss, temperature, expected, slope = CASES[case]
    value, gradient = at(loss, X, Y, temperature)
    np.testing.assert_allclose(value, expected, atol=1e-10)
    np.testing.assert_allclose(gradient, slope, atol=1e-10)


def test_the_sum_form_of_rank_kl():
    total, _ = at(losses.rank_kl_total, X, Y, 0.05)
    np.testing.assert_allclose(total, 2.000194800e-04, atol=1e-12)
    np.testing.assert_allclose(total, 4 * at(losses.rank_kl, X, Y, 0.05)[0], rtol=1e-12)


def test_a_wrong_order():
    np.testing.assert_allclose(at(losses.pearson, SWAPPED, Y)[0], 1.9707253434, atol=1e-10)
    np.testing.assert_allclose(at(losses.rank_kl, SWAPPED, Y, 0.05)[0], 3.4997322198, atol=1e-10)
    np.testing.assert_allclose(at(losses.pro, SWAPPED, Y, 0.05)[0], 7.6749563999, atol=1e-10)


def test_pearson_knows_no_affine_map():
    value, gradient = at(losses.pearson, X, Y)
    np.testing.assert_allclose(at(losses.pearson, 3 * X - 7, Y)[0], value, rtol=1e-12)
    np.testing.assert_allclose(gradient @ np.stack([np.ones(4), X], axis=1), 0, atol=1e-15)


def test_rank_kl_knows_only_the_order_of_labels():
    value, gradient = at(losses.rank_kl, X, Y, 1.0)
    np.testing.assert_allclose(at(losses.rank_kl, X + 3, np.exp(5 * Y), 1.0)[0], value, rtol=1e-12)
    goals = np.array([1, 0, 0.5, 0.5])
    p, q = (np.exp(a) / np.exp(a).sum() for a in (goals, X))
    np.testing.assert_allclose(gradient, (q - p) / 4, rtol=1e-12)
    solved, slope = at(losses.rank_kl, goals, Y, 0.05)
    np.testing.assert_allclose([solved, *slope], 0, atol=1e-15)


def test_pro_knows_gaps_and_signs():
    def pro(x, y):
        return at(losses.pro, x, y, 0.05)

    np.testing.assert_allclose(pro(X, 5 * Y)[0], 1.5234934e-05, rtol=1e-7)
    np.testing.assert_allclose(pro(X - 1, Y)[0], 0.0804666816, atol=1e-10)
    np.testing.assert_allclose(pro(X + 1, Y)[0], 0.0585053981, atol=1e-10)
    labels = [1, 0.9, 0]
    np.testing.assert_allclose(pro([0.9, 0.5, 0.1], labels)[0], 0.0003732306, atol=1e-10)
    value, gradient = pro([-0.5, -0.6, -0.9], labels)
    np.testing.assert_allclose(value, 4.4023285920, atol=1e-10)
    np.testing.assert_allclose(gradient, [-9.9984928965, 0.9593827806, 0.0404669640], atol=1e-10)


@pytest.mark.thorough
def test_the_three_terms_together():
    # Vectors on a circle whose cosines to (1, 0) are X.
    queries = np.tile([1.0, 0.0], (4, 1))
    documents = np.stack([X, np.sqrt(1 - X**2)], axis=1)
    sts = jax.jit(losses.codiemb_sts)
    np.testing.assert_allclose(sts(queries, documents, Y), 0.0880525519, atol=1e-10)
    middle = np.random.default_rng(0).normal(size=(2, 4, 3))
    # One pair reaches the label 1: its own second text against all four.
    cosines = np.asarray(unit(middle[0][0]) @ unit(middle[1]).T) / 0.02
    contrast = np.logaddexp.reduce(cosines) - cosines[0]
    whole = sts(queries, documents, Y, middle=middle)
    np.testing.assert_allclose(whole, 0.0880525519 + contrast, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_permuting_pairs_permutes_the_gradient(case):
    loss, temperature, *_ = CASES[case]
    value, gradient = at(loss, X, Y, temperature)
    for order in ([2, 0, 3, 1], [0, 1, 3, 2]):  # the last two labels are tied
        moved = at(loss, X[order], Y[order], temperature)
        np.testing.assert_allclose(moved[0], value, rtol=1e-12)
        np.testing.assert_allclose(moved[1], gradient[np.array(order)], rtol=1e-10, atol=1e-16)


@pytest.mark.parametrize("loss", [losses.pearson, losses.rank_kl, losses.pro])
def test_one_pair_and_pairs_alike(loss):
    value, gradient = at(loss, [0.3], [0.7])
    assert value == 0
    assert not gradient.any()
    value, gradient = at(loss, X, np.full(4, 0.3))
    q = np.exp(X / 0.05) / np.exp(X / 0.05).sum()
    uniform = np.sum(0.25 * np.log(0.25 / q)) / 4
    np.testing.assert_allclose(value, uniform if loss is losses.rank_kl else 0, rtol=1e-12)
    assert np.isfinite(gradient).all()


def test_pearson_of_equal_scores_is_one_without_gradient():
    value, gradient = at(losses.pearson, np.full(4, 0.3), Y)
    assert value == 1
    assert not gradient.any()
    np.testing.assert_allclose(at(losses.pearson, [0.1, 0.2], [5.0, 3.0])[0], 2, rtol=1e-14)
    value, gradient = at(losses.pearson, [0.1, 0.2], [3.0, 5.0])
    np.testing.assert_allclose([value, *gradient], 0, atol=1e-14)


@pytest.mark.thorough
def test_average_ranks():
    ranks = losses.parts.average_ranks(np.array([1, 0, 0.5, 0.5]))
    np.testing.assert_array_equal(ranks, [0, 3, 1.5, 1.5])
    masked = losses.parts.average_ranks(
        np.array([7, 1, 0, 9, 0.5, 0.5]), np.array([0, 1, 1, 0, 1, 1], bool)
    )
    np.testing.assert_array_equal(masked, [0, 0, 3, 0, 1.5, 1.5])


Q = np.asarray([[1.0, 2, 0, 1], [0, 1, 2, -1]])
D = np.asarray(
    [[[2.0, 1, 1, 0], [1, 2, 0, 0], [1, 0, 1, 1]], [[0, 2, 1, -1], [0, 1, 1, 0], [1, -1, 1, 2]]]
)
Q, D = (a / np.linalg.norm(a, axis=-1, keepdims=True) for a in (Q, D))


@functools.cache
def retrieval(temperature):
    """The retrieval loss at a temperature and its gradient by the queries, jitted."""

    def loss(q, positives, negatives):
        return losses.codiemb_retrieval(q, positives, negatives, temperature=temperature)

    return jax.jit(jax.value_and_grad(loss))


@pytest.mark.thorough
def test_retrieval_by_hand():
    each = [retrieval(0.1)(Q, D[:, [k]], D[:, 2:])[0] for k in range(2)]
    np.testing.assert_allclose(each, [0.1638885682, 0.0274623314], atol=1e-10)
    value, gradient = retrieval(0.1)(Q, D[:, :2], D[:, 2:])
    np.testing.assert_allclose(value, 0.0956754498, atol=1e-10)
    # The method's figure is of unit rows taken as free; the cosine's has nothing along the row.
    free = np.array([-0.3903490300, -0.0158611438, 0.1205699798, 0.0350170310])
    np.testing.assert_allclose(gradient[0], free - (free @ Q[0]) * Q[0], atol=1e-10)
    np.testing.assert_allclose(retrieval(1.0)(Q, D[:, :2], D[:, 2:])[0], 1.0273804530, atol=1e-10)
    np.testing.assert_allclose(retrieval(0.02)(Q, D[:, :2], D[:, 2:])[0], 7.449263e-05, rtol=1e-6)


@pytest.mark.thorough
def test_retrieval_with_one_positive_is_info_nce():
    documents = D[:, [0, 2]]
    plain = losses.info_nce(Q, documents, temperature=0.1)
    np.testing.assert_allclose(retrieval(0.1)(Q, D[:, [0]], D[:, 2:])[0], plain, rtol=1e-12)
    twice = retrieval(0.1)(Q, D[:, [0, 0]], D[:, 2:])[0]
    np.testing.assert_allclose(twice, plain, rtol=1e-12)
    missing = losses.codiemb_retrieval(
        Q, D[:, :2], D[:, 2:], temperature=0.1, positive_where=np.array([[1, 0], [1, 0]], bool)
    )
    np.testing.assert_allclose(missing, plain / 2, rtol=1e-12)  # the second positives' mean is 0


def test_scores_that_do_not_fit():
    with pytest.raises(ValueError, match=r"labels must be \[4\], the shape of scores,.*\(3,\)"):
        losses.pearson(X, Y[:3])
    with pytest.raises(ValueError, match="temperature must be > 0, got 0"):
        losses.rank_kl(X, Y, temperature=0)


def test_eight_devices_give_what_one_gives():
    # Not the mean of each device's own lists, as released.
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(4, 16, 3))
    labels, where = rng.integers(0, 5, size=16) / 4, rng.uniform(size=16) < 0.7

    def loss(queries, documents, *others, axis_name=None):
        *middle, labels, where = others
        shared = {"where": where, "axis_name": axis_name}
        graded = losses.codiemb_sts(queries, documents, labels, middle=tuple(middle), **shared)
        positives = jnp.stack([documents, middle[0]], axis=1)
        return graded + losses.codiemb_retrieval(queries, positives, middle[1][:, None], **shared)

    rows = (*rows, labels, where)
    many = jax.pmap(functools.partial(loss, axis_name="devices"), "devices", out_axes=None)(
        *(a.reshape(8, 2, *a.shape[1:]) for a in rows)
    )
    np.testing.assert_allclose(many, jax.jit(loss)(*rows), rtol=1e-12)


BASE = np.array([1.0, 2, 3, 4])
MOVED = [np.array([1.3, 2, 3, 4]), np.array([1, 2.4, 3, 4.3])]


def fused(trees=MOVED, **settings):
    """The fusion of checkpoints of one tensor."""
    return np.asarray(merging.fuse({"w": BASE}, [{"w": tree} for tree in trees], **settings)["w"])


def test_fusion_by_hand():
    lengths = [np.linalg.norm(tree - BASE) for tree in MOVED]
    np.testing.assert_allclose(np.array(lengths) / sum(lengths), [0.375, 0.625], rtol=1e-12)
    np.testing.assert_allclose(fused(), [1.1125, 2.25, 3, 4.1875], rtol=1e-12)
    np.testing.assert_allclose(fused(unit="element"), [1.3, 2.4, 3, 4.3], rtol=1e-12)
    np.testing.assert_allclose(fused(power=0.0), [1.15, 2.2, 3, 4.15], rtol=1e-12)


@pytest.mark.parametrize("unit", ["tensor", "element", "layer", "model"])
def test_fusion_of_equal_checkpoints_of_one_and_of_any(unit):
    np.testing.assert_allclose(fused([MOVED[0]] * 2, unit=unit), MOVED[0], rtol=1e-12)
    np.testing.assert_allclose(fused([MOVED[1]], unit=unit), MOVED[1], rtol=1e-12)
    between = fused(unit=unit, power=2.0, prior=[0.2, 0.8])
    assert (between >= np.minimum(*MOVED) - 1e-12).all()
    assert (between <= np.maximum(*MOVED) + 1e-12).all()


def test_the_sampler_cuts_every_set_into_global_batches_and_shuffles_them_all():
    sets = {"ir": {"x": np.arange(70)}, "sts": {"y": np.arange(45)}}
    batches = data.single_task_batches(sets, {"ir": 16, "sts": 8}, seed=0, epochs=2)
    assert len(batches) == 2 * (70 // 16 + 45 // 8)
    order = [int(batches[step]["task"][0]) for step in range(18)]
    assert sorted(order[:9]) == sorted(order[9:]) == [0] * 4 + [1] * 5
    assert order[:9] != order[9:]
    slices = [
        data.single_task_batches(sets, {"ir": 16, "sts": 8}, seed=0, epochs=2, shard=(place, 2))
        for place in range(2)
    ]
    for step in range(18):
        rows = np.concatenate([half[step]["ids"] for half in slices])
        np.testing.assert_array_equal(rows, batches[step]["ids"])
