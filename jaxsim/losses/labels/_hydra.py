"""Hydra, later SimLAP: any two classes as positives, under a gate.

embeddings [batch, dim], labels [batch] -> loss
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import EVERY, sharing
from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._lifters import over_labels
from jaxsim.losses.labels._nt_xent import nt_xent
from jaxsim.numerics import checks
from jaxsim.numerics._devices import gather, row_ids
from jaxsim.numerics.types import Array, Numeric, Rule
from jaxsim.similarity._gated import gated_cosine


@over_labels(
    similarity=gated_cosine,
    layers=2,
    inputs={"own_class": lambda mine, theirs: mine[:, None, 1] == theirs[None]},
)
def _under_gates(scores, positives, where, own_class, *, rule, temperature):
    return rule(scores, positives, positives | (where & ~own_class), temperature=temperature)


@sharing(_under_gates, only=EVERY)
def hydra(
    embeddings: Array,
    labels: Array,
    partners: Array,
    gate: Array,
    *,
    keys: Array | None = None,
    key_labels: Array | None = None,
    key_where: Array | None = None,
    temperature: Numeric = 0.1,
    rule: Rule = nt_xent.rule,
    **shared: Any,
) -> jax.Array:
    """Hydra loss: any two classes are positives, compared in the dimensions that their gate opens.

        value_ij = log( exp(s_ij / T) + sum_{n: label_n not in {label_i, partner_i}} exp(s_in / T) )
                 - s_ij / T,   over j with label_j = partner_i

    T is the temperature, s the gated similarity. Each positive competes with the negatives alone; the
    anchor's own class is neither, unless it is its own partner. Counts positive pairs: an anchor whose
    partner class is not there counts nothing, a pair without negatives is a 0 in the mean.

    With beta the weight of this loss added to another one, the paper's total is
    (info_nce + beta hydra) / (1 + beta). An open gate (ones) leaves the ablation without a gate, and
    partners=labels the usual positives.

    Args:
      embeddings: [batch, dim].
      labels: int [batch].
      partners: int [batch], the class that each anchor is paired with.
      gate: [batch, dim], of the anchor's class and its partner. The size of a row only matters in
        `gated_dot`. `similarity` is `gated_cosine` (Hydra) or `gated_dot` (SimLAP), of (vectors, gate) and
        vectors.
      keys: [m, dim], what the anchors are compared with in place of the batch, such as its other view;
        split over devices like the batch, and gathered. None compares the batch with itself, each
        anchor with itself left out.
      key_labels: int [m]; None takes `labels`.
      key_where: bool [m], False for padding; None takes `where` for keys without labels of their own.
      temperature: divides the scores, > 0; may be traced. 0.1 is the released code.
      rule: what makes values of the rows of scores; `anchor_info_nce.rule` averages over each anchor's
        positives first, as the later code does.

    Source: Hydra (2410.18200), later SimLAP, from the first author's released code.
    Data: labels.
    """
    where, axis_name = shared["where"], shared["axis_name"]
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
    return _under_gates(
        (embeddings, gate),
        jnp.stack([partners, labels], axis=1),
        same=lambda mine, theirs: mine[:, None, 0] == theirs[None],
        references=keys,
        reference_labels=key_labels,
        reference_where=kept,
        reference_ids=key_ids if alone else None,
        ids=ids,
        rule=rule,
        temperature=temperature,
        **shared,
    )
