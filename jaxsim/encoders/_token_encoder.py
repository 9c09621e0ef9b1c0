"""Token encoders for late interaction (ColBERT): a transformer and heads on every token's state, no pooling.

{"tokens" int [rows, length], "where" bool [rows, length]} -> {"vectors" [rows, length, dim], "where"}
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.encoders._text import Texts, check_texts


class TokenEncoder(nn.Module):
    """Token encoder (ColBERT): a vector for each token of a text, which `similarity.max_sim` compares.

    Texts may say under "scored", bool [rows, length], which tokens count, without it all that are real: a
    document's punctuation is read and not counted. Under "seen" is which tokens others attend to: a query is
    filled with mask tokens that count and, by default, are not seen (query expansion).

    Source: Khattab and Zaharia 2020 (ColBERT, 2004.12832), section 3.2.
    """

    transformer: nn.Module
    # [rows, length, dim] -> [rows, length, dim], one after the other: Linen modules or plain functions.
    heads: tuple[Callable, ...] = ()

    @nn.compact
    def __call__(self, texts: Texts, *, deterministic: bool = True) -> dict[str, jax.Array]:
        """Vectors of tokens.

        Args:
          texts: {"tokens", "where"}, perhaps with "seen" and "scored".
          deterministic: no dropout.

        Returns: {"vectors" float32 [rows, length, dim], 0 for what does not count, "where" bool [rows, length]}.
        """
        check_texts("texts", texts)
        vectors = self.transformer(
            texts["tokens"], texts["where"], seen=texts.get("seen"), deterministic=deterministic
        )
        for head in self.heads:
            vectors = head(vectors)
        scored = jnp.asarray(texts.get("scored", texts["where"]))
        return {
            "vectors": jnp.where(scored[..., None], vectors.astype(jnp.float32), 0),
            "where": scored,
        }
