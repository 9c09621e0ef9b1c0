"""Multi-class N-pair loss.

embeddings [batch, dim], labels [batch] -> loss
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import EVERY, sharing
from jaxsim.losses._lift._labeled import labeled
from jaxsim.losses._lift._lifters import over_pairs
from jaxsim.losses.pairs._info_nce import info_nce
from jaxsim.numerics import checks
from jaxsim.numerics._devices import gather, row_ids
from jaxsim.numerics.types import Array
from jaxsim.similarity import dot

_of_products = over_pairs(info_nce.rule, similarity=dot)


@sharing(_of_products, only=EVERY)
def n_pairs(embeddings: Array, labels: Array, **shared: Any) -> jax.Array:
    """N-pair loss: the first example of each class picks its second among the seconds of all classes.

        value_c = log sum_{c'} exp(a_c . b_c') - a_c . b_c
        a_c, b_c: the first two rows of class c

    As in the paper, further rows of a class take no part: half the rows at most against as many, a quarter
    of the scores of other losses. Counts the classes that have two rows; a class has the weight of its
    first row, and values are of classes, [(batch + 1) // 2], not of rows. Raw inner products; the paper
    adds a penalty on the norms of the embeddings, which is yours to add. On cosines it is weak without a
    temperature: then take `info_nce`, the same loss of explicit pairs.

    Args:
      embeddings: [batch, dim].
      labels: int [batch].

    Source: Sohn 2016, the multi-class N-pair loss.
    Data: labels.
    Memory: block x references.
    """
    axis_name, weights = shared["axis_name"], shared["weights"]
    rows = labeled(embeddings, labels, shared["where"], axis_name)
    checks.integers("labels", rows.keys)
    batch = len(rows.keys)
    if weights is not None:
        weights = checks.weights("weights", weights, batch, "one per anchor")
    rows, weights = gather((rows, weights), axis_name)
    firsts, seconds, exist = _pairs_of_classes(rows, row_ids(-(-batch // 2), axis_name))
    shared |= {"where": exist, "weights": None if weights is None else weights[firsts]}
    return _of_products(
        rows.embeddings[firsts], rows.embeddings[seconds], temperature=1.0, **shared
    )


def _pairs_of_classes(rows, numbers):
    """The first two rows of the classes with these numbers, of those that have two; and which exist."""
    order = jnp.lexsort((rows.keys, ~rows.where))  # stable: within a class in their order
    labels, where = rows.keys[order], rows.where[order]
    equal = (labels[:-1] == labels[1:]) & where[1:]
    begins = jnp.pad(equal, (0, 1)) & ~jnp.pad(equal, (1, 0))
    places = jnp.nonzero(begins, size=-(-len(order) // 2))[0]
    return order[places][numbers], order[places + 1][numbers], numbers < begins.sum()
