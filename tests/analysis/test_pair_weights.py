"""Pair weights: the derivative of a loss by each score, and the surrogate with the same gradient."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import analysis, losses
from jaxsim.numerics import masked

ROWS = 9
X = np.random.default_rng(0).normal(size=(ROWS, 4))
LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3])
OTHERS = ~np.eye(ROWS, dtype=bool)
POSITIVES = (LABELS[:, None] == LABELS) & OTHERS
NEGATIVES = OTHERS & ~POSITIVES

# name: (loss, its similarity): rules on rows that pull every positive and push every negative
PULLS_AND_PUSHES = {
    name: (getattr(losses, name), "cosine")
    for name in (
        "binomial_deviance",
        "circle",
        "cosine_contrastive",
        "cosine_lifted_structure",
        "info_nce",
        "multi_similarity",
        "multi_similarity_unmined",
    )
} | {
    name: (getattr(losses, name), "distance")
    for name in (
        "contrastive",
        "contrastive_mean",
        "contrastive_squared",
        "generalized_lifted_structure",
        "lifted_structure",
        "margin",
        "triplet",
        "triplet_mean",
    )
}


def weights_of(loss, scores, positives, where=None, **more):
    """Jitted: op by op it compiles for longer."""
    call = functools.partial(analysis.pair_weights, loss)
    return np.asarray(jax.jit(call)(scores, positives, where, **more))


def unit(x):
    return x / jnp.linalg.norm(x, axis=1, keepdims=True)


def scores_of(x, kind):
    cosines = unit(x) @ unit(x).T
    if kind == "cosine":
        return cosines
    return -jnp.sqrt(jnp.where(OTHERS, 2 - 2 * cosines, 1))


def test_multi_similarity_is_weighted_by_itself_its_rivals_and_its_class(float64):
    scores = np.asarray(scores_of(jnp.asarray(X), "cosine"))
    result = weights_of(losses.multi_similarity, scores, POSITIVES, OTHERS)
    expected = np.zeros((ROWS, ROWS))
    for i in range(ROWS):
        positives, negatives = np.flatnonzero(POSITIVES[i]), np.flatnonzero(NEGATIVES[i])
        if len(positives) == 0 or len(negatives) == 0:
            continue
        low, high = scores[i, positives].min(), scores[i, negatives].max()
        positives = [j for j in positives if scores[i, j] - 0.1 < high]
        negatives = [j for j in negatives if scores[i, j] + 0.1 > low]
        pull = {j: np.exp(-2 * (scores[i, j] - 0.5)) for j in positives}
        push = {j: np.exp(50 * (scores[i, j] - 0.5)) for j in negatives}
        for j in positives:
            expected[i, j] = -pull[j] / (1 + sum(pull.values())) / ROWS
        for j in negatives:
            expected[i, j] = push[j] / (1 + sum(push.values())) / ROWS
    assert (expected > 0).any()
    assert (expected < 0).any()
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-15)
    assert (np.where(result < 0, -result, 0).sum(axis=1) < 1 / ROWS).all()
    assert (np.where(result > 0, result, 0).sum(axis=1) < 1 / ROWS).all()


def test_each_divisor_of_a_loss_is_its_own(float64):
    """`contrastive` has two; a tuple of rules is their sum; hyperparameters come by partial."""
    scores = np.asarray(scores_of(jnp.asarray(X), "distance"))
    far, near = -scores - 0.3, 1.2 + scores
    active = POSITIVES & (far > 0), NEGATIVES & (near > 0)
    expected = np.where(active[0], -1 / active[0].sum(), 0)
    expected += np.where(active[1], 1 / active[1].sum(), 0)
    loss = functools.partial(losses.contrastive, positive_margin=0.3, negative_margin=1.2)
    result = weights_of(loss, scores, POSITIVES, OTHERS)
    np.testing.assert_allclose(result, expected, rtol=1e-12)

    def pull(scores, positives, where):
        return masked.mean(-scores, positives), positives.sum(axis=1)

    def push(scores, positives, where):
        return [(masked.mean(scores, where & ~positives), (where & ~positives).sum(axis=1))]

    both = weights_of((pull, push), scores, POSITIVES, OTHERS)
    expected = np.where(NEGATIVES, 1 / NEGATIVES.sum(), 0) - POSITIVES / POSITIVES.sum()
    np.testing.assert_allclose(both, expected, rtol=1e-12)


def test_info_nce_divides_its_gradient_as_a_softmax(float64):
    scores = np.random.default_rng(1).normal(size=(5, 7))
    positives = np.eye(5, 7, dtype=bool)
    result = weights_of(functools.partial(losses.info_nce, temperature=0.5), scores, positives)
    share = np.exp(scores / 0.5) / np.exp(scores / 0.5).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result, (share - positives) / 0.5 / 5, rtol=1e-12)
    # One anchor out of five that counts twice, one that does not count.
    weights = np.array([1.0, 2, 0, 1, 1])
    weighted = weights_of(
        functools.partial(losses.info_nce.rule, temperature=0.5), scores, positives, weights=weights
    )
    np.testing.assert_allclose(weighted, result * weights[:, None], rtol=1e-12)


@pytest.mark.parametrize("name", PULLS_AND_PUSHES)
def test_the_surrogate_has_the_gradient_of_the_loss(name, float64):
    loss, kind = PULLS_AND_PUSHES[name]
    x = jnp.asarray(X)

    @jax.jit
    def both(x):
        weights = analysis.pair_weights(loss, scores_of(x, kind), POSITIVES, OTHERS)
        surrogate = jax.grad(
            lambda x: analysis.gpw_surrogate(weights, scores_of(x, kind), POSITIVES)
        )(x)
        return weights, surrogate

    weights, surrogate = both(x)
    assert not analysis.wrong_way(weights, POSITIVES).any()
    if name == "info_nce":  # over_pairs lifts it; here its rule is given a batch with itself
        lifted = losses.over_labels(losses.info_nce.rule)
    else:
        lifted = loss
    gradient = jax.jit(jax.grad(lifted))(x, LABELS)
    np.testing.assert_allclose(surrogate, gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.thorough
def test_a_loss_that_pushes_a_positive_is_told_and_has_another_surrogate(float64):
    # Within the angle that it asks for, tuplet margin pushes positives away.
    x = jnp.asarray([[1.0, 0], [1, 0.05], [1, 0.2], [-1, 0.1]])
    labels = np.array([0, 0, 1, 1])
    others = ~np.eye(4, dtype=bool)
    positives = (labels[:, None] == labels) & others
    scores = unit(x) @ unit(x).T
    weights = weights_of(losses.tuplet_margin, scores, positives, others)
    wrong = analysis.wrong_way(weights, positives)
    assert wrong[0, 1]
    assert wrong[1, 0]
    assert wrong.sum() == 2

    def surrogate(x):
        return analysis.gpw_surrogate(weights, unit(x) @ unit(x).T, positives)

    surrogate = jax.jit(jax.grad(surrogate))(x)
    gradient = jax.jit(jax.grad(losses.tuplet_margin))(x, labels)
    assert np.abs(surrogate - gradient).max() > 0.01 * np.abs(gradient).max()


def test_rectangular_scores_of_a_loss_with_a_first_pass(float64):
    """A queue's columns have their statistic from the anchors: as the lifted loss has it."""
    queue, theirs = X[5:], LABELS[5:]
    x, labels = jnp.asarray(X[:5]), np.array([2, 0, 3, 2, 1])
    positives = labels[:, None] == theirs

    def scores(x):
        return -jnp.sqrt(2 - 2 * unit(x) @ unit(jnp.asarray(queue)).T)

    weights = weights_of(losses.lifted_structure, scores(x), positives)
    gradient = jax.jit(jax.grad(losses.lifted_structure))(
        x, labels, references=queue, reference_labels=theirs
    )
    surrogate = jax.jit(jax.grad(lambda x: jnp.sum(weights * scores(x))))(x)
    np.testing.assert_allclose(surrogate, gradient, rtol=1e-9, atol=1e-12)


