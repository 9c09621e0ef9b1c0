"""Losses on the order of scores as a whole: histograms of them, and average precision made smooth.

    embeddings [batch, dim], labels [batch] -> loss

S is the cosine, D^2 = 2 - 2 S the squared distance of rows of norm 1.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._labeled import labeled
from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses._lift._over_positives import walked
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks
from jaxsim.numerics._devices import gather
from jaxsim.numerics._reductions import mean
from jaxsim.similarity import cosine


@checked
def histogram(
    embeddings,
    labels,
    *,
    bins=100,
    similarity=cosine,
    where=None,
    axis_name=None,
    block=None,
):
    """How likely a random negative pair is to score above a random positive pair.

        sum_r h^-_r sum_{q <= r} h^+_q
        h_r = mean over pairs of max(0, 1 - |S - t_r| / step),   t_r = -1 + r step, r = 0 .. bins

    h^+ is of the positive pairs and h^- of the negative ones, of the whole batch. Scores beyond -1 and
    1 count as these.

    Args:
      embeddings: [batch, dim].
      labels: int [batch].
      bins: R, how many steps of 2 / R; 100 is the paper.
      similarity, where, axis_name, block: as in `fast_ap`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where there is no positive
    or no negative pair.
    Raises: ValueError as `fast_ap`.
    Source: Ustinova and Lempitsky 2016 (1611.00822), equations 2 to 4.
    Data: labels.
    Kind: batch statistics; memory block x references, and batch x bins.
    """

    own, other = _histograms(
        embeddings,
        labels,
        bins=bins,
        similarity=similarity,
        where=where,
        axis_name=axis_name,
        block=block,
        reduce_fn=None,
    )
    return jnp.sum(_shares(*other, axis_name) * jnp.cumsum(_shares(*own, axis_name)))


@over_labels
def _histograms(scores, positives, where, *, bins):
    """Of each row's positive and negative pairs: values [rows, bins + 1], weights the pairs."""
    checks.whole("bins", bins)
    places = (scores + 1) * (bins / 2)
    counts = _counts_of_sides(places, positives, where, bins)
    sides = where & ~positives, positives
    return [(counts[:, side], sides[side].sum(axis=1)) for side in (1, 0)]


def _shares(counts, pairs, axis_name):
    sums = jnp.sum(counts, axis=0), jnp.sum(pairs)
    counts, pairs = sums if axis_name is None else jax.lax.psum(sums, axis_name)
    return counts / jnp.maximum(pairs, 1)


@over_labels
def fast_ap(scores, positives, where, *, bins=10):
    """One minus average precision, with ranks read off a histogram of squared distances.

        value_i = 1 - 1 / |positives_i| sum_r h^+_r H^+_r / H_r
        h_r = sum over the anchor's pairs of max(0, 1 - |D^2 - t_r| / step),   t_r = r step, r = 0 .. bins
        H_r = sum_{q <= r} h_q, of all pairs; h^+, H^+ of the positive ones

    Distances beyond 0 and 4 count as these. Counts the anchors that have a positive.

    Args:
      bins: R, how many steps of 4 / R; 10 is the paper.

    Source: Cakir et al. 2019 (FastAP), equations 6 to 8.
    Data: labels.
    Kind: pairwise; memory block x references, and block x bins.
    """
    checks.whole("bins", bins)
    places = (2 - 2 * scores) * (bins / 4)
    counts = _counts_of_sides(places, positives, where, bins)
    own = counts[:, 1]
    own_so_far, so_far = (jnp.cumsum(h, axis=1) for h in (own, counts.sum(axis=1)))
    some = so_far > 0
    precisions = jnp.where(some, own_so_far / jnp.where(some, so_far, 1), 0)
    count = positives.sum(axis=1)
    return 1 - jnp.sum(own * precisions, axis=1) / jnp.maximum(count, 1), count > 0


def soft_counts(places, where, bins):
    """How many of each row's places fall on each of the nodes 0 .. bins, shared by the two next to it.

    Args:
      places: [rows, references], in steps; what lies below 0 or above `bins` counts as these.
      where: bool [rows, references], False for what does not count.
      bins: the last node.

    Returns: [rows, bins + 1], max(0, 1 - |place - r|) summed.
    """
    return _counts_of_sides(places, jnp.zeros_like(places, bool), where, bins)[:, 0]


