"""The checks of asymmetric-similarity learning: norm ratios, uAP, score normalization and stretching."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import evaluation, losses, search, similarity
from jaxsim.data import copies

LARGER, SMALLER = np.array([1.2, 1.6]), np.array([0.0, 1.6])
NORMS = np.array([4.0, 3, 2, 1])
DISTINCT, TIED = np.array([1, 0.7, 0.5, 0.3]), np.array([1, 0.7, 0.7, 0.3])
RANDOM = np.random.default_rng(0)
TURNS = RANDOM.normal(size=(4, 3))
TURNS /= np.linalg.norm(TURNS, axis=1, keepdims=True)
VIEWS = NORMS[:, None] * TURNS  # a group with the norms 4, 3, 2, 1


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


def on_host(function):
    """A jitted function whose results are NumPy's."""
    compiled = jax.jit(function)
    return lambda *args: jax.tree.map(np.asarray, compiled(*args))


RATIO = on_host(
    jax.value_and_grad(lambda a, b: losses.norm_ratio(a[None], b[None]), argnums=(0, 1))
)
GROUPED = on_host(jax.value_and_grad(losses.grouped_norm_ratio))


def pairs_of(content):
    """(fuller, other) views of one group."""
    return [(a, b) for a, b in itertools.permutations(range(4), 2) if content[a] > content[b]]


def all_pairs(norms, content):
    """The mean over pairs with another content, in plain loops."""
    return np.mean([math.exp(1 - norms[a] / norms[b]) for a, b in pairs_of(content)])


@functools.cache
def sampler(draws):
    """(key, embeddings, content) -> the released loss: one drawn pair of each group."""

    def loss(key, embeddings, content):
        larger, smaller = copies.content_pairs(key, content, draws=draws)
        groups = jnp.arange(len(content))
        return losses.norm_ratio(embeddings[groups, larger], embeddings[groups, smaller])

    return jax.jit(jax.value_and_grad(loss, argnums=1))


def expectation(norms, content):
    """Of the released sampler: five draws with replacement, then a pair that ties."""
    tie = np.mean([a == b for a in content for b in content])
    return (1 - tie**5) * all_pairs(norms, content) + tie**5


def test_norm_ratio_and_its_gradients():
    value, (larger, smaller) = RATIO(LARGER, SMALLER)
    assert value == pytest.approx(0.7788007830714049, rel=1e-12)
    np.testing.assert_allclose(larger, [-0.2920503, -0.3894004], atol=5e-8)
    np.testing.assert_allclose(smaller, [0, 0.6084381], atol=5e-8)
    assert larger @ LARGER == pytest.approx(-0.9735010, abs=5e-8)
    assert smaller @ SMALLER == pytest.approx(0.9735010, abs=5e-8)


def test_gradients_are_radial_and_sum_to_zero():
    for a, b in RANDOM.normal(size=(10, 2, 5)):
        value, (larger, smaller) = RATIO(a, b)
        ratio = np.linalg.norm(a) / np.linalg.norm(b)
        assert larger @ a == pytest.approx(-value * ratio, rel=1e-10)
        assert larger @ a + smaller @ b == pytest.approx(0, abs=1e-12)
        for vector, gradient, sign in ((a, larger, -1), (b, smaller, 1)):
            cosine = vector @ gradient / np.linalg.norm(vector) / np.linalg.norm(gradient)
            assert cosine == pytest.approx(sign, abs=1e-12)
        np.testing.assert_allclose(
            larger, -value * a / np.linalg.norm(a) / np.linalg.norm(b), rtol=1e-10
        )
        np.testing.assert_allclose(smaller, value * ratio * b / np.linalg.norm(b) ** 2, rtol=1e-10)


