"""Regression on top of embeddings: ridge and k-NN predictions, their errors, and whether distances follow labels."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.evaluation._correlation import spearman
from jaxsim.evaluation._reduced import reduced
from jaxsim.numerics import block_entries, checks, kth_largest
from jaxsim.numerics._blocks import by_blocks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array, Numeric, ReduceFn, Similarity
from jaxsim.similarity import negative_euclidean, negative_squared_euclidean
from jaxsim.similarity._dense import OF_VECTORS

BLOCK_ENTRIES = 2**22  # scores of a block when `block` is None, on accelerators at least


class Shots(NamedTuple):
    """Errors by how many training labels are near: a number each, or (values, counts) with `reduce_fn=None`."""

    all: Any
    many: Any
    medium: Any
    few: Any


def mean_absolute_error(
    predicted: Array,
    gold: Array,
    *,
    where: Array | None = None,
    reduce_fn: ReduceFn | None = mean,
) -> Any:
    """Mean absolute error (MAE) of predicted numbers.

    Args:
      predicted, gold: [n], in one unit, which is that of the result.
      where: bool [n], False for examples that do not count.
      reduce_fn: (values, counts, axis_name) -> number; None gives both, [n] each.

    Returns: float32 at least; NaN where an example that counts has one.
    Raises: ValueError for shapes that do not fit.
    """
    errors, where = _errors(predicted, gold, where)
    return reduced(errors, where, reduce_fn)


def shot_mae(
    predicted: Array,
    gold: Array,
    density: Array,
    *,
    few: Numeric = 20.0,
    many: Numeric = 100.0,
    where: Array | None = None,
    reduce_fn: ReduceFn | None = mean,
) -> Shots:
    """Shot-wise MAE: the mean absolute error where training labels are many, medium and few.

    Many is a density above `many`, few one below `few`, medium what is left.

    Args:
      predicted, gold: [n], in one unit.
      density: [n], how many training labels share each gold label's bin, as `data.label_density` gives it.
      few, many: the limits, few <= many; 20 and 100 are the paper's for ages. Quantiles of the density, such
        as its lowest tenth, serve where sets are small.
      where: bool [n], False for examples that do not count.
      reduce_fn: (values, counts, axis_name) -> number; None gives both, [n] each.

    Returns: `Shots` of float32 at least; 0 for a kind without examples.
    Raises: ValueError for shapes that do not fit, or few above many.
    Source: Yang et al. 2021 (2102.09554), section 4.1.
    """
    for name, limit in (("few", few), ("many", many)):
        checks.not_negative(name, limit)
    if checks.host(few, many) and few > many:
        raise ValueError(f"few must be at most many={many}, got {few}")
    errors, where = _errors(predicted, gold, where)
    density = checks.reals("density", density)
    checks.shaped("density", density, errors.shape, "one per example")
    # A density of NaN is of no kind: it spoils all three.
    unknown = where & jnp.isnan(density)
    kinds = {
        "many": density > many,
        "medium": (density >= few) & (density <= many),
        "few": density < few,
    }
    figures = {"all": reduced(errors, where, reduce_fn)}
    for name, kind in kinds.items():
        figures[name] = reduced(errors, where & (kind | unknown), reduce_fn, unknown)
    return Shots(**figures)


def ridge_regression(
    features: Array, targets: Array, test_features: Array, *, ridge: float = 1e-3
) -> np.ndarray:
    """Ridge regression: predictions of the linear map with the least squared error and a penalty.

        minimize  mean squared error + ridge |weights|^2,    features standardized on training

    Solved in closed form, on the host in float64. The targets may have any scale, which the penalty does
    not depend on.

    Args:
      features: [n, dim]; targets: [n] or [n, c], to fit.
      test_features: [m, dim].
      ridge: >= 0; the intercept is free. At 0 the solution with the smallest weights.

    Returns: float64 [m] or [m, c].
    Raises: ValueError for shapes that do not fit, no rows, or numbers that are not finite.
    """
    checks.not_negative("ridge", ridge)
    checks.finite("ridge", ridge)
    train, targets, test = _fitted_on(features, targets, test_features)
    middle, center = targets.mean(axis=0), train.mean(axis=0)
    spread = train.std(axis=0)
    # A column that is constant but for rounding says nothing: its share of every prediction is 0.
    varies = spread > 1e-6 * np.abs(train).max(axis=0)
    train, test = ((a - center) * varies / np.where(varies, spread, 1) for a in (train, test))
    left, sizes, right = np.linalg.svd(train / np.sqrt(len(train)), full_matrices=False)
    sizes = np.where(sizes > 1e-7 * max(sizes.max(initial=0), 1e-300), sizes, 0)
    shrunk = np.divide(sizes, sizes**2 + ridge, out=np.zeros_like(sizes), where=sizes > 0)
    along = left.T @ (targets - middle).reshape(len(train), -1) / np.sqrt(len(train))
    predicted = test @ (right.T @ (shrunk[:, None] * along))
    return predicted.reshape(len(test), *targets.shape[1:]) + middle


def ridge_probe(
    features: Array,
    targets: Array,
    test_features: Array,
    test_targets: Array,
    *,
    ridge: float = 1e-3,
    reduce_fn: ReduceFn | None = mean,
) -> Any:
    """Ridge probe: the test mean absolute error of ridge regression on frozen features.

    Without a learning rate or a number of steps, so that no arm of a comparison depends on them.

    Args:
      features: [n, dim]; targets: [n], to fit, as in `ridge_regression`.
      test_features: [m, dim]; test_targets: [m].
      ridge: >= 0.
      reduce_fn: (values, counts, axis_name) -> number; None gives both, [m] each.

    Returns: float32 at least, in the targets' unit.
    Raises: ValueError as there.
    """
    targets = checks.host_reals("targets", targets)
    checks.shaped("targets", targets, (None,), "one per row of features")
    predicted = ridge_regression(features, targets, test_features, ridge=ridge)
    test_targets = checks.host_reals("test_targets", test_targets)
    checks.shaped("test_targets", test_targets, predicted.shape, "one per row of test_features")
    # On the host, where a target's last digits are not lost before the difference is taken.
    errors = jnp.asarray(np.abs(predicted - test_targets))
    return reduced(errors, jnp.ones(errors.shape, bool), reduce_fn)


def knn_regression(
    features: Array,
    targets: Array,
    test_features: Array,
    *,
    k: int = 5,
    where: Array | None = None,
    similarity: Similarity = negative_squared_euclidean,
    block: int | None = None,
) -> jax.Array:
    """k-NN regression: the mean target of the k closest training examples.

    Among equal scores at the k-th place none is preferred: they share the places that are left, so that
    the order of the examples does not matter, and a constant embedding predicts the mean.

    Args:
      features: [n, dim]; targets: [n] or [n, c], of the training examples.
      test_features: [m, dim].
      k: how many neighbors, at most n.
      where: bool [n], False for training examples that are nobody's neighbor; k must not exceed the others.
      similarity: (x, y) -> scores [m, n], larger is closer.
      block: test examples per block of scores; None chooses it.

    Returns: float32 at least, [m] or [m, c]; NaN for an example with a NaN among its scores that count.
    Raises: ValueError for shapes that do not fit, or k above the number of training examples.
    """
    checks.function("similarity", similarity, "such as similarity.cosine")
    features, test = (
        checks.vectors("features", features),
        checks.vectors("test_features", test_features),
    )
    if similarity in OF_VECTORS:
        checks.shaped("features", features, (None, None), "one row per example")
        checks.shaped("test_features", test, (None, features.shape[1]), "as wide as features")
    rows = checks.rows_of("features", features)
    targets = at_least_float32(checks.reals("targets", targets))
    checks.shaped("targets", targets, (rows, *targets.shape[1:2]), "one per row of features")
    where = checks.mask("where", where, (rows,), "one per row of features")
    checks.at_most("k", k, rows, "the number of training examples")
    if checks.host(where) or not isinstance(where, jax.core.Tracer):
        checks.at_most("k", k, int(where.sum()), "the number of training examples that count")
    if block is None:
        block = max(1, block_entries(BLOCK_ENTRIES) // rows)
    checks.whole("block", block)
    count = checks.rows_of("test_features", test)
    if count == 0:
        return jnp.zeros((0, *targets.shape[1:]), targets.dtype)
    features = jax.tree.map(lambda leaf: zeroed(leaf, where), features)
    columns = zeroed(targets, where).reshape(rows, -1)
    predicted = _neighbors_mean(features, columns, where, test, similarity, min(block, count), k)
    return predicted.reshape(count, *targets.shape[1:])


def distance_spearman(
    embeddings: Array,
    labels: Array,
    *,
    where: Array | None = None,
    similarity: Similarity = negative_euclidean,
) -> jax.Array:
    """Distance Spearman: whether examples lie as far from each other as their labels do.

    The Spearman correlation, over all pairs of examples, of the distance of embeddings with that of labels;
    1 where the order of the one is the order of the other.

    Args:
      embeddings: [n, dim].
      labels: [n], or [n, c] whose distance is the sum over c of |y_ic - y_jc|.
      where: bool [n], False for examples that do not count.
      similarity: (x, y) -> scores [n, n], larger is closer, the same for (x, y) and (y, x).

    Returns: float32 at least; 0 where all embeddings, or all labels, are equal. Memory is O(n^2): draw some
    thousand rows of a larger set.
    Raises: ValueError for shapes that do not fit.
    Source: Wu et al. 2023 (2309.16633) and Zha et al. 2023 (2210.01189) ask for it of their embeddings.
    """
    checks.function("similarity", similarity, "such as similarity.cosine")
    embeddings = checks.vectors("embeddings", embeddings)
    rows = checks.rows_of("embeddings", embeddings)
    if not isinstance(labels, jax.Array):
        labels = checks.host_reals("labels", labels)
        # Only differences matter: float32 keeps those of years and times once the middle is gone.
        labels = (
            labels - np.median(labels, axis=0) if np.isfinite(labels).all() and rows else labels
        )
    labels = at_least_float32(checks.reals("labels", labels))
    checks.shaped("labels", labels, (rows, *labels.shape[1:2]), "one per row of embeddings")
    where = checks.mask("where", where, (rows,), "one per row of embeddings")
    embeddings = jax.tree.map(lambda leaf: zeroed(leaf, where), embeddings)
    gold, predicted, counted = _pairs(embeddings, zeroed(labels, where), where, similarity)
    return spearman(predicted, gold, where=counted)


def _errors(predicted, gold, where):
    """(absolute errors [n], bool [n]); differences are taken before float64 of the host is narrowed."""
    names = {"predicted": predicted, "gold": gold}
    if checks.host(predicted, gold):
        sides = [checks.host_reals(name, side) for name, side in names.items()]
        sides = [side.astype(np.promote_types(side.dtype, np.float32)) for side in sides]
    else:
        sides = [at_least_float32(checks.reals(name, side)) for name, side in names.items()]
    checks.shaped("predicted", sides[0], (None,), "one per example")
    checks.shaped("gold", sides[1], sides[0].shape, "one per predicted number")
    where = checks.mask("where", where, sides[0].shape, "one per example")
    return jnp.abs(jnp.asarray(sides[0] - sides[1])), where


def _fitted_on(features, targets, test_features):
    """Training and test arrays on the host in float64, after their checks."""
    train, targets, test = (
        checks.host_reals(name, array).astype(np.float64)
        for name, array in (
            ("features", features),
            ("targets", targets),
            ("test_features", test_features),
        )
    )
    checks.shaped("features", train, (None, None), "one row per example")
    checks.shaped("targets", targets, (len(train), *targets.shape[1:2]), "one per row of features")
    checks.shaped("test_features", test, (None, train.shape[1]), "as wide as features")
    if len(train) == 0:
        raise ValueError("features must not be empty, got 0 rows")
    for name, array in (("features", train), ("targets", targets), ("test_features", test)):
        checks.finite_rows(name, array)
    return train, targets, test


@functools.partial(jax.jit, static_argnames=("similarity", "block", "k"))
def _neighbors_mean(features, targets, where, test, similarity, block, k):
    def of_block(rows):
        scores = similarity(rows, features)
        spoiled = (jnp.isnan(scores) & where).any(axis=1)
        scores = jnp.where(where, scores, -jnp.inf)
        last = kth_largest(scores, k)
        closer, level = scores > last, where & (scores == last)
        left = k - closer.sum(axis=1, keepdims=True)
        shares = closer + level * (left / jnp.maximum(level.sum(axis=1, keepdims=True), 1))
        means = jnp.matmul(shares.astype(targets.dtype), targets, precision="highest") / k
        return jnp.where(spoiled[:, None], jnp.nan, means)

    return by_blocks(of_block, test, block)


@functools.partial(jax.jit, static_argnames="similarity")
def _pairs(embeddings, labels, where, similarity):
    """Label distance, embedding distance and whether it counts, of all pairs of different rows."""
    scores = similarity(embeddings, embeddings)
    columns = labels.reshape(len(labels), -1)
    distances = jnp.abs(columns[:, None] - columns).sum(axis=-1)
    first, second = jnp.triu_indices(len(labels), 1)
    return distances[first, second], -scores[first, second], (where[:, None] & where)[first, second]
