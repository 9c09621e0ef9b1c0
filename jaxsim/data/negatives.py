"""Negative sampling distributions: uniform, log-uniform, powers of counts; inside a jitted step.

A sampler is its log-probabilities, float32 [classes], normalized.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Numeric, PRNGKey, Shape


def count_power(counts: Array, exponent: Numeric) -> jax.Array:
    """Unigram distribution to a power: each class with a probability proportional to count ** exponent.

    0.75 is word2vec's; 0 is uniform over what occurs; below 0 rare classes are drawn more often.

    Args:
      counts: [classes], how often each occurs, >= 0; what never occurs is never drawn.
      exponent: any finite number; may be traced.

    Returns: float32 [classes] at least, log-probabilities; -inf for what is never drawn.
    Source: Mikolov et al. 2013 (1310.4546), section 2.2; negative powers as Caselles-Dupre et al. 2018.
    """
    counts = checks.reals("counts", counts)
    checks.shaped("counts", counts, (None,))
    checks.not_negative("counts", counts)
    checks.finite("counts", counts)
    checks.finite("exponent", exponent)
    if _known(counts) and not (np.asarray(counts) > 0).any():
        raise ValueError("counts must have one above 0: there is nothing to draw")
    seen = counts > 0
    logits = exponent * jnp.log(jnp.where(seen, counts, 1).astype(jnp.result_type(float)))
    return jax.nn.log_softmax(jnp.where(seen, logits, -jnp.inf))


def uniform(classes: int) -> jax.Array:
    """Uniform distribution over the classes: float32 [classes], log-probabilities."""
    checks.whole("classes", classes)
    return jnp.full(classes, -jnp.log(classes))


def log_uniform(classes: int) -> jax.Array:
    """Log-uniform distribution: Zipf's law over classes sorted by falling frequency.

        P(i) = log((i + 2) / (i + 1)) / log(classes + 1)

    Args:
      classes: how many.

    Returns: float32 [classes], log-probabilities.
    Source: as TensorFlow's log_uniform_candidate_sampler.
    """
    checks.whole("classes", classes)
    ranks = jnp.arange(classes, dtype=jnp.result_type(float))
    return jnp.log(jnp.log1p(1 / (ranks + 1))) - jnp.log(jnp.log(classes + 1.0))


def draw(
    key: PRNGKey, log_probabilities: Array, shape: Shape, *, without: Array | None = None
) -> jax.Array:
    """Samples classes with replacement, by the inverse of the cumulative distribution.

    Args:
      key: a jax.random key.
      log_probabilities: [classes].
      shape: of the result, such as (k,) for negatives that a batch shares, or (batch, k).
      without: int, of the first axes of `shape`: a class that may not be drawn there. As if hits were
        drawn again until none is left (word2vec's way), at no cost.

    Returns: int32 [*shape].
    Raises: ValueError for a `without` that does not fit, and where nothing can be drawn.
    """
    checks.key("key", key)
    log_probabilities = checks.reals("log_probabilities", log_probabilities)
    checks.shaped("log_probabilities", log_probabilities, (None,))
    shape = _shape(shape)
    _drawable(log_probabilities, without)
    probabilities = jnp.exp(log_probabilities)
    ends = jnp.cumsum(probabilities)
    place = jax.random.uniform(key, shape, ends.dtype)
    if without is None:
        place = place * ends[-1]
    else:
        without = checks.numbers_of("without", without)
        checks.integers("without", without)
        checks.outside("without", without, len(ends))
        checks.shaped("without", without, tuple(shape[: without.ndim]), "the first axes of shape")
        without = without.reshape(*without.shape, *[1] * (len(shape) - without.ndim))
        # The forbidden class' stretch is cut out of the line and the rest closed up.
        width = probabilities[without]
        place = place * (ends[-1] - width)
        place = jnp.where(place >= ends[without] - width, place + width, place)
    last = jnp.max(jnp.where(probabilities > 0, jnp.arange(len(ends)), 0))
    drawn = jnp.minimum(jnp.searchsorted(ends, place, side="right"), last).astype(jnp.int32)
    if without is None:
        return drawn
    # Rounding may put a draw on the edge of the cut: then its neighbor that can be drawn is taken.
    return jnp.where(drawn == without, _neighbor(probabilities, without), drawn)


def log_expected_counts(
    log_probabilities: Array, draws: Numeric, *, distinct: bool = False
) -> jax.Array:
    """Log-Q correction: the log of how often each class is expected among the draws, which sampled softmax subtracts.

    Args:
      log_probabilities: [...].
      draws: how many there are; where they are distinct, how many tries they took.
      distinct: the draws were repeated until they differed: -expm1(tries * log1p(-p)).

    Returns: float [...].
    """
    checks.positive("draws", draws)
    log_probabilities = checks.reals("log_probabilities", log_probabilities)
    if not distinct:
        return log_probabilities + jnp.log(draws)
    return jnp.log(-jnp.expm1(draws * jnp.log1p(-jnp.exp(log_probabilities))))


def _shape(shape):
    whole = isinstance(shape, (tuple, list))
    if not whole or not all(isinstance(n, (int, np.integer)) and n >= 0 for n in shape):
        raise ValueError(f"shape must be a tuple of whole numbers, got {checks.shown(shape)}")
    return tuple(shape)


def _drawable(log_probabilities, without):
    """Refuses NaN, and probabilities that are all 0; traced ones pass."""
    if not _known(log_probabilities):
        return
    values = np.asarray(log_probabilities)
    if np.isnan(values).any():
        raise ValueError(f"log_probabilities must be numbers, got {np.isnan(values).sum()} NaN")
    if (values > -np.inf).sum() < (1 if without is None else 2):
        hint = "" if without is None else ", and another where one is left out"
        raise ValueError(f"log_probabilities must have a class that can be drawn{hint}")


def _known(value):
    return not isinstance(value, jax.core.Tracer)


def _neighbor(probabilities, without):
    """The next class after `without` that has a probability, cyclically."""
    count = probabilities.shape[0]
    numbers = jnp.where(probabilities > 0, jnp.arange(count), count)
    after = jax.lax.cummin(numbers, reverse=True)
    after = jnp.where(after < count, after, after[0])
    return after[(without + 1) % count].astype(jnp.int32)
