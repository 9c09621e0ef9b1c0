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

    A few query tokens and documents at a time, in gradients too: a million scores of tokens are held on a CPU, not
    [n * length, m * length]. A query without a token has 0 with all; a document without one has minus infinity (0
    with such a query).

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
    rows, asked = queries.shape[:2]
    count, length = documents.shape[:2]
    each = max(min(asked, TOKENS // max(rows, 1)), 1)
    size = max(min(count, block_entries(ENTRIES) // max(rows * each * length, 1)), 1)
    parts = max(-(-count // size), 1)
    tokens = tuple(
        jnp.moveaxis(_split(array, max(-(-asked // each), 1), axis=1), 1, 0)
        for array in (queries, jnp.asarray(x["where"]))
    )
    scored = functools.partial(_of_a_few, tokens, precision=precision)
    real = jnp.asarray(y["where"])
    if parts == 1:
        return scored((documents, real))
    result = jax.lax.map(scored, (_split(documents, parts), _split(real, parts)))
    return jnp.moveaxis(result, 1, 0).reshape(rows, -1)[:, :count]


def _split(array, parts, axis=0):
    """An axis as two, [parts, equal sizes]; filled up with zeros, which a mask takes for padding."""
    size = -(-array.shape[axis] // parts)
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, parts * size - array.shape[axis])
    shape = (*array.shape[:axis], parts, size, *array.shape[axis + 1 :])
    return jnp.pad(array, widths).reshape(shape)


def _of_a_few(tokens, documents, precision):
    """MaxSim [n, m] of a few documents: of tokens [steps, n, each, dim] and which of them count, a step at a time."""
    vectors, where = documents
    flat = vectors.reshape(-1, vectors.shape[-1])
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
    varying = tokens[0][0, :, :1, 0] + (flat[0, 0] if flat.size else 0)
    none = jnp.where(varying > 0, 0, jnp.zeros((varying.shape[0], len(where)), flat.dtype))
    return jax.lax.scan(added, none, tokens)[0]


def mean_max_sim(
    x: Mapping[str, Array], y: Mapping[str, Array], *, precision: jax.lax.PrecisionLike = "highest"
) -> jax.Array:
    """Mean MaxSim: `max_sim` over the number of query tokens; in [-1, 1] for unit vectors.

    Args and result as in `max_sim`.
    """
    count = jnp.maximum(x["where"].sum(axis=1, keepdims=True), 1)
    return max_sim(x, y, precision=precision) / count
