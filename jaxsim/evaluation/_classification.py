"""Classification on top of embeddings: k-NN accuracy, a linear probe, macro F1."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.evaluation._query_rows import Figure, Rows, closest_others_first, over_queries
from jaxsim.evaluation._reduced import reduced
from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, Numeric, ReduceFn


@over_queries
def knn_accuracy(rows: Rows, *, k: int = 20, temperature: Numeric = 0.07) -> Figure:
    """k-NN accuracy: how often the weighted vote of the k closest references is right.

    A neighbor's vote counts exp(score / temperature); an infinite temperature counts neighbors. Ties are
    pessimistic: among equal scores neighbors of another class come first, and classes with equal
    votes are a mistake. References are the training set.

    Args:
      k: how many vote, at most the number of references.
      temperature: of the votes, > 0.

    Source: Wu et al. 2018 (1805.01978), section 3.4, with k = 200 there.
    """
    checks.positive("temperature", temperature)
    checks.at_most("k", k, rows.count(), "the number of references")
    return Figure(_voted, settings=(jnp.float32(temperature),), k=k)


def macro_f1(labels: Array | Sequence[str], predictions: Array | Sequence[str]) -> float:
    """Macro F1: the mean over classes of the harmonic mean of precision and recall.

        F1_c = 2 TP_c / (2 TP_c + FP_c + FN_c)

    Over the classes that occur among labels or predictions. Micro F1 of one class per example is accuracy.

    Args:
      labels, predictions: int [n], or strings.

    Returns: a float from 0 to 1.
    Raises: ValueError for lengths that differ, no examples, labels that are NaN.
    """
    labels = checks.names("labels", labels)
    predictions = checks.names("predictions", predictions)
    checks.shaped("labels", labels, (None,), "one per example")
    checks.shaped("predictions", predictions, labels.shape, "one per label")
    if labels.size == 0:
        raise ValueError("labels must not be empty, got 0")
    classes, numbers = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
    right, guessed = np.split(numbers, 2)
    counts = [np.bincount(side, minlength=len(classes)) for side in (right, guessed)]
    hits = np.bincount(right[right == guessed], minlength=len(classes))
    return float(np.mean(2 * hits / (counts[0] + counts[1])))


def linear_probe(
    features: Array,
    labels: Array | Sequence[str],
    test_features: Array,
    test_labels: Array | Sequence[str],
    *,
    ridge: float = 1e-3,
    steps: int = 500,
    tolerance: float = 1e-5,
    reduce_fn: ReduceFn | None = mean,
) -> jax.Array:
    """Linear probe: the test accuracy of multinomial logistic regression on frozen features.

        minimize  mean cross-entropy + (ridge / 2) |weights|^2,    features standardized on training

    Solved to its optimum and without a learning rate, so that no arm of a comparison depends on one:
    accelerated steps under Boehning's bound of the curvature, restarted where they would overshoot.

    Args:
      features: [n, dim]; labels: int [n], or strings, to fit.
      test_features: [m, dim]; test_labels: int [m].
      ridge: >= 0; the bias is free.
      steps: at most so many.
      tolerance: stop where no entry of the gradient is larger.
      reduce_fn: (values, counts, axis_name) -> number; None gives both, [m] each.

    Returns: float32, the mean over the test examples.
    Raises: ValueError for shapes that do not fit, features that are not finite, labels that are NaN.
    Source: the protocol of Zhang et al. 2016 (1603.08511); the bound is Boehning 1992.
    """
    checks.not_negative("ridge", ridge)
    checks.finite("ridge", ridge)
    checks.whole("steps", steps)
    checks.not_negative("tolerance", tolerance)
    train, test = (
        np.asarray(at_least_float32(checks.reals(name, array)))
        for name, array in (("features", features), ("test_features", test_features))
    )
    labels = checks.names("labels", labels)
    test_labels = checks.names("test_labels", test_labels)
    checks.shaped("features", train, (None, None), "one row per example")
    checks.shaped("labels", labels, train.shape[:1], "one per row of features")
    checks.shaped("test_features", test, (None, train.shape[1]), "as wide as features")
    checks.shaped("test_labels", test_labels, test.shape[:1], "one per row of test_features")
    if len(train) == 0:
        raise ValueError("features must not be empty, got 0 rows")
    checks.finite_rows("features", train)
    checks.finite_rows("test_features", test)
    classes, target = np.unique(labels, return_inverse=True)
    with np.errstate(over="ignore"):
        center, spread = train.mean(axis=0), train.std(axis=0)
    if not np.isfinite(spread).all():
        raise ValueError("features must have squares that fit float32: scale them down")
    spread = np.where(spread > 1e-12, spread, 1)
    train, test = ((a - center) / spread for a in (train, test))
    train, test = (np.concatenate([a, np.ones_like(a[:, :1])], axis=1) for a in (train, test))
    penalty = np.full(train.shape[1], ridge, train.dtype)
    penalty[-1] = 0
    weights = _logistic(train, target, penalty, len(classes), steps, tolerance)
    chosen = classes[np.argmax(test @ np.asarray(weights), axis=1)]
    return reduced(jnp.float32(chosen == test_labels), jnp.ones(len(test), bool), reduce_fn)


def _voted(scores, labels, their_labels, where, temperature, k):
    same = labels[:, None] == their_labels
    best, ids, hits = closest_others_first(scores, same, where, k)
    there = best > -jnp.inf
    votes = jnp.where(there, jnp.exp((best - best[:, :1]) / temperature), 0)
    theirs = their_labels[ids]
    # Votes for the class of each neighbor, without a table of all classes.
    for_each = jnp.sum(jnp.where(theirs[:, :, None] == theirs[:, None], votes[:, None], 0), axis=2)
    support = jnp.sum(jnp.where(hits, votes, 0), axis=1)
    rival = jnp.max(jnp.where(there & ~hits, for_each, 0), axis=1)
    return (support > rival).astype(jnp.float32), jnp.ones(labels.shape, bool)


@functools.partial(jax.jit, static_argnames=("classes", "steps"))
def _logistic(x, target, penalty, classes, steps, tolerance):
    """Weights [dim, classes] of penalized logistic regression."""
    rows = x.shape[0]
    wanted = jax.nn.one_hot(target, classes, dtype=x.dtype)
    # The curvature of softmax is at most 1/2 of the features' second moments: one matrix for all steps.
    bound = jnp.matmul(x.T, x, precision="highest") / (2 * rows) + jnp.diag(penalty)
    jitter = 1e-6 * jnp.trace(bound) / x.shape[1]
    factor = jax.scipy.linalg.cho_factor(bound + jitter * jnp.eye(x.shape[1], dtype=x.dtype))

    def gradient(weights):
        residual = jax.nn.softmax(x @ weights, axis=1) - wanted
        return x.T @ residual / rows + penalty[:, None] * weights

    def going(carry):
        number, _, _, _, largest = carry
        return (number < steps) & (largest > tolerance)

    def step(carry):
        number, weights, ahead, momentum, _ = carry
        slope = gradient(ahead)
        fresh = ahead - jax.scipy.linalg.cho_solve(factor, slope)
        momentum = jnp.where(jnp.sum(slope * (fresh - weights)) > 0, 1.0, momentum)
        larger = (1 + jnp.sqrt(1 + 4 * momentum**2)) / 2
        further = fresh + (momentum - 1) / larger * (fresh - weights)
        return number + 1, fresh, further, larger, jnp.max(jnp.abs(slope))

    start = jnp.zeros((x.shape[1], classes), x.dtype)
    one = jnp.ones((), x.dtype)
    return jax.lax.while_loop(going, step, (0, start, start, one, one * jnp.inf))[1]
