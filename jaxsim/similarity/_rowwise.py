"""Rowwise similarities: row i with row i, from a similarity of all pairs of rows."""

import jax
import jax.numpy as jnp

from jaxsim.numerics.types import Similarity


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
