"""Miners: which pairs a loss looks at.

    miner(scores [rows, references], positives, where, *, ...) -> (positives, negatives)

`mined(loss, miner)` is the loss on what the miner keeps. A miner narrows the masks of a block of rows,
looks at one row at a time, and its choice carries no gradient. Miners compose from the outside in:
`mined(mined(loss, semi_hard_negatives), easiest_positives)` takes the easiest positives first.
"""

import functools
import inspect

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array, Loss, Numeric, PRNGKey, Rule


def mined(loss: Loss, miner: Rule) -> Loss:
    """The loss on the pairs that a miner keeps, block by block.

        hard = mined(losses.info_nce, lambda scores, positives, where: (positives, where & ~positives))
        sampled = mined(losses.margin, losses.miners.distance_weighted_negatives)
        sampled(embeddings, labels, key=key, dim=64)

    Args:
      loss: a lifted loss.
      miner: (scores [rows, references], positives, where, *, ...) -> (positives, negatives), boolean
        masks of the pairs that stay. Its choice carries no gradient. Its keyword-only arguments
        become arguments of the result; one called `key` arrives as one key per row.

    Returns: a lifted loss, with the mined rule at `.rule`.
    Raises: ValueError where miner and loss have an argument of the same name.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import losses
      >>> loss = losses.mined(losses.multi_similarity_unmined, losses.miners.multi_similarity_pairs)
      >>> embeddings = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
      >>> round(float(loss(embeddings, np.array([0, 0, 1, 1]))), 4)  # as multi_similarity
      1.1566

    Data: labels, pairs.
    Kind: composition; memory that of the loss.
    """
    of_miner, of_loss = _keywords(miner), _keywords(loss.rule)
    if both := sorted(of_miner.keys() & of_loss.keys()):
        raise ValueError(
            f"{loss.__name__} and its miner both have an argument {both[0]!r}: "
            f"fix the miner's, functools.partial(miner, {both[0]}=...)"
        )

    @functools.wraps(loss.rule)
    def rule(scores, positives, where, *inputs, **settings):
        chosen = {name: settings.pop(name) for name in of_miner if name in settings}
        positives, negatives = miner(jax.lax.stop_gradient(scores), positives, where, **chosen)
        return loss.rule(scores, positives, positives | negatives, *inputs, **settings)

    signature = inspect.signature(loss.rule)
    rule.__signature__ = signature.replace(
        parameters=[*signature.parameters.values(), *of_miner.values()]
    )
    return loss.lift(rule)


def _keywords(function):
    """The keyword-only parameters that functools.partial has not fixed."""
    fixed = function.keywords if isinstance(function, functools.partial) else {}
    parameters = inspect.signature(function).parameters
    return {
        name: p for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY and name not in fixed
    }


def multi_similarity_pairs(
    scores: Array, positives: Array, where: Array, *, margin: Numeric = 0.1
) -> tuple[jax.Array, jax.Array]:
    """The pairs that an anchor confuses, or nearly: each side is compared with the worst of the other.

        a negative j stays if s_ij + margin > min_{k in positives_i} s_ik
        a positive j stays if s_ij - margin < max_{k in negatives_i} s_ik

    An anchor keeps pairs on both sides or none; without a positive or a negative, none.

    Args:
      scores: [rows, references].
      positives, where: bool, of the same shape.
      margin: in units of the scores; 0.1 is the paper.

    Returns: (positives, negatives), bool.
    Source: Wang et al. 2019 (1904.06627), the mining step of the multi-similarity loss.
    Data: labels.
    Kind: miner; memory block x references.
    """
    negatives = where & ~positives
    worst_positive = masked.min(scores, positives, empty=jnp.inf, keepdims=True)
    worst_negative = masked.max(scores, negatives, empty=-jnp.inf, keepdims=True)
    return (
        positives & ~(scores - margin >= worst_negative),  # so that NaN stays, and is not lost
        negatives & ~(scores + margin <= worst_positive),
    )


def pairs_within(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    positive_above: Numeric = 0.2,
    negative_below: Numeric = 0.8,
) -> tuple[jax.Array, jax.Array]:
    """Positives farther than a distance and negatives nearer than another: fixed thresholds.

    Scores are minus distances, as in `contrastive`.

    Args:
      scores: [rows, references], minus distances.
      positives, where: bool, of the same shape.
      positive_above: a positive stays if it is farther than this.
      negative_below: a negative stays if it is nearer than this.

    Returns: (positives, negatives), bool.
    Source: PairMarginMiner of pytorch-metric-learning, with its defaults.
    Data: labels.
    Kind: miner; memory block x references.
    """
    negatives = where & ~positives
    return positives & ~(-scores <= positive_above), negatives & ~(-scores >= negative_below)


