"""Ridge and k-NN regression against scikit-learn, errors and distances against loops and SciPy."""

import jax
import numpy as np
import pytest
from scipy import stats

from jaxsim import evaluation
from jaxsim.similarity import cosine

RANDOM = np.random.default_rng(0)
X, TEST = RANDOM.normal(size=(40, 5)), RANDOM.normal(size=(13, 5))
Y = X @ RANDOM.normal(size=5) + RANDOM.normal(size=40)
GOLD = TEST @ RANDOM.normal(size=5)


@pytest.mark.parametrize("targets", [Y, np.stack([Y, Y**2], axis=1)], ids=["one", "two"])
@pytest.mark.parametrize("ridge", [1e-6, 0.1, 10.0])
def test_ridge_is_scikit_learns(targets, ridge):
    from sklearn.linear_model import Ridge

    center, spread = X.mean(axis=0), X.std(axis=0)
    peer = Ridge(alpha=ridge * len(X)).fit((X - center) / spread, targets)
    result = evaluation.ridge_regression(X, targets, TEST, ridge=ridge)
    np.testing.assert_allclose(result, peer.predict((TEST - center) / spread), rtol=1e-9)


def test_ridge_without_a_penalty_is_least_squares():
    design = np.concatenate([X, np.ones((40, 1))], axis=1)
    weights = np.linalg.lstsq(design, Y, rcond=None)[0]
    expected = TEST @ weights[:-1] + weights[-1]
    np.testing.assert_allclose(evaluation.ridge_regression(X, Y, TEST, ridge=0.0), expected)


@pytest.mark.parametrize("ridge", [0.0, 1e-3])
def test_ridge_of_features_that_say_nothing_is_the_mean(ridge):
    """Constant, repeated and far from 0: no column is divided by a rounding error."""
    constant = np.full((40, 3), 1e4 + 1e-9)
    np.testing.assert_allclose(
        evaluation.ridge_regression(constant, Y, constant[:2] + 1, ridge=ridge), Y.mean()
    )
    twice = evaluation.ridge_regression(np.tile(X, 2), Y, np.tile(TEST, 2), ridge=ridge / 2)
    np.testing.assert_allclose(twice, evaluation.ridge_regression(X, Y, TEST, ridge=ridge / 4))


def test_the_ridge_probe_is_the_error_of_ridge_regression():
    predicted = evaluation.ridge_regression(X, Y, TEST, ridge=0.3)
    result = evaluation.ridge_probe(X, Y, TEST, GOLD, ridge=0.3)
    np.testing.assert_allclose(result, np.abs(predicted - GOLD).mean(), rtol=1e-6)
    errors, counts = evaluation.ridge_probe(X, Y, TEST, GOLD, ridge=0.3, reduce_fn=None)
    np.testing.assert_allclose(errors, np.abs(predicted - GOLD), rtol=1e-6)
    assert counts.all()
    far = evaluation.ridge_probe(X, Y + 1e9, TEST, GOLD + 1e9, ridge=0.3)
    np.testing.assert_allclose(far, result, rtol=1e-5)


@pytest.mark.parametrize("block", [None, 4])
@pytest.mark.parametrize("targets", [Y, np.stack([Y, Y**2], axis=1)], ids=["one", "two"])
def test_neighbors_are_scikit_learns(targets, block):
    from sklearn.neighbors import KNeighborsRegressor

    peer = KNeighborsRegressor(n_neighbors=3).fit(X, targets)
    result = evaluation.knn_regression(X, targets, TEST, k=3, block=block)
    np.testing.assert_allclose(result, peer.predict(TEST), rtol=1e-5)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    peer = KNeighborsRegressor(n_neighbors=4, metric="cosine").fit(unit, targets)
    result = evaluation.knn_regression(X, targets, TEST, k=4, similarity=cosine, block=block)
    np.testing.assert_allclose(result, peer.predict(TEST), rtol=1e-5)


def test_neighbors_at_equal_distance_share_the_places():
    line = np.array([[0.0], [1], [1], [1], [5]])
    targets = np.array([10.0, 1, 2, 6, 100])
    result = evaluation.knn_regression(line, targets, np.zeros((1, 1)), k=2)
    np.testing.assert_allclose(result, (10 + (1 + 2 + 6) / 3) / 2)
    same = evaluation.knn_regression(np.ones((5, 2)), targets, np.ones((2, 2)), k=3)
    np.testing.assert_allclose(same, targets.mean(), rtol=1e-6)


def test_training_examples_that_do_not_count_are_nobodys_neighbors():
    where = np.arange(40) % 3 > 0
    spoiled_x, spoiled_y = np.where(where[:, None], X, np.nan), np.where(where, Y, np.nan)
    result = evaluation.knn_regression(spoiled_x, spoiled_y, TEST, k=3, where=where)
    expected = evaluation.knn_regression(X[where], Y[where], TEST, k=3)
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    spoiled_x[1] = np.nan
    assert np.isnan(evaluation.knn_regression(spoiled_x, Y, TEST, k=3, where=where)).all()


