"""Iterative feature merging in plain NumPy, float64, from its equations: widths shrink, as on paper.

A network is {path: array}; `axes` is {path: (None, ("out", group) or ("in", group, places), ...)}; a batch
norm is (group, {"scale": path, "bias": path, "mean": path, "var": path}, epsilon).
"""

import numpy as np


def slices(array, axis, places):
    """List of a group's channels, each an array [places, ...]."""
    moved = np.moveaxis(array, axis, 0)
    count = len(moved) // places
    return [moved[i::count] for i in range(count)]


def from_slices(channels, axis):
    """The inverse."""
    places = len(channels[0])
    rows = [channel[place] for place in range(places) for channel in channels]
    return np.moveaxis(np.stack(rows), 0, axis)


def members(axes, group):
    for path, roles in axes.items():
        for axis, role in enumerate(roles):
            if role is not None and role[1] == group:
                yield path, axis, role[0], (role[2] if role[0] == "in" else 1)


def features(net, axes, group, consumed=True, sizes=None):
    """F [n, m]."""
    parts = []
    for path, axis, side, places in members(axes, group):
        if net[path].ndim >= 2 and (consumed or side == "out"):
            part = np.stack([c.ravel() for c in slices(net[path], axis, places)])
            if sizes is not None and side == "out":
                part = part / np.asarray(sizes, float)[:, None]
            parts.append(part)
    return np.concatenate(parts, axis=1)


def distances(rows):
    n = len(rows)
    d2 = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            d2[i, j] = np.sum((rows[i] - rows[j]) ** 2)
    return d2


def merged_pair(net, axes, norms, group, i, j, sizes, released=False):
    """(network, sizes): channels i < j leave, the new one goes to the end."""

    def replaced(values, new):
        return [v for k, v in enumerate(values) if k not in (i, j)] + [new]

    net = dict(net)
    for path, axis, side, places in members(axes, group):
        c = slices(net[path], axis, places)
        if side == "out":
            new = c[i] + c[j]
        else:
            new = (sizes[i] * c[i] + sizes[j] * c[j]) / (sizes[i] + sizes[j])
        net[path] = from_slices(replaced(c, new), axis)
    for of, paths, eps in norms:
        if of != group:
            continue
        for name, path in paths.items():
            v = net[path]
            new = v[i] + v[j]
            if name == "var" and not released:
                new = (np.sqrt(v[i] + eps) + np.sqrt(v[j] + eps)) ** 2 - eps
            net[path] = np.array(replaced(list(v), new))
    return net, replaced(list(sizes), sizes[i] + sizes[j])


def merged(net, axes, norms=(), *, beta, max_ratio=1.0, released=False, kind="all"):
    """({path: array}, {group: clusters}): the released loop, without its crash on ties."""
    groups = dict.fromkeys(r[1] for roles in axes.values() for r in roles if r is not None)
    clusters, rounds, limits = {}, 0, {}
    for group in groups:
        path, axis, _, places = next(members(axes, group))
        count = net[path].shape[axis] // places
        clusters[group] = [[i] for i in range(count)]
        limits[group] = max_ratio * count
    while True:
        merges = 0
        for group in groups:
            held = clusters[group]
            if rounds >= limits[group] or len(held) < 2:
                continue
            sizes = [len(c) for c in held]
            rows = features(
                net, axes, group, kind != "incoming", sizes if kind == "by_size" else None
            )
            d2 = distances(rows)
            upper = np.where(np.triu(np.ones_like(d2), 1) > 0, d2, np.inf)
            i, j = np.unravel_index(np.argmin(upper), d2.shape)
            if d2[i, j] <= beta * d2.max():
                net, _ = merged_pair(net, axes, norms, group, i, j, sizes, released)
                clusters[group] = [c for k, c in enumerate(held) if k not in (i, j)]
                clusters[group].append(held[i] + held[j])
                merges += 1
        rounds += 1
        if not merges:
            return net, clusters


def by_smallest_member(net, axes, norms, clusters):
    """The network with its channels in the order of their smallest members."""
    net = dict(net)
    for group, found in clusters.items():
        order = np.argsort([min(c) for c in found])
        for path, axis, _, places in members(axes, group):
            c = slices(net[path], axis, places)
            net[path] = from_slices([c[k] for k in order], axis)
        for of, paths, _ in norms:
            if of == group:
                for path in paths.values():
                    net[path] = net[path][order]
    return net
