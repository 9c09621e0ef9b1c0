"""Hydra, later SimLAP: any two classes as positives, under a gate.

embeddings [batch, dim], labels [batch] -> loss
"""

import jax.numpy as jnp

from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.labels._nt_xent import nt_xent
from jaxsim.numerics import checks
from jaxsim.numerics._devices import gather, row_ids
from jaxsim.numerics._reductions import mean
from jaxsim.similarity._gated import gated_cosine


@checked
def hydra(
    embeddings,
    labels,
    partners,
    gate,
    *,
    keys=None,
    key_labels=None,
    key_where=None,
    temperature=0.1,
    rule=nt_xent.rule,
    similarity=gated_cosine,
    where=None,
    weights=None,
    axis_name=None,
    block=None,
    reduce_fn=mean,
):
    """Any two classes as positives, compared in the dimensions that the gate of the two opens.

        value_ij = log( exp(s_ij / T) + sum_{n: label_n not in {label_i, partner_i}} exp(s_in / T) )
                 - s_ij / T,   over j with label_j = partner_i

    T is the temperature, s the gated similarity. Each positive stands against the negatives alone; the
    anchor's own class is neither, unless it is its own partner. Counts positive pairs: an anchor whose
    partner class is not there counts nothing, a pair without negatives is a 0 in the mean.

    With beta the weight of this loss beside another one, the paper's total is
    (info_nce + beta hydra) / (1 + beta). An open gate (ones) leaves the ablation without a gate, and
    partners=labels the usual positives.

    Args:
      embeddings: [batch, dim].
      labels: int [batch].
      partners: int [batch], the class that each anchor is paired with.
      gate: [batch, dim], of the anchor's class and its partner. The size of a row only matters in
        `gated_dot`.
      keys: [m, dim], what the anchors are compared with in place of the batch, such as its other view;
        split over devices like the batch, and gathered. None compares the batch with itself, each
        anchor with itself left out.
      key_labels: int [m]; None takes `labels`.
      key_where: bool [m], False for padding; None takes `where` for keys without labels of their own.
      temperature: divides the scores, > 0; may be traced. 0.1 is the released code.
      rule: what is done with the rows of scores; `anchor_info_nce.rule` averages over each anchor's
        positives first, as the later code does.
      similarity: `gated_cosine` (Hydra) or `gated_dot` (SimLAP), of (vectors, gate) and vectors.
      where: bool [batch], False for padding.
      weights: [batch].
      axis_name, block: as in `nt_xent`.
      reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

    Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
    Raises: ValueError for shapes that do not fit, an axis that is not bound, a block below 1.
    Source: Hydra (2410.18200), later SimLAP, from the first author's released code.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    embeddings = matrix("embeddings", embeddings, "one row per anchor")
    batch = len(embeddings)
    labels = checks.column("labels", labels, batch, "one per row of embeddings")
    partners = checks.column("partners", partners, batch, "one per row of embeddings")
    gate = matrix("gate", gate, "one row per row of embeddings")
    checks.shaped("gate", gate, embeddings.shape, "one row per row of embeddings")
    alone = keys is None
    keys = embeddings if alone else matrix("keys", keys, "as wide as embeddings")
    if key_labels is None:
        key_labels, key_where = labels, where if key_where is None else key_where
    key_labels = checks.column("key_labels", key_labels, len(keys), "one per row of keys")
    kept = checks.mask("key_where", key_where, (len(keys),))
    if axis_name is not None:
        checks.bound(axis_name)
    ids = row_ids(batch, axis_name)
    keys, key_labels, kept, key_ids = gather((keys, key_labels, kept, ids), axis_name)
    return _hydra(
        (embeddings, gate),
        jnp.stack([partners, labels], axis=1),
        similarity=similarity,
        same=lambda mine, theirs: mine[:, None, 0] == theirs[None],
        references=keys,
        reference_labels=key_labels,
        reference_where=kept,
        reference_ids=key_ids if alone else None,
        ids=ids,
        rule=rule,
        temperature=temperature,
        where=where,
        weights=weights,
        axis_name=axis_name,
        block=block,
        reduce_fn=reduce_fn,
    )


@over_labels(inputs={"own_class": lambda mine, theirs: mine[:, None, 1] == theirs[None]})
def _hydra(scores, positives, where, own_class, *, rule, temperature):
    return rule(scores, positives, positives | (where & ~own_class), temperature=temperature)
