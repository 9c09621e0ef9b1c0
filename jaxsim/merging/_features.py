"""Iterative feature merging (IFM): channels whose weights are near one another become one channel.

Widths stay as they are while merging: a channel that went into another has size 0 and weights of 0, so
that the network computes what the narrower one does. `compact` leaves such channels out.
"""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.merging._spec import (
    BatchNorm,
    MergeSpec,
    Produced,
    changed,
    channels_first,
    flat,
)
from jaxsim.numerics import at_least_float32, checks
from jaxsim.numerics.types import Array, ArrayTree

# (params, spec, group, sizes=) -> squared distances [n, n], as `group_distance`.
Distance = Callable[..., jax.Array]
# (params, spec, group, i, j, sizes) -> (params, sizes), as `merge_pair`.
Merge = Callable[..., tuple[ArrayTree, jax.Array]]


class Merged(NamedTuple):
    """A network after merging or pruning, at its full width, and where its channels went."""

    params: ArrayTree  # channels that are not alive have weights of 0
    alive: dict[str, np.ndarray]  # group: bool [n]
    # group: int32 [n], the channel that each is in now, its smallest member; -1 for dropped ones.
    assignment: dict[str, np.ndarray]


def group_distance(
    params: ArrayTree, spec: MergeSpec, group: str, *, sizes: Array | None = None
) -> jax.Array:
    """Squared distances between the channels of a group: of all weights that make and that read them.

        d2_ij = |F_i - F_j|^2,   F_i the slices of channel i of all tensors with two axes or more

    Biases and norms are left out. From the products of centered rows, in the precision of the weights.

    Args:
      params: the tree.
      spec: its merge specification.
      group: the name of one of its groups.
      sizes: float [n], how many channels went into each; those of size 0 are left out. None: all count.

    Returns: [n, n], symmetric, 0 on the diagonal and where a channel is left out; float32 at least.
    Raises: ValueError for tensors that do not fit the specification.
    Source: Chen, Zhou and Yan 2024 (2310.06756), equation 8.
    """
    rows, alive = _features(params, spec, group, sizes)
    return _squared_distances(jnp.concatenate(rows, axis=1), alive)


def incoming_distance(
    params: ArrayTree, spec: MergeSpec, group: str, *, sizes: Array | None = None
) -> jax.Array:
    """Squared distances between the weights that make the channels, without those that read them.

    An ablation of `group_distance`: arguments and result as there.
    """
    rows, alive = _features(params, spec, group, sizes, consumed=False)
    return _squared_distances(jnp.concatenate(rows, axis=1), alive)


def size_normalized_distance(
    params: ArrayTree, spec: MergeSpec, group: str, *, sizes: Array | None = None
) -> jax.Array:
    """Squared distances between the mean channels of clusters: what was summed is divided by the size.

    Ours, not the paper's: there a merged channel is as long as its members together, and a third
    duplicate stays far from it. Weights that read a channel are means already. Arguments and result as in
    `group_distance`.
    """
    rows, alive = _features(params, spec, group, sizes, by_size=True)
    return _squared_distances(jnp.concatenate(rows, axis=1), alive)


def merge_pair(
    params: ArrayTree, spec: MergeSpec, group: str, i: Array, j: Array, sizes: Array
) -> tuple[ArrayTree, jax.Array]:
    """Merges channel j of a group into channel i: what makes them is added, what reads them is averaged.

        produced:   T_i + T_j                      (biases, and a batch norm's scale, bias and mean too)
        consumed:   (g_i T_i + g_j T_j) / (g_i + g_j)
        variance:   (sqrt(v_i + e) + sqrt(v_j + e))^2 - e,   e the norm's epsilon

    With ReLU, or any activation that is homogeneous, equal channels merge without changing the network,
    through batch norms too.

    Args:
      params: the tree.
      spec: its merge specification.
      group: the name of one of its groups.
      i, j: int, two different channels; may be traced.
      sizes: float [n], how many channels went into each.

    Returns: (params, sizes): channel j has size 0, and weights of 0.
    Raises: ValueError for tensors that do not fit the specification.
    Source: Chen, Zhou and Yan 2024 (2310.06756), equations 9 to 11; the variance is ours, see
    `merge_pair_released`.
    """
    return _merge_pair(params, spec, group, i, j, sizes, _deviations_added)