def _counts_of_sides(places, positives, where, bins):
    """`soft_counts` of the negatives and of the positives, in one pass: [rows, 2, bins + 1]."""
    places = jnp.clip(jnp.where(where, places, 0), 0, bins)
    left = jnp.clip(jax.lax.stop_gradient(jnp.floor(places)), 0, bins - 1).astype(jnp.int32)
    share = jnp.where(where, places - left, 0)
    rows, side = jnp.arange(len(places))[:, None], positives.astype(jnp.int32)
    # From the places, not fresh zeros: shard_map checks that it varies over devices alike.
    counts = jnp.zeros_like(places, shape=(len(places), 2, bins + 1))
    counts = counts.at[rows, side, left].add(where - share)
    return counts.at[rows, side, left + 1].add(share)


@over_labels
def smooth_ap(scores, positives, where, *, temperature=0.01):
    """One minus average precision, with a sigmoid for each comparison of two scores.

        value_i = 1 - mean_{j in positives_i} R(i, j; positives_i) / R(i, j; where_i)
        R(i, j; A) = 1 + sum_{k in A, k != j} sigmoid((S_ik - S_ij) / temperature)

    The sigmoid is flat beyond a few temperatures: a positive far down the ranking has no slope. Counts
    the anchors that have a positive. In as many steps as the anchor with the most positives has, each
    O(rows * references).

    Args:
      temperature: divides the differences of scores, > 0; 0.01 is the paper.

    Source: Brown et al. 2020 (2007.12163), equation 6, without the anchor in its own ranking;
    `smooth_ap_with_self` has it.
    Data: labels.
    Kind: pairwise; memory block x references, in as many steps as an anchor has positives.
    """
    checks.positive("temperature", temperature)
    sums = _precisions(scores / temperature, positives, where)
    count = positives.sum(axis=1)
    return 1 - sums / jnp.maximum(count, 1), count > 0


@checked
def smooth_ap_with_self(
    embeddings,
    labels,
    *,
    temperature=0.01,
    similarity=cosine,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """`smooth_ap` with the anchor in its own ranking, as a positive: the published code's reading.

        value_i = 1 - mean_{j in positives_i or i} R(i, j; positives_i or i) / R(i, j; where_i or i)

    The anchor stands first in its ranking, so that the average precision is at least one over the size
    of its class. Counts all anchors.

    Args and result as in `smooth_ap`.
    Source: Brown et al. 2020 (2007.12163), the released code.
    Data: labels.
    Kind: pairwise; memory block x references, in as many steps as an anchor has positives.
    """
    batch = gather(labeled(embeddings, labels, where, axis_name), axis_name)
    return smooth_ap(
        embeddings,
        labels,
        references=batch.embeddings,
        reference_labels=batch.keys,
        reference_where=batch.where,
        temperature=temperature,
        similarity=similarity,
        where=where,
        weights=weights,
        axis_name=axis_name,
        block=block,
        reduce_fn=reduce_fn,
    )


@jax.custom_jvp
def _precisions(scores, positives, where):
    """sum_{j in positives_i} R(i, j; positives_i) / R(i, j; where_i) of every row, in units of 1."""
    return _walked(scores, positives, where)[1]


@_precisions.defjvp
def _precisions_jvp(primals, tangents):
    slopes, sums = _walked(*primals)
    return sums, jnp.sum(slopes * tangents[0], axis=1)


def _walked(scores, positives, where):
    """Slopes along the scores [rows, references], and the sums [rows]."""

    def visit(column, level, live):
        # The positive itself is among them, at 1/2, and takes the slope back that it gets here.
        above = jnp.where(where & live, jax.nn.sigmoid(scores - level), 0)
        own = 0.5 + jnp.sum(above, axis=1, where=positives, keepdims=True)
        every = 0.5 + jnp.sum(above, axis=1, keepdims=True)
        slope = above * (1 - above) * (every * positives - own) / jnp.square(every)
        return slope, jnp.sum(slope, axis=1), jnp.where(live, own / every, 0)[:, 0]

    return walked(visit, scores, positives)