def test_the_gradient_is_orthogonal_to_that_of_cosines():
    content, groups = RANDOM.random(8), np.repeat([0, 1], 4)
    x = RANDOM.normal(size=(8, 5))
    of_norms = GROUPED(x, groups, content)[1]
    of_angles = jax.jit(jax.grad(losses.supervised_contrastive))(x, groups)
    np.testing.assert_allclose((of_norms * of_angles).sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose((x * of_angles).sum(axis=1), 0, atol=1e-12)
    assert np.abs(of_norms).max() > 0.01


def test_the_loss_lies_between_0_and_e():
    values = [float(RATIO(LARGER, SMALLER * scale)[0]) for scale in (1e-6, 0.1, 1.25, 10, 1e6)]
    assert values == sorted(values)
    assert 0 <= values[0] < 1e-9
    assert values[2] == pytest.approx(1, rel=1e-12)
    assert values[-1] == pytest.approx(math.e, rel=1e-5)
    assert max(values) < math.e
    zero, gradients = RATIO(LARGER * 0, SMALLER)
    assert np.isfinite([zero, *np.ravel(gradients)]).all()
    zero, gradients = RATIO(LARGER, SMALLER * 0)
    assert np.isfinite([zero, *np.ravel(gradients)]).all()


@pytest.mark.parametrize(("content", "wanted"), [(DISTINCT, 0.3739905340), (TIED, 0.3274825089)])
def test_all_pairs_of_a_group(content, wanted):
    value = GROUPED(VIEWS, np.zeros(4, int), content)[0]
    assert len(pairs_of(content)) == (6 if content is DISTINCT else 5)
    assert value == pytest.approx(wanted, abs=5e-11)
    assert value == pytest.approx(all_pairs(NORMS, content), rel=1e-12)


@pytest.mark.parametrize(("content", "wanted"), [(DISTINCT, 0.3746018714), (TIED, 0.3324697449)])
def test_the_released_sampler_has_this_expectation(content, wanted):
    assert expectation(NORMS, content) == pytest.approx(wanted, abs=5e-11)
    groups = 100_000
    embeddings = np.broadcast_to(VIEWS, (groups, *VIEWS.shape))
    contents = np.broadcast_to(content, (groups, 4))
    drawn = sampler(5)(jax.random.key(0), embeddings, contents)[0]
    assert drawn == pytest.approx(wanted, abs=0.003)


def test_the_sampler_is_all_pairs_but_for_ties():
    tie = np.mean([a == b for a in DISTINCT for b in DISTINCT])
    assert tie == 1 / 4
    assert tie**5 == 1 / 1024
    assert expectation(NORMS, DISTINCT) - all_pairs(NORMS, DISTINCT) < 1 / 1024


def test_what_changes_nothing():
    groups = np.repeat([0, 1], 4)
    content = np.concatenate([DISTINCT, TIED])
    x = np.concatenate([VIEWS, RANDOM.normal(size=(4, 3))])
    value = GROUPED(x, groups, content)[0]
    # Scaling a whole group, turning each vector by itself, permuting rows and groups.
    scaled = x * np.where(groups == 0, 7.5, 0.2)[:, None]
    turned = np.stack([v @ np.linalg.qr(RANDOM.normal(size=(3, 3)))[0] for v in x])
    for other in (scaled, turned):
        assert GROUPED(other, groups, content)[0] == pytest.approx(value, rel=1e-12)
    order = RANDOM.permutation(8)
    permuted = GROUPED(x[order], 1 - groups[order], content[order])[0]
    assert permuted == pytest.approx(value, rel=1e-12)
    # Equal norms: exactly 1.
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert GROUPED(unit, groups, content)[0] == pytest.approx(1, rel=1e-12)
    assert RATIO(LARGER, LARGER[::-1])[0] == pytest.approx(1, rel=1e-12)


def test_equal_contents_are_excluded_or_count_one():
    value, gradient = GROUPED(VIEWS, np.zeros(4, int), np.ones(4))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)
    value, gradient = sampler(5)(jax.random.key(0), VIEWS[None], np.ones((1, 4)))
    assert value == 1
    np.testing.assert_array_equal(gradient, 0)
    # A group that ties does not dilute the mean of those that do not.
    both = GROUPED(np.tile(VIEWS, (2, 1)), np.repeat([0, 1], 4), np.append(DISTINCT, np.ones(4)))
    assert both[0] == pytest.approx(all_pairs(NORMS, DISTINCT), rel=1e-12)


@pytest.mark.thorough
def test_asl_is_angles_and_norms():
    x, content, groups = RANDOM.normal(size=(8, 5)), RANDOM.random(8), np.repeat([0, 1], 4)
    whole = losses.asl(x, groups, content, weight=0.3)
    of_norms = GROUPED(x, groups, content)[0]
    of_angles = losses.supervised_contrastive(x, groups)
    assert whole == pytest.approx(float(of_angles + 0.3 * of_norms), rel=1e-12)


QUERIES, REFERENCES = np.array([[1.0, 0], [3, 0]]), np.array([[2.0, 0], [1, 1]])


def test_the_asymmetric_cosine_of_two_queries():
    cosines = [[1, 0.7071068]] * 2
    np.testing.assert_allclose(similarity.cosine(QUERIES, REFERENCES), cosines, atol=5e-8)
    ratios = [[2, 1.4142136], [0.6666667, 0.4714045]]
    np.testing.assert_allclose(similarity.norm_ratio(QUERIES, REFERENCES), ratios, atol=5e-8)
    scores = similarity.asymmetric_cosine(QUERIES, REFERENCES)
    np.testing.assert_allclose(scores[0], cosines[0], atol=5e-8)
    np.testing.assert_array_equal(scores[1], -np.inf)
    # A filter wide enough, and a soft form of no strength, are the cosine.
    for scores in (
        similarity.asymmetric_cosine(QUERIES, REFERENCES, tau=3.0),
        similarity.soft_asymmetric_cosine(QUERIES, REFERENCES, beta=0.0),
    ):
        np.testing.assert_allclose(scores, cosines, atol=5e-8)
    soft = similarity.soft_asymmetric_cosine(QUERIES, REFERENCES, beta=2.0)
    wanted = np.array(cosines) + 2 * np.minimum(0, np.log(ratios))
    np.testing.assert_allclose(soft, wanted, atol=5e-7)


