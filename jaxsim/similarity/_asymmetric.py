"""Asymmetric similarities for copy detection: angles compare contents, norms distinguish copies from originals.

    queries [n, dim], references [m, dim] -> [n, m], float32 at least; not symmetric

Embeddings must not be normalized: with unit vectors every ratio is 1.
"""

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32, safe_norm
from jaxsim.numerics.types import Array, Numeric
from jaxsim.similarity._dense import cosine


def norm_ratio(queries: Array, references: Array) -> jax.Array:
    """Norm ratio: the reference's norm over the query's, above 1 where the query can be a copy of it.

        R_ij = |r_j| / |q_i|

    From the logarithms of the norms, so that no product under- or overflows; a zero vector counts as
    the smallest normal number.

    Args:
      queries: [n, dim].
      references: [m, dim].

    Returns: [n, m].
    Source: Wang et al. 2023 (2205.12358), the test of its released code.
    """
    return jnp.exp(log_norm_ratio(queries, references))


def log_norm_ratio(queries: Array, references: Array) -> jax.Array:
    """Logarithm of `norm_ratio`: log |r_j| - log |q_i|, 0 between equal norms.

    Args and result as in `norm_ratio`.
    """
    queries, references = checks.reals("queries", queries), checks.reals("references", references)
    return _log_norms(references)[None] - _log_norms(queries)[:, None]


def asymmetric_cosine(
    queries: Array,
    references: Array,
    *,
    tau: Numeric = 1.0,
    precision: jax.lax.PrecisionLike = "highest",
) -> jax.Array:
    """Asymmetric cosine (ASL): the cosine, -inf where the query has too much in it to be a copy.

        s_ij = cos(q_i, r_j) if |q_i| <= tau |r_j|, else -inf

    Args:
      queries: [n, dim].
      references: [m, dim].
      tau: how much larger than the reference a copy may be, > 0; may be traced. 1 is the released code.
      precision: of the matrix product, as in jax.numpy.matmul.

    Returns: [n, m].
    Source: Wang et al. 2023 (2205.12358), the test of its released code.
    """
    checks.positive("tau", tau)
    scores = cosine(queries, references, precision=precision)
    rejected = log_norm_ratio(queries, references) < -jnp.log(at_least_float32(tau))
    return jnp.where(rejected, jnp.where(jnp.isnan(scores), scores, -jnp.inf), scores)


def soft_asymmetric_cosine(
    queries: Array,
    references: Array,
    *,
    beta: Numeric = 1.0,
    precision: jax.lax.PrecisionLike = "highest",
) -> jax.Array:
    """Soft asymmetric cosine: the cosine, less the more the query is larger than the reference.

        s_ij = cos(q_i, r_j) + beta min(0, log(|r_j| / |q_i|))

    `asymmetric_cosine` without its edge: a true copy whose norm is a little too large is not lost.

    Args:
      queries: [n, dim].
      references: [m, dim].
      beta: of the second term, >= 0; may be traced. 0 is the cosine.
      precision: of the matrix product, as in jax.numpy.matmul.

    Returns: [n, m].
    Source: this library's form of Wang et al. 2023 (2205.12358).
    """
    checks.not_negative("beta", beta)
    scores = cosine(queries, references, precision=precision)
    return scores + beta * jnp.minimum(0, log_norm_ratio(queries, references))


def _log_norms(vectors):
    norms = safe_norm(vectors)
    return jnp.log(jnp.maximum(norms, jnp.finfo(norms.dtype).tiny))