def test_errors_are_averaged_over_what_counts():
    where = np.arange(13) % 4 > 0
    predicted = np.where(where, GOLD + RANDOM.normal(size=13), np.nan)
    expected = np.abs(predicted - GOLD)[where].mean()
    compiled = jax.jit(lambda *sides: evaluation.mean_absolute_error(*sides[:2], where=sides[2]))
    for result in (
        evaluation.mean_absolute_error(predicted, GOLD, where=where),
        compiled(predicted, GOLD, where),
        evaluation.mean_absolute_error(predicted + 1e8, GOLD + 1e8, where=where),
    ):
        np.testing.assert_allclose(result, expected, rtol=1e-6)
    assert np.isnan(evaluation.mean_absolute_error(predicted, GOLD))
    errors, counts = evaluation.mean_absolute_error(predicted, GOLD, where=where, reduce_fn=None)
    np.testing.assert_array_equal(counts, where)
    np.testing.assert_allclose(errors[where], np.abs(predicted - GOLD)[where], rtol=1e-6)


DENSITY = np.array([0.0, 5, 19.9, 20, 60, 100, 100.1, 400])


def test_shots_are_taken_by_the_density_of_training_labels():
    predicted, gold = np.arange(8.0) ** 2, np.arange(8.0)
    errors = np.abs(predicted - gold)
    shots = evaluation.shot_mae(predicted, gold, DENSITY)
    kinds = slice(None), slice(6, 8), slice(3, 6), slice(0, 3)
    np.testing.assert_allclose(shots, [errors[kind].mean() for kind in kinds], rtol=1e-6)
    decile = evaluation.shot_mae(predicted, gold, DENSITY, few=5.5, many=5.5)
    np.testing.assert_allclose(decile, [errors.mean(), errors[2:].mean(), 0, errors[:2].mean()])
    where = np.arange(8) % 2 == 0
    each = evaluation.shot_mae(predicted, gold, DENSITY, where=where, reduce_fn=None)
    np.testing.assert_array_equal(each.few[1], where & (DENSITY < 20))
    masked = evaluation.shot_mae(np.where(where, predicted, np.nan), gold, DENSITY, where=where)
    np.testing.assert_allclose(masked.many, errors[6])


def test_an_unknown_density_makes_every_kind_unknown():
    density = np.where(np.arange(8) == 3, np.nan, DENSITY)
    shots = evaluation.shot_mae(np.arange(8.0), np.zeros(8), density)
    assert np.isnan([shots.many, shots.medium, shots.few]).all()
    assert shots.all == 3.5


@pytest.mark.parametrize("labels", [Y, np.round(Y), X[:, :2]], ids=["numbers", "ties", "vectors"])
def test_distances_against_scipy(labels):
    columns = labels.reshape(40, -1)
    pairs = [(i, j) for i in range(40) for j in range(i)]
    far = [np.linalg.norm(X[i] - X[j]) for i, j in pairs]
    gold = [np.abs(columns[i] - columns[j]).sum() for i, j in pairs]
    result = evaluation.distance_spearman(X, labels)
    np.testing.assert_allclose(result, stats.spearmanr(far, gold)[0], atol=2e-5)


def test_distances_in_the_labels_own_order():
    line = np.sort(RANDOM.normal(size=20))
    np.testing.assert_allclose(evaluation.distance_spearman(line[:, None], line), 1, rtol=1e-6)
    times = 1_700_000_000.0 + line
    np.testing.assert_allclose(evaluation.distance_spearman(line[:, None], times), 1, rtol=1e-4)
    assert evaluation.distance_spearman(np.ones((20, 2)), line) == 0
    assert evaluation.distance_spearman(line[:, None], np.ones(20)) == 0


def test_distances_of_what_counts():
    where = np.arange(40) % 3 > 0
    spoiled = np.where(where[:, None], X, np.nan)
    compiled = jax.jit(lambda x, y, where: evaluation.distance_spearman(x, y, where=where))
    result = compiled(spoiled, np.where(where, Y, np.nan), where)
    expected = evaluation.distance_spearman(X[where], Y[where])
    np.testing.assert_allclose(result, expected, atol=1e-6)
    assert np.isnan(evaluation.distance_spearman(spoiled, Y))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: evaluation.ridge_regression(X, Y[1:], TEST),
            r"targets must be \[40\], one per row",
        ),
        (
            lambda: evaluation.ridge_regression(X, Y, TEST[:, :2]),
            r"test_features must be \[any, 5\], as wide as features",
        ),
        (lambda: evaluation.ridge_regression(X * np.nan, Y, TEST), "features must be finite"),
        (lambda: evaluation.ridge_regression(X[:0], Y[:0], TEST), "must not be empty, got 0 rows"),
        (lambda: evaluation.ridge_probe(X, Y, TEST, GOLD, ridge=-1), "ridge must be >= 0, got -1"),
        (
            lambda: evaluation.ridge_probe(X, Y, TEST, Y),
            r"test_targets must be \[13\], one per row",
        ),
        (
            lambda: evaluation.knn_regression(X, Y, TEST, k=41),
            "k must be at most 40, the number of training examples, got 41",
        ),
        (
            lambda: evaluation.knn_regression(X, Y, TEST, k=3, where=np.arange(40) < 2),
            "k must be at most 2, the number of training examples that count, got 3",
        ),
        (
            lambda: evaluation.mean_absolute_error(GOLD, Y),
            r"gold must be \[13\], one per predicted",
        ),
        (lambda: evaluation.shot_mae(GOLD, GOLD, Y), r"density must be \[13\], one per example"),
        (
            lambda: evaluation.shot_mae(GOLD, GOLD, GOLD, few=5, many=4),
            "few must be at most many=4, got 5",
        ),
        (lambda: evaluation.distance_spearman(X, GOLD), r"labels must be \[40\], one per row"),
    ],
)
def test_bad_arguments_of_regression_are_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
