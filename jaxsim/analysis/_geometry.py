"""Geometry of embeddings on the sphere: uniformity, alignment, tolerance, effective rank and spectrum.

    embeddings [batch, dim] (with labels [batch], or other embeddings) -> a figure

Rows are divided by their norm first, except for the two that look at directions, `effective_rank` and
`covariance_spectrum`. With `axis_name` the batch is split over a named axis, and the figure is that of
the whole batch, the same on every device. A NaN in a row that counts makes the figure NaN.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import checks, masked
from jaxsim.numerics._devices import gather
from jaxsim.numerics._norms import at_least_float32, safe_norm, unit
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array


@over_labels
def _log_potentials(scores, positives, where, *, t):
    """The lifter walks the pairs: each row's log sum of exp(-t |x - y|^2), and its number of pairs."""
    return masked.log_sum_exp(2 * t * (scores - 1), where), where.sum(axis=1)


def uniformity(
    embeddings: Array,
    *,
    t: float = 2.0,
    where: Array | None = None,
    axis_name: str | None = None,
    block: int | None = None,
) -> jax.Array:
    """Uniformity: how evenly embeddings spread over the sphere; larger is more even.

        -log of the mean over pairs x != y of exp(-t |x - y|^2),   |x| = |y| = 1

    0 when all are at one point. The largest value depends on the dimension: compare with
    `uniformity_ceiling`. Its negative is the uniformity loss, with the gradient of that loss.

    Args:
      embeddings: [batch, dim]; rows are normalized.
      t: of the Gaussian potential, > 0.
      where: bool [batch], False for padding.
      axis_name: the named axis over which the batch is split.
      block: rows per block of pairs; None chooses it.

    Returns: a float32 scalar (float64 for float64 input); 0 without any pair.
    Raises: ValueError for shapes that do not fit.
    Source: Wang and Isola 2020 (2005.10242), equation 2 with t = 2; Wang and Liu 2021 (2012.09740),
    equation 10, which plots it with this sign.
    """
    checks.positive("t", t)
    checks.finite("t", t)
    embeddings = at_least_float32(checks.reals("embeddings", embeddings))
    checks.shaped("embeddings", embeddings, (None, None), "one row per example")
    where = checks.mask("where", where, embeddings.shape[:1])
    if block is not None:
        checks.whole("block", block)
    same = jnp.zeros(embeddings.shape[:1], jnp.int32)
    values, pairs = _log_potentials(
        embeddings, same, t=t, where=where, axis_name=axis_name, block=block, reduce_fn=None
    )
    counted = pairs > 0
    # The sum over all devices comes before the logarithm: a mean of local values is another number.
    largest = masked.max(jax.lax.stop_gradient(values), counted, empty=-jnp.inf)
    if axis_name is not None:
        largest = jax.lax.pmax(largest, axis_name)
    largest = jnp.where(jnp.isfinite(largest), largest, 0)
    sums = jnp.sum(jnp.where(counted, jnp.exp(values - largest), 0)), jnp.sum(pairs)
    potential, count = sums if axis_name is None else jax.lax.psum(sums, axis_name)
    nonempty = count > 0
    value = (
        jnp.log(jnp.where(nonempty, potential, 1))
        + largest
        - jnp.log(jnp.where(nonempty, count, 1))
    )
    return jnp.where(nonempty, -value, 0)


def uniformity_ceiling(dim: int, *, t: float = 2.0) -> float:
    """Largest uniformity in a dimension: that of infinitely many points spread evenly over the sphere.

        2 t - log 0F1(; dim / 2; t^2)     which tends to 2 t as the dimension grows

    Few points may exceed it: two antipodes reach 4 t.

    Args:
      dim: of the embeddings.
      t: as in `uniformity`.

    Returns: a float.
    """
    checks.whole("dim", dim)
    checks.positive("t", t)
    checks.finite("t", t)
    term, total, number = 1.0, 1.0, 0
    while term > 1e-17 * total:
        term *= t * t / ((number + 1) * (dim / 2 + number))
        total, number = total + term, number + 1
    return 2 * t - math.log(total)


