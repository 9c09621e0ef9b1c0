"""One layer of a transformer: self-attention and a feed-forward part, in the style of a family."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.encoders._attention import attention
from jaxsim.encoders._dropout import Dropout
from jaxsim.encoders._experts import Experts, Routing, mix_experts, routed
from jaxsim.encoders._positions import View, rotated
from jaxsim.numerics.types import Array

DENSE = ("query", "key", "value", "attention_out", "feed_forward_in", "feed_forward_out")


def layer_norm(eps: float = 1e-12, *, biased: bool = True) -> Callable[..., nn.Module]:
    """LayerNorm factory: returns a function (dtype=, name=) -> module."""
    return functools.partial(nn.LayerNorm, epsilon=eps, use_bias=biased, use_fast_variance=False)


def rms_norm(eps: float = 1e-6) -> Callable[..., nn.Module]:
    """RMSNorm factory (no centering, no bias): returns a function (dtype=, name=) -> module."""
    return functools.partial(nn.RMSNorm, epsilon=eps)


def gelu(x: jax.Array) -> jax.Array:
    """GELU: x times the normal distribution function of x. Keeps shape and type.

    By erf, as torch has it, where it is float32: erfc, which is also exact to a narrow type's digits, takes twice as
    long.
    """
    if x.dtype != jnp.float32:
        return nn.gelu(x, approximate=False)
    return 0.5 * x * (1 + jax.lax.erf(x * 0.5**0.5))


def quick_gelu(x: jax.Array) -> jax.Array:
    """Quick GELU: x sigmoid(1.702 x), the approximation that CLIP was trained with. Keeps shape and type."""
    return x * nn.sigmoid(1.702 * x)


BERT_NORM = layer_norm()


@dataclasses.dataclass(frozen=True)
class Style:
    """What differs between families of transformers in addition to their sizes; BERT's by default."""

    normalize: Callable = BERT_NORM  # makes a norm, as `layer_norm` and `rms_norm` give it
    activation: Callable = gelu
    gated: bool = False  # feed-forward: activation(gate(x)) * in(x), in place of activation(in(x))
    biases: tuple[str, ...] = DENSE  # the dense layers that have one
    head_norm: bool = False  # queries and keys of each head are normalized (Qwen3)
    # Layer scale (DINOv2): a learned factor per dimension of what each part adds; its start, None without.
    layer_scale: float | None = None


