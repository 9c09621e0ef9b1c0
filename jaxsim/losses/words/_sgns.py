"""Skip-gram with negative sampling, the loss of word2vec.

    targets [batch, dim], contexts [batch, dim], negatives [k, dim] or [batch, k, dim] -> loss
    inputs [batch, places, dim], outputs [batch, others, dim], negatives as above -> loss

The rows come from two separate tables: what one predicts with, and what is predicted. Rows are
looked up by the caller, so that an optimizer can update just these (`RowOptimizer` of jaxsim.training).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.losses._lift._examples import real_numbers
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array, Numeric


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
    scores, mask = scores_of_drawn(targets, negatives, negative_where, where)
    seen = jax.nn.softplus(-jnp.sum(targets * contexts, axis=-1))
    return seen + jnp.where(mask, jax.nn.softplus(scores), 0).sum(axis=1)


@over_examples(
    axes={
        "inputs": "batch, places, dim",
        "outputs": "batch, others, dim",
        "negatives": None,
    }
)
def sgns_windows(
    inputs: Array,
    outputs: Array,
    negatives: Array,
    where: Array,
    *,
    pair_where: Array | None = None,
    draws: Numeric = 5.0,
) -> jax.Array:
    """Skip-gram with negative sampling of pieces of text, fast: their pairs share rows and negatives, in nats.

        value_b = sum_ij pair_bij (-log sigmoid(v_bi . u_bj) - draws / k sum_l log sigmoid(-v_bi . n_bl))

    Rows are read and moved once for a piece, not once for a pair, and all scores are one small matrix
    product. With as many draws as negatives it is `sgns` of every pair with all of the piece's negatives; with
    others its expectation is that of `sgns` with `draws` negatives per pair. Few negatives for many pairs move
    their rows far in one step: 16 for each 32 words with a window of 5 learn as well as drawing for each
    pair. Draws that hit a word of the piece count. Paragraph vectors (PV-DBOW) have a document as the only
    place and its words as the others; some hundred negatives that a batch shares then learn better than few
    for each.

    Args:
      inputs: v [batch, places, dim], rows of the input table.
      outputs: u [batch, others, dim], rows of the output table.
      negatives: n [batch, k, dim], rows of the output table for the words drawn for each piece, or [k, dim],
        shared by the batch.
      pair_where: bool [batch, places, others], which pairs were seen, such as `in_window`; None is all.
      draws: negatives per pair, >= 0; may be traced.

    Source: Ji et al. 2016 (1604.04661), section 3: negatives that a window shares, in matrix products.
    Data: words.
    Memory: batch x places x (others + k).
    """
    batch, places, dim = inputs.shape
    checks.shaped("outputs", outputs, (batch, None, dim), "of the inputs' dimension")
    checks.not_negative("draws", draws)
    others = outputs.shape[1]
    shape = batch, places, others
    seen = checks.mask("pair_where", pair_where, shape, "places x others per piece")
    seen = seen & where[:, None, None]
    inputs = zeroed(inputs, seen.any(axis=2))
    outputs = zeroed(outputs, seen.any(axis=1))
    scores = _scores_of_pieces(inputs, outputs, negatives, where)
    drawn = scores.shape[2] - others
    count = seen.sum(axis=2, keepdims=True, dtype=scores.dtype) * (draws / max(drawn, 1))
    weights = jnp.concatenate(
        [seen.astype(scores.dtype), jnp.broadcast_to(count, (batch, places, drawn))], axis=2
    )
    signs = np.where(np.arange(others + drawn) < others, -1, 1).astype(scores.dtype)
    values = jnp.where(weights > 0, weights * jax.nn.softplus(signs * scores), 0)
    return values.sum(axis=(1, 2))


def _scores_of_pieces(inputs, outputs, negatives, where):
    """Scores of all places with the outputs and, behind these, with the negatives."""
    batch, places, dim = inputs.shape
    negatives = at_least_float32(real_numbers("negatives", negatives))
    if negatives.ndim == 2:
        checks.shaped("negatives", negatives, (None, dim), "of the inputs' dimension")
        negatives = zeroed(negatives, jnp.broadcast_to(where.any(), len(negatives)))
        drawn = jnp.matmul(inputs.reshape(-1, dim), negatives.T, precision="highest")
        seen = jnp.einsum("bid,bjd->bij", inputs, outputs, precision="highest")
        return jnp.concatenate([seen, drawn.reshape(batch, places, -1)], axis=2)
    checks.shaped("negatives", negatives, (batch, None, dim), "some per piece")
    both = jnp.concatenate([outputs, zeroed(negatives, where)], axis=1)
    return jnp.einsum("bid,bjd->bij", inputs, both, precision="highest")


def in_window(before: Array, behind: Array, others: int) -> jax.Array:
    """Which words of a piece of text with a margin are in the window of each of its places.

    Args:
      before, behind: int [batch, places], how many words count on either side (`data.window_pieces`).
      others: words of the piece and of its margins, as many on either side.

    Returns: bool [batch, places, others]; never a place itself.
    Raises: ValueError for margins that are not equal.
    Data: words.
    Kind: part; memory batch x places x others.
    """
    before = checks.numbers_of("before", before)
    behind = checks.numbers_of("behind", behind)
    for name, counts in (("before", before), ("behind", behind)):
        checks.integers(name, counts)
        checks.shaped(name, counts, (None, None), "a number per place")
    checks.shaped("behind", behind, before.shape, "as before")
    margin, odd = divmod(others - before.shape[1], 2)
    if odd or margin < 0:
        raise ValueError(
            f"others must be the {before.shape[1]} places and two equal margins, got {others}"
        )
    distance = np.arange(others) - margin - np.arange(before.shape[1])[:, None]
    near = (distance >= -before[:, :, None]) & (distance <= behind[:, :, None])
    return near & (distance != 0)


def scores_of_drawn(rows, negatives, negative_where, there):
    """Scores of the negatives [batch, k], and which count; what does not may hold anything."""
    negatives = at_least_float32(real_numbers("negatives", negatives))
    batch, dim = rows.shape
    if negatives.ndim == 2:
        checks.shaped("negatives", negatives, (None, dim), "of the rows' dimension")
        mask = checks.mask(
            "negative_where", negative_where, (batch, len(negatives)), "one per draw"
        )
        mask = mask & there[:, None]
        negatives = zeroed(negatives, mask.any(axis=0))
        return jnp.matmul(rows, negatives.T, precision="highest"), mask
    checks.shaped("negatives", negatives, (batch, None, dim), "some per row")
    mask = checks.mask("negative_where", negative_where, negatives.shape[:2], "one per draw")
    mask = mask & there[:, None]
    negatives = zeroed(negatives, mask)
    return jnp.einsum("bd,bkd->bk", rows, negatives, precision="highest"), mask


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
