"""Transformer encoders, bidirectional by default: BERT, related families, and decoders read as encoders."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from jaxsim.encoders._dropout import Dropout
from jaxsim.encoders._experts import SENTENCE, Experts, Routing, check_domain
from jaxsim.encoders._few_rows import few_at_a_time
from jaxsim.encoders._layers import Block, Style
from jaxsim.encoders._positions import Rotary, View, relative_buckets, visible
from jaxsim.numerics import checks, compute_dtype
from jaxsim.numerics.types import Array


class Packing(NamedTuple):
    """Which texts packed rows hold (`data.packed`): each token sees its own text alone, from position 0 on."""

    segments: (
        Array  # int [rows, length], the number of the text that a token is of; padding has another
    )
    positions: Array  # int [rows, length], the token's place in its text


class Transformer(nn.Module):
    """Transformer encoder: tokens to hidden states.

    tokens int [rows, length], where bool [rows, length] -> [rows, length, dim], in `dtype`

    Positions count the real tokens, so that padding changes nothing wherever it is: after a
    text, or between two that were joined. A row without tokens gives finite values.

    The sizes, the places and the `style` of the layers make the family: `jaxsim.pretrained` builds BERT,
    RoBERTa, DistilBERT, MPNet, ModernBERT, Llama, Qwen2 and Qwen3 of them.

    A small model on little text does not learn by itself that equal words in two texts matter. With
    `matching` of about 1, and positions that start small compared with the tokens, equal tokens attend to each
    other from the start (Trockman and Kolter 2023, 2305.09828: mimetic initialization).

    With `experts` some layers have several feed-forward parts; `merging.upcycle` makes their parameters of a
    dense model's.
    """

    vocabulary: int
    dim: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072  # width of the feed-forward part
    max_length: int = 512
    segments: int = 2  # token types: which text of a pair a token belongs to; 0: no such table
    # "post": after each part, as BERT; "pre": before it, which trains without warm-up.
    norm: str = "post"
    dropout: float = 0.1
    initial: float = 0.02  # standard deviation of the weights at the start
    # Of the positions' and segments' embeddings; None is `initial`.
    place_initial: float | None = None
    # Above 0 the same orthogonal matrix, times this, starts queries and keys.
    matching: float = 0.0
    # Of the arithmetic, None is `numerics.compute_dtype()`; parameters, norms and softmax are float32.
    dtype: jnp.dtype | None = None
    key_heads: int | None = None  # heads of keys and values (grouped queries); None is `heads`
    head_dim: int | None = None  # None is dim / heads
    style: Style = Style()
    # "pre" only: embeddings are normalized, in place of the first layer's norm.
    start_norm: bool = False
    first_place: int = 0  # rows of the position table before the first token's (RoBERTa's 2)
    rotary: Rotary | None = None  # in place of a table of positions
    buckets: int = 0  # of relative positions, whose bias all layers share (MPNet's 32)
    local: tuple[int, ...] = ()  # numbers of the layers that see no further than `window`
    window: int = 64  # tokens to either side
    local_rotary: Rotary | None = None  # of the local layers; None is `rotary`
    causal: bool = False  # a token sees only itself and what comes before
    cudnn: bool = True  # attention through cuDNN on a card that has it; False is XLA's everywhere
    experts: Experts | None = None  # in place of one feed-forward part in each layer

    @property
    def packs(self) -> bool:
        """Whether a row may hold several texts: not where experts route by all states of a text."""
        return self.experts is None or self.experts.router not in SENTENCE

    def __call__(
        self,
        tokens: Array,
        where: Array,
        segments: Array | None = None,
        *,
        vectors: Array | None = None,
        vectors_where: Array | None = None,
        seen: Array | None = None,
        positions: Array | None = None,
        deterministic: bool = True,
        all_layers: bool = False,
        domain: Array | None = None,
        router_logits: bool = False,
        packing: Packing | None = None,
    ) -> Any:
        """The last hidden states.

        Args:
          tokens: int [rows, length].
          where: bool [rows, length], False for padding.
          segments: int [rows, length], token types; None is all 0.
          vectors: float [rows, length, dim], taken for the rows of the token table: pseudo-words, or states
            of another model. Positions, segments and the first norm follow as for tokens.
          vectors_where: bool [rows, length], where they are taken; None is everywhere, which needs vectors.
          seen: bool [rows, length], the tokens that others attend to; None is `where`. ColBERT's queries end in
            mask tokens that have positions and states, and that no token sees.
          positions: int [rows, p]; where given, the last layer is computed at these places only, to
            the same numbers, and [rows, p, dim] comes back.
          deterministic: no dropout.
          all_layers: a list of the hidden states of the embeddings and every layer instead. With
            norm="pre" the final norm is applied to each of them.
          domain: int [] for all texts, at the cost of a dense model, [rows] or [rows, length] (the expert of
            each token); for experts with the router "enforced" alone, where it must be given.
          router_logits: (what is given otherwise, logits) instead, of experts whose router has parameters:
            float32 [rows, layers with experts, experts], or [rows, layers, length, experts] of
            "token_top_k".
          packing: of rows that hold several texts; states are those of the texts in separate rows. Not with
            experts that route by all states of a text, nor with one domain per row.
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
        self._check_routing(tokens, domain, positions, router_logits)
        self._check_packing(tokens, packing, domain, router_logits)
        self._check_vectors(tokens, vectors, vectors_where)
        if seen is not None:
            checks.shaped("seen", seen, tokens.shape, "one per token")
            checks.booleans("seen", seen)
        rows = {
            "tokens": tokens,
            "where": where,
            "segments": segments,
            "vectors": vectors,
            "vectors_where": vectors_where,
            "seen": seen,
            "positions": positions,
            "packing": packing,
        }

        def states(module, rows):
            return module._states(
                **rows,
                deterministic=deterministic,
                all_layers=all_layers,
                domain=domain,
                router_logits=router_logits,
            )

        if domain is not None:  # perhaps one for all rows
            return states(self, rows)
        length = tokens.shape[1]
        return few_at_a_time(self, states, rows, length, self.hidden + self.heads * length)

    @nn.compact
    def _states(
        self,
        tokens,
        where,
        segments,
        vectors,
        vectors_where,
        seen,
        positions,
        packing,
        *,
        deterministic,
        all_layers,
        domain,
        router_logits,
    ):
        """What `__call__` gives, of arguments that are checked."""
        routing = None if self.experts is None else Routing(where, domain)
        post = self.norm == "post"
        dtype = compute_dtype() if self.dtype is None else self.dtype
        if packing is None:
            places = jnp.maximum(jnp.cumsum(where, axis=1) - 1, 0)
        else:
            places = jnp.asarray(packing.positions)
        x = self._embedded(tokens, places, segments, vectors, where, vectors_where)
        if post or self.start_norm:
            x = self._norm("norm" if post else "embedding_norm")(x)
        x = Dropout(self.dropout)(x, deterministic=deterministic).astype(dtype)
        views = self._views(places, where if seen is None else seen, packing)
        states, logits = [x], []
        for number in range(self.layers):
            last = number == self.layers - 1
            experts = self.experts if self.experts and self.experts.within(number) else None
            block = Block(
                heads=self.heads,
                hidden=self.hidden,
                norm=self.norm,
                dropout=self.dropout,
                initial=self.initial,
                dtype=dtype,
                matching=self.matching,
                number=number,
                key_heads=self.key_heads,
                head_dim=self.head_dim,
                style=self.style,
                cudnn=self.cudnn,
                bare=self.start_norm and number == 0,
                experts=experts,
                name=f"layer_{number}",
            )
            x = block(
                x,
                views[number in self.local],
                positions=positions if last else None,
                deterministic=deterministic,
                routing=routing,
            )
            if experts:
                x, of_router = x
                logits.append(of_router)
            states.append(x)
        states = states if all_layers else states[-1:]
        if not post:
            norm = self._norm("norm")
            states = [norm(x).astype(dtype) for x in states]
        result = states if all_layers else states[0]
        return (result, jnp.stack(logits, axis=1)) if router_logits else result

    def _check_routing(self, tokens, domain, positions, router_logits):
        """Refuses what does not go with the experts, or their absence."""
        experts = self.experts
        if experts is None or not experts.learned:
            if router_logits:
                raise ValueError(
                    "router_logits needs experts whose router has parameters, got none"
                )
        elif domain is not None:
            raise ValueError(
                f"domain must be None with the router {experts.router!r}, which finds it"
            )
        if experts is None:
            if domain is not None:
                raise ValueError("domain must be None without experts, got one")
            return
        if experts.layers is not None and max(experts.layers) >= self.layers:
            raise ValueError(
                f"experts must be in the {self.layers} layers, numbered from 0, got layers={experts.layers}"
            )
        if not experts.learned:
            if domain is None:
                raise ValueError('domain must be given with the router "enforced", got None')
            check_domain("domain", domain, tokens.shape)
        by_text = experts.router in SENTENCE or router_logits
        by_text = by_text or (domain is not None and jnp.ndim(domain) == 2)
        if positions is not None and by_text and experts.within(self.layers - 1):
            raise ValueError(
                "positions must be None where the last layer routes by all states of a text"
            )

    def _check_packing(self, tokens, packing, domain, router_logits):
        """Refuses what is for each row where a row holds several texts."""
        if packing is None:
            return
        for name, array in packing._asdict().items():
            checks.shaped(f"packing's {name}", array, tokens.shape, "one per token")
            checks.integers(f"packing's {name}", array)
        if not self.packs or router_logits:
            raise ValueError(
                "texts must not be packed where experts route by all states of a text, or where router_logits "
                "are asked for: give each a row"
            )
        if domain is not None and jnp.ndim(domain) == 1:
            raise ValueError(
                "domain must be one for all texts, or one per token, where rows hold several texts, got one per row"
            )

    def _check_vectors(self, tokens, vectors, vectors_where):
        if vectors is None:
            if vectors_where is not None:
                raise ValueError("vectors_where goes with vectors, got no vectors")
            return
        checks.shaped("vectors", vectors, (*tokens.shape, self.dim), "one per token, of size dim")
        if vectors_where is not None:
            checks.shaped("vectors_where", vectors_where, tokens.shape, "one per token")
            checks.booleans("vectors_where", vectors_where)

    def _embedded(self, tokens, places, segments, vectors, where, vectors_where):
        small = self.initial if self.place_initial is None else self.place_initial
        x = self._table("tokens", self.vocabulary, self.initial)(tokens)
        if vectors is not None:
            # Not in padding, where NaN would reach the gradients of all weights.
            taken = where if vectors_where is None else jnp.asarray(where) & vectors_where
            x = jnp.where(jnp.asarray(taken)[..., None], vectors, x)
        if self.rotary is None:
            rows = self.max_length + self.first_place
            x = x + self._table("positions", rows, small)(places + self.first_place)
        if self.segments:
            segments = jnp.zeros_like(tokens) if segments is None else segments
            x = x + self._table("segments", self.segments, small)(segments)
        return x

    def _table(self, name, rows, deviation):
        return nn.Embed(
            rows,
            self.dim,
            embedding_init=nn.initializers.truncated_normal(deviation),
            dtype=jnp.float32,
            name=name,
        )

    def _views(self, places, seen, packing):
        """What global layers see, and what local ones do: made once, used by all."""
        bias = None
        if self.buckets:
            table = nn.Embed(self.buckets, self.heads, dtype=jnp.float32, name="relative")
            bias = jnp.moveaxis(table(relative_buckets(places, self.buckets)), -1, 1)
        each = self.head_dim or self.dim // self.heads
        segments = None if packing is None else jnp.asarray(packing.segments)
        views = {}
        for local in (False, True) if self.local else (False,):
            rotary = self.local_rotary if local and self.local_rotary else self.rotary
            angles = None if rotary is None else rotary.angles(places, each)
            window = self.window if local else None
            mask = visible(places, seen, window=window, causal=self.causal, segments=segments)
            views[local] = View(mask, angles, angles, bias)
        return views

    def _norm(self, name):
        return self.style.normalize(dtype=jnp.float32, name=name)
