"""Compatibility of models that replace one another: new queries against what an old model has indexed.

matrix [models, models]: entry (i, j) is the accuracy of queries by model i in a gallery by model j <= i
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxsim.evaluation._reduced import reduced
from jaxsim.numerics import checks
from jaxsim.numerics._norms import unit
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, ReduceFn
from jaxsim.similarity import cosine


def template_accuracy(
    queries: Array,
    query_labels: Array,
    gallery: Array,
    gallery_labels: Array,
    *,
    reduce_fn: ReduceFn | None = mean,
) -> jax.Array:
    """Template accuracy: nearest class mean of the gallery by cosine, averaged over the queries' classes.

    A class's template is the mean of its normalized gallery embeddings. Each class of queries counts the
    same, however many queries it has; a query whose class has no gallery is wrong. Of equal cosines the
    lowest class is taken, a NaN is wrong. Can be jitted only with host labels closed over: the classes are
    those that are there.

    Args:
      queries: [n, dim].
      query_labels: int [n].
      gallery: [m, dim].
      gallery_labels: int [m].
      reduce_fn: (values, weights, axis_name) -> number; None gives both, the weights adding up to 1 in
        each class.

    Returns: float32, the mean over classes.
    Raises: ValueError for shapes that do not fit.
    Source: Biondi et al. 2024 (2405.02581), released code, there without the balance of classes.
    """
    queries, gallery = checks.reals("queries", queries), checks.reals("gallery", gallery)
    checks.shaped("queries", queries, (None, None), "one row per query")
    checks.shaped("gallery", gallery, (None, queries.shape[1]), "as wide as the queries")
    labels = checks.one_array("query_labels", query_labels)
    theirs = checks.one_array("gallery_labels", gallery_labels)
    for name, column, rows in (
        ("query_labels", labels, len(queries)),
        ("gallery_labels", theirs, len(gallery)),
    ):
        checks.shaped(name, column, (rows,), "one per row")
        checks.integers(name, column)
    classes, numbers = jnp.unique(jnp.asarray(theirs), return_inverse=True)
    values = _hits(queries, jnp.asarray(labels), gallery, classes, numbers)
    weights = 1 / (labels[:, None] == labels[None]).sum(axis=1)
    counted = jnp.asarray(weights, values.dtype)
    if reduce_fn is None:
        return values, counted
    return reduced(
        values, jnp.ones(len(values), bool), lambda v, _, axis: reduce_fn(v, counted, axis)
    )


@jax.jit
def _hits(queries, labels, gallery, classes, numbers):
    templates = jax.ops.segment_sum(unit(gallery), numbers, num_segments=len(classes))
    scores = cosine(queries, templates)
    right = classes[scores.argmax(axis=1)] == labels
    return (right & ~jnp.isnan(scores).any(axis=1)).astype(jnp.float32)


def compatibility_matrix(
    queries: Sequence[Array],
    query_labels: Array,
    galleries: Sequence[Array],
    gallery_labels: Array,
) -> jax.Array:
    """Compatibility matrix: `template_accuracy` of every model's queries in each earlier model's gallery.

    Args:
      queries: one [n, dim] for each model, in the order in which they replaced each other.
      query_labels: int [n].
      galleries: one [m, dim] for each model.
      gallery_labels: int [m].

    Returns: float32 [models, models], (i, j) of queries by i in the gallery of j <= i; NaN above.
    Raises: ValueError for lists of different lengths.
    Source: Biondi et al. 2024 (2405.02581).
    """
    if len(queries) != len(galleries) or not len(queries):
        raise ValueError(
            f"queries and galleries must have one array per model, got {len(queries)} and {len(galleries)}"
        )
    matrix = jnp.full((len(queries),) * 2, jnp.nan)
    for new, ask in enumerate(queries):
        for old in range(new + 1):
            value = template_accuracy(ask, query_labels, galleries[old], gallery_labels)
            matrix = matrix.at[new, old].set(value)
    return matrix


def average_compatibility(matrix: Array, *, strict: bool = True) -> jax.Array:
    """Average compatibility (AC): the share of replacements after which old galleries are searched better.

        share of the pairs j < i with matrix_ij > matrix_jj

    It says nothing about size: a model whose own test is bad raises it. Report the diagonal too.

    Args:
      matrix: [models, models], as `compatibility_matrix` gives it; what is above the diagonal is not read.
      strict: whether equal accuracy is not a gain; earlier papers count it as one.

    Returns: float32; 1 for one model, NaN where an entry is.
    Source: Biondi et al. 2024 (2405.02581), released code.
    """
    matrix = _square(matrix)
    count = len(matrix)
    rows, columns = jnp.tril_indices(count, -1)
    if not len(rows):
        return jnp.ones((), matrix.dtype)
    entries, diagonal = matrix[rows, columns], jnp.diag(matrix)[columns]
    better = entries > diagonal if strict else entries >= diagonal
    return better.mean(dtype=matrix.dtype) + 0 * (entries.sum() + diagonal.sum())


def average_accuracy(matrix: Array) -> jax.Array:
    """Average accuracy (AA) of replacements: the mean of the lower triangle with the diagonal.

    Args:
      matrix: as in `average_compatibility`.

    Returns: float32, a fraction.
    Source: Biondi et al. 2024 (2405.02581).
    """
    matrix = _square(matrix)
    return matrix[jnp.tril_indices(len(matrix))].mean()


def _square(matrix):
    matrix = checks.reals("matrix", matrix)
    checks.shaped("matrix", matrix, (None, None), "models, models")
    checks.shaped("matrix", matrix, (matrix.shape[0],) * 2, "one row and column per model")
    return matrix.astype(jnp.promote_types(matrix.dtype, jnp.float32))
