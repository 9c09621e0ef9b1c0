"""Rowwise similarities: row i with row i or with its own list, from a similarity of all pairs of rows."""

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import ArrayTree, Similarity
from jaxsim.similarity._dense import cosine


def paired(similarity: Similarity) -> Similarity:
    """Rowwise version of a similarity: (x [n, ...], y [n, ...]) -> [n] instead of [n, m].

        paired(cosine)(sentences, other_sentences)    # one score per pair, nothing else computed

    Works for pytrees and under any transformation, as the similarity does.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import similarity
      >>> of_each = similarity.paired(similarity.dot)
      >>> print(of_each(np.array([[1.0, 2.0], [3.0, 4.0]]), np.ones((2, 2))))
      [3. 7.]
    """

    def of_pair(x, y):
        score = similarity(*jax.tree.map(lambda a: a[None], (x, y)))
        if jnp.shape(score) != (1, 1):
            raise ValueError(
                f"similarity must give scores [n, m], of one row with one (1, 1), got {jnp.shape(score)}"
            )
        return score[0, 0]

    return jax.vmap(of_pair)


def list_scores(
    queries: ArrayTree, candidates: ArrayTree, *, similarity: Similarity = cosine
) -> jax.Array:
    """Each query's scores with its own list of candidates, such as mined negatives: [n, c], not [n, n c].

    Args:
      queries: [n, dim], or a pytree that `similarity` takes.
      candidates: [n, c, dim], likewise.
      similarity: (x [n, ...], y [m, ...]) -> [n, m], larger is closer.

    Returns: [n, c].
    Raises: ValueError for shapes that do not fit.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import similarity
      >>> candidates = np.array([[[1.0, 0.0], [0.0, 2.0]], [[3.0, 3.0], [0.0, 0.0]]])
      >>> print(similarity.list_scores(np.ones((2, 2)), candidates, similarity=similarity.dot))
      [[1. 2.]
       [6. 0.]]
    """
    checks.function("similarity", similarity, "of jaxsim.similarity, such as similarity.cosine")
    queries = checks.vectors("queries", queries, shared=False)
    candidates = checks.vectors("candidates", candidates, shared=False)
    rows = checks.rows_of("queries", queries)
    leaf = jax.tree.leaves(candidates)[0]
    checks.shaped("candidates", leaf, (rows, *[None] * max(leaf.ndim - 1, 2)), "some per query")
    alone = jax.tree.map(lambda a: a[:, None], queries)
    return jax.vmap(lambda query, own: similarity(query, own)[0])(alone, candidates)
