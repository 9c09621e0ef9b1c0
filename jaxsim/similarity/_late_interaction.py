"""Late interaction (ColBERT): texts as sets of token vectors, matched token by token.

    x, y {"vectors" [n, length, dim], "where" bool [n, length]} -> [n, m], float32 at least

What a similarity of two pytrees is: `search.exact`, `search.scorer` and the losses take it as it is.
"""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import block_entries, checks
from jaxsim.numerics._blocks import by_blocks
from jaxsim.numerics._devices import in_turn
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array

TOKENS = 512  # of queries at once: rows of a matrix product
ENTRIES = 2**20  # scores alive at once, that the cache of a CPU holds; on accelerators at least


def max_sim(
    x: Mapping[str, Array], y: Mapping[str, Array], *, precision: jax.lax.PrecisionLike = "highest"
) -> jax.Array:
    """MaxSim of ColBERT: for each query token the largest inner product with a document token, summed.

        s_ij = sum_{a in i} max_{b in j} x_ia . y_jb

    A few query tokens and documents at a time, in gradients too: on a CPU about a million scores are held, or those
    of one document with max(n, 512) tokens, not [n * length, m * length]. In a process of several devices it is all
    documents. A query without a token has 0 with all; a document without one has minus infinity (0 with such a query).

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
    queries, documents = (at_least_float32(side["vectors"]) for side in (x, y))
    if queries.shape[2] != documents.shape[2]:
        raise ValueError(
            f"x and y must have vectors of one dim, got {queries.shape[2]}, {documents.shape[2]}"
        )
    rows, asked = queries.shape[:2]
    count, length = documents.shape[:2]
    if asked == 0:
        return jnp.zeros((rows, count), jnp.result_type(queries, documents))
    real = jnp.asarray(x["where"])
    each = max(min(asked, TOKENS // max(rows, 1)), 1)
    scored = functools.partial(
        _of_a_few, _steps(zeroed(queries, real), each), _steps(real, each), precision=precision
    )
    parts = documents, jnp.asarray(y["where"])
    if not in_turn(rows, count, length):
        return scored(parts).T
    most = max(block_entries(ENTRIES) // max(rows * each * length, 1), 1)
    return by_blocks(scored, parts, _even(count, most)).T


def _even(count, most):
    """How many of `count` at once: a number that divides them, so that none is copied, where one is near the most."""
    near = range(min(most, count), most // 2, -1)
    return next((size for size in near if count % size == 0), most)


def _steps(array, each):
    """[n, length, ...] -> [steps, n, each, ...], filled up with what does not count."""
    rows, asked, *rest = array.shape
    filled = jnp.pad(array, [(0, 0), (0, -asked % each), *[(0, 0)] * len(rest)])
    return jnp.moveaxis(filled.reshape(rows, -(-asked // each), each, *rest), 1, 0)


def _of_a_few(queries, counted, documents, precision):
    """MaxSim [m, n] of a few documents: of tokens [steps, n, each, dim] and which of them count, a step at a time."""
    vectors, where = documents
    # Values in padding, NaN too, must not reach a product: its slope there would be 0 * NaN.
    flat = zeroed(vectors, where).reshape(-1, vectors.shape[-1])
    padding = jnp.where(where, 0, -jnp.inf).astype(flat.dtype)

    @jax.checkpoint
    def added(total, step):
        asked, counts = step  # [n, each, dim], [n, each]
        scores = jnp.matmul(asked.reshape(-1, flat.shape[1]), flat.T, precision=precision)
        # Added, so that it is part of the maximum: a choice between scores would be a pass over them.
        scores = scores.reshape(*counts.shape, *where.shape) + padding
        best = jnp.max(scores, axis=3, initial=-jnp.inf)
        return total + jnp.where(counts[..., None], best, 0).sum(axis=1), None

    # From the inputs, so that a checked shard_map knows that it varies as they do; NaN there is not copied.
    varying = queries[0][:, :1, 0] + (flat[0, 0] if flat.size else 0)
    shape, dtype = (varying.shape[0], where.shape[0]), jnp.result_type(queries, flat)
    none = jnp.where(varying > 0, 0, jnp.zeros(shape, dtype))
    return jax.lax.scan(added, none, (queries, counted))[0].T


def mean_max_sim(
    x: Mapping[str, Array], y: Mapping[str, Array], *, precision: jax.lax.PrecisionLike = "highest"
) -> jax.Array:
    """Mean MaxSim: `max_sim` over the number of query tokens; in [-1, 1] for unit vectors.

    Args and result as in `max_sim`.
    """
    count = jnp.maximum(x["where"].sum(axis=1, keepdims=True), 1)
    return max_sim(x, y, precision=precision) / count
