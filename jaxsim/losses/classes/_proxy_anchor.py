"""Proxy-Anchor: each learned vector of a class against the whole batch.

    embeddings [batch, dim], labels [batch], proxies [classes, dim] -> loss

Labels are places in the proxies. Proxies are parameters like any others, the same on every device.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._labeled import labeled, matrix, of_classes
from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses._lift._settings import checked
from jaxsim.numerics import checks
from jaxsim.numerics._devices import gather
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.masked import log_one_plus_sum_exp
from jaxsim.similarity import cosine


@checked
def proxy_anchor(
    embeddings,
    labels,
    proxies,
    *,
    margin=0.1,
    temperature=1 / 32,
    similarity=cosine,
    where=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """Proxy-Anchor: each proxy pulls its own examples and pushes the others, hardest first.

        1 / (classes in the batch) sum_c log(1 + sum_{i in c} exp(-(S_ic - margin) / temperature))
        + 1 / classes              sum_c log(1 + sum_{i not in c} exp((S_ic + margin) / temperature))

    S is the cosine. Counts, on the first side, the classes that have an example in the batch, on the
    second all of them. The devices share the proxies among them. It is not under `over_classes` since
    values are of proxies, over the whole batch, and not of examples.

    Args:
      embeddings: [batch, dim].
      labels: int [batch], places in `proxies`; beyond them as in `normalized_softmax`.
      proxies: [classes, dim].
      margin: in cosine; 0.1 is the paper.
      temperature: divides the cosines, > 0; the inverse of the paper's alpha of 32. May be traced.
      similarity: (x [n, dim], y [m, dim]) -> scores [n, m], symmetric; larger is closer.
      where: bool [batch], False for padding.
      axis_name: the named axis over which the batch is split.
      block: proxies per block of scores; None chooses it from the sizes.
      reduce_fn: (values, weights, axis_name) -> loss, of each side separately, whose values are a device's
        proxies; None returns both sides.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an axis that is not bound, a block below 1.
    Source: Kim et al. 2020 (2003.13911), equation 4.
    Data: labels.
    Kind: proxies; memory block of classes x batch.
    """
    checks.positive("temperature", temperature)
    proxies = matrix("proxies", proxies, "one row per class")
    embeddings, labels = of_classes(embeddings, labels, len(proxies), "proxies", where)
    batch = gather(labeled(embeddings, labels, where, axis_name), axis_name)
    mine, classes, kept = _share(proxies, axis_name)
    return _each_proxy(
        mine,
        classes,
        references=batch.embeddings,
        reference_labels=batch.keys,
        reference_where=batch.where,
        margin=margin,
        temperature=temperature,
        similarity=similarity,
        where=kept,
        axis_name=axis_name,
        block=block,
        reduce_fn=reduce_fn,
    )


@over_labels
def _each_proxy(scores, positives, where, *, margin, temperature):
    pulls = log_one_plus_sum_exp((margin - scores) / temperature, positives)
    pushes = log_one_plus_sum_exp((margin + scores) / temperature, where & ~positives)
    return [(pulls, positives.any(axis=1)), (pushes, jnp.ones_like(pushes))]


def _share(proxies, axis_name):
    """This device's proxies, their classes, and which of them are there: the last share is padded."""
    count = len(proxies)
    devices = 1 if axis_name is None else jax.lax.axis_size(axis_name)
    share = -(-count // devices)
    first = 0 if axis_name is None else share * jax.lax.axis_index(axis_name)
    padded = jnp.pad(proxies, ((0, share * devices - count), (0, 0)))
    classes = first + jnp.arange(share)
    return jax.lax.dynamic_slice_in_dim(padded, first, share), classes, classes < count
