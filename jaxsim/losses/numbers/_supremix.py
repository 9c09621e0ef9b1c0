"""SupReMix: mixtures of embeddings as harder pairs for labels that have an order.

    embeddings [batch, dim], labels float [batch] -> loss

No mixture is ever built: its score with the anchor is the mixture of two scores. The pairs of pairs of
one anchor are [batch, batch], and are walked by blocks of anchors.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from jaxsim.losses._lift._blocks import IN_CACHE, lift_and_reduce, without_weight
from jaxsim.losses._lift._labeled import labeled
from jaxsim.losses._lift._lifters import equal_labels
from jaxsim.losses._lift._one_pass import varying_numbers
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.numbers._regression_supervised_contrastive import linear_weight
from jaxsim.numerics import checks, masked
from jaxsim.numerics._devices import block_entries, gather
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.masked import NOTHING, log_sum_exp, zeroed
from jaxsim.numerics.types import Array, Numeric, PRNGKey, ReduceFn, Similarity
from jaxsim.similarity import cosine, paired


class Block(NamedTuple):
    """What a kind of mixture is made from, for a block of anchors."""

    held: jax.Array  # [rows, references], logits of the references without their gradient
    own: jax.Array  # [rows, 1], the anchor's logit with itself, likewise
    gaps: jax.Array  # [rows, references], the references' labels minus the anchor's
    unlike: jax.Array  # bool [rows, references], of another label
    shares: jax.Array  # [rows, references], of the anchor in its mixture with each reference
    window: Any
    log_weight: Any  # log w of label distances


# A kind of mixture: Block -> (log of its part of the denominator [rows], sum of its positive logits
# [rows], how many positives it adds [rows]).


def mixed_negatives(block: Block) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mixed negatives, anchor-inclusive: share * z_i + (1 - share) * z_k with every z_k of another label.

    Its label lies between the two, at (1 - share) of their distance.

    Data: numbers.
    Kind: part; memory block x batch.
    """
    logits = block.shares * block.own + (1 - block.shares) * block.held
    logits += block.log_weight((1 - block.shares) * jnp.abs(block.gaps))
    none = jnp.zeros_like(block.own[:, 0])
    return log_sum_exp(logits, block.unlike, empty=NOTHING), none, none