def hardest_positives(scores: Array, positives: Array, where: Array) -> tuple[jax.Array, jax.Array]:
    """Keeps each anchor's farthest positive, all of them in a tie, and all negatives.

    Args and result as in `multi_similarity_pairs`, without a margin.
    Source: Hermans et al. 2017 (1703.07737), batch hard.
    Data: labels.
    Kind: miner; memory block x references.
    """
    farthest = masked.min(scores, positives, keepdims=True)
    return positives & ~(scores > farthest), where & ~positives


def easiest_positives(scores: Array, positives: Array, where: Array) -> tuple[jax.Array, jax.Array]:
    """Keeps each anchor's nearest positive, all of them in a tie, and all negatives.

    Args and result as in `multi_similarity_pairs`, without a margin.
    Source: Xuan et al. 2020 (1904.04370), easy positive mining.
    Data: labels.
    Kind: miner; memory block x references.
    """
    nearest = masked.max(scores, positives, keepdims=True)
    return positives & ~(scores < nearest), where & ~positives


def hardest_negatives(scores: Array, positives: Array, where: Array) -> tuple[jax.Array, jax.Array]:
    """Keeps each anchor's nearest negative, all of them in a tie, and all positives.

    Args and result as in `multi_similarity_pairs`, without a margin.
    Source: Hermans et al. 2017 (1703.07737), batch hard.
    Data: labels.
    Kind: miner; memory block x references.
    """
    negatives = where & ~positives
    nearest = masked.max(scores, negatives, keepdims=True)
    return positives, negatives & ~(scores < nearest)


def semi_hard_negatives(
    scores: Array, positives: Array, where: Array
) -> tuple[jax.Array, jax.Array]:
    """Keeps the nearest of the negatives that are farther than every positive, and all positives.

    After `easiest_positives` or `hardest_positives` it is the negative next beyond that positive. An
    anchor without a positive, or without a negative that far, keeps no negative.

    Args and result as in `multi_similarity_pairs`, without a margin.
    Source: Schroff et al. 2015 (1503.03832), section 3.2; Xuan et al. 2020 (1904.04370) with the
    easiest positive.
    Data: labels.
    Kind: miner; memory block x references.
    """
    farthest = masked.min(scores, positives, empty=-jnp.inf, keepdims=True)
    beyond = where & ~positives & ~(scores >= farthest)
    nearest = masked.max(scores, beyond, keepdims=True)
    return positives, beyond & ~(scores < nearest)


def distance_weighted_negatives(
    scores: Array,
    positives: Array,
    where: Array,
    *,
    key: PRNGKey,
    dim: int,
    nearest: Numeric = 0.5,
    farthest: Numeric = 1.4,
) -> tuple[jax.Array, jax.Array]:
    """Draws as many negatives as an anchor has positives, so that all distances are equally frequent.

        P(j) is proportional to 1 / q(max(D_ij, nearest)) for D_ij < farthest
        q(D) = D^(dim - 2) (1 - D^2 / 4)^((dim - 3) / 2), distances between random points of a sphere

    Drawn without replacement: a mask holds a pair once. Fewer where fewer are within reach.

    Args:
      scores: [rows, references], minus distances between unit rows.
      positives, where: bool, of the same shape.
      key: one key per row, [rows]; the mined loss takes a single key and makes them, so that blocks
        and devices do not change the draws.
      dim: of the embeddings, from 2.
      nearest: distances below it count as it.
      farthest: beyond it no negative is drawn: where the margin loss has no slope.

    Returns: (positives, negatives), bool.
    Raises: ValueError for a dim below 2.
    Source: Wu et al. 2017 (1706.07567), section 4.1; 0.5 and 1.4 are their released values.
    Data: labels.
    Kind: miner; memory block x references.
    """
    checks.whole("dim", dim, minimum=2)
    distances = jnp.maximum(-scores, nearest)
    log_density = (dim - 2) * jnp.log(distances) + (dim - 3) / 2 * jnp.log(
        jnp.maximum(1 - jnp.square(distances) / 4, jnp.finfo(scores.dtype).tiny)
    )
    # The largest of log weight + Gumbel noise are a draw without replacement.
    noise = jax.vmap(lambda key: jax.random.gumbel(key, scores.shape[1:], scores.dtype))(key)
    within = where & ~positives & (-scores < farthest)
    drawn = jnp.where(within, noise - log_density, -jnp.inf)
    count = positives.sum(axis=1, keepdims=True)
    ranked = -jnp.sort(-drawn, axis=1)
    last = jnp.take_along_axis(ranked, jnp.maximum(count - 1, 0), axis=1)
    return positives, within & (drawn >= last) & (count > 0)
