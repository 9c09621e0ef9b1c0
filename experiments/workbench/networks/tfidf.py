"""TF-IDF: the baseline of searches, an encoder of texts without training, and likeness of names."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from experiments.workbench.measures.vectors import unit_rows


def scores(queries: Sequence[str], documents: Sequence[str]) -> np.ndarray:
    """TF-IDF similarities, float32 [queries, documents]: scikit-learn's defaults, fitted on the documents."""
    # scikit-learn's default is float64, of which its own sources make the only type.
    words = _vectorizer(dtype=np.float32)
    columns = words.fit_transform(documents)
    return (words.transform(queries) @ columns.T).toarray()


def encoder(
    texts: Sequence[str], *, dim: int, seed: int = 0
) -> Callable[[Sequence[str]], np.ndarray]:
    """An encoder of texts to unit rows [texts, dim]: words and pairs of words on their leading directions (LSA).

    Args:
      texts: to learn from.
      dim: of the vectors, below the number of texts.
      seed: of the randomized decomposition.
    """
    from sklearn.decomposition import TruncatedSVD

    words = _vectorizer(sublinear_tf=True, stop_words="english", max_features=30_000)
    projection = TruncatedSVD(dim, random_state=seed).fit(words.fit_transform(texts))
    return lambda batch: unit_rows(projection.transform(words.transform(batch)))


def likeness(names: Sequence[str]) -> np.ndarray:
    """Similarities of names in [0, 1] by their letters, in threes and fours: float [names, names]."""
    vectors = _vectorizer(analyzer="char_wb", ngram_range=(3, 4)).fit_transform(names)
    return (vectors @ vectors.T).toarray()


def _vectorizer(**settings: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(**settings)
