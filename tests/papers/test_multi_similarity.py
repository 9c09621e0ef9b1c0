"""Wang et al. 2019: the family of pair-based losses on four rows, its invariances, its pair weights.

The figures of FIGURES were computed outside of this library, by loops over the equations and with
pytorch-metric-learning and the authors' code where these are right.
"""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiers import parameters

from jaxsim import losses, similarity
from jaxsim.numerics import unit

pytestmark = pytest.mark.usefixtures("float64")

ANGLES = np.deg2rad([0, 40, 60, 120])
X = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1) * np.array([[1], [2], [0.5], [3]])
LABELS = np.array([0, 0, 1, 1])

# Rows 0 and 2 are 60 degrees apart, on the edge of four of the hinges below: cosine 0.5, distance 1.
# The figures count them, and so do we, a hair beyond: on the edge rounding would decide.
HAIR = 1e-12


def negative_squared_unit_euclidean(x, y):
    return similarity.negative_squared_euclidean(unit(x), unit(y))


CONTRASTIVE_ON_S = {
    "similarity": similarity.cosine,
    "positive_margin": -1.0,
    "negative_margin": -0.5 + HAIR,
}

# name: (loss, its settings, the figure)
FIGURES = {
    "multi-similarity": (losses.multi_similarity, {}, 0.3642500573),
    "multi-similarity, beta 40": (losses.multi_similarity, {"beta": 40.0}, 0.3642500577),
    "unmined": (losses.multi_similarity_unmined, {}, 0.5121195405),
    "unmined, 5, 20, 0": (
        losses.multi_similarity_unmined,
        {"alpha": 5.0, "beta": 20.0, "base": 0.0},
        0.6486789886,
    ),
    "contrastive": (losses.contrastive, {"negative_margin": 1.0 + HAIR}, 1.168371966),
    "contrastive, means": (losses.contrastive_mean, {}, 1.005196054),
    "contrastive on S": (losses.contrastive, CONTRASTIVE_ON_S, 0.5868240888),
    "contrastive, the author's": (
        losses.cosine_contrastive,
        {"threshold": 0.5 - HAIR},
        1.086824089,
    ),
    "triplet": (losses.triplet, {}, 0.3798158587),
    "triplet, mean": (losses.triplet_mean, {"margin": 0.2}, 0.1986809470),
    "triplet, squared": (
        losses.triplet,
        {"margin": 0.2, "similarity": negative_squared_unit_euclidean},
        0.6088938656,
    ),
    "triplet, swapped": (losses.swapped_triplet, {"margin": 0.2}, 0.5298158587),
    "triplet on S": (
        losses.triplet,
        {"margin": 0.1, "similarity": similarity.cosine},
        0.3044469328,
    ),
    "triplet, smooth": (losses.smooth_triplet, {}, 0.6098630396),
    "triplet, batch hard": (losses.batch_hard_triplet, {"margin": 0.2}, 0.3473618940),
    "lifted": (losses.lifted_structure, {}, 2.579645079),
    "lifted, generalized": (losses.generalized_lifted_structure, {}, 1.506141982),
    "lifted, the author's": (losses.cosine_lifted_structure, {}, 0.01047226679),
    "binomial": (losses.binomial_deviance, {}, 5.147828532),
    "N-pairs": (losses.n_pairs, {"similarity": similarity.cosine}, 0.5926728458),
    "margin": (losses.margin, {"beta": 1.2 - HAIR}, 0.3134256851),
    "circle": (losses.circle, {}, 30.48043437),
    "circle, 0.25, 256": (losses.circle, {"margin": 0.25, "gamma": 256.0}, 140.0330136),
    "ranked list": (
        losses.ranked_list,
        {"margin": 0.4, "negative_sharpness": 3.0},
        0.2780826545,
    ),
    "tuplet": (losses.tuplet_margin, {}, 7.504587859),
    "intra-pair": (losses.intra_pair_variance, {}, 0.1284326546),
    "SNR": (losses.snr_contrastive, {}, 14.84136138),
}


@pytest.mark.parametrize("name", FIGURES)
def test_four_rows(name):
    """Also of rows whose numbers are moved by a unit in the last place, up or down, each for itself."""
    loss, settings, figure = FIGURES[name]
    value = jax.jit(functools.partial(loss, **settings))
    units = np.finfo(float).eps * np.linalg.norm(X, axis=1, keepdims=True)
    moves = np.random.default_rng(0).integers(-1, 2, size=(12, *X.shape))
    for move in (0 * moves[0], *moves):
        np.testing.assert_allclose(value(X + move * units, LABELS), figure, rtol=5e-10, atol=1e-12)


@pytest.mark.parametrize(("turn", "figure"), [(1e-9, 0.0), (-1e-9, 0.2)])
def test_semi_hard_triplets_on_both_sides_of_a_tie(turn, figure):
    """Row 2 is as far from row 0, of another class, as from row 3: nearer it is not semi-hard, farther it is."""
    angles = ANGLES + np.array([turn, 0, 0, 0])
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    value = jax.jit(losses.semi_hard_triplet)(x, LABELS, margin=0.2)
    np.testing.assert_allclose(value, figure, atol=2e-9)


