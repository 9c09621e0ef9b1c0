"""Proxy-Anchor: each learned vector of a class against the whole batch.

embeddings [batch, dim], labels [batch], proxies [classes, dim] -> loss
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import EVERY, sharing
from jaxsim.losses._lift._labeled import labeled, matrix, of_classes
from jaxsim.losses._lift._lifters import over_labels
from jaxsim.numerics import checks
from jaxsim.numerics._devices import gather
from jaxsim.numerics.masked import log_one_plus_sum_exp
from jaxsim.numerics.types import Array, Numeric


@over_labels
def _each_proxy(scores, positives, where, *, margin, temperature):
    pulls = log_one_plus_sum_exp((margin - scores) / temperature, positives)
    pushes = log_one_plus_sum_exp((margin + scores) / temperature, where & ~positives)
    return [(pulls, positives.any(axis=1)), (pushes, jnp.ones_like(pushes))]


# Not under `over_classes`: its values are of proxies, over the whole batch, so that rows have no weights.
@sharing(_each_proxy, only=EVERY, without=["weights"])
def proxy_anchor(
    embeddings: Array,
    labels: Array,
    proxies: Array,
    *,
    margin: Numeric = 0.1,
    temperature: Numeric = 1 / 32,
    **shared: Any,
) -> jax.Array:
    """Proxy-Anchor: each proxy pulls its own examples and pushes the others, hardest first.

        1 / (classes in the batch) sum_c log(1 + sum_{i in c} exp(-(S_ic - margin) / temperature))
        + 1 / classes              sum_c log(1 + sum_{i not in c} exp((S_ic + margin) / temperature))

    S is the cosine. Counts, on the first side, the classes that have an example in the batch, on the
    second all of them. The devices share the proxies among them: a block is of proxies, and so are the
    values that `reduce_fn` gets, of each side separately. A similarity must be symmetric.

    Args:
      embeddings: [batch, dim].
      labels: int [batch], places in `proxies`; beyond them as in `normalized_softmax`.
      proxies: [classes, dim], parameters, the same on every device.
      margin: in cosine; 0.1 is the paper.
      temperature: divides the cosines, > 0; the inverse of the paper's alpha of 32. May be traced.

    Source: Kim et al. 2020 (2003.13911), equation 4.
    Data: labels.
    Kind: proxies; memory block of classes x batch.
    """
    checks.positive("temperature", temperature)
    where, axis_name = shared["where"], shared["axis_name"]
    proxies = matrix("proxies", proxies, "one row per class")
    embeddings, labels = of_classes(embeddings, labels, len(proxies), "proxies", where)
    batch = gather(labeled(embeddings, labels, where, axis_name), axis_name)
    own_proxies, classes, exist = _share(proxies, axis_name)
    return _each_proxy(
        own_proxies,
        classes,
        references=batch.embeddings,
        reference_labels=batch.keys,
        reference_where=batch.where,
        margin=margin,
        temperature=temperature,
        **(shared | {"where": exist}),
    )


def _share(proxies, axis_name):
    """This device's proxies, their classes, and which of them exist: the last share is padded."""
    count = len(proxies)
    devices = 1 if axis_name is None else jax.lax.axis_size(axis_name)
    share = -(-count // devices)
    first = 0 if axis_name is None else share * jax.lax.axis_index(axis_name)
    padded = jnp.pad(proxies, ((0, share * devices - count), (0, 0)))
    classes = first + jnp.arange(share)
    return jax.lax.dynamic_slice_in_dim(padded, first, share), classes, classes < count
