"""Losses that weigh a pair by its neighbors: multi-similarity and its kin.

    embeddings [batch, dim], labels [batch] -> loss

In the terms of general pair weighting (Wang et al. 2019) these look at how an anchor's other negatives
and positives stand. S_ij is the cosine, D_ij the Euclidean distance between rows of norm 1.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._labeled import labeled
from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses._lift._settings import checked
from jaxsim.losses._miners import multi_similarity_pairs
from jaxsim.losses.pairs._info_nce import info_nce
from jaxsim.numerics import checks, masked
from jaxsim.numerics._devices import gather, row_ids
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.masked import log_one_plus_sum_exp, log_sum_exp
from jaxsim.similarity import dot, negative_unit_euclidean


@over_labels
def multi_similarity(scores, positives, where, *, alpha=2.0, beta=50.0, base=0.5, margin=0.1):
    """Pairs mined against the anchor's other side, then weighed by themselves and among each other.

        value_i = log(1 + sum_{j in P_i} exp(-alpha (S_ij - base))) / alpha
                + log(1 + sum_{j in N_i} exp(beta (S_ij - base))) / beta

    P_i and N_i are what `multi_similarity_pairs` keeps: positives that are hardly nearer than the
    nearest negative, negatives that are hardly farther than the farthest positive. Counts all anchors;
    one that keeps nothing, for want of a positive or a negative too, is a 0 in the mean.

    Args:
      alpha: sharpness among positives, > 0; 2 is the paper.
      beta: sharpness among negatives, > 0; 50 is the paper, 40 the released configuration.
      base: the cosine that single pairs are held against; 0.5 is the released code (its text has 1).
      margin: of the mining, in cosine; 0.1 is the paper.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import losses
      >>> embeddings = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
      >>> round(float(losses.multi_similarity(embeddings, np.array([0, 0, 1, 1]))), 4)
      1.1566

    Source: Wang et al. 2019 (1904.06627), the multi-similarity loss. The released code takes the
    anchor out by its value, S < 1 - 1e-5, and duplicates with it; here it goes by its place.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    positives, negatives = multi_similarity_pairs(scores, positives, where, margin=margin)
    return multi_similarity_unmined.rule(
        scores, positives, positives | negatives, alpha=alpha, beta=beta, base=base
    )


@over_labels
def multi_similarity_unmined(scores, positives, where, *, alpha=2.0, beta=50.0, base=0.5):
    """`multi_similarity` on all pairs, without the mining.

        value_i = log(1 + sum_{positives_i} exp(-alpha (S_ij - base))) / alpha
                + log(1 + sum_{negatives_i} exp(beta (S_ij - base))) / beta

    Counts all anchors; a side without pairs gives 0, the other side still counts.

    Args:
      alpha: sharpness among positives, > 0.
      beta: sharpness among negatives, > 0.
      base: the cosine that single pairs are held against.

    Source: Wang et al. 2019 (1904.06627), the weighting step; MultiSimilarityLoss of
    pytorch-metric-learning without its miner.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    checks.positive("alpha", alpha)
    checks.positive("beta", beta)
    pulls = log_one_plus_sum_exp(alpha * (base - scores), positives) / alpha
    pushes = log_one_plus_sum_exp(beta * (scores - base), where & ~positives) / beta
    return pulls + pushes, jnp.ones_like(pulls)


@over_labels
def circle(scores, positives, where, *, margin=0.4, gamma=80.0):
    """Each pair at the pace of its distance from where it should be.

        value_i = log(1 + sum_{positives_i} exp(-gamma a_ij (S_ij - 1 + margin))
                        * sum_{negatives_i} exp( gamma b_ij (S_ij - margin)))
        a_ij = [1 + margin - S_ij]+,  b_ij = [S_ij + margin]+, both without gradient

    Counts the anchors that have a positive and a negative.

    Args:
      margin: positives aim above 1 - margin, negatives below margin.
      gamma: multiplies the cosines, > 0: the inverse of a temperature. The paper has 0.25 and 256 for
        faces, 0.4 and 80 elsewhere.

    Source: Sun et al. 2020 (2002.10857), the circle loss with its self-paced weights.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    checks.positive("gamma", gamma)
    here, negatives = jax.lax.stop_gradient(scores), where & ~positives
    pulls = -gamma * jnp.maximum(1 + margin - here, 0) * (scores - 1 + margin)
    pushes = gamma * jnp.maximum(here + margin, 0) * (scores - margin)
    values = jax.nn.softplus(log_sum_exp(pulls, positives) + log_sum_exp(pushes, negatives))
    return values, positives.any(axis=1) & negatives.any(axis=1)


