"""Sharded parameters: gathered before use, their gradients scattered afterwards.

A layout says, for every parameter, which of its axes is split, or -1 for one that is whole everywhere.
Moments and averages have the shapes of their parameters and are split in the same way.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxsim.numerics.types import ArrayTree, Shape

MIXING = ("reduce_", "dot_general", "cum", "sort", "argm", "conv_")  # primitives
WHOLE = -1


def split_axis(shape: Shape, count: int, smallest: int) -> int:
    """Which axis of an array of this shape is split over `count` devices: the longest that divides.

    Args:
      shape: of the whole array.
      count: devices.
      smallest: arrays of fewer elements stay whole.

    Returns: the axis, or -1.
    """
    size = 1
    for length in shape:
        size *= length
    fitting = [axis for axis, length in enumerate(shape) if length and length % count == 0]
    if size < smallest or not fitting:
        return WHOLE
    return max(fitting, key=lambda axis: shape[axis])


def whole_params(params: ArrayTree, layout: ArrayTree, axis_name: str) -> ArrayTree:
    """Gathers the parts of all devices: whole parameters, as the objective knows them."""

    def together(part, axis):
        if axis == WHOLE:
            return part
        return jax.lax.all_gather(part, axis_name, axis=axis, tiled=True)

    return jax.tree.map(together, params, layout)


def averaged(gradient: ArrayTree, layout: ArrayTree | None, axis_name: str) -> ArrayTree:
    """The mean over the devices of gradients of whole parameters, of which each keeps its own part."""
    if layout is None:
        return jax.lax.pmean(gradient, axis_name)
    count = jax.lax.axis_size(axis_name)

    def mean(leaf, axis):
        if axis == WHOLE:
            return jax.lax.pmean(leaf, axis_name)
        total = jax.lax.psum_scatter(leaf, axis_name, scatter_dimension=axis, tiled=True)
        return total / count

    return jax.tree.map(mean, gradient, layout)


def norm_over(layout: ArrayTree | None, axis_name: str) -> Callable[[ArrayTree], jax.Array]:
    """The norm of a tree of parts, or of some of its leaves: a function of the tree."""
    if layout is None:
        return lambda tree: jnp.sqrt(sum(map(_square, jax.tree.leaves(tree))))
    split = {path for path, axis in jax.tree.leaves_with_path(layout) if axis != WHOLE}

    def norm(tree):
        parts, wholes = jnp.float32(0), jnp.float32(0)
        for path, leaf in jax.tree.leaves_with_path(tree):
            if path in split:
                parts += _square(leaf)
            else:
                wholes += _square(leaf)
        return jnp.sqrt(jax.lax.psum(parts, axis_name) + wholes)

    return norm


def check_elementwise(optimizer: optax.GradientTransformation, params: ArrayTree) -> None:
    """Refuses an optimizer that mixes the elements of a parameter: a device has only a part of them.

    Args:
      optimizer: an optax transformation.
      params: arrays or their shapes.

    Raises: ValueError naming the operation, such as the sum in `optax.clip_by_global_norm`.
    """
    state = jax.eval_shape(optimizer.init, params)
    # Given the norm, jaxsim's clipping needs no sum.
    update = optax.with_extra_args_support(optimizer).update
    traced = jax.make_jaxpr(lambda g, s, p: update(g, s, p, norm=lambda tree: 1.0))
    for equation in _equations(traced(params, state, params).jaxpr):
        if equation.primitive.name.startswith(MIXING) and any(
            getattr(v.aval, "ndim", 0) for v in equation.invars
        ):
            raise ValueError(
                f"optimizer mixes the elements of a parameter ({equation.primitive.name}), which with "
                "sharded parameters no device has all of: clip with jaxsim.training.clipped, or do "
                "not shard"
            )


def _equations(jaxpr):
    for equation in jaxpr.eqns:
        inner = [j for value in equation.params.values() for j in _jaxprs(value)]
        if inner:
            for sub in inner:
                yield from _equations(sub)
        else:
            yield equation


def _jaxprs(value):
    if hasattr(value, "jaxpr"):  # closed
        yield value.jaxpr
    elif hasattr(value, "eqns"):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _jaxprs(item)


def _square(leaf):
    return jnp.sum(jnp.square(jnp.abs(leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)))))
