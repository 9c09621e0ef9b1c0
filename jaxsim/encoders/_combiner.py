"""Combiner of a picture and a condition in words: one query vector for composed and conditional retrieval."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.numerics import checks, unit
from jaxsim.numerics.types import Array

# Of torch's Linear, as in the released code: uniform up to 1 / sqrt(inputs).
UNIFORM = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class Combiner(nn.Module):
    """Combiner of CLIP4CIR and GeneCIS: an image vector and a text vector to one unit query vector.

        t' = relu(W_t t + b_t),  v' = relu(W_v v + b_v),  z = [t' ; v']
        a = sigmoid(w_2 . relu(W_1 z + b_1) + b_2)
        normalize( W_o relu(W_c z + b_c) + b_o + a t + (1 - a) v )

    images v, texts t [rows, dim] -> float32 [rows, dim], unit rows

    The gate a multiplies the text. Vectors go in as the encoder gives them: which of the two is longer matters.
    Trained by `losses.info_nce(queries, targets, temperature=0.01)`.

    Source: Baldrati et al. 2022; GeneCIS (Vaze et al. 2023, 2306.07969), from the released code.
    """

    projection: int = 2560
    hidden: int = 5120
    dropout: float = 0.5

    @nn.compact
    def __call__(self, images: Array, texts: Array, *, deterministic: bool = True) -> jax.Array:
        """Unit query vectors.

        Args:
          images, texts: [rows, dim].
          deterministic: no dropout.
        """
        checks.shaped("images", images, (None, None), "rows, dim")
        checks.shaped("texts", texts, images.shape, "as images")
        images, texts = (jnp.asarray(a, jnp.float32) for a in (images, texts))
        dropout = nn.Dropout(self.dropout, deterministic=deterministic)

        def dense(name, x, size):
            return nn.Dense(size, kernel_init=UNIFORM, name=name)(x)

        projected = [
            dropout(nn.relu(dense(name, x, self.projection)))
            for name, x in (("text", texts), ("image", images))
        ]
        both = jnp.concatenate(projected, axis=1)
        gate = nn.sigmoid(dense("gate_out", dropout(nn.relu(dense("gate", both, self.hidden))), 1))
        added = dense("out", dropout(nn.relu(dense("both", both, self.hidden))), images.shape[1])
        return unit(added + gate * texts + (1 - gate) * images)
