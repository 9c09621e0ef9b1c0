"""Ranks in both directions: images that rank captions, captions that rank images."""

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


def bidirectional_ranks(scores: Array, relevant: Array) -> tuple[jax.Array, jax.Array]:
    """Image-text retrieval: the rank of each image's best caption, and of each caption's best image, from 1.

        images, captions = bidirectional_ranks(scores, relevant)
        (images <= 10).mean()     # R@10 of annotation: any right caption among the first 10
        jnp.median(captions)      # median rank of search

    One more than the others that score as high or higher: ties count against it. Other right answers do not count
    against it: of an image's five captions the best counts.

    Args:
      scores: [images, captions], larger is closer.
      relevant: bool of the same shape; of captions with one image each, `owners[None] == arange(images)[:, None]`.

    Returns: (float32 [images], float32 [captions]); 0 where nothing is relevant, NaN where a score that takes
    part is NaN.
    Raises: ValueError for shapes that do not fit.
    Source: Hodosh et al. 2013, JAIR 47, as the evaluations of Karpathy et al. 2014 (1406.5679) and VSE++.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import evaluation
      >>> images, captions = evaluation.bidirectional_ranks(np.eye(3), np.eye(3, dtype=bool))
      >>> print(images, captions)
      [1. 1. 1.] [1. 1. 1.]
    """
    scores = checks.reals("scores", scores)
    checks.shaped("scores", scores, (None, None), "images, captions")
    relevant = checks.mask("relevant", relevant, scores.shape, "one per score")
    return _ranks(scores, relevant), _ranks(scores.T, relevant.T)


def _ranks(scores, relevant):
    """Of each row: the rank of the best that is relevant."""
    best = jnp.max(jnp.where(relevant, scores, -jnp.inf), axis=1, keepdims=True)
    before = jnp.sum((scores >= best) & ~relevant, axis=1)
    ranks = jnp.where(relevant.any(axis=1), before + 1, 0).astype(jnp.float32)
    return jnp.where(jnp.isnan(scores).any(axis=1), jnp.nan, ranks)
