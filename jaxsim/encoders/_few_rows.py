"""A few rows of a batch at a time on a CPU, whose cache holds their states from one layer to the next."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.numerics._blocks import by_blocks
from jaxsim.numerics._devices import in_turn
from jaxsim.numerics._encoding import TOKENS_ON_CPU
from jaxsim.numerics.types import ArrayTree

FEW = 2**21  # numbers that a cache holds: 8 MiB


def few_at_a_time(
    module: nn.Module, method: Callable[..., Any], rows: ArrayTree, length: int, numbers: int
) -> Any:
    """method(module, rows), where rows have nothing to do with each other: on one CPU in blocks of 1,024 tokens.

    Norms, activations and sums pass over the states again and again, which a cache holds of a block and not of a large
    batch. What is differentiated is taken whole, where blocks
    gain nothing, and so is what draws random numbers or keeps intermediate values.

    Args:
      module: bound, with its parameters.
      method: of `module` and `rows`; its results have a leading axis of rows.
      rows: a pytree of arrays with a leading axis of rows.
      length: tokens of a row.
      numbers: of a token: its widest state and its scores.
    """
    counts = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(rows)}
    kept = module.is_initializing() or module.is_mutable_collection("intermediates")
    if jax.default_backend() != "cpu" or kept or len(counts) > 1:  # one row may be there for all
        return method(module, rows)
    ((count,),) = counts
    if not in_turn(count, length):
        return method(module, rows)
    blocks = min(-(-count * length // TOKENS_ON_CPU), count)
    if blocks <= 1 or count * length * numbers <= FEW or module.has_rng("dropout"):
        return method(module, rows)
    unbound, variables = module.unbind()
    # All of one size, so that the last is filled up: as little as up to twice as many blocks allow.
    few = min((-(-count // n) for n in range(blocks, 2 * blocks)), key=lambda few: -count % few)
    return _in_blocks(functools.partial(unbound.apply, method=method), few, variables, rows)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _in_blocks(apply, few, variables, rows):
    return by_blocks(functools.partial(apply, variables), rows, few)


@_in_blocks.defjvp
def _in_blocks_jvp(apply, few, primals, tangents):
    return jax.jvp(apply, primals, tangents)
