"""Denoising autoencoders of texts: TSDAE.

logits [batch, length - 1, vocabulary], tokens int [batch, length] -> loss
"""

from typing import Any

import jax
import numpy as np

from jaxsim.losses._lift._compositions import sharing
from jaxsim.losses._lift._examples import real_numbers
from jaxsim.losses.classes._cross_entropy import cross_entropy
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


@sharing(cross_entropy)
def denoising(
    logits: Array, tokens: Array, *, token_where: Array | None = None, **shared: Any
) -> jax.Array:
    """Denoising autoencoder: the negative log-likelihood of a text given its corrupted version's embedding.

        mean over all tokens but the first of all rows of  -log p(token_t | tokens before t, vector)

    In nats. Counts the tokens that are predicted. The noise is `data.deleted`: the encoder sees what it
    leaves, the decoder the vector and the whole text.

    Args:
      logits: [batch, length - 1, vocabulary], the decoder's for the input tokens[:, :-1]: at place t
        those of token t + 1.
      tokens: int [batch, length], the whole text, with its special tokens.
      token_where: bool [batch, length], False beyond the end of a text.

    Source: TSDAE (Wang et al. 2021, 2104.06979), section 3.
    Data: unlabeled.
    Memory: batch x length x vocabulary.
    """
    logits = real_numbers("logits", logits)
    checks.shaped("logits", logits, (None, None, None), "one row of words per token")
    checks.integers("tokens", checks.numbers_of("tokens", tokens))
    tokens = np.asarray(tokens) if checks.host(tokens) else tokens
    checks.shaped("tokens", tokens, (len(logits), logits.shape[1] + 1), "one more than logits")
    label_where = None
    if token_where is not None:
        checks.mask("token_where", token_where, tokens.shape, "one per token")
        token_where = np.asarray(token_where) if checks.host(token_where) else token_where
        label_where = token_where[:, 1:]
    return cross_entropy(logits, tokens[:, 1:], label_where=label_where, **shared)
