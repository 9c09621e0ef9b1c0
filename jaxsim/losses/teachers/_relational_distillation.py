"""Relational distillation: a student copies the distances and angles between its teacher's vectors.

    student [batch, dim], teacher [batch, any dim] -> loss

The teacher is constant. Dimension, scale and rotation of the student are free. Outside the lifters: the
mean distance is one of the whole batch, and an angle has three rows.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import reduced, spoilt_by
from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.views._global_orthogonal import none_alike
from jaxsim.numerics import checks, masked
from jaxsim.numerics._devices import gather, row_ids
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array, ReduceFn
from jaxsim.similarity import euclidean


def relational_distances(
    student: Array,
    teacher: Array,
    *,
    where: Array | None = None,
    axis_name: str | None = None,
    block: int | None = None,
) -> jax.Array:
    """RKD distance loss: pairwise distances, over their mean, match the teacher's, over theirs.

        mean over i != j of h( |s_i - s_j| / m_s - |t_i - t_j| / m_t ),
        h(x) = x^2 / 2 where |x| <= 1, else |x| - 1/2,    m the mean distance over i != j

    The means are those of the whole batch, and the student's carries gradient.

    Args:
      student: s [batch, dim].
      teacher: t [batch, teacher's dim].
      where: bool [batch], False for padding. What is there has no influence, NaN included.
      axis_name: the named axis over which the batch is split.
      block: rows per block of distances; None chooses it from the sizes.

    Returns: a float32 scalar (float64 for float64 input), the same on every device; 0 of one row.
    Raises: ValueError for shapes that do not fit, an axis that is not bound, a block below 1.
    Source: Park et al. 2019 (1904.05068), equation 7; over ordered pairs, the diagonal left out.
    Data: teacher embeddings.
    Kind: batch statistics; memory block x references.
    """
    student = matrix("student", student, "one row per example")
    teacher = matrix("teacher", teacher, "one row per row of student")
    checks.shaped("teacher", teacher, (len(student), None), "one row per row of student")
    shared = {
        "same": none_alike,
        "where": where,
        "axis_name": axis_name,
        "block": block,
    }
    parts = _mean_distances(student, teacher, reduce_fn=None, **shared)
    scales = [mean(*part, axis_name) for part in parts]
    scales = [jnp.where(scale > 0, scale, 1) for scale in scales]
    return _distance_errors(student, teacher, scales=scales, **shared)


@checked
def relational_angles(
    student: Array,
    teacher: Array,
    *,
    where: Array | None = None,
    weights: Array | None = None,
    axis_name: str | None = None,
    reduce_fn: ReduceFn | None = mean,
) -> jax.Array:
    """RKD angle loss: the angles of all triangles of a batch match the teacher's.

        mean over i, j, k, all different, of h( cos_s(i, j, k) - cos_t(i, j, k) ),
        cos_x(i, j, k) = cosine of x_i - x_j and x_k - x_j,    h as in `relational_distances`

    From the lengths of the sides: time O(batch^3), vertices j walked one by one. A side of length 0 has
    cosine 0 with all.

    Args:
      student: [batch, dim].
      teacher: [batch, teacher's dim].
      where: bool [batch], False for padding. What is there has no influence, NaN included.
      weights: [batch], how much the triangles at a vertex count.
      axis_name: the named axis over which the batch is split.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 of less than three rows.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    Source: Park et al. 2019 (1904.05068), equation 10; over triples of different rows.
    Data: teacher embeddings.
    Kind: batch statistics; memory batch x batch.
    """
    if axis_name is not None:
        checks.bound(axis_name)
    student = at_least_float32(matrix("student", student, "one row per example"))
    teacher = at_least_float32(matrix("teacher", teacher, "one row per row of student"))
    checks.shaped("teacher", teacher, (len(student), None), "one row per row of student")
    where = checks.mask("where", where, student.shape[:1])
    rows = zeroed(student, where), jax.lax.stop_gradient(zeroed(teacher, where))
    numbers = row_ids(len(where), axis_name)
    *every, where_of_all, others = gather((*rows, where, numbers), axis_name)
    squares = [_squares(x) for x in every]

    @jax.checkpoint
    def at_vertex(vertex):
        number, *sides = vertex
        cosines = (_cosines(*both) for both in zip(sides, squares, strict=True))
        ends = where_of_all & (others != number)
        ends = ends[:, None] & ends & (others[:, None] != others)
        errors = _huber(jnp.subtract(*cosines))
        return masked.mean(errors, ends, axis=(0, 1)), ends.sum(dtype=errors.dtype)

    each = numbers, *(square[numbers] for square in squares)
    values, counts = jax.lax.map(at_vertex, each)
    # Every vertex meets all rows, and a side with NaN would have the cosine 0.
    bad = where & jnp.isnan(sum(jnp.sum(x) for x in every))
    values = spoilt_by(values, jnp.where(bad, jnp.nan, values))
    return reduced(values, jnp.where(bad, 1, counts * where), weights, axis_name, reduce_fn)


def _squares(x):
    """Squared distances [rows, rows], in units of the largest number, from differences: 0 between copies."""
    largest = jnp.max(jnp.abs(jax.lax.stop_gradient(x)), initial=0)
    x = x / jnp.where(largest > 0, largest, 1)
    return jax.lax.map(jax.checkpoint(lambda row: jnp.sum(jnp.square(x - row), axis=1)), x)


def _cosines(sides, squares):
    """Cosines at a vertex with squared distances `sides` [rows] to all, 0 at sides of length 0."""
    inverse = jnp.where(sides > 0, jax.lax.rsqrt(jnp.where(sides > 0, sides, 1)), 0)
    return (sides[:, None] + sides - squares) * (inverse[:, None] * inverse) / 2


@over_labels(similarity=euclidean, inputs={"teacher": euclidean})
def _mean_distances(scores, positives, where, teacher):
    return [(masked.mean(a, where), where.sum(axis=1)) for a in (scores, teacher)]


@over_labels(similarity=euclidean, inputs={"teacher": euclidean})
def _distance_errors(scores, positives, where, teacher, *, scales):
    errors = scores / scales[0] - jax.lax.stop_gradient(teacher / scales[1])
    return masked.mean(_huber(errors), where), where.sum(axis=1)


def _huber(x):
    size = jnp.abs(x)
    return jnp.where(size <= 1, jnp.square(x) / 2, size - 0.5)
