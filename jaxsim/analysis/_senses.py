"""Senses of words after training: how often each is meant, which are alive, and which one a context means."""

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array, Numeric
from jaxsim.similarity import cosine


def sense_priors(
    probabilities: Array, centers: Array, words: int, *, where: Array | None = None
) -> jax.Array:
    """Sense priors: the mean of each word's sense probabilities over its occurrences.

    The probabilities are the softmax of the sense logits at temperature 1, never Gumbel samples. The
    released code counts an occurrence once for every word near it: then `where` is the number of these.

    Args:
      probabilities: [n, senses], of occurrences.
      centers: int [n], the word of each.
      words: how many words there are; one that does not occur has equal senses.
      where: bool [n], or numbers >= 0, how much each occurrence counts.

    Returns: float32 at least [words, senses]; rows sum to 1.
    Raises: ValueError for shapes that do not fit, and for a word beyond `words`, on the host.
    Source: Grzegorczyk and Kurdziel 2018, "Disambiguated skip-gram model", and their released code.
    """
    probabilities = at_least_float32(checks.reals("probabilities", probabilities))
    checks.shaped("probabilities", probabilities, (None, None), "one row per occurrence")
    checks.whole("words", words)
    rows, senses = probabilities.shape
    centers = checks.column("centers", centers, rows, "one per occurrence")
    checks.outside("centers", centers, words)
    counts = jnp.ones(rows) if where is None else checks.weights("where", where, rows)
    probabilities = zeroed(probabilities, counts != 0) * counts[:, None].astype(probabilities.dtype)
    sums = jax.ops.segment_sum(probabilities, centers, words)
    total = sums.sum(axis=1, keepdims=True)
    return jnp.where(total > 0, sums / jnp.where(total > 0, total, 1), 1 / senses)


def prune_senses(priors: Array, *, threshold: Numeric = 0.05) -> jax.Array:
    """Sense pruning: a sense is alive unless its prior is below a threshold.

    Args:
      priors: [words, senses], of `sense_priors`.
      threshold: below it a sense is dead.

    Returns: bool [words, senses].
    Source: Grzegorczyk and Kurdziel 2018, released code, which also keeps every sense of the unknown word.
    """
    priors = checks.reals("priors", priors)
    checks.shaped("priors", priors, (None, None), "one row per word")
    checks.probability("threshold", threshold)
    return priors >= threshold


def assign_sense_cosine(
    senses: Array,
    alive: Array,
    centers: Array,
    contexts: Array,
    *,
    context_where: Array | None = None,
) -> jax.Array:
    """Sense assignment by cosine: the senses of a word, scored by the senses of the words around it.

        score_s = (1 + cos(U_ws, mean_j mean over alive t of U_jt)) / 2, over all alive s to sum 1

    The sense that is meant is the argmax.

    Args:
      senses: U [words, senses, dim].
      alive: bool [words, senses], of `prune_senses`.
      centers: int [n], the words in question.
      contexts: int [n, length], the words around each.
      context_where: bool [n, length], False for padding and unknown words.

    Returns: float32 at least [n, senses]: 0 for dead senses. Without a context the scores are equal; a word
    without an alive sense has 0.
    Raises: ValueError for shapes that do not fit, and for words beyond the table, on the host.
    Source: Grzegorczyk and Kurdziel 2018, released code, the variant that was reported.
    """
    senses = at_least_float32(checks.reals("senses", senses))
    checks.shaped("senses", senses, (None, None, None), "[words, senses, dim]")
    words, each, _ = senses.shape
    alive = checks.given_mask("alive", alive, (words, each), "one per sense")
    contexts = checks.numbers_of("contexts", contexts)
    checks.shaped("contexts", contexts, (None, None), "some per center")
    centers = checks.column("centers", centers, len(contexts), "one per row of contexts")
    for name, ids in (("centers", centers), ("contexts", contexts)):
        checks.integers(name, ids)
        checks.outside(name, ids, words)
    there = checks.mask("context_where", context_where, contexts.shape, "one per context")
    of_words = masked.mean(senses, alive[:, :, None], axis=1)
    near = masked.mean(of_words[contexts], there[:, :, None], axis=1)
    cosines = jax.vmap(lambda mine, context: cosine(mine, context[None])[:, 0])(
        senses[centers], near
    )
    scores = jnp.where(alive[centers], (1 + cosines) / 2, 0)
    total = scores.sum(axis=1, keepdims=True)
    return scores / jnp.where(total > 0, total, 1)
