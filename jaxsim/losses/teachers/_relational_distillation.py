"""Relational distillation: a student copies the distances and angles between its teacher's vectors.

    student [batch, dim], teacher [batch, any dim] -> loss

The teacher is constant. Dimension, scale and rotation of the student are free. Outside the lifters: the
mean distance is one of the whole batch, and an angle has three rows.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._blocks import Walk, walk_and_reduce
from jaxsim.losses._lift._examples import spoiled_by
from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.views._global_orthogonal import none_alike
from jaxsim.numerics import checks, masked
from jaxsim.numerics._devices import block_entries, gather, row_ids
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array, ReduceFn
from jaxsim.similarity import euclidean

ANGLES = 2**16  # of the vertices that are walked at once, and the least on accelerators


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

    From the lengths of the sides: time O(batch^3), vertices j walked a few at a time. A side of length 0 has
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
    # Every vertex meets all rows, and a side with NaN would have the cosine 0.
    bad = where & jnp.isnan(sum(jnp.sum(x) for x in every))
    mine = numbers, where, bad, [square[numbers] for square in squares]
    theirs = others, where_of_all, squares
    block = max(1, block_entries(ANGLES) // max(len(others), 1) ** 2)
    return walk_and_reduce(Walk(_at_vertices, mine, theirs, block), weights, reduce_fn, axis_name)


def _at_vertices(mine, theirs):
    """The mean error of the angles at each of some vertices, and how many they are."""
    numbers, where, bad, sides = mine
    others, where_of_all, squares = theirs
    ends = where_of_all & (others != numbers[:, None])
    inverses = [_inverse_lengths(side, ends) for side in sides]
    different = others[:, None] != others
    of_each = ((0, 0, None), (0, 0, None), None)
    student, teacher = zip(sides, inverses, squares, strict=True)
    errors = jax.vmap(_errors_at_vertex, in_axes=of_each)(student, teacher, different)
    count = ends.sum(axis=1, dtype=errors.dtype)
    count *= jnp.maximum(count - 1, 0)
    values = errors / jnp.maximum(count, 1)
    values = spoiled_by(values, jnp.where(bad, jnp.nan, values))
    return [(values, jnp.where(bad, 1, count * where))]


def _squares(x):
    """Squared distances [rows, rows], in units of the largest number, from differences: 0 between copies."""
    largest = jnp.max(jnp.abs(jax.lax.stop_gradient(x)), initial=0)
    x = x / jnp.where(largest > 0, largest, 1)
    return jax.lax.map(jax.checkpoint(lambda row: jnp.sum(jnp.square(x - row), axis=1)), x)


def _inverse_lengths(squares, where):
    """One over the lengths of sides; 0 of those of length 0 and of what does not count."""
    there = where & (squares > 0)
    return jnp.where(there, jax.lax.rsqrt(jnp.where(there, squares, 1)), 0)


@jax.custom_jvp
def _errors_at_vertex(student, teacher, different):
    """Sum of the errors of the angles at a vertex; the teacher's are constant.

    Its slopes are taken by hand: three sums of one matrix, where those of the cosines' terms are many.

    Args:
      student, teacher: (squared distances of the vertex to all rows [rows], one over their roots, 0 for
        rows that are not ends [rows], squared distances of all rows [rows, rows], symmetric).
      different: bool [rows, rows], False for a row with itself.
    """
    return _errors(student, teacher, different)[0]


@_errors_at_vertex.defjvp
def _errors_at_vertex_jvp(primals, tangents):
    student, _, _ = primals
    value, slopes, legs = _errors(*primals)
    inverses = student[1]
    slopes *= inverses
    along = jnp.sum(slopes, axis=1) * inverses, jnp.sum(slopes * legs, axis=1)
    along += (-slopes * inverses[:, None] / 2,)
    return value, sum(_sum(a * t) for a, t in zip(along, tangents[0], strict=True))


def _errors(student, teacher, different):
    """The sum, its slopes along the cosines [rows, rows], and the cosines without the lengths."""
    legs, those_of_teacher = (a[:, None] + a - squares for a, _, squares in (student, teacher))
    inverses, teachers_inverses = (a[:, None] * a for _, a, _ in (student, teacher))
    errors = (legs * inverses - those_of_teacher * teachers_inverses) / 2
    slopes = jnp.where(different, jnp.clip(errors, -1, 1), 0)
    return _sum(slopes * (errors - slopes / 2)), slopes, legs


def _sum(array):
    """Sum of all numbers, by columns first, which takes less time on CPU."""
    return array.sum(axis=0).sum()


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
