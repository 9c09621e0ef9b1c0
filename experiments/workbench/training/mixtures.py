"""SupReMix as its released code computes it, with what that changes against the paper's equation."""

import jax
import jax.numpy as jnp

from jaxsim.numerics import masked, unit
from jaxsim.numerics.types import Array, Numeric


def supremix_released(
    embeddings: Array,
    labels: Array,
    *,
    shares: Numeric,
    temperature: Numeric = 0.5,
    window: Numeric = 5.0,
    magnified: bool = True,
) -> jax.Array:
    """SupReMix of the released code (AgeDB, IMDB-WIKI): `losses.supremix` with its two slips.

    - Two shifts. The logits of real pairs are shifted by their largest, the anchor's with itself, those of
      mixtures by theirs, and then they meet in one sum. Anchors with fewer mixtures than others are filled
      up with rows of -1, whose logit counts in that largest.
    - Labels without their mixtures. The labels of an anchor's mixtures are sorted without the mixtures,
      which come with the negatives first, so that magnifying looks at the label of another.

    On one device, for labels above 0; every mixture of a batch of n is in memory, n^3 numbers.

    Args:
      embeddings: [n, dim].
      labels: [n], above 0, in whole bins.
      shares: a number, or [n, n], of the anchor in its mixture with each other.
      temperature, window: as in `losses.supremix`.
      magnified: whether terms are weighted by 1 + the distance of labels.

    Returns: a scalar.
    Source: Wu et al. 2023 (2309.16633), their code at commit d6152e0.
    """
    z = unit(jnp.asarray(embeddings))
    held = jax.lax.stop_gradient(z)
    rows = len(z)
    real, mixed = z @ z.T / temperature, z @ held.T / temperature
    others = ~jnp.eye(rows, dtype=bool)
    gaps = labels[None] - labels[:, None]
    positives, unlike = others & (gaps == 0), gaps != 0

    negatives = shares * jnp.diag(mixed)[:, None] + (1 - shares) * mixed
    below = (gaps < 0) & (gaps > -window)
    above = (gaps > 0) & (gaps < window)
    pairs = below[:, :, None] & above[:, None, :]
    spread = jnp.where(pairs, gaps[:, None, :] - gaps[:, :, None], 1)
    share = gaps[:, None, :] / spread
    hard = share * mixed[:, :, None] + (1 - share) * mixed[:, None, :]
    hard, pairs = hard.reshape(rows, -1), pairs.reshape(rows, -1)

    count = unlike.sum(axis=1) + pairs.sum(axis=1)
    filled = jnp.where(count < count.max(), -z.sum(axis=1) / temperature, -jnp.inf)[:, None]
    largest = jnp.maximum(jnp.where(unlike, negatives, filled).max(axis=1, keepdims=True), filled)
    largest = jnp.maximum(largest, jnp.where(pairs, hard, filled).max(axis=1, keepdims=True))
    shift = jax.lax.stop_gradient(jnp.where(jnp.isfinite(largest), largest, 0))
    real = real - jax.lax.stop_gradient(real.max(axis=1, keepdims=True))
    negatives, hard = negatives - shift, hard - shift

    weights = [jnp.ones_like(a) for a in (real, negatives, hard)]
    if magnified:
        weights = [1 + jnp.abs(gaps), *_sorted_apart((1 - shares) * gaps, unlike, pairs)]
    kept = (others, unlike, pairs)
    logits = (real, negatives, hard)
    sums = [
        masked.sum(w * jnp.exp(jnp.where(k, a, 0)), k)
        for w, a, k in zip(weights, logits, kept, strict=True)
    ]
    pulled = masked.sum(real, positives) + masked.sum(hard, pairs)
    counted = positives.sum(axis=1) + pairs.sum(axis=1)
    values = jnp.log(sum(sums)) - pulled / jnp.maximum(counted, 1)
    return masked.mean(values, counted > 0, axis=0)


def _sorted_apart(gaps, unlike, pairs):
    """(weights of mixed negatives, of mixed positives): 1 + the distance of the label in their place.

    An anchor's labels in order: those of negatives below, its own once per mixed positive, those above.
    """
    ranked = jnp.sort(jnp.where(unlike, gaps, jnp.inf), axis=1)
    low = (unlike & (gaps < 0)).sum(axis=1, keepdims=True)
    own = pairs.sum(axis=1, keepdims=True)

    def weight(places):
        source = jnp.clip(jnp.where(places < low, places, places - own), 0, ranked.shape[1] - 1)
        found = jnp.take_along_axis(ranked, source, axis=1)
        equal = (places >= low) & (places < low + own)
        return 1 + jnp.abs(jnp.where(equal | ~jnp.isfinite(found), 0, found))

    first = jnp.cumsum(unlike, axis=1) - 1
    then = unlike.sum(axis=1, keepdims=True) + jnp.cumsum(pairs, axis=1) - 1
    return weight(first), weight(then)
