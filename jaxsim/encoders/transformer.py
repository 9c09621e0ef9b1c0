"""A bidirectional transformer: BERT's layers, with the norms after (BERT) or before each part."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.numerics import checks

EPSILON = 1e-12  # of BERT's LayerNorm


class Transformer(nn.Module):
    """Tokens to hidden states.

    tokens int [rows, length], where bool [rows, length] -> [rows, length, dim], in `dtype`

    Positions count the real tokens, so that padding changes nothing wherever it stands: behind a
    text, or between two that were joined. A row without tokens gives finite values.

    A small model on little text does not find out by itself that equal words in two texts matter. With
    `matching` of about 1, and places that start small beside the tokens, equal tokens attend to each
    other from the start (Trockman and Kolter 2023, 2305.09828: mimetic initialisation).
    """

    vocabulary: int
    dim: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072  # width of the feed-forward part
    max_length: int = 512
    segments: int = 2  # token types: which text of a pair a token belongs to
    norm: str = (
        "post"  # "post": after each part, as BERT; "pre": before it, which trains without warm-up
    )
    dropout: float = 0.1
    initial: float = 0.02  # standard deviation of the weights at the start
    place_initial: float | None = (
        None  # of the positions' and segments' embeddings; None is `initial`
    )
    matching: float = 0.0  # above 0 the same orthogonal matrix, times this, starts queries and keys
    dtype: jnp.dtype = jnp.float32  # of the arithmetic; parameters, norms and softmax are float32

    @nn.compact
    def __call__(
        self,
        tokens,
        where,
        segments=None,
        *,
        positions=None,
        deterministic=True,
        all_layers=False,
    ):
        """The last hidden states.

        Args:
          tokens: int [rows, length].
          where: bool [rows, length], False for padding.
          segments: int [rows, length], token types; None is all 0.
          positions: int [rows, p]; where given, the last layer is computed at these places only, to
            the same numbers, and [rows, p, dim] comes back.
          deterministic: no dropout.
          all_layers: a list of the hidden states of the embeddings and every layer instead.
        """
        checks.one_of("norm", self.norm, ("post", "pre"))
        checks.shaped("where", where, tokens.shape, "one per token")
        if tokens.shape[1] > self.max_length:
            raise ValueError(
                f"tokens must be at most max_length={self.max_length} long, got {tokens.shape[1]}"
            )
        if positions is not None and (all_layers or self.layers == 0):
            raise ValueError(
                "positions go with the last layer: not with all_layers, nor without layers"
            )
        places = jnp.maximum(jnp.cumsum(where, axis=1) - 1, 0)
        segments = jnp.zeros_like(tokens) if segments is None else segments
        small = self.initial if self.place_initial is None else self.place_initial
        x = sum(
            nn.Embed(
                size,
                self.dim,
                embedding_init=nn.initializers.truncated_normal(deviation),
                dtype=jnp.float32,
                name=name,
            )(ids)
            for name, size, ids, deviation in (
                ("tokens", self.vocabulary, tokens, self.initial),
                ("positions", self.max_length, places, small),
                ("segments", self.segments, segments, small),
            )
        )
        if self.norm == "post":
            x = _norm("norm")(x)
        x = nn.Dropout(self.dropout)(x, deterministic=deterministic).astype(self.dtype)
        states = [x]
        for number in range(self.layers):
            last = number == self.layers - 1
            x = Block(
                self.heads,
                self.hidden,
                self.norm,
                self.dropout,
                self.initial,
                self.dtype,
                self.matching,
                number,
                name=f"layer_{number}",
            )(x, where, positions=positions if last else None, deterministic=deterministic)
            states.append(x)
        if self.norm == "pre":
            states = [_norm("norm")(x)] if not all_layers else _normed(states, _norm("norm"))
        states = [x.astype(self.dtype) for x in states]
        return states if all_layers else states[-1]


class Block(nn.Module):
    """Self-attention and a feed-forward part, each with its norm and residual.

    x [rows, length, dim], where bool [rows, length] -> [rows, length or positions, dim]
    """

    heads: int
    hidden: int
    norm: str
    dropout: float
    initial: float
    dtype: jnp.dtype
    matching: float = 0.0
    number: int = 0  # of the layer: each has its own orthogonal matrix

    @nn.compact
    def __call__(self, x, where, *, positions, deterministic):
        dropout = nn.Dropout(self.dropout, deterministic=deterministic)
        post = self.norm == "post"
        normed = x if post else _norm("attention_norm")(x).astype(self.dtype)
        asking = normed
        if positions is not None:
            x, asking = (jnp.take_along_axis(a, positions[..., None], axis=1) for a in (x, normed))
        x = x + dropout(self._attention(asking, normed, where))
        if post:
            x = _norm("attention_norm")(x).astype(self.dtype)
        normed = x if post else _norm("feed_forward_norm")(x).astype(self.dtype)
        hidden = nn.gelu(self._dense(self.hidden, "feed_forward_in")(normed), approximate=False)
        x = x + dropout(self._dense(x.shape[-1], "feed_forward_out")(hidden))
        return _norm("feed_forward_norm")(x).astype(self.dtype) if post else x

    def _attention(self, asking, told, where):
        dim = told.shape[-1]
        if dim % self.heads:
            raise ValueError(f"heads must divide dim={dim}, got {self.heads}")

        def split(a):
            return a.reshape(*a.shape[:2], self.heads, dim // self.heads)

        # A row without tokens looks at all of its padding: finite, and masked by whoever pools it.
        seen = (where | ~where.any(axis=1, keepdims=True))[:, None, None, :]
        mixed = jax.nn.dot_product_attention(
            split(self._dense(dim, "query", self._alike())(asking)),
            split(self._dense(dim, "key", self._alike())(told)),
            split(self._dense(dim, "value")(told)),
            mask=seen,
        )
        return self._dense(dim, "attention_out")(mixed.reshape(*mixed.shape[:2], dim))

    def _dense(self, size, name, start=None):
        start = start or nn.initializers.truncated_normal(self.initial)
        return nn.Dense(size, kernel_init=start, dtype=self.dtype, name=name)

    def _alike(self):
        """The start that queries and keys share: their product is then matching ** 2 times the identity."""
        if not self.matching:
            return None

        def start(_, shape, dtype=jnp.float32):
            own = jax.random.key(self.number)  # not the parameter's: both must get the same
            return nn.initializers.orthogonal(self.matching)(own, shape, dtype)

        return start


def _norm(name):
    return nn.LayerNorm(epsilon=EPSILON, dtype=jnp.float32, use_fast_variance=False, name=name)


def _normed(states, norm):
    return [norm(x) for x in states]
