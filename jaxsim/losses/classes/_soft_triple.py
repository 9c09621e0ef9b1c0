"""Classes of several centers: an example is near its class where it is near one of them.

    embeddings [batch, dim], labels [batch], centers [classes, centers, dim] -> loss

Labels are places in the classes. Centers are parameters like any others, the same on every device.
"""

import functools

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._classes import eased_cross_entropy, over_classes
from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.classes._arcface import at_wider_angle
from jaxsim.numerics import checks
from jaxsim.numerics._reductions import mean
from jaxsim.similarity import cosine


@checked
def sub_center_arcface(
    embeddings,
    labels,
    centers,
    *,
    margin=0.5,
    temperature=1 / 64,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """`arcface` with several centers for a class, of which the nearest counts.

        S_ic = max_k cos(x_i, w_ck) in place of cos(x_i, w_c)

    Wrong labels gather at centers of their own. Counts all examples. Centers that
    tie share the slope.

    Args:
      embeddings: [batch, dim].
      labels: int [batch], places in `centers`; beyond them as in `normalized_softmax`.
      centers: [classes, centers, dim]; 3 centers in the paper.
      margin: in radians, 0 to pi; 0.5 is the paper, 28.6 degrees.
      temperature: divides the cosines, > 0; the inverse of the paper's scale of 64. May be traced.
      block: examples per block of scores, of which each has classes x centers.
      the rest: as in `normalized_softmax`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `normalized_softmax`.
    Source: Deng et al. 2020, "Sub-center ArcFace: Boosting Face Recognition by Large-scale Noisy Web
    Faces".
    Data: labels.
    Kind: proxies; memory block x classes x centers.
    """
    return over_classes(
        eased_cross_entropy(lambda cosines: at_wider_angle(cosines, margin), temperature),
        embeddings,
        labels,
        matrix("centers", centers, "some per class", axes=3),
        name="centers",
        similarity=nearest_center,
        where=where,
        weights=weights,
        axis_name=axis_name,
        block=block,
        reduce_fn=reduce_fn,
    )


@checked
def soft_triple(
    embeddings,
    labels,
    centers,
    *,
    margin=0.01,
    temperature=1 / 20,
    center_temperature=0.1,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """`cosface` with several centers for a class, of which the near ones count, softly.

        S_ic = sum_k q_k cos(x_i, w_ck),   q = softmax over k of cos(x_i, w_ck) / center_temperature
        value_i = log(exp((S_iy - margin) / temperature) + sum_{c != y} exp(S_ic / temperature))
                - (S_iy - margin) / temperature

    Counts all examples. The paper adds 0.2 times `sparse_centers`.

    Args:
      embeddings: [batch, dim].
      labels: int [batch], places in `centers`; beyond them as in `normalized_softmax`.
      centers: [classes, centers, dim]; 10 centers in the paper.
      margin: in cosine; 0.01 is the paper.
      temperature: divides the class's similarity, > 0; the inverse of the paper's lambda of 20.
      center_temperature: divides the centers' cosines, > 0; the paper's gamma.
      block: examples per block of scores, of which each has classes x centers.
      the rest: as in `normalized_softmax`.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `normalized_softmax`.
    Source: Qian et al. 2019 (1909.05235), the SoftTriple loss.
    Data: labels.
    Kind: proxies; memory block x classes x centers.
    """
    checks.positive("center_temperature", center_temperature)
    return over_classes(
        eased_cross_entropy(lambda cosines: cosines - margin, temperature),
        embeddings,
        labels,
        matrix("centers", centers, "some per class", axes=3),
        name="centers",
        similarity=functools.partial(soft_nearest_center, temperature=center_temperature),
        where=where,
        weights=weights,
        axis_name=axis_name,
        block=block,
        reduce_fn=reduce_fn,
    )


def nearest_center(x, centers):
    """The cosine with a class's nearest center.

    x [n, dim], centers [m, centers, dim] -> [n, m]
    """
    return jnp.max(_to_centers(x, centers), axis=1)


def soft_nearest_center(x, centers, *, temperature):
    """The mean cosine with a class's centers, weighed by a softmax of the cosines.

    x [n, dim], centers [m, centers, dim] -> [n, m]
    """
    cosines = _to_centers(x, centers)
    return jnp.sum(jax.nn.softmax(cosines / temperature, axis=1) * cosines, axis=1)


def _to_centers(x, centers):
    """Cosines [n, centers, m]: the classes along the last axis, where a few centers would be slow."""
    classes, each, dim = centers.shape
    rows = jnp.swapaxes(centers, 0, 1).reshape(each * classes, dim)
    return cosine(x, rows).reshape(len(x), each, classes)
