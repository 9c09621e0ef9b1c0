"""Losses of several layers, and of layers and sizes at once: an encoder that may be cut both ways.

    states [1 + layers, batch, ..., dim] -> loss

`states` is a pytree of such arrays: place l is what l blocks of the encoder give, place 0 the
embeddings before the first block, the last place the whole encoder; pooled, but not normalized. A last
norm of the encoder belongs to every place. `loss` takes a pytree of embeddings [batch, ..., dim], as in
_matryoshka.py.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.losses._lift._examples import real_numbers
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.compose._matryoshka import leading, matryoshka_drawn, sizes
from jaxsim.losses.teachers._divergences import kl_of_softmaxes
from jaxsim.numerics import checks
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, Loss, Numeric, PRNGKey


@checked
def matryoshka_2d(
    loss: Loss,
    *,
    temperature: Numeric = 1.0,
    where: Array | None = None,
    axis_name: str | None = None,
) -> Loss:
    """A loss that is good at every layer and every size: at one of each, drawn every step, and whole.

        states, l, d -> loss(z_N) + loss(z_N[:d]) + loss(z_l) + loss(z_l[:d])
                        + temperature KL(z_l || z_N held fixed)

    KL is `coordinate_kl` at full width.

    Args:
      loss: of a pytree of embeddings [batch, ..., dim]; indifferent to coordinates that are 0 in all
        rows if d is traced, see `matryoshka_drawn`.
      temperature: of KL, > 0. KL depends on the scale of the states: lower it for small ones.
      where: bool [batch], False for padding, for KL; `loss` has its own.
      axis_name: the named axis over which the batch is split, for KL; `loss` has its own.

    Returns: a function of (states, layer, dim), int or traced; `draw_layer_dim` gives both.
    Raises: ValueError for a temperature that is not > 0.
    Source: Li et al. 2024 (2402.14776), 2DMSE, without depth weights.
    Data: several layers or sizes.
    Kind: composition; memory that of the loss four times, and batch x dim.
    """
    checks.positive("temperature", temperature)

    def over_cuts(states, layer, dim):
        last, shallow = _at(states, -1), _at(states, layer)
        target = jax.lax.stop_gradient(last)
        kl = coordinate_kl(
            shallow, target, temperature=temperature, where=where, axis_name=axis_name
        )
        return (
            _whole_and_cut(loss, last, dim) + _whole_and_cut(loss, shallow, dim) + temperature * kl
        )

    return over_cuts


@checked
def matryoshka_2d_a1(
    loss: Loss,
    *,
    temperature: Numeric = 1.0,
    where: Array | None = None,
    axis_name: str | None = None,
) -> Loss:
    """`matryoshka_2d` as first released: KL has the weight temperature^2 and pulls the last layer too.

        states, l, d -> loss(z_N) + loss(z_N[:d]) + loss(z_l) + loss(z_l[:d])
                        + temperature^2 KL(z_l || z_N)

    Args, result and errors as `matryoshka_2d`.
    Source: the code of 2DMSE (2402.14776) as first released.
    Data: several layers or sizes.
    Kind: composition; memory that of the loss four times, and batch x dim.
    """
    checks.positive("temperature", temperature)

    def over_cuts(states, layer, dim):
        last, shallow = _at(states, -1), _at(states, layer)
        kl = coordinate_kl(shallow, last, temperature=temperature, where=where, axis_name=axis_name)
        both = _whole_and_cut(loss, last, dim) + _whole_and_cut(loss, shallow, dim)
        return both + temperature**2 * kl

    return over_cuts


@checked
def matryoshka_2d_a2(
    loss: Loss,
    *,
    temperature: Numeric = 1.0,
    where: Array | None = None,
    axis_name: str | None = None,
) -> Loss:
    """`matryoshka_2d` as revised: shallow layers have less weight in the loss and more in KL.

        states, l, d -> loss(z_N) + loss(z_N[:d]) + (loss(z_l) + loss(z_l[:d])) / l
                        + temperature log(2 + l) KL(z_l || z_N)

    KL pulls the last layer too. l is 1 at least.

    Args, result and errors as `matryoshka_2d`.
    Source: the code of 2DMSE (2402.14776) as revised.
    Data: several layers or sizes.
    Kind: composition; memory that of the loss four times, and batch x dim.
    """
    checks.positive("temperature", temperature)

    def over_cuts(states, layer, dim):
        last, shallow = _at(states, -1), _at(states, layer)
        kl = coordinate_kl(shallow, last, temperature=temperature, where=where, axis_name=axis_name)
        deep, flat = _whole_and_cut(loss, last, dim), _whole_and_cut(loss, shallow, dim)
        return deep + flat / layer + temperature * jnp.log(2.0 + layer) * kl

    return over_cuts


@checked
def adaptive_layers(
    loss: Loss,
    *,
    last_weight: Numeric = 1.0,
    prior_weight: Numeric = 1.0,
    kl_weight: Numeric = 1.0,
    temperature: Numeric = 0.3,
    depth_weight: Callable[..., Any] = lambda layer: 1.0,
    where: Array | None = None,
    axis_name: str | None = None,
) -> Loss:
    """A loss at the last layer and at some of those before it, which are pulled to the last.

        states, S -> last_weight loss(z_N) + (prior_weight / |S|) sum_{l in S} depth_weight(l) loss(z_l)
                     + kl_weight temperature sum_{l in S} KL(z_l || z_N held fixed)

    KL is `coordinate_kl`; it is not divided by |S|. Layers are walked one after another, compiled once.
    Also known as AdaptiveLayerLoss.

    Args:
      loss: of a pytree of embeddings [batch, ..., dim].
      last_weight, prior_weight, kl_weight: of the terms; kl_weight=0 leaves KL out.
      temperature: of KL, > 0.
      depth_weight: of a layer's number; `log_depth_weight`, `linear_depth_weight` favor shallow ones.
      where, axis_name: for KL, as in `matryoshka_2d`.

    Returns: a function of (states, layers int [k]); `draw_layers` gives layers.
    Raises: ValueError for a temperature that is not > 0.
    Source: AdaptiveLayerLoss of sentence-transformers, after 2DMSE (2402.14776).
    Data: several layers or sizes.
    Kind: composition; memory that of the loss for each layer, and layers x batch x dim.
    """
    checks.positive("temperature", temperature)

    def over_layers(states, layers):
        places = checks.rows_of("states", states)
        checks.shaped("layers", layers, (None,), "some numbers of layers")
        checks.within("layers", layers, 0, places - 1)
        layers, last = checks.numbers_of("layers", layers), _at(states, -1)
        checks.integers("layers", layers)
        target = jax.lax.stop_gradient(last)

        def of_layer(layer):
            z = _at(states, layer)
            value = prior_weight / layers.shape[0] * depth_weight(layer) * loss(z)
            kl = coordinate_kl(z, target, temperature=temperature, where=where, axis_name=axis_name)
            return value + kl_weight * temperature * kl

        return last_weight * loss(last) + jnp.sum(jax.lax.map(of_layer, layers))

    return over_layers


@checked
def adaptive_matryoshka(
    loss: Loss,
    *,
    dims: Sequence[int],
    weights: Sequence[float] | Array | None = None,
    draws: int = 1,
    temperature: Numeric = 0.3,
    where: Array | None = None,
    axis_name: str | None = None,
) -> Loss:
    """The last layer and one before it, each at sizes drawn for it.

        states, key -> f(z_N) + f(z_l) + temperature KL(z_l || z_N held fixed),    l from 0 .. N - 1,
        f(z) = sum over the sizes drawn of weight_m loss(z[..., :m])

    Also known as Matryoshka2dLoss: `adaptive_layers` of `matryoshka_drawn`. Unlike in `matryoshka_2d`
    the full size is trained only when it is drawn, and only if it is one of dims.

    Args:
      loss, dims, weights, draws: as in `matryoshka_drawn`.
      temperature, where, axis_name: as in `adaptive_layers`.

    Returns: a function of (states, key), the key the same on all devices.
    Raises: ValueError as `matryoshka_drawn`, and for a temperature that is not > 0.
    Source: Matryoshka2dLoss of sentence-transformers, after 2DMSE (2402.14776).
    Data: several layers or sizes.
    Kind: composition; memory that of the loss for each draw, and layers x batch x dim.
    """
    checks.positive("temperature", temperature)
    drawn = matryoshka_drawn(loss, dims=dims, draws=draws, weights=weights)

    def over_drawn(states, key):
        for_layer, for_last, for_shallow = jax.random.split(key, 3)
        num_layers = jax.tree.leaves(states)[0].shape[0] - 1
        last = _at(states, -1)
        shallow = _at(states, draw_layers(for_layer, num_layers=num_layers)[0])
        target = jax.lax.stop_gradient(last)
        kl = coordinate_kl(
            shallow, target, temperature=temperature, where=where, axis_name=axis_name
        )
        return drawn(last, for_last) + drawn(shallow, for_shallow) + temperature * kl

    return over_drawn


@checked
def coordinate_kl(
    student: Array,
    teacher: Array,
    *,
    temperature: Numeric,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """How far the softmax over a vector's coordinates is from that of another vector, in nats.

        the mean over rows of KL( softmax_j(t_ij / temperature) || softmax_j(s_ij / temperature) )

    Over the coordinates of one vector, not over the batch, so that it depends on the vectors' scale:
    between unit vectors of 384 dimensions it is 0.003 at temperature 1. Both carry gradient; hold the
    teacher with `jax.lax.stop_gradient`.

    Args:
      student, teacher: pytrees of [batch, ..., dim], of one structure; the rows of all leaves count equally.
      temperature: divides both, > 0; may be traced.
      where: bool [batch], False for padding. What is there has no influence, NaN included.
      axis_name: the named axis over which the batch is split.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, a temperature that is not > 0, an unbound axis.
    Source: 2DMSE (2402.14776), its alignment term.
    Data: several layers or sizes, teacher embeddings.
    Kind: per example; memory batch x dim.
    """
    checks.positive("temperature", temperature)
    if axis_name is not None:
        checks.bound(axis_name)
    student, teacher = checks.vectors("student", student), checks.vectors("teacher", teacher)
    if jax.tree.structure(student) != jax.tree.structure(teacher):
        raise ValueError(
            f"teacher must have the leaves of student, {jax.tree.structure(student)}, "
            f"got {jax.tree.structure(teacher)}"
        )
    where = checks.mask("where", where, (checks.rows_of("student", student),))

    def of_leaf(student, teacher):
        student, teacher = real_numbers("student", student), real_numbers("teacher", teacher)
        checks.shaped("teacher", teacher, student.shape, "as the student")
        mask = where.reshape(-1, *[1] * (student.ndim - 1))
        values = kl_of_softmaxes(teacher / temperature, student / temperature, mask)
        return values.ravel(), jnp.broadcast_to(mask[..., 0], values.shape).ravel()

    leaves = zip(*map(jax.tree.leaves, (student, teacher)), strict=True)
    values, counts = zip(*(of_leaf(*pair) for pair in leaves), strict=True)
    values = jnp.concatenate(values)
    return mean(values, jnp.concatenate(counts).astype(values.dtype), axis_name)


@checked
def draw_layer_dim(
    key: PRNGKey, *, num_layers: int, dims: Sequence[int]
) -> tuple[jax.Array, jax.Array]:
    """A layer from 1 to num_layers - 1 and one of dims, each as likely: int32 scalars.

    Raises: ValueError for fewer than 2 layers, no dims or one below 1.
    Data: several layers or sizes.
    Kind: part; memory none.
    """
    checks.whole("num_layers", num_layers, 2)
    dims = sizes(dims)
    for_layer, for_dim = jax.random.split(key)
    layer = jax.random.randint(for_layer, (), 1, num_layers)
    return layer, jnp.asarray(dims)[jax.random.randint(for_dim, (), 0, len(dims))]


@checked
def draw_layers(key: PRNGKey, *, num_layers: int, draws: int = 1) -> jax.Array:
    """Some of the layers 0 to num_layers - 1, each as likely, without replacement: int32 [draws].

    Raises: ValueError for more draws than layers.
    Data: several layers or sizes.
    Kind: part; memory the number of layers.
    """
    checks.at_most("draws", draws, num_layers, "the number of layers")
    return jax.random.choice(key, num_layers, (draws,), replace=False)


def log_depth_weight(layer: int):
    """1 / (1 + log(1 + l)) of a layer's number l, for `adaptive_layers`.

    Data: several layers or sizes.
    Kind: part; memory none.
    """
    return 1 / (1 + jnp.log(1.0 + layer))


def linear_depth_weight(layer: int):
    """1 / (1 + l) of a layer's number l, for `adaptive_layers`.

    Data: several layers or sizes.
    Kind: part; memory none.
    """
    return 1 / (1.0 + layer)


def _whole_and_cut(loss, embeddings, dim):
    return loss(embeddings) + loss(leading(embeddings, dim))


def _at(states, layer):
    places = checks.rows_of("states", states)
    if isinstance(layer, int | np.integer) and not -1 <= layer < places:
        raise ValueError(f"layer must be from 0 to {places - 1}, got {layer}")
    return jax.tree.map(lambda a: jnp.asarray(a)[layer], states)
