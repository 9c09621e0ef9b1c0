"""Neighborhood components analysis: how likely an example is to pick one of its class.

embeddings [batch, dim], labels [batch] -> loss
"""

from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import checks
from jaxsim.numerics.masked import log_sum_exp
from jaxsim.numerics.types import Array, Numeric, RuleResult
from jaxsim.similarity import negative_squared_euclidean


@over_labels(similarity=negative_squared_euclidean)
def nca(scores: Array, positives: Array, where: Array, *, temperature: Numeric = 1.0) -> RuleResult:
    """NCA: minus the log-probability that an anchor picks a neighbor of its class, in nats.

        value_i = log sum_{j in where_i} exp(s_ij / temperature)
                - log sum_{j in positives_i} exp(s_ij / temperature)

    Counts the anchors that have a positive. Scores are minus squared Euclidean distances, not
    normalized.

    Args:
      temperature: divides the scores, > 0; 1 is the paper.

    Source: Goldberger et al. 2004, section 2, the log form of the objective.
    Data: labels.
    """
    checks.positive("temperature", temperature)
    scores = scores / temperature
    return log_sum_exp(scores, where) - log_sum_exp(scores, positives), positives.any(axis=1)
