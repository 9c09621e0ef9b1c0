"""A similarity of row i with row i, from one of every row with every row."""

import jax


def paired(similarity):
    """Makes (x [n, ...], y [n, ...]) -> [n] of a similarity (x [n, ...], y [m, ...]) -> [n, m].

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
        return similarity(*jax.tree.map(lambda a: a[None], (x, y)))[0, 0]

    return jax.vmap(of_pair)