class Block(nn.Module):
    """Transformer block: self-attention and a feed-forward part, each with its norm and residual.

    x [rows, length, dim], view -> [rows, length or positions, dim]

    With experts the feed-forward part is there once for each, its parameters with a first axis for them, and
    the call gives (states, router logits) instead: float32 [rows, experts], [rows, length, experts] of a router
    of tokens, or None of one without parameters.
    """

    heads: int
    hidden: int
    norm: str = "post"
    dropout: float = 0.1
    initial: float = 0.02
    dtype: jnp.dtype = jnp.float32
    matching: float = 0.0
    number: int = 0  # of the layer: each has its own orthogonal matrix
    # Heads of keys and values, each for several of queries; None is `heads`.
    key_heads: int | None = None
    head_dim: int | None = None  # None is dim / heads
    style: Style = Style()
    cudnn: bool = True  # attention through cuDNN where it can
    bare: bool = False  # no norm before the attention: the embeddings have just had theirs
    experts: Experts | None = None  # in place of one feed-forward part

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        view: View,
        *,
        positions: Array | None = None,
        deterministic: bool = True,
        routing: Routing | None = None,
    ) -> Any:
        dropout = Dropout(self.dropout, deterministic=deterministic)
        post = self.norm == "post"
        normed = x if post or self.bare else self._norm("attention_norm", x)
        asking = normed
        if positions is not None:
            x, asking = (jnp.take_along_axis(a, positions[..., None], axis=1) for a in (x, normed))
            view = view.at(positions)
        x = x + dropout(self._scaled("attention_scale", self._attention(asking, normed, view)))
        if post:
            x = self._norm("attention_norm", x)
        normed = x if post else self._norm("feed_forward_norm", x)
        out, logits = self._feed_forward(normed, routing)
        x = x + dropout(self._scaled("feed_forward_scale", out))
        x = self._norm("feed_forward_norm", x) if post else x
        return x if self.experts is None else (x, logits)

    def _attention(self, query_states, states, view):
        dim, heads = states.shape[-1], self.heads
        if self.head_dim is None and dim % heads:
            raise ValueError(f"heads must divide dim={dim}, got {heads}")
        each = self.head_dim or dim // heads
        shared = self.key_heads or heads
        if heads % shared:
            raise ValueError(f"key_heads must divide heads={heads}, got {shared}")
        query, key, value = (
            self._weights(name, count * each, start)(dim)
            for name, count, start in (
                ("query", heads, self._matching_start()),
                ("key", shared, self._matching_start()),
                ("value", shared, None),
            )
        )
        if query_states is states:
            query, key, value = products(states, (query, key, value), self.dtype)
        else:
            (query,) = products(query_states, (query,), self.dtype)
            key, value = products(states, (key, value), self.dtype)
        query, key, value = (
            a.reshape(*a.shape[:2], a.shape[-1] // each, each) for a in (query, key, value)
        )
        if self.style.head_norm:
            query, key = self._norm("query_norm", query), self._norm("key_norm", key)
        if view.keys is not None:
            query, key = rotated(query, view.queries), rotated(key, view.keys)
        bias = None if view.bias is None else view.bias.astype(self.dtype)
        mixed = attention(query, key, value, mask=view.mask, bias=bias, cudnn=self.cudnn)
        return self._dense("attention_out", mixed.reshape(*mixed.shape[:2], heads * each), dim)

    def _feed_forward(self, x, routing):
        """(the feed-forward part's output, router logits or None)"""
        dim = x.shape[-1]
        first = (
            ("feed_forward_gate", "feed_forward_in") if self.style.gated else ("feed_forward_in",)
        )
        weights = [self._weights(name, self.hidden, experts=self.experts)(dim) for name in first]
        last = self._weights("feed_forward_out", dim, experts=self.experts)(self.hidden)
        if self.experts is None:
            return self._passed((weights, last), x), None
        mixture, logits = routed(self.experts, routing, x, lambda: self._router(dim))
        if mixture is None:
            one = jax.tree.map(
                lambda a: jnp.take(a, jnp.asarray(routing.domain), axis=0), (weights, last)
            )
            return self._passed(one, x), logits
        mixed = mix_experts((weights, last), self._passed, x, mixture)
        return mixed.astype(self.dtype), logits

    def _passed(self, weights, x):
        """x through one feed-forward part."""
        first, last = weights
        inner = products(x, first, self.dtype)
        hidden = self.style.activation(inner[0])
        if self.style.gated:
            hidden = hidden * inner[1]
        return products(hidden, [last], self.dtype)[0]

    def _router(self, dim):
        start = nn.initializers.truncated_normal(self.initial)
        kernel, _ = Weights(self.experts.count, start, False, name="router")(dim)
        return kernel

    def _scaled(self, name, x):
        if self.style.layer_scale is None:
            return x
        start = nn.initializers.constant(self.style.layer_scale)
        return (x * self.param(name, start, x.shape[-1:], jnp.float32)).astype(self.dtype)

    def _norm(self, name, x):
        return self.style.normalize(dtype=jnp.float32, name=name)(x).astype(self.dtype)

    def _dense(self, name, x, size):
        return products(x, [self._weights(name, size)(x.shape[-1])], self.dtype)[0]

    def _weights(self, name, size, start=None, experts=None):
        start = start or nn.initializers.truncated_normal(self.initial)
        biased = name.replace("gate", "in") in self.style.biases
        return Weights(size, start, biased, experts and experts.count, name=name)

    def _matching_start(self):
        """The start that queries and keys share: their product is then matching ** 2 times the identity."""
        if not self.matching:
            return None

        def start(_, shape, dtype=jnp.float32):
            key = jax.random.key(self.number)  # not the parameter's: both must get the same
            return nn.initializers.orthogonal(self.matching)(key, shape, dtype)

        return start


class Weights(nn.Module):
    """The parameters of a dense layer, not applied, so that several can be applied in one product."""

    size: int
    initial: Callable
    biased: bool = True
    copies: int | None = None  # on a first axis of the parameters; None is one, without that axis

    @nn.compact
    def __call__(self, inputs: int) -> tuple[jax.Array, jax.Array | None]:
        first = () if self.copies is None else (self.copies,)
        kernel = self.param("kernel", self.initial, (*first, inputs, self.size), jnp.float32)
        if not self.biased:
            return kernel, None
        zeros = nn.initializers.zeros_init()
        return kernel, self.param("bias", zeros, (*first, self.size), jnp.float32)


def products(x: jax.Array, weights: Sequence[tuple], dtype: Any) -> list[jax.Array]:
    """x through several dense layers at once: one matrix product over their kernels side by side.

    Args:
      x: [..., inputs].
      weights: pairs (kernel [inputs, size], bias [size] or None).
      dtype: of the product; biases are added in float32 at least, for their gradients are sums over all rows.

    Returns: a list of [..., size].
    """
    kernels, biases = zip(*weights, strict=True)
    # With two axes: of three XLA transposes the states once more for the kernel's gradient.
    flat = x.astype(dtype).reshape(-1, x.shape[-1])
    whole = flat @ _side_by_side([k.astype(dtype) for k in kernels])
    sizes = [k.shape[1] for k in kernels]
    if any(bias is not None for bias in biases):
        whole = whole + _side_by_side(
            [
                jnp.zeros(size, jnp.float32) if bias is None else bias
                for bias, size in zip(biases, sizes, strict=True)
            ]
        )
        whole = whole.astype(dtype)
    whole = whole.reshape(*x.shape[:-1], sum(sizes))
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes) - 1)]
    return jnp.split(whole, ends, axis=-1)


def _side_by_side(arrays):
    return arrays[0] if len(arrays) == 1 else jnp.concatenate(arrays, axis=-1)
