"""The instance loss: one classifier for two encoders.

images [batch, dim], texts [batch, dim], labels [batch], class_weights [classes, dim] -> loss
"""

from jaxsim.losses._lift._classes import over_classes
from jaxsim.losses.classes._normalized_softmax import eased_softmax
from jaxsim.numerics.types import Array, RuleResult
from jaxsim.similarity import dot


@over_classes(sides=("images", "texts"), similarity=dot)
def instance(scores: Array, positives: Array, where: Array) -> RuleResult:
    """Instance loss: one softmax classifier shared by both encoders, in nats.

        value_i = log sum_c exp(w_c x_i) - w_{y_i} x_i  +  log sum_c exp(w_c t_i) - w_{y_i} t_i

    Every image with its texts is its own class: the loss starts a pair of encoders, before one that
    ranks. The labels say which image of the data set a pair shows. Counts all pairs, on each side
    separately; with `reduce_fn=None` both sides are returned. pytorch-metric-learning's
    InstanceLoss has one side and no classifier: there it is a `normalized_softmax`.

    Source: Zheng et al. 2020 (1711.05535), the instance loss.
    Data: images with texts, pairs, labels.
    """
    return eased_softmax(lambda scores: scores, scores, positives, where, 1)
