"""Soups and fusion: several trained copies of one network become one, tensor by tensor."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.merging._spec import flat
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, ArrayTree

UNITS = ("model", "layer", "tensor", "element")


def soup(trees: Sequence[ArrayTree], *, weights: Array | None = None) -> ArrayTree:
    """Model soup: the weighted mean of parameter trees, computed in float64.

    Tensors that are not of floating point, such as counters, must be the same in all trees.

    Args:
      trees: one or more trees of the same tensors.
      weights: [trees], >= 0 with a sum above 0; divided by their sum. None: all count the same.

    Returns: the tree, of the first one's types.
    Raises: ValueError naming the tensor in which trees differ in structure, shape or type, and for weights
    that do not fit.
    Source: Wortsman et al. 2022 (2203.05482), the uniform soup.
    """
    leaves, structure = _leaves("trees", trees)
    shares = _shares("weights", weights, len(leaves))
    return structure({path: _mixed(path, leaves, shares) for path in leaves[0]})


def fuse(
    base: ArrayTree,
    trees: Sequence[ArrayTree],
    *,
    unit: str = "tensor",
    power: float = 1.0,
    prior: Array | None = None,
) -> ArrayTree:
    """Delta-guided fusion: checkpoints of one start are mixed by how far each moved from it, unit by unit.

        theta_u = base_u + sum_k a_ku (theta_ku - base_u),   a_ku ~ prior_k |theta_ku - base_u|^power

    Power 1 trusts the larger move, -1 the smaller; 0 is the soup. Where none moved, the prior decides; with a
    negative power those that did not move share all of it.

    Args:
      base: the tree that all started from.
      trees: the checkpoints, one or more.
      unit: what a distance is taken over: "tensor"; "layer", the tensors of one parent; "model"; "element".
      power: of the distances, finite.
      prior: [trees], >= 0 with a sum above 0, such as validation figures; None: all the same.

    Returns: the tree, of the base's types; in every element between the smallest and largest checkpoint.
    Raises: as `soup`.
    Source: Zhang et al. 2025 (2508.11442) for the idea; the formula is ours.
    """
    checks.one_of("unit", unit, UNITS)
    checks.finite("power", power)
    leaves, structure = _leaves("trees", [base, *trees], least=2)
    start, *copies = leaves
    shares = _shares("prior", prior, len(copies))
    moved = {
        path: np.stack([_double(copy[path]) - _double(start[path]) for copy in copies])
        for path in start
        if _floating(start[path])
    }
    lengths = {}
    for path, members in _units(moved, unit).items():
        if unit == "element":
            lengths[path] = np.abs(moved[path])
            continue
        squares = [np.sum(moved[name] ** 2, axis=_beyond(moved[name])) for name in members]
        lengths[path] = np.sqrt(sum(squares))
    fused = {}
    for path in start:
        if path not in moved:
            fused[path] = _mixed(path, copies, shares)
            continue
        portions = _portions(lengths[_unit_of(path, unit)], shares, power)
        portions = portions.reshape(*portions.shape, *[1] * (moved[path].ndim - portions.ndim))
        value = _double(start[path]) + np.sum(portions * moved[path], axis=0)
        fused[path] = jnp.asarray(value.astype(np.asarray(start[path]).dtype))
    return structure(fused)


def _portions(lengths, shares, power):
    """Weights [trees, ...] that sum to 1: shares * lengths ** power, without overflow at 0."""
    shares = shares.reshape(-1, *[1] * (lengths.ndim - 1))
    if power == 0:
        return np.broadcast_to(shares, lengths.shape)
    extreme = np.max(lengths, axis=0) if power > 0 else np.min(lengths, axis=0)
    # Relative to the length that counts most: one of 0 then counts 0, or alone at a negative power.
    ratio = np.where(lengths == extreme, 1.0, 0.0)
    usable = (extreme > 0) & (lengths > 0)
    ratio = np.where(
        usable, (np.where(usable, lengths, 1) / np.where(usable, extreme, 1)) ** power, ratio
    )
    portions = shares * ratio
    total = portions.sum(axis=0)
    uniform = np.broadcast_to(shares, lengths.shape)
    return np.where(total > 0, portions / np.where(total > 0, total, 1), uniform)


def _unit_of(path, unit):
    return {"model": "", "layer": path.rpartition("/")[0]}.get(unit, path)


def _units(moved, unit):
    """{unit: paths of its tensors}"""
    paths = {}
    for path in moved:
        paths.setdefault(_unit_of(path, unit), []).append(path)
    return paths


def _mixed(path, leaves, shares):
    """The weighted mean of one tensor, in its type."""
    first = np.asarray(leaves[0][path])
    if not _floating(first):
        for number, other in enumerate(leaves):
            if not np.array_equal(first, np.asarray(other[path])):
                raise ValueError(
                    f"trees must be equal where they are not floats, number {number} differs from the "
                    f"first at {path!r}"
                )
        return leaves[0][path]
    total = sum(share * _double(leaf[path]) for share, leaf in zip(shares, leaves, strict=True))
    return jnp.asarray(total.astype(first.dtype))


def _leaves(name, trees, least=1):
    """(list of {path: leaf}, function of such a dict to the tree); refuses trees that differ."""
    pairs = [flat(tree) for tree in trees]
    if len(pairs) < least:
        raise ValueError(f"{name} must hold one tree at least, got none")
    first = pairs[0][0]
    for number, (leaves, _) in enumerate(pairs):
        if missing := sorted(set(first) ^ set(leaves)):
            raise ValueError(
                f"{name} must have the same tensors, number {number} and the first differ at {missing[0]!r}"
            )
        for path, leaf in leaves.items():
            if isinstance(leaf, jax.core.Tracer):
                raise ValueError(f"{name} must be known, {path!r} is traced: mix outside of jit")
            one, other = ((np.shape(a), str(np.asarray(a).dtype)) for a in (leaf, first[path]))
            if one != other:
                raise ValueError(
                    f"{name} must have the same shapes and types, number {number} has {one} at {path!r} "
                    f"and the first {other}"
                )
    return [leaves for leaves, _ in pairs], pairs[0][1]


def _shares(name, weights, count):
    """Weights [count] that sum to 1."""
    if weights is None:
        return np.full(count, 1 / count)
    values = np.asarray(checks.host_reals(name, weights), np.float64)
    checks.shaped(name, values, (count,), "one per tree")
    if not np.isfinite(values).all() or (values < 0).any() or values.sum() <= 0:
        raise ValueError(f"{name} must be >= 0 with a sum above 0, got {checks.shown(weights)}")
    return values / values.sum()


def _floating(leaf):
    return jnp.issubdtype(np.asarray(leaf).dtype, jnp.floating)


def _double(leaf):
    return np.asarray(leaf).astype(np.float64)


def _beyond(array):
    return tuple(range(1, array.ndim))