def test_what_is_no_pair_has_no_weight_and_may_hold_anything():
    scores = np.float32(scores_of(jnp.asarray(X), "cosine"))
    spoiled = np.where(OTHERS, scores, np.nan)
    result = weights_of(losses.multi_similarity, spoiled, POSITIVES, OTHERS)
    clean = weights_of(losses.multi_similarity, scores, POSITIVES, OTHERS)
    np.testing.assert_array_equal(result, clean)
    assert not np.asarray(result)[~OTHERS].any()


def test_bad_arguments_are_named():
    scores = np.zeros((3, 4), np.float32)
    with pytest.raises(ValueError, match=r"positives must be \[3, 4\], one per score, got shape"):
        analysis.pair_weights(losses.info_nce, scores, np.ones((4, 3), bool))
    with pytest.raises(ValueError, match="positives must be boolean"):
        analysis.pair_weights(losses.info_nce, scores, np.ones((3, 4)))
    with pytest.raises(ValueError, match="settings by keyword"):
        analysis.pair_weights(functools.partial(losses.info_nce, 3), scores, scores > 0)
    with pytest.raises(ValueError, match=r"losses must be {name: loss}, at least one"):
        analysis.pair_weight_curves({}, scores, scores > 0)
    with pytest.raises(ValueError, match="weights must be >= 0, got"):
        analysis.pair_weights(losses.info_nce, scores, scores > 0, weights=np.full(3, np.nan))
    with pytest.raises(
        ValueError, match=r"rule must be a function of jaxsim.losses.*got 'info_nce'"
    ):
        analysis.pair_weights("info_nce", scores, scores > 0)
    with pytest.raises(ValueError, match="positives must be boolean"):
        analysis.pair_weights(losses.info_nce, scores, scores * 1.0)
    with pytest.raises(ValueError, match="scores must be finite where they count"):
        analysis.pair_weight_curves({"a": losses.info_nce}, scores * np.nan, scores > 0)


