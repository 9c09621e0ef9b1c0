"""Subsampling of frequent words (or items) for skip-grams."""

import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


def keep_probability(frequencies: Array, threshold: float) -> np.ndarray:
    """Subsampling of frequent words, the paper's formula: sqrt(threshold / frequency), at most 1.

    Args:
      frequencies: [words], each word's part of all occurrences.
      threshold: the frequency above which a word is thinned out, > 0.

    Returns: float64 [words]; 1 for words that do not occur.
    Source: Mikolov et al. 2013 (1310.4546), equation 5.
    """
    checks.positive("threshold", threshold)
    return np.minimum(np.sqrt(_ratio(frequencies, threshold)), 1)


def word2vec_keep_probability(frequencies: Array, threshold: float) -> np.ndarray:
    """Subsampling of frequent words, the formula of the word2vec program.

        (sqrt(f / threshold) + 1) * threshold / f, at most 1

    Args, result: as `keep_probability`.
    Source: the word2vec program (1301.3781's code); gensim does the same.
    """
    checks.positive("threshold", threshold)
    ratio = _ratio(frequencies, threshold)
    return np.minimum(np.sqrt(ratio) + ratio, 1)


def _ratio(frequencies, threshold):
    frequencies = np.asarray(frequencies, np.float64)
    if not (np.isfinite(frequencies) & (frequencies >= 0)).all():
        bad = frequencies[~(np.isfinite(frequencies) & (frequencies >= 0))].flat[0]
        raise ValueError(f"frequencies must be finite and at least 0, got {bad}")
    return threshold / np.where(frequencies > 0, frequencies, threshold)