def mixed_positives(block: Block) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mixed positives, anchor-exclusive: c z_j + (1 - c) z_k whose labels y_j < y_i < y_k average to y_i.

    Both labels lie within the window: y_i - y_j and y_k - y_i are below it, strictly.

    Data: numbers.
    Kind: part; memory block x batch^2.
    """
    gaps, held = block.gaps, block.held
    below = block.unlike & (gaps < 0) & (gaps > -block.window)
    above = block.unlike & (gaps > 0) & (gaps < block.window)
    pairs = below[:, :, None] & above[:, None]
    spread = jnp.where(pairs, gaps[:, None] - gaps[:, :, None], 1)
    share = jnp.where(pairs, gaps[:, None] / spread, 0)

    counts = (mask.sum(axis=1, keepdims=True, dtype=held.dtype) for mask in (below, above))
    of_below, of_above = counts
    count = (of_below * of_above)[:, 0]
    log_sum = _log_sum_of_mixtures(held, share, pairs)
    log_sum += block.log_weight(jnp.zeros((), held.dtype))
    # How often each reference is in a sum over all pairs.
    parts = share.sum(axis=2) + of_below * above - share.sum(axis=1)
    total = masked.sum(parts * held, below | above)
    return jnp.where(count > 0, log_sum, NOTHING), total, count


@jax.custom_jvp
def _log_sum_of_mixtures(held, share, pairs):
    """The log of the sum of exp(logit) over the mixed positives of each anchor, `NOTHING` without one.

    Its slopes are sums of the terms along rows and columns of the pairs, taken while they are there.

    Args:
      held: logits [rows, references].
      share: of the first of a pair in its mixture, 0 where there is none [rows, references, references].
      pairs: bool, of its shape.
    """
    return _log_sum_and_terms(held, share, pairs)[0]


@functools.partial(_log_sum_of_mixtures.defjvp, symbolic_zeros=True)
def _log_sum_of_mixtures_jvp(primals, tangents):
    held, share, _ = primals
    log_sum, terms, total = _log_sum_and_terms(*primals)
    tangent = jnp.zeros_like(log_sum)
    of_held, of_share = (not isinstance(t, SymbolicZero) for t in tangents[:2])
    if of_held:
        firsts = terms * share
        slopes = firsts.sum(axis=2) + terms.sum(axis=1) - firsts.sum(axis=1)
        tangent += jnp.sum(slopes * tangents[0], axis=1)
    if of_share:
        slopes = terms * (held[:, :, None] - held[:, None])
        tangent += jnp.sum(slopes * tangents[1], axis=(1, 2))
    return log_sum, tangent / total


def _log_sum_and_terms(held, share, pairs):
    """The log of the sum, its terms up to a factor, and their sum; by columns first, the fastest on CPU."""
    logits = share * (held[:, :, None] - held[:, None]) + held[:, None]
    logits = jnp.where(pairs, logits, NOTHING)
    top = jax.lax.stop_gradient(logits.max(axis=1).max(axis=1))
    terms = jnp.where(pairs, jnp.exp(logits - top[:, None, None]), 0)
    total = terms.sum(axis=1).sum(axis=1)
    nothing = total == 0
    total = jnp.where(nothing, 1, total)
    return jnp.where(nothing, NOTHING, top + jnp.log(total)), terms, total


@checked
def supremix(
    embeddings: Array,
    labels: Array,
    *,
    key: PRNGKey | None = None,
    shares: Numeric | None = None,
    mixtures: tuple[Callable[[Block], Any], ...] = (mixed_negatives, mixed_positives),
    temperature: Numeric = 0.5,
    window: Numeric = 5.0,
    distance_weight: Callable[[jax.Array], jax.Array] | None = linear_weight,
    label_scale: Numeric = 1.0,
    similarity: Similarity = cosine,
    where: Array | None = None,
    weights: Array | None = None,
    axis_name: str | None = None,
    block: int | None = None,
    reduce_fn: ReduceFn | None = mean,
) -> jax.Array:
    """SupReMix: `regression_supervised_contrastive` with mixtures as harder negatives and positives.

        value_i = log Z_i - mean over all positives of i, real and mixed, of their logits
        Z_i = sum over the other examples, mixed negatives and mixed positives of w exp(logit)

        an example j           logit s_ij / T                                    w(d_ij)
        a mixed negative k     logit (a s_ii + (1 - a) s_ik) / T                 w((1 - a) d_ik)
        a mixed positive j, k  logit (c s_ij + (1 - c) s_ik) / T                 w(0)

    T is the temperature, d label distances. A mixed negative takes the share a of the anchor; a mixed
    positive weights two neighbors on either side so that their labels average to the anchor's,
    c = (y_k - y_i) / (y_k - y_j). Mixtures carry no gradient of what is mixed, only the anchor's; they
    are not scaled to norm 1 again. Counts the anchors that have a positive, real or mixed.

    Args:
      embeddings: [batch, dim].
      labels: float [batch]. Equality is exact: round them to bins.
      key: a random key, the same on every device, that draws a ~ Beta(2, 8) for each ordered pair.
      shares: a number, or [batch, references], a itself in place of a key.
      mixtures: the kinds that take part: `mixed_negatives`, `mixed_positives`.
      temperature: divides the scores, > 0; may be traced. 0.5 is the paper for ages.
      window: the labels of a mixed positive lie less than this from the anchor's; 5 years in the paper.
      distance_weight: w, a function of label distances: `linear_weight` is the paper's magnifying,
        `quadratic_weight` its other form; None is 1 everywhere.
      label_scale: the width of a bin, > 0; labels are divided by it, the window counts in it.
      similarity: (x [n, dim], y [m, dim]) -> [n, m], linear in y: the score of a mixture is the mixture
        of scores. The cosine takes the rows to norm 1 before they are mixed, as the paper does.
      where: bool [batch], False for padding.
      weights: [batch].
      axis_name: the named axis over which the batch is split; draws do not depend on the split.
      block: anchors per block; None chooses it so that block * batch^2 stays in a cache.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, or for mixed negatives without key or shares.
    Source: Wu et al. 2023 (2309.16633), with one shift for all terms of the log-sum-exp; the released
    code shifts real and mixed terms separately.
    Data: numbers.
    Kind: pairwise; memory block x batch^2.
    """
    # Not under `over_labels`: its inputs are built of scores without their gradient, and of drawn shares.
    checks.positive("temperature", temperature)
    checks.positive("label_scale", label_scale)
    if mixed_negatives in mixtures and key is None and shares is None:
        raise ValueError("mixed negatives need a key, or shares, got neither")
    anchors = labeled(embeddings, labels, where, axis_name)
    shared = anchors.embeddings, anchors.keys
    others = gather(anchors._replace(inputs=shared), axis_name)
    size = len(others.keys)
    drawn = checks.reals("shares", 0.0 if shares is None else shares)
    if drawn.ndim:
        checks.shaped("shares", drawn, (len(anchors.keys), size), "one per anchor and reference")
    drawn = zeroed(jnp.broadcast_to(drawn, (len(anchors.keys), size)), anchors.where)
    anchors = anchors._replace(inputs=(*shared, anchors.embeddings, drawn))
    others = others._replace(inputs=(*others.inputs, others.keys, others.keys))
    anchors = without_weight(anchors, weights, others, similarity)
    numbers = {"temperature": temperature, "window": window, "label_scale": label_scale}
    rule = functools.partial(
        _rule,
        key=None if shares is not None else key,
        mixtures=mixtures,
        distance_weight=distance_weight,
        **varying_numbers(numbers, axis_name),
    )
    builders = (
        lambda mine, theirs: similarity(mine, jax.lax.stop_gradient(theirs)),
        lambda mine, theirs: theirs[None] - mine[:, None],
        lambda mine, theirs: paired(similarity)(mine, jax.lax.stop_gradient(mine))[:, None],
        lambda mine, theirs: mine,
    )
    return lift_and_reduce(
        rule,
        anchors,
        others,
        similarity=similarity,
        same=equal_labels,
        builders=builders,
        block=max(1, block_entries(IN_CACHE) // max(size, 1) ** 2) if block is None else block,
        weights=weights,
        reduce_fn=reduce_fn,
        axis_name=axis_name,
    )


def _rule(
    scores,
    positives,
    where,
    held,
    gaps,
    own,
    shares,
    *,
    keys,
    key,
    mixtures,
    temperature,
    window,
    distance_weight,
    label_scale,
):
    logits, gaps = scores / temperature, gaps / label_scale
    if key is not None:
        draw = functools.partial(
            jax.random.beta, a=2, b=8, shape=logits.shape[1:], dtype=logits.dtype
        )
        shares = jax.vmap(draw)(keys(key))

    def log_weight(distances):
        return 0 if distance_weight is None else jnp.log(distance_weight(distances))

    block = Block(
        held / temperature, own / temperature, gaps, where & ~positives, shares, window, log_weight
    )
    total = log_sum_exp(logits + log_weight(jnp.abs(gaps)), where, empty=NOTHING)
    pulled, count = masked.sum(logits, positives), positives.sum(axis=1)
    for mixture in mixtures:
        of_mixtures, logits_of_positives, positives_added = mixture(block)
        total = jnp.logaddexp(total, of_mixtures)
        pulled, count = pulled + logits_of_positives, count + positives_added
    return total - pulled / jnp.maximum(count, 1), count > 0
