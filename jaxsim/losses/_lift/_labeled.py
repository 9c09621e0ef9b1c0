"""A labeled batch as `Rows`, for losses that call the lifter themselves."""

from jaxsim.losses._lift._blocks import Rows, without_padding
from jaxsim.losses._lift._examples import poisoned, real_numbers
from jaxsim.numerics import checks
from jaxsim.numerics._devices import row_ids
from jaxsim.numerics._norms import at_least_float32


def labeled(embeddings, labels, where, axis_name, inputs=lambda embeddings: ()):
    """The batch after its checks, padding zeroed.

    Args:
      embeddings: [batch, dim].
      labels: [batch].
      where: bool [batch], False for padding, or None.
      axis_name: the named axis over which the batch is split, or None.
      inputs: embeddings, padding zeroed -> a tuple of arrays [batch, ...], what further inputs of the
        rule are built from.

    Returns: `Rows` with the labels as keys, every row its own example.
    Raises: ValueError for shapes that do not fit, an axis that is not bound.
    """
    embeddings = matrix("embeddings", embeddings, "one row per example")
    labels = checks.numbers_of("labels", labels)
    checks.shaped("labels", labels, embeddings.shape[:1], "one per row of embeddings")
    if axis_name is not None:
        checks.bound(axis_name)
    where = checks.mask("where", where, labels.shape)
    rows = without_padding(Rows(embeddings, labels, row_ids(len(labels), axis_name), where))
    return rows._replace(inputs=inputs(at_least_float32(rows.embeddings)))


def matrix(name, array, why, axes=2):
    """Real numbers [rows, dim], or with more axes, as a JAX array."""
    array = real_numbers(name, array)
    checks.shaped(name, array, (None,) * axes, why)
    return array


def of_classes(embeddings, labels, count, classes, where):
    """Embeddings and labels of examples whose labels are places among classes.

    Args:
      embeddings: [batch, dim].
      labels: int [batch], from 0 to count - 1.
      count: how many classes there are.
      classes: what the classes are called, for the message.
      where: bool [batch], False for padding, whose labels may be anything; or None.

    Returns: (embeddings, labels). Embeddings are NaN where a label on a device, or traced, is not a class.
    Raises: ValueError for labels that are not integers, and for such a label on the host.
    """
    embeddings = matrix("embeddings", embeddings, "one row per example")
    as_given, labels = labels, checks.numbers_of("labels", labels)
    checks.shaped("labels", labels, embeddings.shape[:1], "one per row of embeddings")
    checks.integers("labels", labels)
    if where is not None:
        checks.mask("where", where, labels.shape)
    remedy = f"they are places in {classes}; where=False leaves a row out"
    outside = checks.within("labels", as_given, 0, count - 1, where=where, remedy=remedy)
    return poisoned(embeddings, outside), labels
