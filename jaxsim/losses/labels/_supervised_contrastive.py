"""Supervised contrastive loss.

embeddings [batch, dim], labels [batch] -> loss
"""

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses.pairs._info_nce import multi_positive_in_ring, multi_positive_info_nce
from jaxsim.numerics.types import Array, Numeric, RuleResult


def _in_ring(walk, *, temperature=0.1):
    values, counted = multi_positive_in_ring(walk, temperature=temperature)
    return values, counted & ~(values <= 0)


@over_labels(ring=_in_ring)
def supervised_contrastive(
    scores: Array, positives: Array, where: Array, *, temperature: Numeric = 0.1
) -> RuleResult:
    """Supervised contrastive loss (SupCon): every positive in a softmax over all pairs of its anchor.

        value_i = log sum_{j in where_i} exp(s_ij / temperature) - mean_{j in positives_i} s_ij / temperature
        the mean over the anchors whose value is > 0

    The positives of an anchor compete with each other, so that one that is close already may be pushed
    away. Counts the anchors that have a positive and a value above 0.

    Args:
      temperature: divides the scores, > 0; 0.1 is the paper.

    Source: Khosla et al. 2020 (2004.11362), equation 2; reduced as SupConLoss of
    pytorch-metric-learning. `multi_positive_info_nce` is the same on pairs, with every anchor counted.
    Data: labels.
    """
    values, counted = multi_positive_info_nce.rule(
        scores, positives, where, temperature=temperature
    )
    return values, counted & ~(values <= 0)
