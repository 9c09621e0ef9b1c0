"""Learned representations and rewards against what people care about: features and preferences."""

from typing import Any

import jax.numpy as jnp

from jaxsim.evaluation._reduced import reduced
from jaxsim.evaluation._regression import ridge_regression
from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, ReduceFn


def feature_prediction_error(
    embeddings: Array,
    features: Array,
    test_embeddings: Array,
    test_features: Array,
    *,
    ridge: float = 0.0,
    reduce_fn: ReduceFn | None = mean,
) -> Any:
    """Feature prediction error (FPE): the squared error of the true features, predicted linearly.

        mean over features and test examples of (phi - W z - w)^2,    W, w by least squares on training

    Smaller is better. A constant embedding has the variance of the features about their training mean; one
    that holds them linearly has 0. More dimensions predict better by themselves: compare equal widths.

    Args:
      embeddings: z [n, dim]; features: phi [n, features], to fit.
      test_embeddings: [m, dim]; test_features: [m, features]. Features of one scale count equally.
      ridge: of `ridge_regression`, >= 0.
      reduce_fn: (values, counts, axis_name) -> number; None gives both, [m] each.

    Returns: float32, the mean over the test examples.
    Raises: ValueError for shapes that do not fit, no rows, or numbers that are not finite.
    Source: Bobu et al. 2023 (SIRL, 2301.00810).
    """
    train, phi, test, wanted = (
        checks.host_reals(name, array)
        for name, array in (
            ("embeddings", embeddings),
            ("features", features),
            ("test_embeddings", test_embeddings),
            ("test_features", test_features),
        )
    )
    checks.shaped("embeddings", train, (None, None), "one row per example")
    checks.shaped("features", phi, (len(train), None), "one row per embedding")
    checks.shaped("test_embeddings", test, (None, train.shape[1]), "as wide as embeddings")
    shape = (len(test), phi.shape[1])
    checks.shaped("test_features", wanted, shape, "one row per test embedding, as wide as features")
    if len(train) == 0:
        raise ValueError("embeddings must not be empty, got 0 rows")
    arrays = {"embeddings": train, "features": phi, "test_embeddings": test}
    for name, array in {**arrays, "test_features": wanted}.items():
        checks.finite_rows(name, array)
    predicted = ridge_regression(train, phi, test, ridge=ridge)
    errors = jnp.asarray(((predicted - wanted) ** 2).mean(axis=1), jnp.result_type(float))
    return reduced(errors, jnp.ones(errors.shape, bool), reduce_fn)


def preference_accuracy(
    rewards: Array,
    truth: Array,
    pairs: Array,
    *,
    where: Array | None = None,
    reduce_fn: ReduceFn | None = mean,
) -> Any:
    """Preference accuracy (TPA): of how many pairs the learned reward prefers the right one.

    Test preference accuracy where the pairs are held out. Pairs whose true rewards are equal do not count;
    equal learned rewards are a mistake.

    Args:
      rewards: [n], learned, of what is compared.
      truth: [n], the true rewards: the larger is preferred.
      pairs: int [m, 2], places in both.
      where: bool [m], False for pairs that do not count.
      reduce_fn: (values, counts, axis_name) -> number; None gives both, [m] each.

    Returns: float32; NaN where a pair that counts has one, 0 where none counts.
    Raises: ValueError for shapes that do not fit, and places that are not there.
    Source: Bobu et al. 2023 (SIRL, 2301.00810).
    """
    learned = at_least_float32(checks.reals("rewards", rewards))
    checks.shaped("rewards", learned, (None,), "one per thing compared")
    truth = at_least_float32(checks.reals("truth", truth))
    checks.shaped("truth", truth, learned.shape, "one per learned reward")
    pairs = checks.numbers_of("pairs", pairs)
    checks.shaped("pairs", pairs, (None, 2), "two places each")
    checks.integers("pairs", pairs)
    checks.outside("pairs", pairs, len(learned))
    where = checks.mask("where", where, pairs.shape[:1], "one per pair")
    ahead, wanted = (array[pairs[:, 0]] - array[pairs[:, 1]] for array in (learned, truth))
    spoiled = where & (jnp.isnan(ahead) | jnp.isnan(wanted))
    right = (jnp.sign(ahead) == jnp.sign(wanted)).astype(jnp.float32)
    return reduced(right, where & (wanted != 0), reduce_fn, spoiled)
