"""Skip-gram with negative sampling, the loss of word2vec.

    targets [batch, dim], contexts [batch, dim], negatives [k, dim] or [batch, k, dim] -> loss

The rows come from two separate tables: what one predicts with, and what is predicted. Rows are
looked up by the caller, so that an optimizer can update just these (`RowOptimizer` of jaxsim.training).
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._examples import real_numbers
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array


@over_examples(axes={"targets": "batch, dim", "contexts": "batch, dim", "negatives": None})
def sgns(
    targets: Array,
    contexts: Array,
    negatives: Array,
    where: Array,
    *,
    negative_where: Array | None = None,
) -> jax.Array:
    """Skip-gram with negative sampling (SGNS): a pair that was seen against pairs that were drawn, in nats.

        value_i = -log sigmoid(v_i . u_i) - sum_k log sigmoid(-v_i . n_ik)

    The negatives are summed, not averaged, so that their number does not change the learning rate.
    A row's weight may be how often its pair was seen.

    Args:
      targets: v [batch, dim], rows of the input table.
      contexts: u [batch, dim], rows of the output table.
      negatives: [k, dim], shared by the batch, or [batch, k, dim]; rows of the output table.
      negative_where: bool [batch, k], False for a draw that hit what it must not (`not_hits`).

    Source: Mikolov et al. 2013 (1310.4546), equation 4.
    Data: words.
    Memory: batch x negatives, times dim where they are not shared.
    """
    scores, kept = scores_of_drawn(targets, negatives, negative_where, where)
    seen = jax.nn.softplus(-jnp.sum(targets * contexts, axis=-1))
    return seen + jnp.where(kept, jax.nn.softplus(scores), 0).sum(axis=1)


def scores_of_drawn(rows, negatives, negative_where, there):
    """Scores of the negatives [batch, k], and which count; what does not may hold anything."""
    negatives = at_least_float32(real_numbers("negatives", negatives))
    batch, dim = rows.shape
    if negatives.ndim == 2:
        checks.shaped("negatives", negatives, (None, dim), "of the rows' dimension")
        kept = checks.mask(
            "negative_where", negative_where, (batch, len(negatives)), "one per draw"
        )
        kept = kept & there[:, None]
        negatives = zeroed(negatives, kept.any(axis=0))
        return jnp.matmul(rows, negatives.T, precision="highest"), kept
    checks.shaped("negatives", negatives, (batch, None, dim), "some per row")
    kept = checks.mask("negative_where", negative_where, negatives.shape[:2], "one per draw")
    kept = kept & there[:, None]
    negatives = zeroed(negatives, kept)
    return jnp.einsum("bd,bkd->bk", rows, negatives, precision="highest"), kept


def not_hits(target_ids: Array, negative_ids: Array) -> jax.Array:
    """Which draws are not the row's own class: accidental hits are not negatives.

    Args:
      target_ids: int [batch], or [batch, c] where a row has several classes.
      negative_ids: int [k], shared by the batch, or [batch, k].

    Returns: bool [batch, k].
    Data: words.
    Kind: part; memory batch x negatives.
    """
    target_ids = checks.numbers_of("target_ids", target_ids)
    negative_ids = checks.numbers_of("negative_ids", negative_ids)
    for name, ids in (("target_ids", target_ids), ("negative_ids", negative_ids)):
        checks.integers(name, ids)
        if ids.ndim not in (1, 2):
            raise ValueError(f"{name} must have one or two axes, got shape {ids.shape}")
    if negative_ids.ndim == 2:
        checks.shaped("negative_ids", negative_ids, (len(target_ids), None), "some per row")
    targets = target_ids.reshape(target_ids.shape[0], -1)
    drawn = negative_ids if negative_ids.ndim == 2 else negative_ids[None]
    return (targets[:, :, None] != drawn[:, None, :]).all(axis=1)