def test_a_normalized_output_kills_the_method():
    unit = RANDOM.normal(size=(6, 4))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    np.testing.assert_allclose(similarity.norm_ratio(unit, unit), 1, rtol=1e-12)

    def loss(x):
        x = x / jnp.linalg.norm(x, axis=1, keepdims=True)
        return losses.grouped_norm_ratio(x, np.zeros(4, int), DISTINCT)

    np.testing.assert_allclose(jax.jit(jax.grad(loss))(VIEWS), 0, atol=1e-12)


SCORES, RIGHT = np.array([0.9, 0.8, 0.8, 0.7, 0.6, 0.5]), np.array([1, 0, 1, 1, 0, 1], bool)


def test_micro_average_precision_of_six_pairs():
    uap = evaluation.micro_average_precision
    assert uap(SCORES, RIGHT, positives=5) == pytest.approx(0.6166667, abs=5e-8)
    recall = evaluation.recall_at_precision(SCORES, RIGHT, positives=5, precision=0.9)
    assert recall == pytest.approx(0.2, rel=1e-12)
    order = np.lexsort((RIGHT, -SCORES))
    precision = np.cumsum(RIGHT[order]) / np.arange(1, 7)
    np.testing.assert_allclose(precision, [1, 0.5, 0.6667, 0.75, 0.6, 0.6667], atol=5e-5)
    assert (precision * RIGHT[order]).sum() / 5 == pytest.approx(0.6166667, abs=5e-8)


def test_constant_scores_are_the_worst_of_all_orders():
    uap = evaluation.micro_average_precision
    values = []
    for order in set(itertools.permutations(RIGHT.tolist())):
        right = np.array(order)
        values.append(((np.cumsum(right) / np.arange(1, 7)) * right).sum() / 5)
    assert uap(np.ones(6), RIGHT, positives=5) == pytest.approx(min(values), rel=1e-12)


def test_no_positive_that_is_there_is_0():
    nothing = np.zeros(6, bool)
    assert evaluation.micro_average_precision(SCORES, nothing, positives=5) == 0
    assert evaluation.recall_at_precision(SCORES, nothing, positives=5) == 0
    dropped = np.where(RIGHT, -np.inf, SCORES)
    listed = dropped > -np.inf
    assert (
        evaluation.micro_average_precision(dropped, RIGHT & listed, positives=5, where=listed) == 0
    )


def test_score_normalization_of_no_strength_and_of_a_shift():
    scores, background = RANDOM.normal(size=(4, 6)), RANDOM.normal(size=(4, 20))
    same = search.score_normalize(scores, background, factor=0.0)
    np.testing.assert_array_equal(same, scores)
    normalized = search.score_normalize(scores, background, factor=1.5)
    moved = np.array([[0.25], [0], [0], [-1]])
    shifted = search.score_normalize(scores, background + moved, factor=1.5)
    np.testing.assert_allclose(shifted, normalized - 1.5 * moved, rtol=1e-12)
    wanted = scores - 2 * np.sort(background, axis=1)[:, -10:].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(search.score_normalize(scores, background), wanted, rtol=1e-12)
    lowest = search.score_normalize(scores, background, reduce=jnp.min)
    wanted = scores - 2 * np.sort(background, axis=1)[:, -10:-9]
    np.testing.assert_allclose(lowest, wanted, rtol=1e-12)


@pytest.mark.thorough
def test_stretching_is_normalization_by_distances():
    q, r, t = (RANDOM.normal(size=(n, 5)) + 1 for n in (4, 7, 30))
    q, r, t = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (q, r, t))
    stretched = search.stretch(q, t)
    scale = 2.5 * np.sort(q @ t.T, axis=1)[:, -5:].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(stretched, scale * q, rtol=1e-12)
    distances = np.asarray(similarity.negative_squared_euclidean(stretched, r))
    np.testing.assert_allclose(distances, 2 * scale * (q @ r.T) - scale**2 - 1, atol=1e-12)
    np.testing.assert_array_equal(np.argsort(distances, axis=1), np.argsort(q @ r.T, axis=1))


@pytest.mark.thorough
@pytest.mark.parametrize("devices", [1, 8])
def test_groups_split_over_devices_are_the_same(devices):
    x, content = RANDOM.normal(size=(16, 5)), RANDOM.random(16)
    groups = np.arange(16) % 4  # every group on several devices
    where = np.arange(16) != 5
    whole, gradient = jax.jit(
        jax.value_and_grad(lambda x: losses.asl(x, groups, content, where=where))
    )(x)

    def part(x, groups, content, where):
        def loss(x):
            return losses.asl(x, groups, content, where=where, axis_name="d")

        value, slope = jax.value_and_grad(loss)(x)
        return value, slope

    cut = [a.reshape(devices, -1, *a.shape[1:]) for a in (x, groups, content, where)]
    values, slopes = jax.jit(jax.vmap(part, axis_name="d"))(*cut)
    np.testing.assert_allclose(values, whole, rtol=1e-9)
    # As over devices: the gradient of the whole is the mean, where each differentiates its loss.
    np.testing.assert_allclose(slopes.reshape(x.shape) / devices, gradient, atol=1e-9)
    np.testing.assert_array_equal(gradient[5], 0)
