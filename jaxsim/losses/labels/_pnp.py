"""PNP losses: penalties for the negatives that are ranked ahead of positives.

    embeddings [batch, dim], labels [batch] -> loss

R_ij is how many negatives anchor i ranks ahead of its positive j, with a sigmoid for each comparison:

    R_ij = sum_{n in negatives_i} sigmoid((S_in - S_ij) / temperature)

The losses differ in what a positive with R_ij negatives ahead of it costs: growing steeper with R they
look at the worst placed positives, growing flatter at those that are nearly there. All count the
anchors that have a positive.
"""

import functools

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses._lift._over_positives import sums_of
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Numeric, RuleResult


@over_labels
def pnp(
    scores: Array, positives: Array, where: Array, *, temperature: Numeric = 0.01
) -> RuleResult:
    """PNP-O: the number of negatives ahead of a positive, counted softly, each equally.

        value_i = mean_{j in positives_i} R_ij
        R_ij = sum_{n in negatives_i} sigmoid((S_in - S_ij) / temperature)

    Counts the anchors that have a positive. In as many steps as the anchor with the most positives has,
    each O(rows * references).

    Args:
      temperature: divides the differences of cosines, > 0; 0.01 is pytorch-metric-learning.

    Source: Li et al. 2022 (2102.04640), PNP-O. The released code takes the anchor for one of its
    positives, which divides by one more.
    Data: labels.
    Memory: block x references, in as many steps as an anchor has positives.
    """
    return _means(_as_it_is, scores, positives, where, temperature, 0.0)


@over_labels
def pnp_iu(
    scores: Array, positives: Array, where: Array, *, temperature: Numeric = 0.01
) -> RuleResult:
    """PNP-Iu: `pnp` whose slope grows with the negatives ahead, without bound.

        value_i = mean_{j in positives_i} (1 + R_ij) log(1 + R_ij)

    R and what counts as in `pnp`.

    Args:
      temperature: as in `pnp`.

    Source: Li et al. 2022 (2102.04640), the increasing penalty, unbounded.
    Data: labels.
    Memory: block x references, in as many steps as an anchor has positives.
    """
    return _means(_unbounded, scores, positives, where, temperature, 0.0)


@over_labels
def pnp_ib(
    scores: Array, positives: Array, where: Array, *, b: Numeric = 2.0, temperature: Numeric = 0.01
) -> RuleResult:
    """PNP-Ib: `pnp` whose slope grows with the negatives ahead up to a bound.

        value_i = mean_{j in positives_i} (b R_ij - log(1 + b R_ij)) / b^2

    R and what counts as in `pnp`.

    Args:
      b: how soon the slope is near its bound of 1 / b, > 0; may be traced. 2 is
        pytorch-metric-learning.
      temperature: as in `pnp`.

    Source: Li et al. 2022 (2102.04640), the increasing penalty, bounded.
    Data: labels.
    Memory: block x references, in as many steps as an anchor has positives.
    """
    checks.positive("b", b)
    return _means(_bounded, scores, positives, where, temperature, b)


@over_labels
def pnp_ds(
    scores: Array, positives: Array, where: Array, *, temperature: Numeric = 0.01
) -> RuleResult:
    """PNP-Ds: `pnp` whose slope shrinks with the negatives ahead, slowly.

        value_i = mean_{j in positives_i} log(1 + R_ij)

    R and what counts as in `pnp`.

    Args:
      temperature: as in `pnp`.

    Source: Li et al. 2022 (2102.04640), the decreasing penalty, slow.
    Data: labels.
    Memory: block x references, in as many steps as an anchor has positives.
    """
    return _means(_slow, scores, positives, where, temperature, 0.0)


@over_labels
def pnp_dq(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    alpha: Numeric = 1.0,
    temperature: Numeric = 0.01,
) -> RuleResult:
    """PNP-Dq: `pnp` whose slope shrinks with the negatives ahead, quickly.

        value_i = mean_{j in positives_i} 1 - (1 + R_ij)^-alpha

    A positive with many negatives ahead, a wrong label say, hardly pulls. R and what counts as in `pnp`.

    Args:
      alpha: how quickly, > 0; may be traced. 1 is pytorch-metric-learning, 4 the authors' best.
      temperature: as in `pnp`.

    Source: Li et al. 2022 (2102.04640), the decreasing penalty, quick.
    Data: labels.
    Memory: block x references, in as many steps as an anchor has positives.
    """
    checks.positive("alpha", alpha)
    return _means(_quick, scores, positives, where, temperature, alpha)


# A cost: (R, its hyperparameter) -> what a positive with R negatives ahead costs; 0 at R = 0.


def _as_it_is(ahead, _):
    return ahead


def _unbounded(ahead, _):
    return (1 + ahead) * jnp.log1p(ahead)


def _bounded(ahead, b):
    return (b * ahead - jnp.log1p(b * ahead)) / jnp.square(b)


def _slow(ahead, _):
    return jnp.log1p(ahead)


def _quick(ahead, alpha):
    return -jnp.expm1(-alpha * jnp.log1p(ahead))


def _means(cost, scores, positives, where, temperature, number):
    checks.positive("temperature", temperature)
    number = jnp.asarray(number, scores.dtype)
    visit = functools.partial(_cost_of_positive, cost)
    sums, _ = sums_of(visit, scores / temperature, positives, where & ~positives, number)
    count = positives.sum(axis=1)
    return sums / jnp.maximum(count, 1), count > 0


def _cost_of_positive(cost, scores, negatives, number, column, level, live):
    """The cost of one positive of every row, of scores in units of 1, and its slope along the number."""
    above = jnp.where(negatives & live, jax.nn.sigmoid(scores - level), 0)
    ahead = jnp.sum(above, axis=1)
    value, per_negative = jax.jvp(lambda r: cost(r, number), (ahead,), (jnp.ones_like(ahead),))
    _, along = jax.jvp(lambda a: cost(ahead, a), (number,), (jnp.ones_like(number),))
    slope = per_negative[:, None] * above * (1 - above)
    return slope, jnp.sum(slope, axis=1), value, along
