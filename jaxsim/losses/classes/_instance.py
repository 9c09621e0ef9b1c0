"""Two encoders and one classifier: what it tells apart it must be able to tell apart in both.

images [batch, dim], texts [batch, dim], labels [batch], class_weights [classes, dim] -> loss
"""

from jaxsim.losses._lift._classes import eased_cross_entropy, over_classes
from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks
from jaxsim.numerics._reductions import mean
from jaxsim.similarity import dot


@checked
def instance(
    images,
    texts,
    labels,
    class_weights,
    *,
    similarity=dot,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """Softmax classification of both sides of a pair by the same class vectors, in nats.

        value_i = log sum_c exp(w_c x_i) - w_{y_i} x_i  +  log sum_c exp(w_c t_i) - w_{y_i} t_i

    Every image with its texts is a class of its own: the loss starts a pair of encoders, before one that
    ranks. Counts all pairs, on each side apart. pytorch-metric-learning's
    InstanceLoss has one side and no classifier: there it is a `normalized_softmax`.

    Args:
      images: x [batch, dim].
      texts: t [batch, dim].
      labels: int [batch], places in `class_weights`: which image of the data set, say.
      class_weights: w [classes, dim], the classifier that both share.
      similarity: (x [n, dim], y [m, dim]) -> scores [n, m]; dot is the paper.
      where, weights, axis_name, block: as in `normalized_softmax`.
      reduce_fn: (values, weights, axis_name) -> loss, of each side; None returns both sides.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `normalized_softmax`.
    Source: Zheng et al. 2020 (1711.05535), the instance loss.
    Data: images with texts, pairs, labels.
    Kind: proxies; memory block x classes.
    """
    images = matrix("images", images, "one row per pair")
    texts = matrix("texts", texts, "one row per pair")
    checks.shaped("texts", texts, images.shape, "the shape of images")
    class_weights = matrix("class_weights", class_weights, "one row per class")
    sides = [
        over_classes(
            eased_cross_entropy(lambda scores: scores, 1),
            side,
            labels,
            class_weights,
            similarity=similarity,
            where=where,
            weights=weights,
            axis_name=axis_name,
            block=block,
            reduce_fn=reduce_fn,
        )
        for side in (images, texts)
    ]
    return sides if reduce_fn is None else sides[0] + sides[1]
