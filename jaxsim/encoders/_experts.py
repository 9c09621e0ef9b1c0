"""Mixture of experts: several copies of a block's feed-forward part, and the rules that route tokens to them.

    states [rows, length, dim], weights [rows, length, experts] -> [rows, length, dim]

Every rule gives dense weights, and one sum over the experts serves all: no expert has a capacity, no token is
dropped, and a mixture costs as many feed-forward parts as there are experts. Where all texts of a batch have one
domain its expert is taken out first, and the cost is that of a dense model.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array

SENTENCE = (
    "sentence_switch",
    "sentence_switch_released",
    "sentence_top_k",
    "sentence_top_k_released",
)
ROUTERS = ("enforced", *SENTENCE, "token_top_k")


@dataclasses.dataclass(frozen=True)
class Experts:
    """Experts of a transformer: how many, how texts or tokens are routed, and in which layers.

    Routers:
      "enforced": the expert of the text's domain, without parameters.
      "sentence_switch": `route_switch` of the mean state of a text's tokens.
      "sentence_top_k": `route_top_k` of that mean.
      "token_top_k": `route_top_k` of each token's state.
      "sentence_switch_released", "sentence_top_k_released": as the released code has them: the mean counts
        padding too, and `route_top_k_released`.

    Source: MoE of co-cited texts (2401.15713) and its released code; "token_top_k" is Mixtral's (2401.04088).
    """

    count: int
    router: str = "enforced"
    k: int = 2  # experts of a text or token, of routers by top k
    layers: tuple[int, ...] | None = None  # numbers of the layers that have experts; None is all

    def __post_init__(self) -> None:
        checks.whole("count", self.count)
        checks.one_of("router", self.router, ROUTERS)
        checks.whole("k", self.k)
        if "top_k" in self.router:
            checks.at_most("k", self.k, self.count, "the experts")
        for number in self.layers or ():
            checks.whole("layers", number, 0)
        if self.layers is not None and not self.layers:
            raise ValueError("layers must name one layer at least, or be None for all, got ()")

    @property
    def learned(self) -> bool:
        """Whether the router has parameters."""
        return self.router != "enforced"

    def within(self, number: int) -> bool:
        """Whether a layer has experts."""
        return self.layers is None or number in self.layers


class Routing(NamedTuple):
    """What a block routes by."""

    where: Array  # bool [rows, length], the tokens of the states that it gets
    domain: Array | None = None  # int [], [rows] or [rows, length]


def route_enforced(domain: Array, count: int) -> jax.Array:
    """Enforced routing: all weight on the expert of the domain.

    Args:
      domain: int [...], from 0.
      count: of the experts.

    Returns: float32 [..., experts]; NaN for a domain outside of them.
    Source: 2401.15713.
    """
    domain = jnp.asarray(domain)[..., None]
    checks.integers("domain", domain)
    weights = jax.nn.one_hot(domain[..., 0], count, dtype=jnp.float32)
    return jnp.where((domain >= 0) & (domain < count), weights, jnp.nan)


def route_switch(logits: Array) -> jax.Array:
    """Switch routing: all weight, 1, on the expert with the largest logit; the first of those that tie.

    The weight is not the router's probability, so that copies of one feed-forward part give what it gives.
    A router gets no gradient through it: train it by a loss of its logits (`losses.load_balance`,
    `losses.enforced_routing`).

    Args:
      logits: [..., experts].

    Returns: float32 [..., experts].
    Source: 2401.15713, without the gate's factor of Switch Transformers (2101.03961).
    """
    logits = checks.reals("logits", logits).astype(jnp.float32)
    chosen = jax.nn.one_hot(jnp.argmax(logits, axis=-1), logits.shape[-1], dtype=jnp.float32)
    spoiled = jnp.isnan(logits).any(axis=-1, keepdims=True)
    return jnp.where(spoiled, jnp.nan, chosen)


def route_top_k(logits: Array, k: int) -> jax.Array:
    """Top-k routing: the k largest probabilities, divided by their sum; the others get 0.

    Args:
      logits: [..., experts].
      k: how many, from 1 to the experts.

    Returns: float32 [..., experts], sums to 1; the softmax is in float32.
    Source: Shazeer et al. 2017 (1701.06538); Mixtral (2401.04088).
    """
    largest = route_top_k_released(logits, k)
    return largest / largest.sum(axis=-1, keepdims=True)


def route_top_k_released(logits: Array, k: int) -> jax.Array:
    """Top-k routing without renormalization: the k largest probabilities as they are.

    Copies of one feed-forward part then give less than it gives: a quarter of it with 2 of 8 and equal logits.

    Args:
      logits, k: as in `route_top_k`.

    Returns: float32 [..., experts], sums to at most 1.
    Source: the released code of 2401.15713.
    """
    logits = checks.reals("logits", logits).astype(jnp.float32)
    checks.whole("k", k)
    checks.at_most("k", k, logits.shape[-1], "the experts")
    probabilities = jax.nn.softmax(logits, axis=-1)
    _, chosen = jax.lax.top_k(jax.lax.stop_gradient(logits), k)
    among = jax.nn.one_hot(chosen, logits.shape[-1], dtype=jnp.float32).sum(axis=-2)
    return probabilities * among


def mix_experts(
    params: Any,
    expert: Callable[[Any, jax.Array], jax.Array],
    states: Array,
    weights: Array,
) -> jax.Array:
    """Mixture of experts: the weighted sum of the outputs of all experts on all tokens.

    An expert that has no weight gets a gradient of exactly 0.

    Args:
      params: of the experts, the first axis of each leaf is theirs.
      expert: (one expert's params, states [rows, length, dim]) -> [rows, length, size].
      states: [rows, length, dim].
      weights: [rows, length, experts], or [rows, 1, experts] for all tokens of a text.

    Returns: float32 at least [rows, length, size].
    """
    checks.shaped("weights", weights, (states.shape[0], None, None), "of each row's experts")
    states = jnp.asarray(states)
    outputs = jax.vmap(lambda one: expert(one, states))(params)
    weights = jnp.broadcast_to(weights, (*states.shape[:2], weights.shape[-1]))
    outputs = outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32))
    return jnp.einsum("ble,eblh->blh", weights, outputs, precision="highest")


def routed(
    experts: Experts, routing: Routing, states: jax.Array, gate: Callable[[], jax.Array]
) -> tuple[jax.Array | None, jax.Array | None]:
    """(weights [rows, length or 1, experts] or None, router logits or None) of a block's states.

    None for the weights where the domain is one for all rows: then its expert is to be taken.

    Args:
      experts, routing: of the block.
      states: [rows, length, dim], what the feed-forward part gets.
      gate: makes the router's kernel [dim, experts].
    """
    if not experts.learned:
        domain = jnp.asarray(routing.domain)
        if domain.ndim == 0:
            return None, None
        weights = route_enforced(domain, experts.count)
        return weights if weights.ndim == 3 else weights[:, None], None
    states = states.astype(jnp.float32)
    if experts.router in SENTENCE:
        if experts.router.endswith("_released"):
            states = states.mean(axis=1)
        else:
            states = masked.mean(states, routing.where[..., None], axis=1)
    logits = jnp.dot(states, gate(), precision="highest")
    if experts.router.startswith("sentence_switch"):
        weights = route_switch(logits)
    elif experts.router == "sentence_top_k_released":
        weights = route_top_k_released(logits, experts.k)
    else:
        weights = route_top_k(logits, experts.k)
    return weights if weights.ndim == 3 else weights[:, None], logits


def check_domain(name: str, domain: Any, shape: tuple[int, int]) -> None:
    """Refuses a domain that is not int [], [rows] or [rows, length]; `shape` is that of the tokens."""
    checks.integers(name, jnp.asarray(domain))
    got = jnp.shape(domain)
    if got not in ((), shape[:1], shape):
        raise ValueError(
            f"{name} must be one for all, one per row or one per token of {shape}, got shape {got}"
        )
