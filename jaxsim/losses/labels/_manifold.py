"""Manifold loss: similarity along random walks through the batch.

embeddings [batch, dim], labels [batch], proxies [classes, dim] -> loss
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._labeled import labeled, matrix, of_classes
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks, masked
from jaxsim.numerics._devices import gathered
from jaxsim.numerics._norms import at_least_float32, unit
from jaxsim.numerics.types import Array, Numeric
from jaxsim.similarity import cosine


@checked
def manifold(
    embeddings: Array,
    labels: Array,
    proxies: Array,
    *,
    alpha: Numeric = 0.8,
    margin: Numeric = 5e-4,
    context_weight: Numeric = 1.0,
    temperature: Numeric = 0.5,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Manifold loss: each example nearer to its class's proxy than to others, along walks through the batch.

        F = (1 - alpha) (I - alpha D^-1/2 S D^-1/2)^-1,   over examples and proxies together
        S_ab = exp([cos(a, b)]+ / temperature) off the diagonal, D its row sums
        loss = hard(F_ip) + context_weight hard(cos(F_i, F_p))
        hard(A) = mean over i of  log(1 + sum exp(A_ip - A_iy + margin)),
                  over the proxies p other than y, i's own, with A_ip >= A_iy - margin

    F_ip is how much of a walk that restarts with probability 1 - alpha joins i with p; two rows of F
    are equal where two points are seen equally by all others. A proxy leaves the sum once it is beyond the
    margin, and the value jumps there. Counts all examples.

    All rows are gathered, and every device inverts one matrix of (batch + classes)^2 entries: for
    batches of up to a few thousand.

    Args:
      embeddings: [batch, dim].
      labels: int [batch], places in `proxies`: groups of classes, or drawn where there are none.
      proxies: [classes, dim], parameters like any others, the same on every device.
      alpha: how far walks go, between 0 and 1; may be traced. 0.8 is pytorch-metric-learning.
      margin: in units of F, and of a cosine; 5e-4 is pytorch-metric-learning.
      context_weight: of the second term, >= 0; 0 is the intrinsic loss alone.
      temperature: divides the cosines, > 0; 0.5 is pytorch-metric-learning.
      where: bool [batch], False for padding.
      axis_name: the named axis over which the batch is split.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, labels that are not integers, an unbound axis.
    Source: Aziere and Todorovic 2019, "Ensemble Deep Manifold Similarity Learning using Hard Proxies",
    as ManifoldLoss of pytorch-metric-learning reads it.
    Data: labels, unlabeled.
    Kind: batch statistics; memory (batch + classes) x (batch + classes).
    """
    checks.positive("temperature", temperature)
    checks.not_negative("context_weight", context_weight)
    checks.probability("alpha", alpha)
    proxies = matrix("proxies", proxies, "one row per class")
    embeddings, labels = of_classes(embeddings, labels, len(proxies), "proxies", where)
    batch = labeled(embeddings, labels, where, axis_name)
    checks.shaped("proxies", proxies, (None, batch.embeddings.shape[1]), "as wide as embeddings")

    def whole(x, y, where):
        of_class = (y[:, None] == jnp.arange(len(proxies))) & where[:, None]
        rows = jnp.concatenate([unit(x), unit(proxies)])
        mask = jnp.concatenate([where, jnp.ones(len(proxies), bool)])
        walks = _walks(rows, mask, alpha, temperature)
        of_examples, of_proxies = walks[: len(x)], walks[len(x) :]
        reached = of_examples[:, len(x) :]
        value = _hard(reached, of_class, margin)
        contexts = cosine(of_examples, of_proxies)
        return value + context_weight * _hard(contexts, of_class, margin)

    return gathered(whole)(batch.embeddings, batch.keys, batch.where, axis_name=axis_name)


def _walks(rows, mask, alpha, temperature):
    """F of rows of norm 1, [n, n]; what is not kept is joined with nothing."""
    edges = mask[:, None] & mask & ~jnp.eye(len(rows), dtype=bool)
    closeness = jnp.exp(jnp.maximum(cosine(rows, rows), 0) / temperature)
    closeness = jnp.where(edges, closeness, 0)
    degrees = jnp.sum(closeness, axis=1)
    joined = degrees > 0
    scales = jnp.where(joined, 1 / jnp.sqrt(jnp.where(joined, degrees, 1)), 0)
    steps = scales[:, None] * closeness * scales
    same = jnp.eye(len(rows), dtype=steps.dtype)
    return (1 - alpha) * jnp.linalg.inv(same - alpha * steps)


def _hard(scores, of_class, margin):
    """log(1 + sum exp) over the proxies that come within the margin of the class's own, averaged."""
    excess = at_least_float32(scores) - masked.sum(scores, of_class)[:, None] + margin
    counted = of_class.any(axis=1)
    hard = ~of_class & ~(excess < 0) & counted[:, None]
    values = masked.log_one_plus_sum_exp(excess, hard)
    return jnp.sum(values) / jnp.maximum(jnp.sum(counted), 1)
