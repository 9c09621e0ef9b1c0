"""Examples against classes: rules on rows of scores whose columns are classes.

    embeddings [batch, dim], labels [batch], classes [classes, ...] -> loss

Labels are places in the classes, which are parameters like any others, the same on every device.
"""

import jax.numpy as jnp

from jaxsim.losses._lift._blocks import Rows, block_of, lift, reduced, without_weight
from jaxsim.losses._lift._labeled import labeled, matrix, of_classes
from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean
from jaxsim.similarity import cosine


def over_classes(
    rule,
    embeddings,
    labels,
    classes,
    *,
    name="class_weights",
    similarity=cosine,
    size_of_example=None,
    size_of_class=None,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """A rule on the scores of examples and classes, over blocks of examples.

    Args:
      rule: (scores [rows, classes], own bool, where bool, sizes [rows, classes]) -> (values [rows],
        weights [rows]); `own` is each row's class, nothing where it has none.
      embeddings: [batch, dim].
      labels: int [batch], places in `classes`.
      classes: [classes, dim], or [classes, centers, dim] with a similarity that takes it.
      name: what the classes are called, for errors.
      similarity: (x [n, dim], classes) -> scores [n, classes].
      size_of_example, size_of_class: rows -> a number each; a size is the product of both, 1 without.
      where, weights, axis_name, block, reduce_fn: as in `normalized_softmax`.

    Returns: what `reduce_fn` makes of it.
    Raises: ValueError for shapes that do not fit, labels that are no integers, an unbound axis.
    """
    count = len(classes)
    embeddings, labels = of_classes(embeddings, labels, count, name, where)
    anchors = labeled(embeddings, labels, where, axis_name)
    if block is None:  # what it holds are scores of every center
        dim = classes.shape[-1]
        block = block_of(len(anchors.keys), classes.size // max(dim, 1), dim)
    kept = jnp.ones(count, bool)
    sizes = _sizes(classes, size_of_class)
    references = Rows(classes, jnp.arange(count), None, kept, (sizes,))
    anchors = without_weight(anchors, weights, references, similarity)
    anchors = anchors._replace(inputs=(_sizes(anchors.embeddings, size_of_example),))
    parts = lift(
        lambda scores, own, where, sizes, keys: rule(scores, own, where, sizes),
        anchors,
        references,
        similarity=similarity,
        same=lambda mine, theirs: mine[:, None] == theirs,
        builders=(lambda mine, theirs: mine[:, None] * theirs,),
        block=block,
        axis_name=axis_name,
    )
    return reduced(parts, weights, axis_name, reduce_fn)


def eased_softmax(eased, embeddings, labels, class_weights, *, temperature, **settings):
    """Cross-entropy of size_ic s_ic / temperature, the right class's score replaced by eased(score).

    Args:
      eased: scores of the right class [rows] -> what stands for them.
      embeddings, labels: as in `over_classes`.
      class_weights: [classes, dim].
      temperature: > 0; may be traced.
      settings: the rest of `over_classes`.
    """
    class_weights = matrix("class_weights", class_weights, "one row per class")
    rule = eased_cross_entropy(eased, temperature)
    return over_classes(rule, embeddings, labels, class_weights, **settings)


def eased_cross_entropy(eased, temperature):
    """The rule of `eased_softmax`."""
    checks.positive("temperature", temperature)

    def rule(scores, own, where, sizes):
        right = eased(masked.sum(scores, own)) * masked.sum(sizes, own)
        logits = jnp.where(own, right[:, None], scores * sizes) / temperature
        return masked.log_sum_exp(logits, where) - right / temperature, own.any(axis=1)

    return rule


def _sizes(rows, size_of):
    rows = at_least_float32(rows)
    return jnp.ones(len(rows), rows.dtype) if size_of is None else size_of(rows)
