"""Late interaction (ColBERT): texts as sets of token vectors, matched token by token.

    x, y {"vectors" [n, length, dim], "where" bool [n, length]} -> [n, m], float32 at least

What a similarity of two pytrees is: `search.exact`, `search.scorer` and the losses take it as it is.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array

TOKENS = 128  # rows of a matrix product at least: fewer do not keep a processor busy


def max_sim(
    x: Mapping[str, Array], y: Mapping[str, Array], *, precision: jax.lax.PrecisionLike = "highest"
) -> jax.Array:
    """MaxSim of ColBERT: for each query token the largest inner product with a document token, summed.

        s_ij = sum_{a in i} max_{b in j} x_ia . y_jb

    A few query tokens at a time, one each where there are 128 queries, so that what is held is [max(n, 128),
    m * length] and not its square. A query without a token has 0 with all; a document without one has minus infinity (0 with such a query).

    Args:
      x: queries, {"vectors" [n, length, dim], "where" bool [n, length]}; unit vectors make it a sum of
        cosines, as ColBERT has it.
      y: documents, likewise [m, ...].
      precision: of the matrix products, as in jax.numpy.matmul.

    Returns: [n, m], summed in float32 at least.
    Raises: ValueError for shapes that do not fit.
    Source: Khattab and Zaharia 2020 (ColBERT, 2004.12832), equation 3.
    """
    for name, side in (("x", x), ("y", y)):
        if not isinstance(side, dict) or not {"vectors", "where"} <= side.keys():
            raise ValueError(
                f'{name} must be {{"vectors": [n, length, dim], "where": bool [n, length]}}, '
                f"got {type(side).__name__}"
            )
        vectors, where = side["vectors"], side["where"]
        if np.ndim(vectors) != 3 or np.shape(where) != np.shape(vectors)[:2]:
            raise ValueError(
                f'{name} must have "vectors" [n, length, dim] and "where" [n, length], '
                f"got shapes {np.shape(vectors)}, {np.shape(where)}"
            )
        checks.booleans(f'{name}["where"]', jnp.asarray(where))
    # Values in padding, NaN too, must not reach a product: its slope there would be 0 * NaN.
    queries, documents = (
        zeroed(at_least_float32(side["vectors"]), jnp.asarray(side["where"])) for side in (x, y)
    )
    if queries.shape[2] != documents.shape[2]:
        raise ValueError(
            f"x and y must have vectors of one dim, got {queries.shape[2]}, {documents.shape[2]}"
        )
    count, length, dim = documents.shape
    flat, real = documents.reshape(count * length, dim), y["where"]
    rows, asked = queries.shape[:2]
    each = max(min(asked, TOKENS // max(rows, 1)), 1)

    @jax.checkpoint
    def added(total, tokens):
        vectors, where = tokens  # [n, each, dim], [n, each]
        scores = jnp.matmul(vectors.reshape(-1, dim), flat.T, precision=precision)
        scores = scores.reshape(rows, each, count, length)
        best = jnp.max(scores, axis=3, where=real, initial=-jnp.inf)
        return total + jnp.where(where[..., None], best, 0).sum(axis=1), None

    def steps(array):
        """[n, length, ...] -> [steps, n, each, ...], filled up with what does not count."""
        filled = jnp.pad(array, [(0, 0), (0, -asked % each), *[(0, 0)] * (array.ndim - 2)])
        return jnp.moveaxis(filled.reshape(rows, -(-asked // each), each, *array.shape[2:]), 1, 0)

    # From the inputs, so that a checked shard_map knows that it varies as they do.
    none = jnp.zeros((rows, count), queries.dtype) + 0 * queries[:, :1, 0] + 0 * flat[0, 0]
    return jax.lax.scan(added, none, (steps(queries), steps(jnp.asarray(x["where"]))))[0]


def mean_max_sim(
    x: Mapping[str, Array], y: Mapping[str, Array], *, precision: jax.lax.PrecisionLike = "highest"
) -> jax.Array:
    """Mean MaxSim: `max_sim` over the number of query tokens; in [-1, 1] for unit vectors.

    Args and result as in `max_sim`.
    """
    count = jnp.maximum(x["where"].sum(axis=1, keepdims=True), 1)
    return max_sim(x, y, precision=precision) / count
