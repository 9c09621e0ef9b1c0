"""Disambiguated skip-gram: words with several senses, one of which the context chooses.

    logits = parts.sense_logits(contexts, weights, offsets)         # [batch, senses]
    probabilities = relaxations.gumbel_softmax(logits, key, tau=tau)
    loss = disambiguated_skip_gram(senses, probabilities, targets, negatives, ...)

Rows are looked up by the caller (`encoders.sense_tables`), one per pair of a center and a word near it.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import sharing
from jaxsim.losses._lift._examples import of_rows, real_numbers, reduced_parts
from jaxsim.losses.words._sampled_softmax import sampled_softmax
from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array, Numeric


@sharing(sampled_softmax, hyperparameters=True)
def disambiguated_skip_gram(
    senses: Array,
    probabilities: Array,
    targets: Array,
    negatives: Array,
    *,
    entropy_weight: Numeric = 0.0,
    entropy_of: Array | None = None,
    **shared: Any,
) -> jax.Array:
    """Disambiguated skip-gram: the expected sense vector of a word predicts a word near it, in nats.

        value_i = sampled_softmax(h_i, ...) + entropy_weight H(p_i),   h = sum_s p_s U_s

    A negative `entropy_weight` rewards undecided senses: the released recipe has -0.1 while it trains one
    disambiguation for all words with a softmax for p, and 0 when every word has its own and p is a Gumbel
    softmax. A positive one sharpens.

    Args:
      senses: U [batch, senses, dim], rows of the center's senses.
      probabilities: p [batch, senses], `relaxations.tempered_softmax` or `gumbel_softmax` of
        `parts.sense_logits`.
      targets: rows of the output table for the words near the centers, [batch, dim].
      negatives: rows for the words drawn, [k, dim] or [batch, k, dim].
      entropy_weight: of the entropy, any sign; may be traced.
      entropy_of: [batch, senses], the probabilities whose entropy counts; None takes p. With a Gumbel
        softmax the released code takes the softmax itself.
      target_log_counts, negative_log_counts, target_bias, negative_bias, negative_where: as in
        `sampled_softmax`.

    Source: Grzegorczyk and Kurdziel 2018, "Disambiguated skip-gram model", and their released code.
    Data: words.
    Memory: batch x senses x dim, and batch x negatives.
    """
    weights, axis_name = shared["weights"], shared["axis_name"]
    probabilities, there = of_rows(
        shared["where"], axis_name, "batch, senses", weights=weights, probabilities=probabilities
    )
    senses = at_least_float32(real_numbers("senses", senses))
    checks.shaped("senses", senses, (*probabilities.shape, None), "one per probability")
    hidden = disambiguated_hidden(probabilities, zeroed(senses, there))
    reduce_fn = shared.pop("reduce_fn")
    values, counts = sampled_softmax(hidden, targets, negatives, **shared, reduce_fn=None)
    if entropy_of is not None:
        entropy_of = real_numbers("entropy_of", entropy_of)
        checks.shaped("entropy_of", entropy_of, probabilities.shape, "as probabilities")
        probabilities = zeroed(at_least_float32(entropy_of), counts > 0)
    added = entropy_weight * sense_entropy(probabilities)
    values = values + jnp.where(counts > 0, added, 0).astype(values.dtype)
    return reduced_parts([(values, counts)], axis_name, reduce_fn)


def sense_logits(
    contexts: Array, weights: Array, offsets: Array, *, context_where: Array | None = None
) -> jax.Array:
    """Sense logits of disambiguated skip-gram: a linear map of the mean of a context's output vectors.

        z = mean_j O_j . Q + q,   no gradient flows to O

    Args:
      contexts: O [batch, words, dim], rows of the output table for the words around, the predicted one
        included.
      weights: Q [dim, senses] of all words, or [batch, dim, senses] of each center.
      offsets: q [senses] or [batch, senses], likewise.
      context_where: bool [batch, words], False for words that do not count. The released code has none:
        what pads a sentence counts as the unknown word.

    Returns: float32 at least [batch, senses].
    Raises: ValueError for shapes that do not fit.
    Source: Grzegorczyk and Kurdziel 2018, "Disambiguated skip-gram model", and their released code.
    Data: words.
    Kind: part; memory batch x words x dim.
    """
    contexts = jax.lax.stop_gradient(at_least_float32(real_numbers("contexts", contexts)))
    checks.shaped("contexts", contexts, (None, None, None), "some per row")
    batch, _, dim = contexts.shape
    there = checks.mask("context_where", context_where, contexts.shape[:2], "one per context")
    mean = masked.mean(zeroed(contexts, there), there[:, :, None], axis=1)
    weights = at_least_float32(real_numbers("weights", weights))
    offsets = at_least_float32(real_numbers("offsets", offsets))
    if weights.ndim == 2:
        checks.shaped("weights", weights, (dim, None), "a row per number of a context")
        logits = jnp.matmul(mean, weights, precision="highest")
    else:
        checks.shaped("weights", weights, (batch, dim, None), "of each row")
        logits = jnp.einsum("bd,bds->bs", mean, weights, precision="highest")
    checks.shaped("offsets", offsets, weights.shape[:-2] + weights.shape[-1:], "one per sense")
    return logits + offsets


def disambiguated_hidden(probabilities: Array, senses: Array) -> jax.Array:
    """Expected sense vector: the mean of a word's sense vectors by their probabilities.

    Args:
      probabilities: [batch, senses].
      senses: [batch, senses, dim].

    Returns: [batch, dim].
    Raises: ValueError for shapes that do not fit.
    Data: words.
    Kind: part; memory batch x senses x dim.
    """
    probabilities = at_least_float32(real_numbers("probabilities", probabilities))
    checks.shaped("probabilities", probabilities, (None, None), "one row per word")
    senses = at_least_float32(real_numbers("senses", senses))
    checks.shaped("senses", senses, (*probabilities.shape, None), "one per probability")
    return jnp.einsum("bs,bsd->bd", probabilities, senses, precision="highest")


def sense_entropy(probabilities: Array, *, eps: Numeric = 1e-5) -> jax.Array:
    """Entropy of sense probabilities, in nats: -sum_s p_s log(p_s + eps).

    Args:
      probabilities: [..., senses].
      eps: added under the logarithm, as the released code does.

    Returns: [...].
    Source: Grzegorczyk and Kurdziel 2018, released code.
    Data: words.
    Kind: part; memory that of its argument.
    """
    checks.not_negative("eps", eps)
    probabilities = at_least_float32(real_numbers("probabilities", probabilities))
    return -jnp.sum(probabilities * jnp.log(probabilities + eps), axis=-1)


def offdiagonal_penalty(weights: Array) -> jax.Array:
    """Off-diagonal penalty: keeps the disambiguation vectors of different senses from being parallel.

        sum over s != t of (Q^T Q)_st^2 / senses

    Args:
      weights: Q [..., dim, senses].

    Returns: [...].
    Source: Grzegorczyk and Kurdziel 2018, released code ("parallel" penalty, off in the recipe).
    Data: words.
    Kind: part; memory senses x senses.
    """
    return _off_diagonal(weights, jnp.square)


def offdiagonal_huber_penalty(weights: Array) -> jax.Array:
    """Off-diagonal Huber penalty: `offdiagonal_penalty` that grows linearly beyond 1.

        sum over s != t of huber((Q^T Q)_st) / senses,   huber(x) = x^2 / 2 up to |x| = 1, then |x| - 1/2

    Args:
      weights: Q [..., dim, senses].

    Returns: [...].
    Source: Grzegorczyk and Kurdziel 2018, released code.
    Data: words.
    Kind: part; memory senses x senses.
    """

    def huber(x):
        inside = jnp.minimum(jnp.abs(x), 1)
        return inside * (jnp.abs(x) - inside / 2)

    return _off_diagonal(weights, huber)


def _off_diagonal(weights, cost):
    weights = at_least_float32(real_numbers("weights", weights))
    if weights.ndim < 2:
        raise ValueError(f"weights must be [..., dim, senses], got shape {weights.shape}")
    senses = weights.shape[-1]
    gram = jnp.einsum("...ds,...dt->...st", weights, weights, precision="highest")
    others = ~jnp.eye(senses, dtype=bool)
    return jnp.sum(jnp.where(others, cost(gram), 0), axis=(-2, -1)) / max(senses, 1)
