"""Losses of several sizes, and sums of losses: functions of a loss that takes embeddings alone.

    loss(embeddings) -> number     becomes     matryoshka(loss, dims=...)(embeddings) -> number

`loss` takes one argument, a pytree of embeddings [..., dim]; everything else is closed over:

    base = lambda z: info_nce(z["q"], z["d"], axis_name="devices")
    value = matryoshka(base, dims=(64, 128, 256))({"q": queries, "d": documents})

Nothing is normalized here: a loss on cosines normalizes each cut, as it must. Cuts of the encoder's
depth are in _layers.py.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, ArrayTree, Loss


def weighted_sum(*losses, weights: Sequence[float] | Array | None = None) -> Loss:
    """The sum of several losses of the same embeddings, each times its weight, by default 1.

        z -> sum_l weight_l loss_l(z)

    Args:
      losses: of a pytree of embeddings [..., dim].
      weights: one per loss; None is 1 for all.

    Returns: a function of embeddings.
    Raises: ValueError for another number of weights than of losses.
    Data: several layers or sizes, pairs, labels.
    Kind: composition; memory that of its losses together.
    """
    weights = _weights(weights, losses, "losses")
    return lambda z: sum(weight * loss(z) for weight, loss in zip(weights, losses, strict=True))


@checked
def matryoshka(
    loss: Loss, *, dims: Sequence[int], weights: Sequence[float] | Array | None = None
) -> Loss:
    """A loss that is good at every cut: its sum over the leading coordinates of several sizes.

        z -> sum_m weight_m loss(z[..., :m])

    Also known as MatryoshkaLoss.

    Args:
      loss: of a pytree of embeddings [..., dim].
      dims: the sizes m.
      weights: one per size; None is 1 for all, as in the paper.

    Returns: a function of embeddings.
    Raises: ValueError for a size below 1 or, when called, above that of the embeddings.

    Examples:
      >>> import jax.numpy as jnp
      >>> from jaxsim import losses
      >>> both = losses.matryoshka(lambda z: jnp.sum(z**2), dims=(1, 2))
      >>> float(both(jnp.array([[3.0, 4.0]])))  # 9 + 25
      34.0

    Source: Kusupati et al. 2022 (2205.13147), equation 1.
    Data: several layers or sizes.
    Kind: composition; memory that of the loss for each size.
    """
    dims, weights = sizes(dims), _weights(weights, dims, "dims")

    def over_dims(embeddings):
        embeddings = _within(dims, embeddings)
        return sum(w * loss(leading(embeddings, m)) for m, w in zip(dims, weights, strict=True))

    return over_dims


@checked
def matryoshka_drawn(
    loss: Loss,
    *,
    dims: Sequence[int],
    draws: int = 1,
    weights: Sequence[float] | Array | None = None,
) -> Loss:
    """`matryoshka` at a few sizes that are drawn each time, without replacement.

        z, key -> sum over the sizes drawn of weight_m loss(z[..., :m])

    The weights are not scaled up for what is left out. Draws must agree on all devices: give every
    device the same key.

    Args:
      loss: of a pytree of embeddings [..., dim], indifferent to coordinates that are 0 in all rows, as
        cosines, dot products and distances are: sizes that are drawn inside jit are cut by zeroing.
      dims, weights: as in `matryoshka`.
      draws: how many sizes, at most all.

    Returns: a function of (embeddings, key).
    Raises: ValueError as `matryoshka`.
    Source: MatryoshkaLoss of sentence-transformers with n_dims_per_step.
    Data: several layers or sizes.
    Kind: composition; memory that of the loss for each draw.
    """
    dims, weights = sizes(dims), _weights(weights, dims, "dims")
    checks.at_most("draws", draws, len(dims), "the number of dims")

    def over_drawn(embeddings, key):
        embeddings = _within(dims, embeddings)
        chosen = jax.random.choice(key, len(dims), (draws,), replace=False)
        return sum(
            jnp.asarray(weights)[i] * loss(leading(embeddings, jnp.asarray(dims)[i]))
            for i in chosen
        )

    return over_drawn


def leading(embeddings: ArrayTree, dim: int) -> jax.Array:
    """The first coordinates of every leaf [..., dim]; zeros for the rest if their number is traced.

    Raises: ValueError for a number below 1 or above that of the embeddings.
    Data: several layers or sizes.
    Kind: part; memory that of its argument.
    """
    if isinstance(dim, jax.Array):
        return jax.tree.map(lambda a: jnp.where(jnp.arange(a.shape[-1]) < dim, a, 0), embeddings)
    return jax.tree.map(lambda a: a[..., :dim], _within((dim,), embeddings))


def geometric_dims(dim: int, base: int = 8) -> tuple[int, ...]:
    """The sizes base, 2 base, 4 base, ... below dim: geometric_dims(768) ends in 256, 512.

    Raises: ValueError for a dim or a base that is not a whole number of at least 1.
    Data: several layers or sizes.
    Kind: part; memory none.
    """
    checks.whole("dim", dim)
    checks.whole("base", base)
    dims = []
    while base < dim:
        dims.append(base)
        base *= 2
    return tuple(dims)


def sizes(dims: Sequence[int]):
    """The sizes as a tuple, each a whole number of at least 1."""
    dims = tuple(dims)
    for dim in dims:
        checks.whole("each of dims", dim)
    checks.whole("the number of dims", len(dims))
    return dims


def _weights(weights, of, name):
    weights = (1.0,) * len(of) if weights is None else tuple(weights)
    if len(weights) != len(of):
        raise ValueError(f"weights must be one per {name}, {len(of)} in all, got {len(weights)}")
    for weight in weights:
        checks.number("each of weights", weight)
    return weights


def _within(dims, embeddings):
    """The embeddings as arrays, all at least as wide as the widest of the sizes."""
    embeddings = checks.vectors("embeddings", embeddings, shared=False)
    shapes = [a.shape for a in jax.tree.leaves(embeddings)]
    if () in shapes:
        raise ValueError(f"embeddings must be arrays [..., dim], got shapes {shapes[:4]}")
    widest = min(shape[-1] for shape in shapes)
    for dim in dims:
        checks.whole("each of dims", dim)
    if max(dims) > widest:
        raise ValueError(f"dims must be at most {widest}, that of the embeddings, got {max(dims)}")
    return embeddings
