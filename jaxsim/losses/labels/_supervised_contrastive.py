"""Softmaxes with several positives: each against all pairs, or each against the negatives alone.

embeddings [batch, dim], labels [batch] -> loss
queries [batch, dim], documents [batch, dim] -> loss          (pair_info_nce, anchor_info_nce)
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._labeled import matrix
from jaxsim.losses._lift._lifters import over_labels, over_pairs
from jaxsim.losses._lift._settings import checked
from jaxsim.losses.pairs._info_nce import multi_positive_info_nce
from jaxsim.numerics import checks, masked
from jaxsim.numerics._devices import gather, row_ids
from jaxsim.numerics._reductions import mean
from jaxsim.similarity._gated import gated_cosine


@over_labels
def supervised_contrastive(scores, positives, where, *, temperature=0.1):
    """Every positive must win the softmax over all pairs of its anchor.

        value_i = log sum_{j in where_i} exp(s_ij / temperature) - mean_{j in positives_i} s_ij / temperature
        the mean over the anchors whose value is > 0

    The positives of an anchor compete with each other, so that one that is close already may be pushed
    away. Counts the anchors that have a positive and a value above 0.

    Args:
      temperature: divides the scores, > 0; 0.1 is the paper.

    Source: Khosla et al. 2020 (2004.11362), equation 2; reduced as SupConLoss of
    pytorch-metric-learning. `multi_positive_info_nce` is the same on pairs, with every anchor counted.
    Data: labels.
    Kind: pairwise; memory block x references.
    """
    values, counted = multi_positive_info_nce.rule(
        scores, positives, where, temperature=temperature
    )
    return values, counted & ~(values <= 0)


@over_labels
def nt_xent(scores, positives, where, *, temperature=0.07):
    """Every positive pair against the negatives of its anchor; other positives are left out.

        value_ip = log( exp(s_ip / temperature) + sum_{negatives_i} exp(s_in / temperature) )
                 - s_ip / temperature

    Counts positive pairs, in both directions; one without negatives is a 0 in the mean.

    Args:
      temperature: divides the scores, > 0.

    Source: Chen et al. 2020 (2002.05709), equation 1, with several positives as NTXentLoss of
    pytorch-metric-learning has it, and its temperature. With one positive each it is
    `supervised_contrastive`.
    Data: labels, unlabeled.
    Kind: pairwise; memory block x references.
    """
    terms = _against_negatives(scores, positives, where & ~positives, temperature)
    return masked.mean(terms, positives), positives.sum(axis=1)


@over_pairs
def pair_info_nce(scores, positives, where, *, temperature=0.1):
    """`info_nce` with each positive of a query against the negatives alone, averaged over the pairs.

        value_ip = log( exp(s_ip / temperature) + sum_{negatives_i} exp(s_in / temperature) )
                 - s_ip / temperature

    `nt_xent` on pairs. Counts positive pairs; one without negatives is a 0 in the mean.

    Args:
      temperature: divides the scores, > 0; may be traced.

    Source: Hydra (2410.18200), the decoupled loss of its released code, on pairs that are given.
    Data: pairs, pairs with negatives.
    Kind: pairwise; memory block x documents.
    """
    return nt_xent.rule(scores, positives, where, temperature=temperature)


@over_pairs
def anchor_info_nce(scores, positives, where, *, temperature=0.1):
    """`pair_info_nce` averaged over each query's positives first: every query weighs the same.

        value_i = mean_{p in positives_i} of log( exp(s_ip / temperature)
                    + sum_{negatives_i} exp(s_in / temperature) ) - s_ip / temperature

    Counts the queries that have a positive.

    Args:
      temperature: divides the scores, > 0; may be traced.

    Source: Hydra (2410.18200), the average per anchor of its later code.
    Data: pairs, pairs with negatives.
    Kind: pairwise; memory block x documents.
    """
    values, pairs = nt_xent.rule(scores, positives, where, temperature=temperature)
    return values, pairs > 0


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
    rule=pair_info_nce.rule,
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


def _against_negatives(scores, positives, negatives, temperature):
    """What each positive pays for standing against the negatives: [rows, references], 0 elsewhere."""
    checks.positive("temperature", temperature)
    scores = scores / temperature
    others = masked.log_sum_exp(scores, negatives, empty=-jnp.inf)
    gaps = jnp.where(positives, others[:, None] - scores, -jnp.inf)
    return jax.nn.softplus(gaps)