def merge_pair_released(
    params: ArrayTree, spec: MergeSpec, group: str, i: Array, j: Array, sizes: Array
) -> tuple[ArrayTree, jax.Array]:
    """Merges two channels as the authors' code does: variances are added like all else.

    Equal channels behind a batch norm then come out sqrt(2) times too large. Without batch norms it is
    `merge_pair`; arguments and result as there.
    """
    return _merge_pair(params, spec, group, i, j, sizes, _variances_added)


def iterative_feature_merging(
    params: ArrayTree,
    spec: MergeSpec,
    *,
    beta: float = 0.1,
    max_ratio: float = 1.0,
    merge: Merge = merge_pair,
    distance: Distance = group_distance,
) -> Merged:
    """Iterative feature merging (IFM): merges the nearest channels of each group until none are near enough.

    In rounds, each group once: with v the smallest and M the largest squared distance between its channels,
    the nearest pair is merged where v <= beta * M. It ends with a round that merges nothing. No data is
    used. Computed in float64.

    Args:
      params: the tree.
      spec: its merge specification.
      beta: the threshold, >= 0; of squared distances, relative to a maximum that grows with merging.
      max_ratio: a group is left alone after this share of its channels in rounds, >= 0.
      merge: `merge_pair` or `merge_pair_released`.
      distance: `group_distance`, `incoming_distance` or `size_normalized_distance`.

    Returns: `Merged`, of the types that the tree has.
    Raises: ValueError for tensors that are not finite or do not fit, and for a tree that is traced.
    Source: Chen, Zhou and Yan 2024 (2310.06756), equations 8 to 11, in the loop of their code.
    """
    checks.not_negative("beta", beta)
    checks.finite("beta", beta)
    checks.not_negative("max_ratio", max_ratio)
    checks.function("merge", merge, "such as merging.merge_pair")
    checks.function("distance", distance, "such as merging.group_distance")
    channels = spec.sizes(params)
    with jax.enable_x64(True):
        rounds = {group: np.ceil(max_ratio * n) for group, n in channels.items()}
        state = _merged(doubled(params), rounds, float(beta), spec, merge, distance)
        return as_given(params, state)


def compact(params: ArrayTree, spec: MergeSpec, alive: Mapping[str, Array]) -> ArrayTree:
    """Compacts a network: leaves out the channels that are not alive, which makes its tensors narrower.

    Args:
      params: the tree.
      spec: its merge specification.
      alive: {group: bool [n]}, as `Merged` has it; groups that are not named stay as they are.

    Returns: the tree with narrower tensors.
    Raises: ValueError for an unknown group, or a mask that does not fit.
    """
    leaves, structure = flat(params)
    channels = spec.sizes(params)
    for group, mask in alive.items():
        checks.one_of("alive", group, channels)
        mask = np.asarray(checks.given_mask("alive", mask, (channels[group],), "one per channel"))
        for path, axis, role in spec.of(group):
            leaves[path] = np.compress(np.tile(mask, role.places), leaves[path], axis=axis)
        for norm in spec.norms_of(group):
            for path in (norm.scale, norm.bias, norm.mean, norm.variance):
                leaves[path] = np.compress(mask, leaves[path])
    return jax.tree.map(jnp.asarray, structure(leaves))


def feature_complexity(alive: Mapping[str, Array]) -> dict[str, int]:
    """Feature complexity: how many channels of each group are left after merging.

    Args:
      alive: {group: bool [n]}, as `Merged` has it.

    Returns: {group: int}.
    """
    return {group: int(np.sum(np.asarray(mask))) for group, mask in alive.items()}


