"""Multi-class N-pair loss.

embeddings [batch, dim], labels [batch] -> loss
"""

import jax.numpy as jnp

from jaxsim.losses._lift._labeled import labeled
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.pairs._info_nce import info_nce
from jaxsim.numerics import checks
from jaxsim.numerics._devices import gather, row_ids
from jaxsim.numerics._reductions import mean
from jaxsim.similarity import dot


@checked
def n_pairs(
    embeddings,
    labels,
    *,
    similarity=dot,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """One pair of each class: its first example picks its second among the seconds of all classes.

        value_c = log sum_{c'} exp(a_c . b_c') - a_c . b_c
        a_c, b_c: the first two rows of class c

    As in the paper, further rows of a class take no part: half the rows at most against as many, a quarter
    of the scores of other losses. Counts the classes that have two rows. Raw inner products; the paper
    adds a penalty on the norms of the embeddings, which is yours to add. On cosines it is weak without a
    temperature: then take `info_nce`, the same loss of pairs that are given as such.

    Args:
      embeddings: [batch, dim].
      labels: int [batch].
      similarity, where, weights, axis_name, block, reduce_fn: as in `multi_similarity`; a class has
        the weight of its first row, and values are of classes, [(batch + 1) // 2], not of rows.

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError as `multi_similarity`, and for labels that are not integers.
    Source: Sohn 2016, the multi-class N-pair loss.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    rows = labeled(embeddings, labels, where, axis_name)
    checks.integers("labels", rows.keys)
    batch = len(rows.keys)
    if weights is not None:
        weights = checks.weights("weights", weights, batch, "one per anchor")
    rows, weights = gather((rows, weights), axis_name)
    firsts, seconds, there = _pairs_of_classes(rows, row_ids(-(-batch // 2), axis_name))
    return info_nce(
        rows.embeddings[firsts],
        rows.embeddings[seconds],
        temperature=1.0,
        similarity=similarity,
        where=there,
        weights=None if weights is None else weights[firsts],
        axis_name=axis_name,
        block=block,
        reduce_fn=reduce_fn,
    )


def _pairs_of_classes(rows, numbers):
    """The first two rows of classes, by these numbers of the classes that have two; and which there are."""
    order = jnp.lexsort((rows.keys, ~rows.where))  # stable: within a class as they came
    labels, where = rows.keys[order], rows.where[order]
    alike = (labels[:-1] == labels[1:]) & where[1:]
    begins = jnp.pad(alike, (0, 1)) & ~jnp.pad(alike, (1, 0))
    places = jnp.nonzero(begins, size=-(-len(order) // 2))[0]
    return order[places][numbers], order[places + 1][numbers], numbers < begins.sum()
