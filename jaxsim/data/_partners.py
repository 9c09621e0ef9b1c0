"""Partners: the class that each example of a batch is paired with, where any two classes may be paired.

They run inside a jitted step. Draws are those of the whole batch: splitting it over devices changes nothing.
Identical pairs are the labels themselves.
"""

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics._devices import gather, row_ids
from jaxsim.numerics.types import Array, Numeric, PRNGKey


def arbitrary_partners(
    key: PRNGKey, labels: Array, *, where: Array | None = None, axis_name: str | None = None
) -> jax.Array:
    """Arbitrary partners (Hydra, SimLAP): the labels of the batch in a random order.

    A class is drawn as often as it occurs; now and then an example gets its own class.

    Args:
      key: a jax.random key, the same on every device; a new one for every step.
      labels: int [batch].
      where: bool [batch], False for padding, which is nobody's partner and keeps its own label.
      axis_name: the named axis over which the batch is split; the order is of all rows.

    Returns: int [batch], classes.
    Raises: ValueError for a shape that does not fit.
    Source: Hydra (2410.18200), `arbitrary` in its released code.

    Examples:
      >>> import jax, numpy as np
      >>> from jaxsim import data
      >>> partners = data.arbitrary_partners(jax.random.key(0), np.array([0, 0, 1, 2]))
      >>> print(sorted(partners.tolist()))
      [0, 0, 1, 2]
    """
    labels, where, every, counted = _batch(key, labels, where, axis_name)
    drawn = jax.random.uniform(key, every.shape)
    order = jnp.argsort(jnp.where(counted, drawn, jnp.inf))
    partners = every[order][jnp.cumsum(counted) - 1]
    return jnp.where(where, partners[row_ids(len(labels), axis_name)], labels)


def distinct_partners(
    key: PRNGKey, labels: Array, *, where: Array | None = None, axis_name: str | None = None
) -> jax.Array:
    """Distinct partners: the label of a random example of the batch that has another label.

    Unlike those of `distinct_partners_released` every partner is in the batch, so that every anchor has a
    positive. An example without others of another label keeps its own.

    Args and result as in `arbitrary_partners`.
    Source: after Hydra (2410.18200).
    """
    labels, where, every, counted = _batch(key, labels, where, axis_name)
    weights = (labels[:, None] != every) & counted
    return jnp.where(where, _drawn(key, labels, every, weights, axis_name), labels)


def distinct_partners_released(
    key: PRNGKey, labels: Array, *, num_classes: int, axis_name: str | None = None
) -> jax.Array:
    """Distinct partners (Hydra's code): any other class, (label + uniform{1 .. classes - 1}) mod classes.

    With many classes most partners are not in the batch, and their anchors have no positive.

    Args:
      key: as in `arbitrary_partners`.
      labels: int [batch], from 0 to num_classes - 1.
      num_classes: of all, 2 at least.
      axis_name: the named axis over which the batch is split.

    Returns: int [batch], classes.
    Raises: ValueError for labels out of range.
    Source: Hydra (2410.18200), `distinct` in its released code.
    """
    checks.whole("num_classes", num_classes, 2)
    labels, *_ = _batch(key, labels, None, axis_name)
    checks.outside("labels", labels, num_classes)
    steps = jax.vmap(lambda key: jax.random.randint(key, (), 1, num_classes, labels.dtype))(
        _keys(key, labels, axis_name)
    )
    return (labels + steps) % num_classes


def class_pair_weights(distances: Array, *, alpha: Numeric) -> jax.Array:
    """Class-pair weights: how often two classes are paired, by how far they are from each other.

        weight_cd = (1 + distance_cd)^(-alpha)

    Args:
      distances: [classes, classes], >= 0, such as the path between two classes in a taxonomy.
      alpha: 0 weights all pairs equally; the larger, the closer the partners; below 0 the farther.

    Returns: float32 at least [classes, classes], for `weighted_partners`.
    Raises: ValueError for distances that are not square, or below 0.
    Source: Hydra (2410.18200), the study of sampled pairs in its released code.

    Examples:
      >>> from jaxsim import data
      >>> print(data.class_pair_weights([[0.0, 1.0], [1.0, 0.0]], alpha=2.0))
      [[1.   0.25]
       [0.25 1.  ]]
    """
    checks.finite("alpha", alpha)
    distances = _square("distances", distances)
    return jnp.power(1 + distances, -alpha)


def weighted_partners(
    key: PRNGKey,
    labels: Array,
    weights: Array,
    *,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Weighted partners: the label of a random example, drawn by the weight of its class with the example's own.

        P(partner of i is the label of j) proportional to weights[label_i, label_j]

    Args:
      key, labels, where, axis_name: as in `arbitrary_partners`; labels are from 0 to classes - 1.
      weights: [classes, classes], >= 0, such as `class_pair_weights`. An example whose weights with all that
        are there are 0 keeps its own label.

    Returns: int [batch], classes.
    Raises: ValueError for weights that are not square, or below 0, and for labels that they do not have.
    Source: Hydra (2410.18200), the study of sampled pairs in its released code.
    """
    weights = _square("weights", weights)
    labels, where, every, counted = _batch(key, labels, where, axis_name)
    checks.outside("labels", jnp.where(where, labels, 0), len(weights))
    of_rows = weights[jnp.where(where, labels, 0)][:, jnp.where(counted, every, 0)]
    partners = _drawn(key, labels, every, jnp.where(counted, of_rows, 0), axis_name)
    return jnp.where(where, partners, labels)


def _batch(key, labels, where, axis_name):
    """(labels, where) of this device's rows, and of all."""
    checks.key("key", key)
    checks.shaped("labels", labels, (None,), "one per example")
    labels = checks.column("labels", labels, len(labels), "one per example")
    where = checks.mask("where", where, labels.shape)
    if axis_name is not None:
        checks.bound(axis_name)
    return labels, where, *gather((labels, where), axis_name)


def _keys(key, labels, axis_name):
    """A key for every row."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, row_ids(len(labels), axis_name))


def _drawn(key, labels, every, weights, axis_name):
    """For each row one of all labels, with its weights [rows, all]; its own where all are 0."""
    logits = jnp.where(weights > 0, jnp.log(jnp.where(weights > 0, weights, 1)), -jnp.inf)
    places = jax.vmap(jax.random.categorical)(_keys(key, labels, axis_name), logits)
    return jnp.where((weights > 0).any(axis=1), every[places], labels)


def _square(name, array):
    """A square array of floats >= 0."""
    array = checks.reals(name, array)
    checks.shaped(name, array, (None, None), "classes, classes")
    checks.shaped(name, array, (len(array),) * 2, "classes, classes")
    checks.not_negative(name, array)
    return jnp.asarray(array, jnp.promote_types(array.dtype, jnp.float32))
