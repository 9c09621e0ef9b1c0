"""Norm ratio: the image with more of the content has the longer vector.

larger [batch, dim], smaller [batch, dim] -> loss
embeddings [batch, dim], groups [batch], content [batch] -> loss
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import EVERY, sharing
from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.losses.labels._supervised_contrastive import supervised_contrastive
from jaxsim.numerics import checks, masked
from jaxsim.numerics._norms import safe_norm
from jaxsim.numerics.types import Array, Loss, Numeric
from jaxsim.similarity import cosine


def log_norms(vectors):
    """Logarithms of norms; a zero vector counts as the smallest normal number."""
    norms = safe_norm(vectors)
    return jnp.log(jnp.maximum(norms, jnp.finfo(norms.dtype).tiny))


@over_examples(axes="batch, dim")
def norm_ratio(larger: Array, smaller: Array) -> jax.Array:
    """Norm-ratio loss: the whole's embedding must be longer than its part's.

        value_i = exp(1 - |larger_i| / |smaller_i|)

    1 for equal norms, from 0 to e; without a margin. The gradient is radial: it turns no vector, and
    that of a loss of cosines changes no norm.

    Args:
      larger: [batch, dim], not normalized, of what has more of the content.
      smaller: [batch, dim], of what may be a copy of it.

    Source: ASL, Wang et al. 2023 (2205.12358), from its released code.
    Data: pairs.
    """
    return jnp.exp(1 - jnp.exp(log_norms(larger) - log_norms(smaller)))


def log_ratio_of_larger(mine, theirs):
    """log |mine| - log |theirs| where mine has more content, else -inf."""
    ratios = log_norms(mine["vectors"])[:, None] - log_norms(theirs["vectors"])[None]
    ahead = mine["content"][:, None] - theirs["content"][None]
    ratios = jnp.where(jnp.isnan(ahead), jnp.nan, ratios)
    return jnp.where(ahead <= 0, -jnp.inf, ratios)  # NaN is not: it stays


def smaller_partners(scores, positives, where):
    """How many others of its group have less content: [rows]."""
    count = (positives & ~(scores == -jnp.inf)).sum(axis=1).astype(scores.dtype)
    return count, jnp.ones_like(count)


@over_labels(similarity=log_ratio_of_larger, first=smaller_partners)
def _within_groups(scores, positives, where, mine, theirs):
    pairs = positives & ~(scores == -jnp.inf)
    ratios = jnp.exp(jnp.where(pairs, scores, 0))
    values = masked.mean(jnp.exp(1 - ratios), pairs)
    count = mine[:, 0]
    of_group = count + masked.sum(jnp.broadcast_to(theirs, positives.shape), positives)
    return values, count / jnp.maximum(of_group, 1)


@sharing(_within_groups, only=("where", "weights", "axis_name", "block", "reduce_fn"))
def grouped_norm_ratio(
    embeddings: Array, groups: Array, content: Array, **shared: Any
) -> jax.Array:
    """Norm-ratio loss of all pairs within groups: of the views of an image the fuller one is longer.

        mean over groups of the mean over pairs with content_a > content_b of exp(1 - |a| / |b|)

    Groups without such a pair do not count. The released code draws one pair of each group, up to five
    times until their contents differ; this is its expectation, except for groups that tie five times.

    Args:
      embeddings: [batch, dim], not normalized.
      groups: int [batch], the image that a row is a view of.
      content: float [batch], how much of the image it keeps, 1 the whole.

    Source: ASL, Wang et al. 2023 (2205.12358), from its released code.
    Data: labels.
    """
    embeddings = matrix("embeddings", embeddings, "one row per view")
    groups = checks.column("groups", groups, len(embeddings), "one per row of embeddings")
    content = checks.reals("content", content)
    checks.shaped("content", content, embeddings.shape[:1], "one per row of embeddings")
    tree = {"vectors": embeddings, "content": content}
    return _within_groups(tree, groups, **shared)


@sharing(supervised_contrastive, only=EVERY, without=("similarity",))
def asl(
    embeddings: Array,
    labels: Array,
    content: Array,
    *,
    weight: Numeric = 1.0,
    loss: Loss = supervised_contrastive,
    **shared: Any,
) -> jax.Array:
    """Asymmetric-similarity learning (ASL): angles for the same content, norms for which image is a copy of which.

        loss(embeddings, labels) + weight grouped_norm_ratio(embeddings, labels, content)

    Hard negatives, such as the whole of which a reference is a part, have their image's label: they are
    pulled in angle, and only norms distinguish them from copies. `similarity.asymmetric_cosine` searches.

    Args:
      embeddings: [batch, dim], not normalized.
      labels: int [batch], the image that a row is a view of.
      content: float [batch], how much of the image it keeps, 1 the whole.
      weight: of the norm ratios, >= 0; the paper's is not published.
      loss: of the angles, (embeddings, labels, *, where, ...) on cosines.

    Source: ASL, Wang et al. 2023 (2205.12358); its loss of angles is not published.
    Data: labels.
    Kind: composition; memory block x batch.
    """
    checks.not_negative("weight", weight)
    reduce_fn = shared.pop("reduce_fn")
    of_angles = loss(embeddings, labels, similarity=cosine, reduce_fn=reduce_fn, **shared)
    of_norms = grouped_norm_ratio(embeddings, labels, content, reduce_fn=reduce_fn, **shared)
    if reduce_fn is None:
        return of_angles, of_norms
    return of_angles + weight * of_norms
