"""What feature merging is compared with at the same widths: pruning, and merging of random pairs."""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.merging._features import (
    Merge,
    Merged,
    as_given,
    doubled,
    merge_pair,
    norms_of_channels,
    pair_merged,
    start,
    without,
)
from jaxsim.merging._spec import MergeSpec
from jaxsim.numerics import checks
from jaxsim.numerics.types import ArrayTree, PRNGKey


def prune_by_magnitude(params: ArrayTree, spec: MergeSpec, widths: Mapping[str, int]) -> Merged:
    """Magnitude pruning of channels: keeps those whose weights have the largest norm, drops the others.

    The norm is that of all weights that make and that read a channel, |F_i| of `group_distance`; of equal
    ones the first is kept.

    Args:
      params: the tree.
      spec: its merge specification.
      widths: {group: int}, how many channels to keep; groups that are not named stay as they are.

    Returns: `Merged`, of the types that the tree has.
    Raises: ValueError for widths that do not fit, tensors that are not finite, and a tree that is traced.
    """
    _check_widths(spec, params, widths)
    with jax.enable_x64(True):
        double = doubled(params)
        norms = {group: np.asarray(norms_of_channels(double, spec, group)) for group in widths}
    order = {group: np.argsort(-values, kind="stable") for group, values in norms.items()}
    return _pruned(params, spec, widths, order)


def prune_at_random(
    params: ArrayTree, spec: MergeSpec, widths: Mapping[str, int], *, key: PRNGKey
) -> Merged:
    """Random pruning of channels: keeps as many as asked, drawn at random, and drops the others.

    Args:
      params: the tree.
      spec: its merge specification.
      widths: {group: int}, how many channels to keep; groups that are not named stay as they are.
      key: of the draw.

    Returns: `Merged`, of the types that the tree has.
    Raises: as `prune_by_magnitude`.
    """
    channels = _check_widths(spec, params, widths)
    checks.key("key", key)
    order = {}
    for number, group in enumerate(spec.groups):
        if group in widths:
            drawn = jax.random.permutation(jax.random.fold_in(key, number), channels[group])
            order[group] = np.asarray(drawn)
    return _pruned(params, spec, widths, order)


def merge_random_pairs(
    params: ArrayTree,
    spec: MergeSpec,
    widths: Mapping[str, int],
    *,
    key: PRNGKey,
    merge: Merge = merge_pair,
) -> Merged:
    """Merging of random pairs: as iterative feature merging, but of two channels drawn at random.

    Args:
      params: the tree.
      spec: its merge specification.
      widths: {group: int}, how many channels are left; groups that are not named stay as they are.
      key: of the draws.
      merge: `merge_pair` or `merge_pair_released`.

    Returns: `Merged`, of the types that the tree has.
    Raises: as `prune_by_magnitude`.
    """
    channels = _check_widths(spec, params, widths)
    checks.key("key", key)
    checks.function("merge", merge, "such as merging.merge_pair")
    merges = {group: n - widths.get(group, n) for group, n in channels.items()}
    with jax.enable_x64(True):
        return as_given(params, _randomly_merged(doubled(params), merges, key, spec, merge))


@functools.partial(jax.jit, static_argnames=("spec", "merge"))
def _randomly_merged(params, merges, key, spec, merge):
    """(params, sizes, assignment): in rounds, each group once while it has merges left."""

    def one_round(number, state):
        keys = jax.random.split(jax.random.fold_in(key, number), len(spec.groups))
        for group, group_key in zip(spec.groups, keys, strict=True):
            if len(state[1][group]) < 2:
                continue
            alive = state[1][group] > 0
            drawn = jnp.where(alive, jax.random.uniform(group_key, alive.shape), -1)
            pair = jnp.sort(jax.lax.top_k(drawn, 2)[1])

            def joined(state, group=group, pair=pair):
                return pair_merged(state, spec, group, pair[0], pair[1], merge)

            state = jax.lax.cond(number < merges[group], joined, lambda state: state, state)
        return state

    begin = (params, *start(params, spec))
    return jax.lax.fori_loop(0, jnp.max(jnp.stack(list(merges.values()))), one_round, begin)


def _check_widths(spec, params, widths):
    """The number of channels of each group; refuses widths that do not fit."""
    channels = spec.sizes(params)
    for group, width in widths.items():
        checks.one_of("widths", group, channels)
        checks.at_most(f"widths[{group!r}]", width, channels[group], "its channels")
    return channels


def _pruned(params, spec, widths, order):
    """The tree without all but the first channels of an order."""
    alive = {group: np.ones(n, bool) for group, n in spec.sizes(params).items()}
    assignment = {group: np.arange(len(mask), dtype=np.int32) for group, mask in alive.items()}
    for group, width in widths.items():
        alive[group][order[group][width:]] = False
        assignment[group][~alive[group]] = -1
    dtypes = jax.tree.map(lambda leaf: np.asarray(leaf).dtype, params)
    tree = jax.tree.map(
        lambda a, dtype: np.asarray(a).astype(dtype), without(params, spec, alive), dtypes
    )
    return Merged(tree, alive, assignment)