def test_the_picture_has_a_line_per_loss_with_its_own_average_at_one(float64):
    scores = np.asarray(scores_of(jnp.asarray(X), "cosine"))
    shown = {"multi similarity": losses.multi_similarity, "binomial": losses.binomial_deviance}
    figure = analysis.pair_weight_curves(shown, scores, POSITIVES, OTHERS, bins=5)
    pulls, pushes = figure.axes
    assert (pulls.get_xlim(), pulls.get_ylim()) == (pushes.get_xlim(), pushes.get_ylim())
    assert [line.get_label() for line in pulls.lines[:2]] == list(shown)
    assert [line.get_label() for line in pushes.lines[:2]] == list(shown)
    weights = weights_of(losses.binomial_deviance, scores, POSITIVES, OTHERS)
    at, mean = pushes.lines[1].get_data()
    edges = np.linspace(scores[NEGATIVES].min(), scores[NEGATIVES].max(), 6)
    highest = NEGATIVES & (scores >= edges[-2])
    size = np.abs(weights[OTHERS]).mean()
    np.testing.assert_allclose(mean[-1], weights[highest].mean() / size, rtol=1e-9)
    np.testing.assert_allclose(at[-1], scores[highest].mean(), rtol=1e-9)


PROXIES = np.random.default_rng(5).normal(size=(4, 4))
CENTERS = np.random.default_rng(6).normal(size=(4, 2, 4))
GRADES = np.random.default_rng(7).uniform(size=ROWS)
# name: (arrays, settings): of proxies, of several of them, with further inputs, with a first pass
OF_INPUTS = {
    "arcface": ((X, LABELS, PROXIES), {"margin": 0.2, "where": LABELS > 0}),
    "soft_triple": ((X, LABELS, CENTERS), {"center_temperature": 0.3}),
    "sphereface": ((X, LABELS, PROXIES), {}),
    "rank_n_contrast": ((X, GRADES), {}),
    "in_batch_hardness_info_nce": ((X, X[::-1].copy()), {}),
    "lifted_structure": ((X, LABELS), {"where": LABELS < 3}),
}


@pytest.mark.parametrize(
    "name",
    [n if n == "arcface" else pytest.param(n, marks=pytest.mark.thorough) for n in OF_INPUTS],
)
def test_weights_of_a_loss_on_its_own_inputs_are_its_slopes_by_its_scores(name, float64):
    arrays, settings = OF_INPUTS[name]
    loss = getattr(losses, name)
    base = inspect.signature(loss).parameters["similarity"].default
    pairs = analysis.loss_pair_weights(loss, *arrays, **settings)
    if name == "soft_triple":
        base, settings = functools.partial(base, **settings), {}

    @jax.jit
    @jax.grad
    def slope(shift):
        return loss(*arrays, **settings, similarity=lambda x, y: base(x, y) + shift)

    expected = np.where(pairs.where, slope(jnp.zeros(pairs.scores.shape)), 0)
    assert np.abs(expected).max() > 1e-4
    np.testing.assert_allclose(pairs.weights, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.thorough
def test_weights_of_losses_without_a_rule(float64):
    others = X[::-1].copy()
    pairs = analysis.loss_pair_weights(losses.symmetric_info_nce, X, others, temperature=0.5)
    rule = functools.partial(losses.info_nce.rule, temperature=0.5)
    scores = unit(X) @ unit(others).T
    there, back = (weights_of(rule, s, np.eye(ROWS, dtype=bool)) for s in (scores, scores.T))
    scale = np.abs(pairs.weights).sum() / np.abs(np.concatenate([there, back])).sum()
    np.testing.assert_allclose(pairs.weights, scale * np.concatenate([there, back]), rtol=1e-9)
    proxies = analysis.loss_pair_weights(losses.proxy_anchor, X, LABELS, PROXIES)
    assert proxies.weights.shape == (4, ROWS)
    np.testing.assert_array_equal(proxies.positives, np.arange(4)[:, None] == LABELS)
    figure = analysis.pair_weight_curves({"both ways": pairs, "proxy anchor": proxies})
    assert [line.get_label() for line in figure.axes[0].lines[:2]] == ["both ways", "proxy anchor"]


def test_losses_without_scores_of_pairs_are_named():
    scores = np.zeros((3, 4), np.float32)
    with pytest.raises(ValueError, match="loss must be lifted or take similarity=, got list_net"):
        analysis.loss_pair_weights(losses.list_net, scores, scores)
    with pytest.raises(ValueError, match="block must be left out"):
        analysis.loss_pair_weights(losses.nca, X, LABELS, block=2)
    with pytest.raises(
        ValueError, match=r"inputs must have distances.*got 0: analysis.loss_pair_w"
    ):
        analysis.pair_weights(losses.rank_n_contrast, scores, scores > 0)
    with pytest.raises(ValueError, match=r"rule must be of .*got one of \(queries, documents"):
        analysis.pair_weights(losses.joint_info_nce, scores, scores > 0)
    with pytest.raises(ValueError, match="scores and positives must be given for 'a', got None"):
        analysis.pair_weight_curves({"a": losses.nca})
