"""Clustering metrics: k-means; mutual information, V-measure and adjusted Rand index with classes."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32, unit
from jaxsim.numerics.types import Array, PRNGKey
from jaxsim.similarity import squared_euclidean


class Clusters(NamedTuple):
    """Result of k-means."""

    labels: jax.Array  # int32 [n], the cluster of each row
    centers: jax.Array  # [k, dim]
    inertia: jax.Array  # scalar, the sum of squared distances to the centers


def kmeans(
    embeddings: Array, k: int, *, key: PRNGKey, restarts: int = 3, steps: int = 100
) -> Clusters:
    """k-means (Lloyd's algorithm from k-means++ starts); the start with the least inertia is returned.

    A cluster that loses its last row keeps its center. Memory is O(n * k).

    Args:
      embeddings: [n, dim].
      k: how many clusters, at most n.
      key: a jax.random key.
      restarts: from how many starts.
      steps: at most so many; it ends when no row changes its cluster.

    Returns: `Clusters`.
    Raises: ValueError for k above n, rows that are not finite or whose squares exceed float32.
    Source: Arthur and Vassilvitskii 2007.
    """
    embeddings = at_least_float32(checks.reals("embeddings", embeddings))
    checks.shaped("embeddings", embeddings, (None, None), "one row per example")
    checks.at_most("k", k, embeddings.shape[0], "the number of rows")
    checks.whole("restarts", restarts)
    checks.whole("steps", steps)
    checks.key("key", key)
    checks.finite_rows("embeddings", embeddings, squares=True)
    return _kmeans(embeddings, jax.random.split(key, restarts), k, steps)


def nmi(labels: Array | Sequence[str], clusters: Array | Sequence[str]) -> float:
    """NMI: normalized mutual information of two groupings of the same examples.

        I(labels; clusters) / ((H(labels) + H(clusters)) / 2)

    1 where one is a renaming of the other; 1 too where both put everything in one group. It grows with
    the number of clusters: compare only at equal numbers.

    Args:
      labels, clusters: int [n], or strings.

    Returns: a float from 0 to 1.
    Raises: ValueError for lengths that differ, no examples, labels that are NaN.
    """
    joint = _contingency(labels, clusters)
    if min(joint.shape) == 1:  # one group says nothing of several
        return float(joint.shape[0] == joint.shape[1])
    mutual, of_labels, of_clusters = _information(joint)
    return float(np.clip(2 * mutual / (of_labels + of_clusters), 0, 1))


def v_measure(labels: Array | Sequence[str], clusters: Array | Sequence[str]) -> float:
    """V-measure: the harmonic mean of homogeneity and completeness.

        h = I / H(labels),  c = I / H(clusters),  2 h c / (h + c)

    h is 1 where there is one class alone, c where there is one cluster alone. Otherwise it equals `nmi`.

    Args:
      labels, clusters: int [n], or strings.

    Returns: a float from 0 to 1.
    Raises: ValueError as `nmi`.
    Source: Rosenberg and Hirschberg 2007.
    """
    joint = _contingency(labels, clusters)
    mutual, of_labels, of_clusters = _information(joint)
    homogeneity = mutual / of_labels if joint.shape[0] > 1 else 1.0
    completeness = mutual / of_clusters if joint.shape[1] > 1 else 1.0
    total = homogeneity + completeness
    return float(np.clip(2 * homogeneity * completeness / total, 0, 1)) if total > 0 else 0.0


def adjusted_rand_index(labels: Array | Sequence[str], clusters: Array | Sequence[str]) -> float:
    """Adjusted Rand index (ARI): agreement of two groupings on pairs of examples, corrected for chance.

        (A - E) / ((L + C) / 2 - E),   E = L C / (n (n - 1) / 2)

    A counts the pairs together in both groupings, L and C those together in either. 0 is chance, 1 the same
    grouping; it can be negative. One class in several clusters, and several classes in one, give 0.

    Args:
      labels, clusters: int [n], or strings.

    Returns: a float, at most 1; 1 where both groupings are trivial in the same way.
    Raises: ValueError as `nmi`.
    Source: Hubert and Arabie 1985.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import evaluation
      >>> evaluation.adjusted_rand_index(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
      -0.5
    """
    joint = _contingency(labels, clusters)
    sides = joint, joint.sum(axis=1), joint.sum(axis=0), joint.sum()
    # Python's integers: exact, for any number of pairs.
    together, of_labels, of_clusters, every = (int(np.sum(a * (a - 1) // 2)) for a in sides)
    by_chance = of_labels * of_clusters
    spread = (of_labels + of_clusters) * every - 2 * by_chance
    return 1.0 if spread == 0 else 2 * (together * every - by_chance) / spread


def class_nmi(
    embeddings: Array, labels: Array | Sequence[str], *, key: PRNGKey, restarts: int = 3
) -> float:
    """NMI of classes with k-means clusters of the normalized embeddings, one cluster per class.

    Args:
      embeddings: [n, dim]; rows are normalized.
      labels: int [n], or strings.
      key, restarts: as in `kmeans`.

    Returns: a float from 0 to 1.
    Source: Song et al. 2016 (1511.06452), section 5.
    """
    embeddings, labels = checks.vectors("embeddings", embeddings), checks.names("labels", labels)
    checks.shaped("labels", labels, (len(embeddings),), "one per row of embeddings")
    checks.finite_rows("embeddings", embeddings)
    clusters = kmeans(unit(embeddings), len(np.unique(labels)), key=key, restarts=restarts)
    return nmi(labels, clusters.labels)


def _contingency(labels, clusters):
    """How many examples have each label and cluster: int [labels, clusters]."""
    labels, clusters = checks.names("labels", labels), checks.names("clusters", clusters)
    checks.shaped("labels", labels, (None,), "one per example")
    checks.shaped("clusters", clusters, labels.shape, "one per label")
    if labels.size == 0:
        raise ValueError("labels must not be empty, got 0")
    names, rows = np.unique(labels, return_inverse=True)
    groups, columns = np.unique(clusters, return_inverse=True)
    joint = np.bincount(rows * len(groups) + columns, minlength=len(names) * len(groups))
    return joint.reshape(len(names), len(groups))


def _information(joint):
    """Mutual information and the entropies of both sides, in nats."""
    joint = joint / joint.sum()
    sides = joint.sum(axis=1), joint.sum(axis=0)
    entropies = [-np.sum(p * np.log(p)) for p in sides]
    occupied = joint > 0
    mutual = np.sum(joint[occupied] * np.log(joint[occupied] / np.outer(*sides)[occupied]))
    return mutual, *entropies


@functools.partial(jax.jit, static_argnames=("k", "steps"))
def _kmeans(x, keys, k, steps):
    runs = jax.lax.map(lambda key: _lloyd(x, _spread_out(x, key, k), steps), keys)
    return jax.tree.map(lambda a: a[jnp.argmin(runs.inertia)], runs)


def _spread_out(x, key, k):
    """k-means++: each next center is a row drawn by its squared distance to those before."""
    first, key = jax.random.split(key)
    start = x[jax.random.randint(first, (), 0, x.shape[0])]

    def draw(number, carry):
        centers, nearest = carry
        # Where every row is a center already, log 0 everywhere, any row does.
        row = jax.random.categorical(jax.random.fold_in(key, number), jnp.log(nearest))
        centers = centers.at[number].set(x[row])
        return centers, jnp.minimum(nearest, squared_euclidean(x, x[row][None])[:, 0])

    centers = jnp.zeros((k, x.shape[1]), x.dtype).at[0].set(start)
    nearest = squared_euclidean(x, start[None])[:, 0]
    return jax.lax.fori_loop(1, k, draw, (centers, nearest))[0]


def _lloyd(x, centers, steps):
    def assigned(centers):
        distances = squared_euclidean(x, centers)
        return jnp.argmin(distances, axis=1).astype(jnp.int32), jnp.sum(jnp.min(distances, axis=1))

    def step(carry):
        number, centers, labels, _, _ = carry
        count = jax.ops.segment_sum(jnp.ones_like(x[:, 0]), labels, centers.shape[0])[:, None]
        sums = jax.ops.segment_sum(x, labels, centers.shape[0])
        centers = jnp.where(count > 0, sums / jnp.maximum(count, 1), centers)
        fresh, inertia = assigned(centers)
        return number + 1, centers, fresh, inertia, jnp.any(fresh != labels)

    labels, inertia = assigned(centers)
    start = (0, centers, labels, inertia, jnp.asarray(True))
    _, centers, labels, inertia, _ = jax.lax.while_loop(
        lambda carry: carry[4] & (carry[0] < steps), step, start
    )
    return Clusters(labels, centers, inertia)
