"""Multi-similarity loss.

embeddings [batch, dim], labels [batch] -> loss
"""

import jax.numpy as jnp

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses._miners import multi_similarity_pairs
from jaxsim.numerics import checks
from jaxsim.numerics.masked import log_one_plus_sum_exp
from jaxsim.numerics.types import Array, Numeric, RuleResult


@over_labels
def multi_similarity(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    alpha: Numeric = 2.0,
    beta: Numeric = 50.0,
    base: Numeric = 0.5,
    margin: Numeric = 0.1,
) -> RuleResult:
    """Multi-similarity loss: mined pairs, each weighted by its own similarity and by those of other pairs.

        value_i = log(1 + sum_{j in P_i} exp(-alpha (S_ij - base))) / alpha
                + log(1 + sum_{j in N_i} exp(beta (S_ij - base))) / beta

    P_i and N_i are what `multi_similarity_pairs` keeps: positives that are hardly nearer than the
    nearest negative, negatives that are hardly farther than the farthest positive. Counts all anchors;
    one that keeps nothing, or lacks a positive or a negative, is a 0 in the mean.

    Args:
      alpha: sharpness among positives, > 0; 2 is the paper.
      beta: sharpness among negatives, > 0; 50 is the paper, 40 the released configuration.
      base: the cosine that single pairs are compared with; 0.5 is the released code (its text has 1).
      margin: of the mining, in cosine; 0.1 is the paper.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import losses
      >>> embeddings = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
      >>> round(float(losses.multi_similarity(embeddings, np.array([0, 0, 1, 1]))), 4)
      1.1566

    Source: Wang et al. 2019 (1904.06627), the multi-similarity loss. The released code takes the
    anchor out by its value, S < 1 - 1e-5, and duplicates with it; here it is left out by its place.
    Data: labels.
    """
    positives, negatives = multi_similarity_pairs(scores, positives, where, margin=margin)
    return multi_similarity_unmined.rule(
        scores, positives, positives | negatives, alpha=alpha, beta=beta, base=base
    )


@over_labels
def multi_similarity_unmined(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    alpha: Numeric = 2.0,
    beta: Numeric = 50.0,
    base: Numeric = 0.5,
) -> RuleResult:
    """Multi-similarity loss on all pairs, without the mining.

        value_i = log(1 + sum_{positives_i} exp(-alpha (S_ij - base))) / alpha
                + log(1 + sum_{negatives_i} exp(beta (S_ij - base))) / beta

    Counts all anchors; a side without pairs gives 0, the other side still counts.

    Args:
      alpha: sharpness among positives, > 0.
      beta: sharpness among negatives, > 0.
      base: the cosine that single pairs are compared with.

    Source: Wang et al. 2019 (1904.06627), the weighting step; MultiSimilarityLoss of
    pytorch-metric-learning without its miner.
    Data: labels.
    """
    checks.positive("alpha", alpha)
    checks.positive("beta", beta)
    pulls = log_one_plus_sum_exp(alpha * (base - scores), positives) / alpha
    pushes = log_one_plus_sum_exp(beta * (scores - base), where & ~positives) / beta
    return pulls + pushes, jnp.ones_like(pulls)
