"""Masked language models: a transformer and a head that gives a score to every word, tied to the embeddings.

{"tokens" int [rows, length], "where" bool [rows, length]} -> float32 [rows, length, vocabulary]
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.encoders._layers import BERT_NORM, gelu
from jaxsim.encoders._text import Texts, check_texts
from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.types import Array


class MaskedLmHead(nn.Module):
    """Masked language model's head (MLM head): dense, GELU, LayerNorm, then products with the words' vectors.

    states float [..., dim], words float [vocabulary, dim] -> float32 [..., vocabulary] (float64 for float64)

        logits = LayerNorm(gelu(x W + b)) D^T + d,   D the embeddings of words: tied, and no parameter here

    It also takes a text's pooled vector instead of a token's state: this is how DefSent predicts the word that a definition
    defines so.

    Source: BERT (Devlin et al. 2019, 1810.04805), as released; DefSent (Tsukagoshi et al. 2021, 2105.04339).
    """

    activation: Callable = gelu
    normalize: Callable = BERT_NORM  # makes a norm, as `layer_norm` gives it
    initial: float = 0.02  # standard deviation of the weights at the start

    @nn.compact
    def __call__(self, states: Array, words: Array) -> jax.Array:
        """Logits of all words.

        Args:
          states: float [..., dim].
          words: [vocabulary, dim], the transformer's embeddings of words.

        Raises: ValueError for words of another width than the states.
        """
        states = at_least_float32(checks.reals("states", states))
        words = at_least_float32(checks.reals("words", words))
        dim = states.shape[-1]
        checks.shaped("words", words, (None, dim), "as wide as the states")
        start = nn.initializers.truncated_normal(self.initial)
        x = nn.Dense(dim, dtype=states.dtype, kernel_init=start, name="dense")(states)
        x = self.normalize(dtype=states.dtype, name="norm")(self.activation(x))
        return x @ words.T + self.param("bias", nn.initializers.zeros_init(), (len(words),))


class MaskedLanguageModel(nn.Module):
    """Masked language model (MLM): a transformer, and the logits of all words at each token or at some places.

    Its parameters are {"transformer", "head"}: the first are those of a `TextEncoder` over the same transformer.
    What it is trained on is `data.masked_by_count` or `data.masked_by_chance`, by `losses.cross_entropy`.
    """

    transformer: nn.Module
    head: nn.Module = MaskedLmHead()

    @nn.compact
    def __call__(
        self, texts: Texts, places: Array | None = None, *, deterministic: bool = True
    ) -> Any:
        """Logits.

        Args:
          texts: {"tokens", "where"}.
          places: int [rows, p], at which tokens; None is all of them. The last layer is then computed there alone.
          deterministic: no dropout.

        Returns: float32 [rows, length or p, vocabulary].
        """
        check_texts("texts", texts)
        tokens, where = texts["tokens"], texts["where"]
        if places is not None:
            checks.shaped("places", places, (tokens.shape[0], None), "places per row")
        if self.transformer.layers == 0:
            states = self.transformer(tokens, where, deterministic=deterministic)
            if places is not None:
                states = jnp.take_along_axis(states, places[..., None], axis=1)
        else:
            states = self.transformer(tokens, where, positions=places, deterministic=deterministic)
        words = self.transformer.variables["params"]["tokens"]["embedding"]
        return self.head(states.astype(jnp.float32), words)