def norms_of_channels(params: ArrayTree, spec: MergeSpec, group: str) -> jax.Array:
    """|F_i| of every channel of a group, [n]."""
    rows, _ = _features(params, spec, group, None)
    return jnp.sqrt(sum(jnp.sum(part * part, axis=1) for part in rows))


def without(params: ArrayTree, spec: MergeSpec, alive: Mapping[str, Array]) -> ArrayTree:
    """The tree with weights of 0 for all channels that are not alive."""
    leaves, structure = flat(params)
    for group, mask in alive.items():

        def silenced(channels, mask=mask):
            return jnp.where(np.reshape(mask, (-1, *[1] * (channels.ndim - 1))), channels, 0)

        for path, axis, role in spec.of(group):
            leaves[path] = changed(leaves[path], axis, role.places, silenced)
        for norm in spec.norms_of(group):
            for path in (norm.scale, norm.bias, norm.mean):
                leaves[path] = changed(leaves[path], 0, 1, silenced)
            leaves[norm.variance] = jnp.where(jnp.asarray(mask), leaves[norm.variance], 1)
    return structure(leaves)


def doubled(params: ArrayTree) -> ArrayTree:
    """The tree in float64, on the host; call it under `jax.enable_x64`.

    Raises: ValueError naming a tensor that is traced or not finite.
    """
    leaves, structure = flat(params)
    for path, leaf in leaves.items():
        if isinstance(leaf, jax.core.Tracer):
            raise ValueError(f"params must be known, {path!r} is traced: merge outside of jit")
        values = np.asarray(leaf).astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError(f"params must be finite, {path!r} is not")
        leaves[path] = values
    return structure(leaves)


@functools.partial(jax.jit, static_argnames=("spec", "merge", "distance"))
def _merged(params, rounds, beta, spec, merge, distance):
    """(params, sizes, assignment) after the last round."""
    sizes, assignment = start(params, spec)

    def visited(state, group, number):
        """A group's turn: its nearest pair is merged, or nothing."""
        params, sizes, _ = state
        squared = distance(params, spec, group, sizes=sizes[group])
        alive = sizes[group] > 0
        pairs = jnp.triu(alive[:, None] & alive, 1)  # without the diagonal: exact ties are 0 too
        place = jnp.argmin(jnp.where(pairs, squared, jnp.inf))
        largest = jnp.max(jnp.where(pairs, squared, 0))
        near = pairs.any() & (squared.ravel()[place] <= beta * largest) & (number < rounds[group])
        i, j = jnp.divmod(place, len(alive))

        def joined(state):
            return pair_merged(state, spec, group, i, j, merge)

        return jax.lax.cond(near, joined, lambda state: state, state), near

    def one_round(carry):
        state, number, _ = carry
        any_near = jnp.asarray(False)
        for group in spec.groups:
            state, near = visited(state, group, number)
            any_near |= near
        return state, number + 1, any_near

    begin = (params, sizes, assignment), jnp.int32(0), jnp.asarray(True)
    return jax.lax.while_loop(lambda carry: carry[2], one_round, begin)[0]


def start(params: ArrayTree, spec: MergeSpec) -> tuple[dict, dict]:
    """(sizes, assignment) before anything is merged."""
    channels = spec.sizes(params)
    sizes = {group: jnp.ones(n) for group, n in channels.items()}
    return sizes, {group: jnp.arange(n, dtype=jnp.int32) for group, n in channels.items()}


def pair_merged(state: tuple, spec: MergeSpec, group: str, i: Array, j: Array, merge: Merge):
    """(params, sizes, assignment) after channel j of a group went into channel i."""
    params, sizes, assignment = state
    params, of_group = merge(params, spec, group, i, j, sizes[group])
    members = assignment[group]
    assignment = assignment | {group: jnp.where(members == j, i.astype(members.dtype), members)}
    return params, sizes | {group: of_group}, assignment


