"""FastAP: average precision from histograms of squared distances.

    embeddings [batch, dim], labels [batch] -> loss

S is the cosine, D^2 = 2 - 2 S the squared distance of rows of norm 1.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array, RuleResult


@over_labels(layers=8)
def fast_ap(scores: Array, positives: Array, where: Array, *, bins: int = 10) -> RuleResult:
    """FastAP: one minus average precision, with ranks from a histogram of squared distances.

        value_i = 1 - 1 / |positives_i| sum_r h^+_r H^+_r / H_r
        h_r = sum over the anchor's pairs of max(0, 1 - |D^2 - t_r| / step),   t_r = r step, r = 0 .. bins
        H_r = sum_{q <= r} h_q, of all pairs; h^+, H^+ of the positive ones

    Distances beyond 0 and 4 count as these. Counts the anchors that have a positive.

    Args:
      bins: R, how many steps of 4 / R; 10 is the paper.

    Source: Cakir et al. 2019 (FastAP), equations 6 to 8.
    Data: labels.
    Memory: block x references, and block x bins.
    """
    checks.whole("bins", bins)
    places = (2 - 2 * scores) * (bins / 4)
    # Counts up to a node, sums of ramps, and no histogram: on CPU adding at computed places takes longer.
    ramps = _ramps(jnp.clip(places, 0, bins), bins)
    hits, ranks = (_up_to_each_node(ramps, mask) for mask in (positives, where))
    of_positives = jnp.diff(hits, axis=1, prepend=0)
    precisions = jnp.where(ranks > 0, hits / jnp.where(ranks > 0, ranks, 1), 0)
    count = positives.sum(axis=1)
    return 1 - jnp.sum(of_positives * precisions, axis=1) / jnp.maximum(count, 1), count > 0


def _ramps(places, bins):
    """How much of each place lies on the nodes 0 .. r, for each r < bins: [rows, references] each."""
    ramps = []
    for node in range(bins):
        sloping = places <= bins if node == bins - 1 else places < node + 1
        ramps.append(jnp.where(places < node, 1, jnp.where(sloping, node + 1 - places, 0)))
    return ramps


def _up_to_each_node(ramps, mask):
    """Soft counts on the nodes 0 .. r, for each r: [rows, bins + 1]."""
    sums = [masked.sum(ramp, mask) for ramp in ramps]
    return jnp.stack([*sums, mask.sum(axis=1, dtype=sums[0].dtype)], axis=1)


def soft_counts(places, where: Array, bins):
    """How many of each row's places fall on each of the nodes 0 .. bins, shared by the two next to it.

    Args:
      places: [rows, references], in steps; what lies below 0 or above `bins` counts as these.
      where: bool [rows, references], False for what does not count.
      bins: the last node.

    Returns: [rows, bins + 1], max(0, 1 - |place - r|) summed.
    """
    return counts_of_sides(places, jnp.zeros_like(places, bool), where, bins)[:, 0]


def counts_of_sides(places, positives: Array, where: Array, bins):
    """`soft_counts` of the negatives and of the positives, in one pass: [rows, 2, bins + 1]."""
    places = jnp.clip(jnp.where(where, places, 0), 0, bins)
    left = jnp.clip(jax.lax.stop_gradient(jnp.floor(places)), 0, bins - 1).astype(jnp.int32)
    share = jnp.where(where, places - left, 0)
    rows, side = jnp.arange(len(places))[:, None], positives.astype(jnp.int32)
    # From the places, not fresh zeros: shard_map checks that both vary over the same devices.
    counts = jnp.zeros_like(places, shape=(len(places), 2, bins + 1))
    counts = counts.at[rows, side, left].add(where - share)
    return counts.at[rows, side, left + 1].add(share)
