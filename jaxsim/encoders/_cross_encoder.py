"""Cross-encoders: one transformer reads a query and a candidate together and scores the pair.

    queries, candidates {"tokens" int [rows, length], "where" bool [rows, length]} -> float32 [rows]

Both heads of Yadav et al. 2022 (2210.12579). The last layer is computed only at the few places that
the head reads, which changes no number.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.encoders._pooling import first_place, mean
from jaxsim.encoders._text import Texts, check_texts
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


class ClsCrossEncoder(nn.Module):
    """[CLS] cross-encoder: the pooled state of the first token, a dropout, one linear output.

    The other settings make the classification heads of the families of `jaxsim.pretrained`, which give
    [rows, labels] for more labels than one.

    Both sides together may be padded to more than the transformer's length, as the longest texts of the
    two may be in different pairs. A pair with more tokens than that loses its last.
    """

    transformer: nn.Module
    dropout: float = 0.1
    initial: float = 0.02
    labels: int = 1
    # where [rows, length] -> int [rows]; None: the mean of states.
    place: Callable | None = first_place
    activation: Callable | None = jnp.tanh  # of the pooler; None: no pooler
    norm: Callable | None = None  # after the pooler: a norm factory, as `layer_norm` gives one
    biases: tuple[str, ...] = ("pooler", "score")  # the dense layers that have one
    typed: bool = True  # whether the candidate has another token type than the query

    def __call__(
        self, queries: Texts, candidates: Texts, *, deterministic: bool = True
    ) -> jax.Array:
        joined = join(queries, candidates)
        joined = _closed_up(*joined, self.transformer.max_length)
        return self.score_joined(*joined, deterministic=deterministic)

    @nn.compact
    def score_joined(
        self, tokens: Array, where: Array, segments: Array, *, deterministic: bool = True
    ) -> jax.Array:
        """Scores of pairs that are joined, as a tokenizer of pairs gives them: `apply(..., method="score_joined")`.

        Args:
          tokens: int [rows, length], both texts with their special tokens.
          where: bool [rows, length], False for padding.
          segments: int [rows, length], 1 for the candidate's tokens; without effect where not `typed`.
          deterministic: no dropout.

        Returns: float32 [rows], or [rows, labels] of several labels.
        """
        segments = segments if self.typed and self.transformer.segments > 1 else None
        if self.place is None:
            states = self.transformer(tokens, where, segments, deterministic=deterministic)
            state = mean(states, where)
        else:
            state = self.transformer(
                tokens,
                where,
                segments,
                positions=self.place(where)[:, None],
                deterministic=deterministic,
            )[:, 0].astype(jnp.float32)
        if self.activation is not None:
            state = self.activation(self._dense("pooler", state.shape[-1])(state))
        if self.norm is not None:
            state = self.norm(dtype=jnp.float32, name="pooler_norm")(state)
        state = nn.Dropout(self.dropout)(state, deterministic=deterministic)
        scores = self._dense("score", self.labels)(state)
        return scores[:, 0] if self.labels == 1 else scores

    def _dense(self, name, size):
        initial = nn.initializers.truncated_normal(self.initial)
        return nn.Dense(size, use_bias=name in self.biases, kernel_init=initial, name=name)


class EmbCrossEncoder(nn.Module):
    """[EMB] cross-encoder: the dot product of the query's contextual state with the candidate's.

    The query's state is the mean of those at its two markers, the candidate's is the one at its own.
    No linear layer, no scale, no normalization. A text without its marker counts its first token.
    """

    transformer: nn.Module
    query_markers: tuple[int, int] = (5, 6)  # token ids around the mention
    candidate_marker: int = 7  # token id between title and text

    @nn.compact
    def __call__(
        self, queries: Texts, candidates: Texts, *, deterministic: bool = True
    ) -> jax.Array:
        tokens, where, segments = join(queries, candidates)
        places = [
            jnp.argmax((tokens == marker) & (segments == segment) & where, axis=1)
            for marker, segment in (
                (self.query_markers[0], 0),
                (self.query_markers[1], 0),
                (self.candidate_marker, 1),
            )
        ]
        states = self.transformer(
            tokens,
            where,
            segments,
            positions=jnp.stack(places, axis=1),
            deterministic=deterministic,
        ).astype(jnp.float32)
        query = (states[:, 0] + states[:, 1]) / 2
        return jnp.sum(query * states[:, 2], axis=-1)


def join(queries: Texts, candidates: Texts) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Concatenates both texts: tokens, where, and segments 0 for the query, 1 for the candidate.

    Args:
      queries, candidates: {"tokens", "where"} of [rows, length] each, with equal rows.

    Returns: int, bool, int [rows, query length + candidate length].
    Raises: ValueError for rows that differ.
    """
    check_texts("queries", queries)
    check_texts("candidates", candidates)
    rows = queries["tokens"].shape[0]
    checks.shaped("candidates' tokens", candidates["tokens"], (rows, None), "one row per query")
    tokens, where = (
        jnp.concatenate([queries[name], candidates[name]], axis=1) for name in ("tokens", "where")
    )
    segments = jnp.arange(tokens.shape[1]) >= queries["tokens"].shape[1]
    return tokens, where, jnp.broadcast_to(segments, tokens.shape).astype(jnp.int32)


def _closed_up(tokens, where, segments, length):
    """Sequences of at most `length`: where they are padded to more, without the padding in between."""
    if tokens.shape[1] <= length:
        return tokens, where, segments
    order = jnp.argsort(~where, axis=1, stable=True)[:, :length]
    return tuple(jnp.take_along_axis(a, order, axis=1) for a in (tokens, where, segments))


def score_lists(score: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Turns a scorer of pairs into a scorer of lists of candidates.

    Args:
      score: (params, queries, candidates, **settings) -> [rows].

    Returns: function (params, queries [rows, length], candidates [rows, n, length], **settings) ->
    [rows, n].
    """

    def lists(params, queries, candidates, **settings):
        rows, each = candidates["tokens"].shape[:2]
        repeated = jax.tree.map(lambda a: jnp.repeat(a, each, axis=0), queries)
        flat = jax.tree.map(lambda a: a.reshape(rows * each, *a.shape[2:]), candidates)
        return score(params, repeated, flat, **settings).reshape(rows, each)

    return lists
