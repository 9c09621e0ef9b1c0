"""Modules as compiled functions of parameters and inputs, which loaded models offer."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import encoders
from jaxsim.encoders._text import check_texts


def of_texts(module: Any, *names: str, at: str | None = None, **settings: Any) -> Callable:
    """A module as a compiled function of parameters and texts.

    Args:
      module: a Linen module.
      names: of the texts, for errors.
      at: the place of its parameters among those of a model of several towers; None is the whole.
      settings: of `encoders.as_function`.

    Returns: function (params, *inputs, key=None, axis_name=None), with the attributes `dtype` of its arithmetic,
    `max_length`, the most tokens that it takes, and `packs`, whether it takes `data.packed` texts.
    """
    plain = encoders.as_function(module, **settings)

    @functools.wraps(plain)
    def inside(params, *inputs, **settings):
        return plain(part_of(params, at), *inputs, **settings)

    compiled = jax.jit(inside, static_argnames="axis_name")

    @functools.wraps(compiled)
    def function(params, *inputs, key=None, axis_name=None):
        for name, texts in zip(names, inputs, strict=True):
            check_texts(
                name, texts, packed=function.packs
            )  # before JAX says that strings are not arrays
        return compiled(params, *inputs, key=key, axis_name=axis_name)

    function.max_length, function.packs = module.transformer.max_length, plain.packs
    return function


def of_images(module: Any, *, at: str | None = None, head: Callable | None = None) -> Callable:
    """A vision transformer as a compiled function of parameters and images.

    Args:
      module: a Linen module.
      at: as for `of_texts`.
      head: a function of the vectors, such as `numerics.unit`.

    Returns: function (params, images, *, key=None, axis_name=None), with the attributes `dtype` and `head`.
    """

    @functools.partial(jax.jit, static_argnames="axis_name")
    def compiled(params, images, *, key=None, axis_name=None):
        settings = {}
        if key is not None:
            if axis_name is not None:
                key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
            settings = {"deterministic": False, "rngs": {"dropout": key}}
        vectors = module.apply(part_of(params, at), images, **settings)
        return vectors if head is None else head(vectors)

    def function(params, images, *, key=None, axis_name=None):
        if not isinstance(images, (np.ndarray, jax.Array)) or not jnp.issubdtype(
            images.dtype, jnp.floating
        ):
            got = getattr(images, "dtype", type(images).__name__)
            raise ValueError(
                f"images must be float [rows, height, width, 3], as `process` gives them, got {got}"
            )
        return compiled(params, images, key=key, axis_name=axis_name)

    function.dtype, function.head = module.dtype, head
    return function


def part_of(params: Any, at: str | None) -> Any:
    """The parameters of one tower."""
    return params if at is None else {"params": params["params"][at]}