def as_given(params, state):
    """What merging made, in the types of the tree that was given."""
    changed_params, sizes, assignment = jax.tree.map(np.asarray, state)
    dtypes = jax.tree.map(lambda leaf: np.asarray(leaf).dtype, params)
    tree = jax.tree.map(lambda a, dtype: a.astype(dtype), changed_params, dtypes)
    return Merged(tree, {group: size > 0 for group, size in sizes.items()}, assignment)


def _merge_pair(params, spec, group, i, j, sizes, variance_rule):
    sizes = at_least_float32(jnp.asarray(sizes))
    members, channels = spec.of(group), spec.sizes(params)[group]
    checks.shaped("sizes", sizes, (channels,), "one per channel")
    first, second = sizes[i], sizes[j]
    shares = first / (first + second), second / (first + second)

    def summed(channels):
        return _replaced(channels, i, j, channels[i] + channels[j])

    def averaged(channels):
        return _replaced(channels, i, j, shares[0] * channels[i] + shares[1] * channels[j])

    leaves, structure = flat(params)
    for path, axis, role in members:
        rule = summed if isinstance(role, Produced) else averaged
        leaves[path] = changed(leaves[path], axis, role.places, rule)
    for norm in spec.norms_of(group):
        for path in (norm.scale, norm.bias, norm.mean):
            leaves[path] = changed(leaves[path], 0, 1, summed)
        variance = jnp.asarray(leaves[norm.variance])
        added = variance_rule(variance[i], variance[j], norm)
        leaves[norm.variance] = variance.at[i].set(added.astype(variance.dtype)).at[j].set(1)
    return structure(leaves), sizes.at[i].set(first + second).at[j].set(0)


def _replaced(channels, i, j, value):
    return channels.at[i].set(value).at[j].set(0)


def _deviations_added(first: jax.Array, second: jax.Array, norm: BatchNorm) -> jax.Array:
    deviation = jnp.sqrt(first + norm.epsilon) + jnp.sqrt(second + norm.epsilon)
    return deviation**2 - norm.epsilon


def _variances_added(first: jax.Array, second: jax.Array, norm: BatchNorm) -> jax.Array:
    return first + second


def _features(params, spec, group, sizes, *, consumed=True, by_size=False):
    """(list of [n, features], one of each tensor, and which channels count, bool [n])."""
    members, channels = spec.of(group), spec.sizes(params)[group]
    sizes = jnp.ones(channels) if sizes is None else jnp.asarray(sizes)
    checks.shaped("sizes", sizes, (channels,), "one per channel")
    leaves, _ = flat(params)
    rows = []
    for path, axis, role in members:
        if np.ndim(leaves[path]) < 2 or not (consumed or isinstance(role, Produced)):
            continue
        part = at_least_float32(channels_first(leaves[path], axis, role.places))
        part = part.reshape(channels, -1)
        if by_size and isinstance(role, Produced):
            part = part / jnp.where(sizes > 0, sizes, 1)[:, None]
        rows.append(part)
    if not rows:
        raise ValueError(f"spec must have a tensor of two axes or more in {group!r}")
    return rows, sizes > 0


def _squared_distances(rows, alive):
    """Squared distances between rows, 0 where one of them does not count."""
    count = jnp.maximum(jnp.sum(alive), 1)
    center = jnp.sum(jnp.where(alive[:, None], rows, 0), axis=0) / count
    rows = jnp.where(alive[:, None], rows - center, 0)
    products = jnp.matmul(rows, rows.T, precision="highest")
    products = (products + products.T) / 2
    squares = jnp.diagonal(products)
    squared = jnp.maximum(squares[:, None] + squares - 2 * products, 0)
    pairs = alive[:, None] & alive & ~jnp.eye(len(alive), dtype=bool)
    return jnp.where(pairs, squared, 0)