@over_labels(similarity=negative_unit_euclidean)
def ranked_list(
    scores,
    positives,
    where,
    *,
    margin,
    negative_sharpness,
    positive_sharpness=0.0,
    imbalance=0.5,
    epsilon=1e-5,
):
    """All positives into one ball, all negatives out of a larger one, the worst violations first.

        A = 1 + margin / 2
        value_i = (1 - imbalance) sum w_ij (D_ij - A + margin) / sum w_ij
                        over positives with D_ij > A - margin, w_ij = exp(Tp (D_ij - A + margin))
                + imbalance sum w_ij (A - D_ij) / sum w_ij
                        over negatives with D_ij < A,          w_ij = exp(Tn (A - D_ij))

    Each sum of weights has n * epsilon added, n the examples that take part. The weights carry
    gradient, so that a pair may be weighed against the direction that it is pulled in. Counts all
    anchors. A negative at distance 0 counts, though pytorch-metric-learning leaves it out.

    Args:
      margin: between the two balls, m in the paper; 0.4 there.
      negative_sharpness: Tn in the paper, which calls it a temperature; it multiplies. 10 there.
      positive_sharpness: Tp, the same for positives; 0 weighs them alike.
      imbalance: the share of the negatives' side, 0 to 1.
      epsilon: pytorch-metric-learning's guard; 0 is the paper.

    Source: Wang et al. 2019 (1903.03238), with RankedListLoss of pytorch-metric-learning for Tp and
    epsilon.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    too_far, too_near = -scores - 1 + margin / 2, 1 + margin / 2 + scores
    floor = jnp.log(epsilon * (1 + where.sum(axis=1, keepdims=True, dtype=scores.dtype)))
    far = positives & ~(too_far <= 0)
    near = where & ~positives & ~(too_near <= 0)
    values = (1 - imbalance) * _weighed_mean(too_far, far, positive_sharpness, floor)
    values += imbalance * _weighed_mean(too_near, near, negative_sharpness, floor)
    return values, jnp.ones_like(values)


def _weighed_mean(terms, where, sharpness, floor):
    """sum exp(sharpness * terms) terms / (sum exp(sharpness * terms) + exp(floor)), safely."""
    top = masked.max(jax.lax.stop_gradient(terms), where, keepdims=True)
    logits = sharpness * (terms - top)  # first the difference: large products lose its digits
    total = jnp.logaddexp(log_sum_exp(logits, where)[:, None], floor - sharpness * top)
    return jnp.sum(jnp.exp(jnp.where(where, logits - total, -jnp.inf)) * terms, axis=1)


@over_labels
def tuplet_margin(scores, positives, where, *, margin=5.73, temperature=1 / 64):
    """Each positive against all negatives in a softmax, given a few degrees of slack.

        value_ip = log(1 + sum_{negatives_i} exp((S_in - cos(angle_ip - margin)) / temperature))

    Counts positive pairs. Within the margin a positive is pushed out: the minimum is at an angle of
    `margin`, which keeps classes from collapsing.

    Args:
      margin: in degrees; 5.73 is the paper's 0.1 radians.
      temperature: divides the cosines, > 0; the inverse of the paper's scale of 64.

    Source: Yu and Tao 2019, the tuplet margin loss.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    checks.positive("temperature", temperature)
    angle = jnp.deg2rad(jnp.asarray(margin, scores.dtype))
    # cos(arccos(S) - margin) by the sum formula: no arccos, which is NaN beyond 1 by rounding.
    square = 1 - jnp.square(scores)
    sine = jnp.where(square <= 0, 0, jnp.sqrt(jnp.where(square <= 0, 1, square)))
    eased = scores * jnp.cos(angle) + sine * jnp.sin(angle)
    others = log_sum_exp(scores / temperature, where & ~positives, empty=-jnp.inf)
    terms = jax.nn.softplus(others[:, None] - eased / temperature)
    return masked.mean(terms, positives), positives.sum(axis=1)


@checked
def n_pairs(
    embeddings,
    labels,
    *,
    similarity=dot,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """One pair of each class: its first example picks its second among the seconds of all classes.

        value_c = log sum_{c'} exp(a_c . b_c') - a_c . b_c
        a_c, b_c: the first two rows of class c

    As in the paper, further rows of a class take no part: half the rows at most against as many, a quarter
    of the scores of other losses. Counts the classes that have two rows. Raw inner products; the paper
    adds a penalty on the norms of the embeddings, which is yours to add. On cosines it is weak without a
    temperature: then take `info_nce`, the same loss of pairs that are given as such.

    Args:
      embeddings: [batch, dim].
      labels: int [batch].
      similarity, where, weights, axis_name, block, reduce_fn: as in `multi_similarity`; a class has
        the weight of its first row, and values are of classes, [(batch + 1) // 2], not of rows.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `multi_similarity`, and for labels that are not integers.
    Source: Sohn 2016, the multi-class N-pair loss.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    rows = labeled(embeddings, labels, where, axis_name)
    checks.integers("labels", rows.keys)
    batch = len(rows.keys)
    if weights is not None:
        weights = checks.weights("weights", weights, batch, "one per anchor")
    rows, weights = gather((rows, weights), axis_name)
    firsts, seconds, there = _pairs_of_classes(rows, row_ids(-(-batch // 2), axis_name))
    return info_nce(
        rows.embeddings[firsts],
        rows.embeddings[seconds],
        temperature=1.0,
        similarity=similarity,
        where=there,
        weights=None if weights is None else weights[firsts],
        axis_name=axis_name,
        block=block,
        reduce_fn=reduce_fn,
    )


def _pairs_of_classes(rows, numbers):
    """The first two rows of classes, by these numbers of the classes that have two; and which there are."""
    order = jnp.lexsort((rows.keys, ~rows.where))  # stable: within a class as they came
    labels, where = rows.keys[order], rows.where[order]
    alike = (labels[:-1] == labels[1:]) & where[1:]
    begins = jnp.pad(alike, (0, 1)) & ~jnp.pad(alike, (1, 0))
    places = jnp.nonzero(begins, size=-(-len(order) // 2))[0]
    return order[places][numbers], order[places + 1][numbers], numbers < begins.sum()
