"""Token masking: what a masked language model is trained on.

tokens int [batch, length], where bool [batch, length] -> tokens with some replaced, and which are to be predicted
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, PRNGKey


class MaskedPlaces(NamedTuple):
    """Texts with tokens replaced, and a fixed number of places per text that are to be predicted."""

    tokens: jax.Array  # int [batch, length]
    places: jax.Array  # int [batch, most], in order; 0 where there is none
    labels: jax.Array  # int [batch, most], the tokens that were there
    label_where: jax.Array  # bool [batch, most], False where there is none


def masked_by_chance(
    key: PRNGKey,
    tokens: Array,
    where: Array,
    *,
    mask: int,
    vocabulary: int,
    ratio: float = 0.15,
    masked: float = 0.8,
    random: float = 0.1,
    spared: Array | None = None,
    ids: Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Token masking by chance (dynamic masking): each token is to be predicted with probability `ratio`.

    Of those to be predicted a part becomes the mask, a part a token drawn from the whole vocabulary, and the rest
    stays as it is. Runs inside jit.

    Args:
      key: one key, the same on all devices.
      tokens: int [batch, length].
      where: bool [batch, length], False beyond the end of a text.
      mask: the mask's id.
      vocabulary: number of tokens; the drawn ones are below.
      ratio: the chance of a token to be predicted, from 0 to 1; 0.15 is BERT.
      masked: of those, the chance to become the mask.
      random: the chance to become a drawn token; with `masked` at most 1.
      spared: bool [batch, length], True for tokens that are never predicted: special tokens. None spares none.
      ids: int [batch], which example a row is of: its noise depends on the key and its id alone, not on its
        place in the batch nor on the devices. None numbers the rows.

    Returns: (tokens int [batch, length], chosen bool [batch, length]). `losses.cross_entropy` takes the tokens that
    were there as labels and `chosen` as `label_where`.
    Raises: ValueError for shapes that do not fit, masks that are not boolean, probabilities outside [0, 1].
    Source: RoBERTa (Liu et al. 2019, 1907.11692), section 4.1, with BERT's 80, 10 and 10 percent.
    """
    tokens, words, keys = _checked(key, tokens, where, spared, ids, mask, vocabulary)
    shares = _shares(ratio, masked, random)
    noise = jax.vmap(lambda key: jax.random.uniform(key, (3, tokens.shape[1])))(keys)
    chosen = words & (noise[:, 0] < ratio)
    return _replaced(tokens, chosen, noise[:, 1], noise[:, 2], mask, vocabulary, shares), chosen


def masked_by_count(
    key: PRNGKey,
    tokens: Array,
    where: Array,
    *,
    mask: int,
    vocabulary: int,
    most: int,
    ratio: float = 0.15,
    masked: float = 0.8,
    random: float = 0.1,
    spared: Array | None = None,
    ids: Array | None = None,
) -> MaskedPlaces:
    """Token masking of an exact count per text, as BERT's released code has it.

        count = min(most, max(1, round(ratio x tokens of the text)), tokens that are not spared)

    The places are as many for all texts, so that a model's last layer and its head run there alone. What becomes
    of the tokens, and all other arguments and errors, as of `masked_by_chance`.

    Args:
      most: places per text.

    Returns: `MaskedPlaces`. `losses.cross_entropy` takes `labels` and `label_where`.
    Source: BERT (Devlin et al. 2019, 1810.04805), section 3.1 and the released code, which counts special tokens
    among those of the text.

    Examples:
      >>> import jax, numpy as np
      >>> from jaxsim import data
      >>> tokens = np.arange(10, 30)[None]
      >>> noisy = data.masked_by_count(
      ...     jax.random.key(0), tokens, tokens > 0, mask=4, vocabulary=100, most=5)
      >>> int(noisy.label_where.sum())  # 15 percent of 20
      3
    """
    checks.whole("most", most)
    tokens, words, keys = _checked(key, tokens, where, spared, ids, mask, vocabulary)
    shares = _shares(ratio, masked, random)
    length = tokens.shape[1]
    checks.at_most("most", most, length, "the length of the texts")
    noise = jax.vmap(lambda key: jax.random.uniform(key, (3, length)))(keys)
    real = jnp.sum(jnp.asarray(where), axis=1)
    count = jnp.clip(jnp.round(ratio * real).astype(int), 1, most)
    count = jnp.minimum(count, words.sum(axis=1))
    order = jnp.argsort(jnp.where(words, noise[:, 0], 2), axis=1)
    rank = jnp.argsort(order, axis=1)
    chosen = words & (rank < count[:, None])
    replaced = _replaced(tokens, chosen, noise[:, 1], noise[:, 2], mask, vocabulary, shares)
    places = jnp.argsort(~chosen, axis=1, stable=True)[:, :most]
    label_where = jnp.arange(most) < count[:, None]
    places = jnp.where(label_where, places, 0)
    labels = jnp.where(label_where, jnp.take_along_axis(tokens, places, axis=1), 0)
    return MaskedPlaces(replaced, places, labels, label_where)


def _checked(key, tokens, where, spared, ids, mask, vocabulary):
    """Tokens, which of them may be predicted, and a key for each text."""
    checks.whole("vocabulary", vocabulary)
    checks.whole("mask", mask, 0)
    tokens, where = jnp.asarray(tokens), jnp.asarray(where)
    checks.shaped("tokens", tokens, (None, None), "a row per text")
    checks.integers("tokens", tokens)
    spared = jnp.zeros_like(where) if spared is None else jnp.asarray(spared)
    for name, one in {"where": where, "spared": spared}.items():
        checks.shaped(name, one, tokens.shape, "one per token")
        checks.booleans(name, one)
    ids = jnp.arange(len(tokens)) if ids is None else jnp.asarray(ids)
    checks.shaped("ids", ids, (len(tokens),), "one per text")
    checks.integers("ids", ids)
    return tokens, where & ~spared, jax.vmap(jax.random.fold_in, (None, 0))(key, ids)


def _shares(ratio, masked, random):
    for name, share in {"ratio": ratio, "masked": masked, "random": random}.items():
        checks.probability(name, share)
    if masked + random > 1:
        raise ValueError(f"masked and random must be at most 1 together, got {masked + random:g}")
    return masked, random


def _replaced(tokens, chosen, fate, draw, mask, vocabulary, shares):
    """Tokens of which the chosen are the mask, a drawn token or themselves, by a uniform number each."""
    masked, random = shares
    drawn = jnp.minimum((draw * vocabulary).astype(tokens.dtype), vocabulary - 1)
    other = jnp.where(fate < masked, mask, jnp.where(fate < masked + random, drawn, tokens))
    return jnp.where(chosen, other, tokens)
