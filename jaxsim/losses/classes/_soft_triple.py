"""Softmax classification with several centers per class: SoftTriple and sub-center ArcFace.

embeddings [batch, dim], labels [batch], centers [classes, centers, dim] -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._classes import over_classes
from jaxsim.losses.classes._arcface import at_wider_angle
from jaxsim.losses.classes._normalized_softmax import eased_softmax
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Numeric, RuleResult
from jaxsim.similarity import cosine


def nearest_center(x: Array, centers: Array) -> jax.Array:
    """The cosine with a class's nearest center.

    x [n, dim], centers [m, centers, dim] -> [n, m]
    """
    return jnp.max(_to_centers(x, centers), axis=1)


def soft_nearest_center(
    x: Array, centers: Array, *, center_temperature: Numeric = 0.1
) -> jax.Array:
    """The mean cosine with a class's centers, weighted by a softmax of the cosines.

    x [n, dim], centers [m, centers, dim] -> [n, m]
    """
    checks.positive("center_temperature", center_temperature)
    cosines = _to_centers(x, centers)
    return jnp.sum(jax.nn.softmax(cosines / center_temperature, axis=1) * cosines, axis=1)


def _to_centers(x, centers):
    """Cosines [n, centers, m]: the classes along the last axis, where a few centers would be slow."""
    classes, each, dim = centers.shape
    rows = jnp.swapaxes(centers, 0, 1).reshape(each * classes, dim)
    return cosine(x, rows).reshape(len(x), each, classes)


@over_classes(classes="centers", centers=True, similarity=nearest_center)
def sub_center_arcface(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    margin: Numeric = 0.5,
    temperature: Numeric = 1 / 64,
) -> RuleResult:
    """Sub-center ArcFace: `arcface` with several centers per class, of which the nearest counts.

        S_ic = max_k cos(x_i, w_ck) in place of cos(x_i, w_c)

    Wrong labels gather at separate centers; the paper has 3 for each class. Counts all examples. Centers
    that tie share the slope.

    Args:
      margin: in radians, 0 to pi; 0.5 is the paper, 28.6 degrees.
      temperature: divides the cosines, > 0; the inverse of the paper's scale of 64. May be traced.

    Source: Deng et al. 2020, "Sub-center ArcFace: Boosting Face Recognition by Large-scale Noisy Web
    Faces".
    Data: labels.
    Memory: block x classes x centers.
    """
    return eased_softmax(
        lambda cosines: at_wider_angle(cosines, margin), scores, positives, where, temperature
    )


@over_classes(
    classes="centers",
    centers=True,
    similarity=soft_nearest_center,
    of_similarity=("center_temperature",),
)
def soft_triple(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    margin: Numeric = 0.01,
    temperature: Numeric = 1 / 20,
) -> RuleResult:
    """SoftTriple: `cosface` with several centers per class, of which the near ones count, softly.

        S_ic = sum_k q_k cos(x_i, w_ck),   q = softmax over k of cos(x_i, w_ck) / center_temperature
        value_i = log(exp((S_iy - margin) / temperature) + sum_{c != y} exp(S_ic / temperature))
                - (S_iy - margin) / temperature

    Counts all examples. The paper has 10 centers per class and adds 0.2 times `sparse_centers`.

    Args:
      margin: in cosine; 0.01 is the paper.
      temperature: divides the class's similarity, > 0; the inverse of the paper's lambda of 20.
      center_temperature: divides the centers' cosines, > 0; the paper's gamma.

    Source: Qian et al. 2019 (1909.05235), the SoftTriple loss.
    Data: labels.
    Memory: block x classes x centers.
    """
    return eased_softmax(lambda cosines: cosines - margin, scores, positives, where, temperature)