def along_scores(loss, scores, labels, **settings):
    """dL/dS of a loss, whichever way it comes by its scores."""
    own = jnp.eye(len(labels))  # row i of the identity picks row i of the scores
    return jax.jit(
        jax.grad(
            lambda scores: loss(own, labels, similarity=lambda x, y: x @ scores @ y.T, **settings)
        )
    )(scores)


def test_multi_similarity_mines_these_pairs_and_weighs_them_so():
    weights = along_scores(losses.multi_similarity, similarity.cosine(X, X), LABELS)
    expected = np.zeros((4, 4))
    expected[1, 0], expected[1, 2] = -0.0925074551, 0.2499999999
    expected[2, 1], expected[2, 3], expected[2, 0] = 0.2499999999, -0.1250000000, 7.08e-11
    np.testing.assert_allclose(weights, expected, rtol=0, atol=6e-11)
    assert weights[2, 0] == pytest.approx(7.08e-11, rel=1e-3)


def test_multi_similarity_moves_the_rows_so():
    gradient = jax.jit(jax.grad(losses.multi_similarity))(X, LABELS)
    expected = [
        (0, -0.0594626459),
        (-0.0740725036, 0.0882761723),
        (0.4836981327, -0.2792632471),
        (-0.03125, -0.0180421959),
    ]
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=6e-11)


def test_duplicates_are_pairs_where_the_released_code_drops_them():
    x, labels = np.concatenate([X, X[:1]]), np.array([0, 0, 1, 1, 0])
    weights = along_scores(losses.multi_similarity_unmined, similarity.cosine(x, x), labels)
    assert weights[0, 4] < 0
    assert weights[0, 0] == 0


def test_one_singleton_class_costs_that_anchor_and_no_other():
    loss = jax.jit(functools.partial(losses.multi_similarity, reduce_fn=None))
    values, weights = loss(X, np.array([0, 0, 1, 2]))
    np.testing.assert_array_equal(weights, 1)
    np.testing.assert_array_equal(values[2:], 0)
    assert (values[:2] > 0).any()


def test_sharp_multi_similarity_is_a_hinge_on_the_hardest_pairs():
    sharp = jax.jit(losses.multi_similarity_unmined)(X, LABELS, alpha=1e4, beta=1e4)
    scores, rows = np.asarray(similarity.cosine(X, X)), []
    for i in range(4):
        own = [scores[i, j] for j in range(4) if j != i and LABELS[j] == LABELS[i]]
        other = [scores[i, j] for j in range(4) if LABELS[j] != LABELS[i]]
        rows.append(max(0.5 - min(own), 0) + max(max(other) - 0.5, 0))
    np.testing.assert_allclose(sharp, np.mean(rows), rtol=0, atol=1e-3)


def test_with_one_pair_a_side_multi_similarity_is_binomial_deviance_over_its_steepness():
    x, labels = X[[0, 1, 2]], np.array([0, 0, 1])
    unmined, binomial = (
        jax.jit(functools.partial(loss, x, labels, reduce_fn=None))
        for loss in (losses.multi_similarity_unmined, losses.binomial_deviance)
    )
    values, _ = unmined(beta=40.0)
    pulls, _ = binomial(beta=0.0)
    both, _ = binomial(beta=40.0)
    pulls = pulls - np.log(2)  # what a steepness of 0 leaves of the negatives
    np.testing.assert_allclose(values[:2], pulls[:2] / 2 + (both - pulls)[:2] / 40, rtol=1e-12)


# The table for what follows: every loss on rows where no hinge is on its edge.
ROWS = np.random.default_rng(5).normal(size=(13, 5))
CLASSES = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0])
WHERE = np.arange(13) < 12
COSINE = {"similarity": similarity.cosine}
FAMILY = {
    name: functools.partial(getattr(losses, name), **settings)
    for name, settings in {
        "multi_similarity": {},
        "multi_similarity_unmined": {},
        "contrastive": {},
        "contrastive_mean": {},
        "contrastive_squared": {},
        "cosine_contrastive": {},
        "snr_contrastive": {},
        "binomial_deviance": {},
        "margin": {},
        "intra_pair_variance": {},
        "circle": {"gamma": 8.0},
        "ranked_list": {"margin": 0.4, "negative_sharpness": 0.5},
        "tuplet_margin": {"temperature": 0.1},
        "n_pairs": COSINE,
        "lifted_structure": {},
        "generalized_lifted_structure": {},
        "cosine_lifted_structure": {},
        "triplet": {},
        "triplet_mean": {},
        "smooth_triplet": {},
        "semi_hard_triplet": {},
        "hard_triplet": {},
        "swapped_triplet": {},
        "batch_hard_triplet": {},
        "batch_hard_soft_margin_triplet": {},
        "batch_semi_hard_triplet": {},
    }.items()
}
# SNR subtracts the mean of the coordinates: rotations that keep the vector of ones leave it alone, and
# this one does not. N-pairs takes the first two rows of a class, in their order.
TURNED, ORDERED = {"snr_contrastive"}, {"n_pairs"}


