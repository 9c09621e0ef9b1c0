"""Whitening: affine maps that make the coordinates of embeddings uncorrelated and of equal variance.

    whitening = analysis.whiten_pca(embeddings)
    rows = whitening(others)                     # with the center and the matrix of the embeddings

All of them give the same covariance, scale^2 times the identity, and differ by a rotation alone.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.types import Array


class Whitening(NamedTuple):
    """An affine map of embeddings: (x - center) matrix."""

    center: jax.Array  # [dim]
    matrix: jax.Array  # [dim, dim]

    def __call__(self, embeddings: Array) -> jax.Array:
        """Maps rows: [n, dim] -> [n, dim]."""
        rows = at_least_float32(checks.reals("embeddings", embeddings))
        checks.shaped("embeddings", rows, (None, len(self.center)), "one row per example")
        return jnp.matmul(rows - self.center, self.matrix, precision="highest")


def whiten_pca(
    embeddings: Array,
    *,
    scale: float = 1.0,
    where: Array | None = None,
    axis_name: str | None = None,
) -> Whitening:
    """PCA whitening: principal components, each divided by its standard deviation, the largest first.

        (x - m) U diag(l)^(-1/2) scale,   covariance = U diag(l) U^T

    Args:
      embeddings: [batch, dim], taken as they are.
      scale: the standard deviation of every coordinate afterwards, > 0.
      where: bool [batch], False for padding.
      axis_name: the named axis over which the batch is split; the map is that of the whole batch.

    Returns: `Whitening`; directions without variance, as there are with fewer rows than dimensions, become 0.
    Raises: ValueError for shapes that do not fit.
    Source: Kessy, Lewin and Strimmer 2018 (1512.00809), "PCA".
    """
    center, values, vectors = _principal(embeddings, scale, where, axis_name)
    return Whitening(center, vectors * (scale * _inverse_roots(values)))


def whiten_zca(
    embeddings: Array,
    *,
    scale: float = 1.0,
    where: Array | None = None,
    axis_name: str | None = None,
) -> Whitening:
    """ZCA whitening (Mahalanobis): PCA whitening turned back, of all whitenings the closest to the embeddings.

        (x - m) U diag(l)^(-1/2) U^T scale

    Arguments, result and errors as in `whiten_pca`; embeddings [batch, dim].
    Source: Bell and Sejnowski 1997; Kessy, Lewin and Strimmer 2018 (1512.00809), "ZCA".
    """
    center, values, vectors = _principal(embeddings, scale, where, axis_name)
    scaled = vectors * (scale * _inverse_roots(values))
    return Whitening(center, jnp.matmul(scaled, vectors.T, precision="highest"))


def whiten_ica(
    embeddings: Array,
    *,
    scale: float = 100.0,
    tolerance: float = 1e-4,
    iterations: int = 1000,
    seed: int = 42,
) -> Whitening:
    """ICA whitening (FastICA): the whitening whose coordinates are as independent as a rotation makes them.

    Columns are standardized, then scikit-learn's FastICA of all components runs on the host, in float64, with log
    cosh and unit variance. In a softmax over products with such rows a scale of 100 makes logits of thousands.

    Args:
      embeddings: [n, dim], more rows than dimensions.
      scale: the standard deviation of every coordinate afterwards, > 0; 100 is DefSent+.
      tolerance: of FastICA, > 0.
      iterations: of FastICA, at most.
      seed: of its start.

    Returns: `Whitening`.
    Raises: ValueError for vectors that are not finite, fewer rows than dimensions or a column without variance;
    ModuleNotFoundError without scikit-learn, which the extra `data` brings.
    Source: Hyvarinen and Oja 2000; DefSent+ (Liu 2024, 2405.16153), released code.
    """
    rows = checks.host_reals("embeddings", embeddings).astype(np.float64)
    checks.shaped("embeddings", rows, (None, None), "one row per example")
    checks.finite_rows("embeddings", rows)
    _scale(scale)
    checks.positive("tolerance", tolerance)
    checks.whole("iterations", iterations)
    if len(rows) <= rows.shape[1]:
        raise ValueError(f"embeddings must have more rows than dimensions, got {rows.shape}")
    center, deviation = rows.mean(axis=0), rows.std(axis=0)
    if not deviation.all():
        raise ValueError(
            f"embeddings must vary in every column, column {int(np.argmin(deviation))} does not"
        )
    from sklearn.decomposition import FastICA

    model = FastICA(
        rows.shape[1],
        whiten="unit-variance",
        fun="logcosh",
        tol=tolerance,
        max_iter=iterations,
        random_state=seed,
    )
    model.fit((rows - center) / deviation)
    matrix = scale * model.components_.T / deviation[:, None]
    return Whitening(jnp.asarray(center), jnp.asarray(matrix))


def _principal(embeddings, scale, where, axis_name):
    """The mean, and the variances along the principal directions with these, the largest first."""
    _scale(scale)
    rows = at_least_float32(checks.reals("embeddings", embeddings))
    checks.shaped("embeddings", rows, (None, None), "one row per example")
    where = checks.mask("where", where, rows.shape[:1])
    rows = masked.zeroed(rows, where)
    count = _summed(jnp.sum(where).astype(rows.dtype), axis_name)
    count = jnp.maximum(count, 1)
    center = _summed(jnp.sum(rows, axis=0), axis_name) / count
    centered = jnp.where(where[:, None], rows - center, 0)
    moment = jnp.matmul(centered.T, centered, precision="highest")
    values, vectors = jnp.linalg.eigh(_summed(moment, axis_name) / count)
    return center, values[::-1], vectors[:, ::-1]


def _inverse_roots(values):
    """1 / sqrt of variances; 0 of those that rounding alone has made."""
    least = jnp.finfo(values.dtype).eps * len(values) * values[0]
    there = ~(values <= least)  # NaN stays
    return jnp.where(there, jnp.where(there, values, 1) ** -0.5, 0)


def _summed(value, axis_name):
    return value if axis_name is None else jax.lax.psum(value, axis_name)


def _scale(scale):
    checks.positive("scale", scale)
    checks.finite("scale", scale)
