"""Token learner: a feature map to a few tokens, each a weighted mean of places that belong together."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.encoders._layers import layer_norm
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array

EPS = 1e-6  # added to a group's mass, which may be empty


def group_places(
    features: Array, logits: Array, *, normalize: bool = True
) -> tuple[jax.Array, jax.Array]:
    """Soft grouping of places: every place is divided among the groups, a group is the mean of its places.

        A = softmax over groups of logits,    Z_l = sum_p A_pl F_p / (sum_p A_pl + 1e-6)

    The softmax is over groups, not over places: with one group it is the mean of all places.

    Args:
      features: F float [..., places, dim].
      logits: float [..., places, groups].
      normalize: divide by a group's mass; without it groups are sums, as in some released code.

    Returns: (Z [..., groups, dim], A [..., places, groups]), float32.
    Source: the attention of token-based retrieval (Wu et al. 2022) and of ISA (2403.01431).
    """
    shares = jax.nn.softmax(jnp.asarray(logits, jnp.float32), axis=-1)
    groups = jnp.einsum("...pl,...pd->...ld", shares, jnp.asarray(features, jnp.float32))
    if normalize:
        groups = groups / (shares.sum(axis=-2)[..., None] + EPS)
    return groups, shares


class TokenLearner(nn.Module):
    """Adaptive token learner (ISA): an image's feature map to a sentence of pseudo-words.

    maps float [rows, height, width, channels] -> float32 [rows, tokens, dim]

    A 1 x 1 convolution divides every place among the tokens (`group_places`); the tokens attend to each
    other, then to the map again; a perceptron of two layers and a linear layer make words of them. Attention
    outputs start at zero, so that both are the identity at first; words start as long as `norm` says, which should
    be the mean length of the frozen table's rows: they enter a transformer before its positions
    (`Transformer(vectors=)`).

    Source: ISA (2403.01431), as its reviews and its closest relative's code describe it; its own code and
    equations could not be read. A faithful design, not a transcription.
    """

    tokens: int = 6
    dim: int = 768  # of the words
    heads: int = 8  # of attention; divides the channels
    normalize: bool = True  # as in `group_places`
    norm: float = 1.0  # length of a word at the start

    @nn.compact
    def __call__(self, maps: Array, *, shares: bool = False) -> jax.Array:
        """Pseudo-words.

        Args:
          maps: float [rows, height, width, channels].
          shares: give how places are divided among tokens instead of words: float32 [rows, height, width, tokens].
        """
        checks.shaped("maps", maps, (None,) * 4, "rows, height, width, channels")
        checks.whole("tokens", self.tokens)
        rows, height, width, channels = maps.shape
        if channels % self.heads:
            raise ValueError(f"heads must divide the channels, {channels}, got {self.heads}")
        places = jnp.asarray(maps, jnp.float32).reshape(rows, height * width, channels)
        logits = nn.Dense(self.tokens, name="groups")(places)
        words, shared = group_places(places, logits, normalize=self.normalize)
        if shares:
            return shared.reshape(rows, height, width, self.tokens)

        def attend(name):
            return nn.MultiHeadDotProductAttention(
                self.heads, out_kernel_init=nn.initializers.zeros_init(), name=name
            )

        words = words + attend("refine")(words)
        words = words + attend("select")(self._normed("select_norm", words), places)
        hidden = nn.relu(nn.Dense(2 * channels, name="hidden")(self._normed("norm", words)))
        words = nn.Dense(channels, name="mix")(hidden)
        # Rows of length sqrt(channels) times a normal kernel of this deviation have length `norm`.
        start = nn.initializers.normal(self.norm / (channels * self.dim) ** 0.5)
        return nn.Dense(self.dim, kernel_init=start, name="words")(self._normed("last_norm", words))

    def _normed(self, name, x):
        return layer_norm()(dtype=jnp.float32, name=name)(x)