@functools.cache
def compiled(name):
    """A loss of the table and its gradient: (rows, labels, where) -> (value, gradient)."""
    loss = FAMILY[name]
    return jax.jit(jax.value_and_grad(lambda x, labels, where: loss(x, labels, where=where)))


def each(names, quick=None):
    """A test for each name; those of one name run in one process, where its loss is compiled once."""
    return parameters(names, names if quick is None else quick, "pairs by")


@pytest.mark.parametrize("name", each(FAMILY))
def test_invariances(name):
    call = compiled(name)
    value, gradient = call(ROWS, CLASSES, WHERE)
    alone = np.flatnonzero(WHERE)
    rng = np.random.default_rng(6)
    order = rng.permutation(13)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    other = np.where(WHERE[:, None], ROWS, rng.normal(size=ROWS.shape))
    same = {
        "row scaling": (ROWS * rng.uniform(0.1, 10, (13, 1)), CLASSES, WHERE),
        "rotation": (ROWS @ turn, CLASSES, WHERE),
        "permutation": (ROWS[order], CLASSES[order], WHERE[order]),
        "relabeling": (ROWS, np.array([7, 3, 9, 0])[CLASSES], WHERE),
        "what is masked": (other, np.where(WHERE, CLASSES, 5), WHERE),
    }
    for change, arguments in same.items():
        if (change == "rotation" and name in TURNED) or (
            change == "permutation" and name in ORDERED
        ):
            continue
        np.testing.assert_allclose(call(*arguments)[0], value, rtol=1e-11, err_msg=change)
    assert value > 0 or name == "cosine_lifted_structure"
    # A loss of directions has no slope along a row.
    along = np.sum(gradient * ROWS, axis=1)[alone]
    np.testing.assert_allclose(along, 0, atol=1e-12 * np.abs(gradient).max())


# Swapped triplets book a slope with another row; for the other one see the test after this.
NO_WEIGHTS = {"swapped_triplet", "intra_pair_variance"}


@pytest.mark.parametrize(
    "name", each(sorted(FAMILY.keys() - NO_WEIGHTS), quick=["multi_similarity"])
)
def test_pair_weights_held_constant_give_the_same_gradient(name):
    loss = FAMILY[name]
    x, labels = ROWS[:12], CLASSES[:12]
    scores_of = loss.keywords.get("similarity") or default_similarity(loss.func)
    settings = {k: v for k, v in loss.keywords.items() if k != "similarity"}

    @jax.jit
    def both(x):
        slopes = along_scores(loss.func, scores_of(x, x), labels, **settings)
        return slopes, jax.grad(surrogate)(x, slopes)

    def surrogate(x, slopes):
        positives = labels[:, None] == labels
        weights, scores = jnp.abs(slopes), scores_of(x, x)
        return jnp.sum(jnp.where(positives, -weights, weights) * scores)

    slopes, weighted = both(x)
    exact = compiled(name)(ROWS, CLASSES, WHERE)[1][:12]  # the last row is padding
    positives = labels[:, None] == labels
    assert (np.diag(slopes) == 0).all()
    assert (slopes[positives] <= 0).all()
    assert (slopes[~positives] >= 0).all()
    np.testing.assert_allclose(weighted, exact, rtol=0, atol=1e-12 * np.abs(exact).max())


@pytest.mark.thorough
def test_three_losses_push_positives_or_pull_negatives_at_times():
    near = np.deg2rad([0, 2, 60, 120])  # the first two stand within tuplet margin's 5.73 degrees
    near = np.stack([np.cos(near), np.sin(near)], axis=1)
    slopes = along_scores(losses.tuplet_margin, similarity.cosine(near, near), LABELS)
    assert slopes[0, 1] > 0
    x, labels = ROWS[:12], CLASSES[:12]
    positives = labels[:, None] == labels
    slopes = along_scores(losses.intra_pair_variance, similarity.cosine(x, x), labels)
    assert (slopes[positives] > 0).any()
    sharp = {"margin": 0.4, "negative_sharpness": 50.0}
    distances = similarity.negative_unit_euclidean(x, x)
    slopes = along_scores(losses.ranked_list, distances, labels, **sharp)
    assert (slopes[~positives] < 0).any()


def default_similarity(loss):
    """The similarity that a loss takes unless told."""
    return inspect.signature(loss).parameters["similarity"].default


def test_the_weights_of_a_side_of_multi_similarity_sum_to_less_than_one():
    scores, rows = similarity.cosine(ROWS[:12], ROWS[:12]), CLASSES[:12]
    weights = 12 * np.asarray(along_scores(losses.multi_similarity_unmined, scores, rows))
    own = (rows[:, None] == rows) & ~np.eye(12, dtype=bool)
    other = rows[:, None] != rows
    pulls, pushes = -(weights * own).sum(axis=1), (weights * other).sum(axis=1)
    assert ((pulls > 0) & (pulls < 1)).all()
    assert ((pushes > 0) & (pushes < 1)).all()
