"""Classification of documents by keywords alone: candidates near the keywords, label vectors, cosines.

keywords [words, dim] -> centroids [classes, dim] -> candidates bool [classes, n] -> label vectors
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array, Numeric, Similarity
from jaxsim.similarity import cosine

CUTOFF = -1.5  # scikit-learn's, of its automatic contamination


def keyword_centroids(keywords: Array, classes: Array, count: int) -> jax.Array:
    """Keyword centroids: the mean of each class's keyword vectors, not normalized.

    Args:
      keywords: [words, dim], each embedded by itself.
      classes: int [words], the class of each, from 0 to count - 1.
      count: how many classes; one without a keyword has the centroid 0.

    Returns: float32 at least [count, dim].
    Raises: ValueError for shapes that do not fit, and for a class beyond them, on the host.
    Source: Lbl2TransformerVec (Schopf, Braun and Matthes 2022, 2211.16285).
    """
    keywords = at_least_float32(checks.reals("keywords", keywords))
    checks.shaped("keywords", keywords, (None, None), "one row per keyword")
    classes = checks.column("classes", classes, len(keywords), "one per keyword")
    checks.whole("count", count)
    checks.outside("classes", classes, count)
    sums = jax.ops.segment_sum(keywords, classes, count)
    sizes = jax.ops.segment_sum(jnp.ones(len(keywords), keywords.dtype), classes, count)
    return sums / jnp.maximum(sizes, 1)[:, None]


def select_candidates(
    scores: Array,
    *,
    threshold: Numeric | None = None,
    offset: Numeric = 0.0,
    smallest: int = 1,
    largest: int | None = None,
    where: Array | None = None,
) -> jax.Array:
    """Candidate documents of each class: those above a threshold, at least and at most so many.

    Documents are ranked by score, of equal ones the first; those strictly above the threshold are taken, or
    the first `smallest` where these are fewer, and of them the first `largest`.

    Args:
      scores: [classes, n], of documents with the classes' centroids.
      threshold: of the scores; None takes each class's highest score minus `offset`. With an offset of 0
        no document is above it, and `smallest` are taken.
      offset: >= 0.
      smallest: documents per class at least, as far as there are.
      largest: documents per class at most; None has no limit.
      where: bool [n], False for documents that are not taken.

    Returns: bool [classes, n]. A NaN is never taken.
    Raises: ValueError for shapes that do not fit, and `largest` below `smallest`.
    Source: Schopf, Braun and Matthes 2022 (2211.16285), where the released code's largest number cuts the
    corpus in place of the ranking.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import search
      >>> print(search.select_candidates(np.array([[0.9, 0.1, 0.8]]), offset=0.2))
      [[ True False  True]]
    """
    scores = at_least_float32(checks.reals("scores", scores))
    checks.shaped("scores", scores, (None, None), "one row per class")
    checks.whole("smallest", smallest)
    checks.not_negative("offset", offset)
    largest = scores.shape[1] if largest is None else largest
    checks.whole("largest", largest, 0)
    if largest < min(smallest, scores.shape[1]):
        raise ValueError(f"largest must be at least smallest, {smallest}, got {largest}")
    there = checks.mask("where", where, scores.shape[1:], "one per document") & ~jnp.isnan(scores)
    ranked = jnp.where(there, scores, -jnp.inf)
    if threshold is None:
        threshold = ranked.max(axis=1, keepdims=True, initial=-jnp.inf) - offset
    order = jnp.argsort(-ranked, axis=1, stable=True)
    ranks = jnp.argsort(order, axis=1)
    above = (ranked > threshold).sum(axis=1, keepdims=True)
    return there & (ranks < jnp.clip(above, smallest, largest))


def label_vectors(documents: Array, candidates: Array) -> jax.Array:
    """Label vectors: the mean of each class's candidate documents, not normalized.

    Args:
      documents: [n, dim].
      candidates: bool [classes, n], as `select_candidates` gives them.

    Returns: float32 at least [classes, dim]; 0 for a class without candidates.
    Raises: ValueError for shapes that do not fit.
    Source: Schopf, Braun and Matthes 2022 (2211.16285).
    """
    documents = at_least_float32(checks.reals("documents", documents))
    checks.shaped("documents", documents, (None, None), "one row per document")
    classes = np.shape(candidates)[0] if np.ndim(candidates) == 2 else None
    shape = (classes, len(documents))
    candidates = checks.given_mask("candidates", candidates, shape, "a column per document")
    documents = zeroed(documents, candidates.any(axis=0))
    sums = jnp.matmul(candidates.astype(documents.dtype), documents, precision="highest")
    return sums / jnp.maximum(candidates.sum(axis=1), 1)[:, None]


def classify(
    documents: Array, labels: Array, *, similarity: Similarity = cosine
) -> tuple[jax.Array, jax.Array]:
    """Classification by the nearest label vector: the class of the highest score, of equal ones the first.

    Args:
      documents: [n, dim].
      labels: [classes, dim], one vector per class.
      similarity: (x [n, dim], y [classes, dim]) -> scores [n, classes].

    Returns: (classes int32 [n], scores [n, classes]). A document with NaN has class -1.
    Raises: ValueError for shapes that do not fit.
    """
    checks.function("similarity", similarity, "of jaxsim.similarity, such as similarity.cosine")
    documents, labels = checks.reals("documents", documents), checks.reals("labels", labels)
    checks.shaped("documents", documents, (None, None), "one row per document")
    checks.shaped("labels", labels, (None, documents.shape[1]), "as wide as documents")
    checks.whole("the number of labels", len(labels))
    scores = similarity(documents, labels)
    best = jnp.argmax(scores, axis=1).astype(jnp.int32)
    return jnp.where(jnp.isnan(scores).any(axis=1), -1, best), scores


def local_outlier_factor(vectors: Array, *, neighbors: int = 20) -> np.ndarray:
    """Local outlier factor (LOF): how much sparser a vector's surroundings are than its neighbors' own.

    scikit-learn's, under the Euclidean distance; about 1 is an inlier. With about as many neighbors as
    vectors nothing is an outlier.

    Args:
      vectors: [n, dim], of at least two rows.
      neighbors: how many, fewer where there are fewer others.

    Returns: float64 [n], the factors; above 1.5 is an outlier by scikit-learn's default.
    Raises: ValueError for vectors that are not finite; ModuleNotFoundError without scikit-learn, which the
    extra `data` brings.
    Source: Breunig et al. 2000.
    """
    vectors = checks.host_reals("vectors", vectors)
    checks.shaped("vectors", vectors, (None, None), "one row per vector")
    checks.finite_rows("vectors", vectors)
    checks.whole("neighbors", neighbors)
    checks.whole("the number of vectors", len(vectors), 2)
    from sklearn.neighbors import LocalOutlierFactor

    model = LocalOutlierFactor(n_neighbors=min(neighbors, len(vectors) - 1)).fit(vectors)
    return -model.negative_outlier_factor_


def without_outliers(documents: Array, candidates: Array, *, neighbors: int = 20) -> np.ndarray:
    """Candidate cleaning by local outlier factor: takes outliers out of each class's candidates.

    A class with a single candidate keeps it.

    Args:
      documents: [n, dim].
      candidates: bool [classes, n].
      neighbors: as in `local_outlier_factor`.

    Returns: bool [classes, n].
    Raises: as `local_outlier_factor`.
    Source: Lbl2Vec (Schopf, Braun and Matthes 2021), its optional cleaning.
    """
    documents = checks.host_reals("documents", documents)
    checks.shaped("documents", documents, (None, None), "one row per document")
    shape = (len(candidates), len(documents))
    mask = np.array(checks.given_mask("candidates", candidates, shape, "a column per document"))
    for row in mask:
        places = np.flatnonzero(row)
        if len(places) > 1:
            factors = local_outlier_factor(documents[places], neighbors=neighbors)
            row[places[-factors < CUTOFF]] = False
    return mask