def alignment(
    x: Array,
    y: Array,
    *,
    alpha: float = 2.0,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Alignment: the mean of |x_i - y_i|^alpha over pairs of views; smaller is closer.

    Args:
      x, y: [batch, dim], row i of one belongs to row i of the other; rows are normalized.
      alpha: of the distance, > 0; at least 1 where it is differentiated.
      where: bool [batch], False for padding.
      axis_name: the named axis over which the batch is split.

    Returns: a float32 scalar (float64 for float64 input); 0 over nothing.
    Raises: ValueError for shapes that do not fit.
    Source: Wang and Isola 2020 (2005.10242), equation 1 with alpha = 2.
    """
    checks.positive("alpha", alpha)
    checks.finite("alpha", alpha)
    x, where = _rows(x, where, "x")
    y, _ = _rows(y, where, "y")
    checks.shaped("y", y, x.shape, "as x")
    distances = safe_norm(unit(x) - unit(y)) ** alpha
    return mean(distances, where.astype(distances.dtype), axis_name)


def tolerance(
    embeddings: Array,
    labels: Array,
    *,
    include_self: bool = False,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Tolerance: the mean cosine over the ordered pairs of a class; larger is closer.

    All pairs of all classes are pooled, so that large classes have more weight. The paper's tables must have
    been computed so; its equation divides by all pairs (`tolerance_over_all_pairs`).

    Args:
      embeddings: [batch, dim]; rows are normalized.
      labels: int [batch].
      include_self: count each example with itself too, which adds its squared norm.
      where: bool [batch], False for padding.
      axis_name: the named axis over which the batch is split.

    Returns: a float32 scalar (float64 for float64 input); 0 without any pair.
    Raises: ValueError for shapes that do not fit.
    Source: Wang and Liu 2021 (2012.09740), equation 11 and table 1.
    """
    sums, counts, _ = _within_classes(embeddings, labels, include_self, where, axis_name)
    return _ratio(jnp.sum(sums), jnp.sum(counts))


def tolerance_over_all_pairs(
    embeddings: Array,
    labels: Array,
    *,
    include_self: bool = False,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Tolerance over the number of all pairs: equation 11 of the paper as printed.

    With ten balanced classes it is near a tenth of it. Arguments and result as in `tolerance`.
    """
    sums, _, rows = _within_classes(embeddings, labels, include_self, where, axis_name)
    return _ratio(jnp.sum(sums), rows * (rows - (0 if include_self else 1)))


def tolerance_of_classes(
    embeddings: Array,
    labels: Array,
    *,
    include_self: bool = False,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Tolerance averaged over classes: every class has the same weight.

    Counts the classes that have a pair. Arguments and result as in `tolerance`.
    """
    sums, counts, _ = _within_classes(embeddings, labels, include_self, where, axis_name)
    return masked.mean(sums / jnp.where(counts > 0, counts, 1), counts > 0)


class Isotropy(NamedTuple):
    """How evenly embeddings use their space."""

    mean_cosine: jax.Array  # near 0 where they point everywhere, near 1 in a narrow cone
    uniformity: jax.Array
    effective_rank: jax.Array


def mean_cosine(
    embeddings: Array, *, where: Array | None = None, axis_name: str | None = None
) -> jax.Array:
    """Mean cosine of pairs of different rows: anisotropy, near 1 where all point in nearly the same direction.

    The tolerance of one class of all.

    Args:
      embeddings: [batch, dim]; rows are normalized.
      where: bool [batch], False for padding.
      axis_name: the named axis over which the batch is split.

    Returns: a float32 scalar (float64 for float64 input); 0 without any pair.
    Raises: ValueError for shapes that do not fit.
    Source: Ethayarajh 2019 (1909.00512), its anisotropy.
    """
    count = len(checks.reals("embeddings", embeddings))
    return tolerance(embeddings, jnp.zeros(count, jnp.int32), where=where, axis_name=axis_name)


def isotropy(
    embeddings: Array, *, where: Array | None = None, axis_name: str | None = None
) -> Isotropy:
    """Isotropy: mean cosine, uniformity and effective rank of embeddings, together.

    Args:
      embeddings: [batch, dim].
      where: bool [batch], False for padding.
      axis_name: the named axis over which the batch is split.

    Returns: `Isotropy`.
    Raises: ValueError for shapes that do not fit.
    """
    settings = {"where": where, "axis_name": axis_name}
    return Isotropy(
        mean_cosine(embeddings, **settings),
        uniformity(embeddings, **settings),
        effective_rank(embeddings, **settings),
    )


def effective_rank(
    embeddings: Array, *, where: Array | None = None, axis_name: str | None = None
) -> jax.Array:
    """Effective rank (RankMe): exp of the entropy of the singular values.

    Between 1 and min(batch, dim); it is not centered: subtract the mean first where that is wanted.

    Args:
      embeddings: [batch, dim], taken as they are.
      where: bool [batch], False for padding.
      axis_name: the named axis over which the batch is split; all rows are gathered.

    Returns: a float32 scalar (float64 for float64 input); 0 for rows of zeros.
    Source: Roy and Vetterli 2007; used so in Garrido et al. 2023 (2210.02885).
    """
    rows, where = _rows(embeddings, where)
    singular = jnp.linalg.svd(gather(rows, axis_name), compute_uv=False)
    total = jnp.sum(singular)
    shares = singular / jnp.where(total > 0, total, 1)
    entropy = -jnp.sum(jnp.where(shares > 0, shares * jnp.log(jnp.where(shares > 0, shares, 1)), 0))
    return jnp.where(total > 0, jnp.exp(entropy), 0 * total)  # NaN stays


def covariance_spectrum(
    embeddings: Array, *, where: Array | None = None, axis_name: str | None = None
) -> jax.Array:
    """Covariance spectrum: the variances along the principal directions, largest first.

    A few large ones among zeros are a collapse of dimensions, which no mean of similarities shows.

    Args:
      embeddings: [batch, dim], taken as they are, centered here.
      where: bool [batch], False for padding.
      axis_name: the named axis over which the batch is split.

    Returns: [dim], zeros over nothing.
    """
    rows, where = _rows(embeddings, where)
    count = _over_devices(jnp.sum(where).astype(rows.dtype), axis_name)
    count = jnp.where(count > 0, count, 1)
    center = _over_devices(jnp.sum(rows, axis=0), axis_name) / count
    centered = jnp.where(where[:, None], rows - center, 0)
    moment = jnp.matmul(centered.T, centered, precision="highest")
    return jnp.linalg.eigvalsh(_over_devices(moment, axis_name) / count)[::-1]


def _within_classes(embeddings, labels, include_self, where, axis_name):
    """Per class: the sum of cosines over its ordered pairs, and how many; and the number of all rows.

    From class sums, sum_{i != j} f_i . f_j = |sum f|^2 - sum |f|^2: no array of pairs.
    """
    rows, where = _rows(embeddings, where)
    labels = checks.column("labels", labels, rows.shape[0], "one per row of embeddings")
    rows = unit(rows)
    every = jnp.sort(gather(labels, axis_name))
    place = jnp.searchsorted(every, labels)  # where a class begins among all rows is its number

    def by_class(values):
        return _over_devices(jax.ops.segment_sum(values, place, every.shape[0]), axis_name)

    vectors, count = by_class(rows), by_class(where.astype(rows.dtype))
    diagonal = by_class(jnp.sum(rows * rows, axis=1))
    sums = jnp.sum(vectors * vectors, axis=1) - (0 if include_self else diagonal)
    return sums, count * (count - (0 if include_self else 1)), jnp.sum(count)


def _rows(embeddings, where, name="embeddings"):
    """Embeddings in float32 at least, padding zeroed, and the mask."""
    embeddings = at_least_float32(checks.reals(name, embeddings))
    checks.shaped(name, embeddings, (None, None), "one row per example")
    where = checks.mask("where", where, embeddings.shape[:1])
    return masked.zeroed(embeddings, where), where


def _over_devices(values, axis_name):
    return values if axis_name is None else jax.lax.psum(values, axis_name)


def _ratio(total, count):
    return jnp.where(count > 0, total / jnp.where(count > 0, count, 1), 0)
