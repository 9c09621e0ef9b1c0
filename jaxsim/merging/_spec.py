"""Which axes of which tensors are the channels of one layer: the specification that merging reads."""

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics.types import Array, ArrayTree


@dataclasses.dataclass(frozen=True)
class Produced:
    """Output axis: index i of it makes channel i of a group (the last axis of a Flax kernel, a bias)."""

    group: str
    places = 1


@dataclasses.dataclass(frozen=True)
class Consumed:
    """Input axis: index i of it reads channel i of a group (the last axis but one of a Flax kernel).

    A dense layer that reads a flattened map [height, width, channels] has height * width `places`: its
    axis is [places * channels], the channel running fastest.
    """

    group: str
    places: int = 1


@dataclasses.dataclass(frozen=True)
class BatchNorm:
    """Batch norm behind a layer: the paths of its tensors, each [channels], and of the layer's kernel."""

    kernel: str  # of the layer whose output is normalized; its produced axis names the group
    scale: str
    bias: str
    mean: str
    variance: str
    epsilon: float = 1e-5


@dataclasses.dataclass(frozen=True)
class MergeSpec:
    """Merge specification (the permutation spec of git re-basin): the group of channels of every axis.

        MergeSpec({
            "params/dense_0/kernel": (None, Produced("hidden")),
            "params/dense_0/bias": (Produced("hidden"),),
            "params/head/kernel": (Consumed("hidden"), None),
        })

    Paths are the keys of a parameter tree joined by "/". Several tensors may produce and consume one group,
    as they do along a residual stream. Groups are visited in the order of their first mention. `chain`
    writes it for layers in a row.
    """

    axes: Mapping[str, tuple[Produced | Consumed | None, ...]]
    norms: tuple[BatchNorm, ...] = ()

    def __post_init__(self) -> None:
        axes = {path: tuple(roles) for path, roles in self.axes.items()}
        object.__setattr__(self, "axes", types.MappingProxyType(axes))
        object.__setattr__(self, "norms", tuple(self.norms))
        for norm in self.norms:
            self.group_of(norm)

    def __hash__(self) -> int:
        return hash((tuple(self.axes.items()), self.norms))

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the groups, in the order of their first mention."""
        roles = [role for axes in self.axes.values() for role in axes if role is not None]
        return tuple(dict.fromkeys(role.group for role in roles))

    def of(self, group: str) -> list[tuple[str, int, Produced | Consumed]]:
        """The axes of a group: (path, axis, role); without those of batch norms.

        Raises: ValueError for an unknown group.
        """
        members = []
        for path, roles in self.axes.items():
            for axis, role in enumerate(roles):
                if role is not None and role.group == group:
                    members.append((path, axis, role))
        if not members:
            raise ValueError(f"group must be one of {', '.join(self.groups)}, got {group!r}")
        return members

    def group_of(self, norm: BatchNorm) -> str:
        """The group that a batch norm normalizes.

        Raises: ValueError where its kernel has no produced axis.
        """
        for role in self.axes.get(norm.kernel, ()):
            if isinstance(role, Produced):
                return role.group
        raise ValueError(f"norms must name a kernel that produces a group, got {norm.kernel!r}")

    def norms_of(self, group: str) -> list[BatchNorm]:
        """The batch norms of a group."""
        return [norm for norm in self.norms if self.group_of(norm) == group]

    def sizes(self, params: ArrayTree) -> dict[str, int]:
        """The number of channels of each group; checks that the tensors are there and fit.

        Raises: ValueError naming the tensor that is missing or does not fit.
        """
        leaves, _ = flat(params)
        channels: dict[str, int] = {}
        for path, roles in self.axes.items():
            shape = np.shape(_leaf(leaves, path))
            if len(shape) != len(roles):
                raise ValueError(
                    f"spec must have a role for each axis of {path!r}, {len(shape)}, got {len(roles)}"
                )
            for axis, role in enumerate(roles):
                if role is not None:
                    _fits(channels, path, axis, shape[axis], role)
        for norm in self.norms:
            group = self.group_of(norm)
            for path in (norm.scale, norm.bias, norm.mean, norm.variance):
                shape = np.shape(_leaf(leaves, path))
                if shape != (channels[group],):
                    raise ValueError(
                        f"params must have [{channels[group]}] channels of {group!r} at {path!r}, "
                        f"got shape {shape}"
                    )
        return channels


def chain(
    params: ArrayTree,
    layers: Sequence[str],
    *,
    norms: Mapping[str, tuple[str, str]] | None = None,
    epsilon: float = 1e-5,
) -> MergeSpec:
    """Merge specification of layers in a row: what one produces, the next consumes.

        spec = chain(params, ["params/dense_0", "params/dense_1", "params/head"])

    Layers are dense or convolutional: `kernel` [..., in, out], with or without `bias` [out]. Where a layer
    reads a flattened map, its kernel has a multiple of the channels before it: the places.

    Args:
      params: the tree, for its shapes.
      layers: paths of the layers in their order; the output of the last is left alone. The groups are named
        by the last part of the path.
      norms: {path of a layer: (path of the batch norm's scale and bias, path of its mean and var)}.
      epsilon: of the batch norms.

    Returns: `MergeSpec`.
    Raises: ValueError for layers that are missing or do not fit, or names that are equal.
    """
    leaves, _ = flat(params)
    names = [path.rpartition("/")[2] for path in layers]
    if len(layers) < 2 or len(set(names)) < len(names):
        raise ValueError(f"layers must be two or more with different names, got {list(layers)}")
    axes: dict[str, tuple[Produced | Consumed | None, ...]] = {}
    for number, path in enumerate(layers):
        kernel = f"{path}/kernel"
        shape = np.shape(_leaf(leaves, kernel))
        if len(shape) < 2:
            raise ValueError(f"layers must have kernels [..., in, out], {kernel!r} is {shape}")
        before = Consumed(names[number - 1]) if number else None
        if number:
            channels = np.shape(leaves[f"{layers[number - 1]}/kernel"])[-1]
            if shape[-2] % channels:
                raise ValueError(
                    f"layers must read what the one before makes, {channels} channels: "
                    f"{kernel!r} reads {shape[-2]}"
                )
            before = Consumed(names[number - 1], shape[-2] // channels)
        after = Produced(names[number]) if number + 1 < len(layers) else None
        axes[kernel] = (*[None] * (len(shape) - 2), before, after)
        if after is not None and f"{path}/bias" in leaves:
            axes[f"{path}/bias"] = (after,)
    batch_norms = [
        BatchNorm(
            f"{path}/kernel", f"{a}/scale", f"{a}/bias", f"{b}/mean", f"{b}/var", epsilon=epsilon
        )
        for path, (a, b) in (norms or {}).items()
    ]
    spec = MergeSpec(axes, tuple(batch_norms))
    spec.sizes(params)
    return spec


def fold_batch_norm(params: ArrayTree, spec: MergeSpec) -> ArrayTree:
    """Folds batch norms into their layers: at inference the network is the same, its norms do nothing.

        kernel' = kernel * f,  f = scale / sqrt(variance + epsilon)
        scale' = 1,  bias' = bias - mean * f,  mean' = 0,  variance' = 1 - epsilon

    The tree keeps its structure. Distances are then those between the channels as the next layer sees them,
    and `merge_pair` leaves folded norms without effect.

    Args:
      params: the tree, running statistics included.
      spec: its merge specification.

    Returns: the tree.
    Raises: ValueError for tensors that do not fit the specification.
    """
    spec.sizes(params)
    leaves, structure = flat(params)
    for norm in spec.norms:
        group = spec.group_of(norm)
        scale, bias, mean, variance = (
            jnp.asarray(leaves[path]) for path in (norm.scale, norm.bias, norm.mean, norm.variance)
        )
        factor = scale / jnp.sqrt(variance + norm.epsilon)
        layer = norm.kernel.rpartition("/")[0]
        for path, axis, role in spec.of(group):
            if isinstance(role, Produced) and path.rpartition("/")[0] == layer:
                leaves[path] = changed(leaves[path], axis, 1, lambda c, f=factor: c * _beside(f, c))
        leaves[norm.scale] = jnp.ones_like(scale)
        leaves[norm.bias] = bias - mean * factor
        leaves[norm.mean] = jnp.zeros_like(mean)
        leaves[norm.variance] = jnp.full_like(variance, 1 - norm.epsilon)
    return structure(leaves)


def flat(params: ArrayTree) -> tuple[dict[str, Any], Callable[[dict[str, Any]], Any]]:
    """({path: leaf}, function of such a dict to the tree)."""
    pairs, structure = jax.tree_util.tree_flatten_with_path(params)
    leaves = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in pairs}
    order = tuple(leaves)
    return leaves, lambda by_path: jax.tree.unflatten(structure, [by_path[path] for path in order])


def channels_first(leaf: Array, axis: int, places: int) -> jax.Array:
    """A tensor with a group's channels before all else: [channels, places, ...]."""
    moved = jnp.moveaxis(jnp.asarray(leaf), axis, 0)
    split = moved.reshape(places, moved.shape[0] // places, *moved.shape[1:])
    return jnp.moveaxis(split, 1, 0)


def changed(
    leaf: Array, axis: int, places: int, change: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """A tensor whose channels [channels, places, ...] went through a function; its type stays."""
    channels = change(channels_first(leaf, axis, places))
    split = jnp.moveaxis(channels, 0, 1)
    moved = split.reshape(split.shape[0] * split.shape[1], *split.shape[2:])
    return jnp.moveaxis(moved, 0, axis).astype(jnp.asarray(leaf).dtype)


def _beside(factor, channels):
    return factor.reshape(-1, *[1] * (channels.ndim - 1))


def _leaf(leaves, path):
    if path not in leaves:
        raise ValueError(f"params must have {path!r}, which spec names, got {', '.join(leaves)}")
    return leaves[path]


def _fits(channels, path, axis, length, role):
    """Notes how many channels an axis has, or refuses it."""
    number = length // role.places if length % role.places == 0 else None
    expected = channels.setdefault(role.group, number)
    if number is None or number != expected:
        raise ValueError(
            f"params must have as many channels of {role.group!r} wherever it is named, {expected}: "
            f"axis {axis} of {path!r} has {length} in {role.places} places"
        )
