"""Mixtures of embeddings as harder negatives of the same query (KaLM-Embedding-V2).

    negatives [batch, m, dim] -> mixed [batch, num, dim], kept bool [batch, num]

Both functions return which mixtures are there, so that they can be joined along axis 1 and passed to
`info_nce_with_extra`. Slopes go to the negatives that were mixed; put `jax.lax.stop_gradient` around
what is returned if they should not. A mixture is scaled to norm 1: without that it would be shorter, and
an easier negative. Between negatives that surround a positive it may be a false one.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import REFERENCES, sharing
from jaxsim.losses._lift._examples import mask_of_lists, real_numbers
from jaxsim.losses._lift._settings import checked
from jaxsim.losses._reducers import focal_mean
from jaxsim.losses.pairs._joint_info_nce import info_nce_with_extra
from jaxsim.numerics import checks, masked
from jaxsim.numerics._devices import row_ids
from jaxsim.numerics._norms import at_least_float32, unit
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array, ArrayTree, Numeric, PRNGKey
from jaxsim.similarity import cosine


@checked
def mix_pairs(
    key: PRNGKey,
    negatives: Array,
    *,
    num: int = 7,
    alpha: Numeric = 2.0,
    beta: Numeric = 2.0,
    where: Array | None = None,
    axis_name: str | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Mixtures of two different negatives of a row, drawn at random.

        mixed = unit(share * unit(n_a) + (1 - share) * unit(n_b)),   share ~ Beta(alpha, beta)

    Args:
      key: a random key, the same on every device.
      negatives: [batch, m, dim].
      num: how many for each row.
      alpha, beta: > 0, of the shares; 2 and 2 are the paper.
      where: bool [batch, m], False where a row has fewer negatives. A row with fewer than two has no
        mixture.
      axis_name: the named axis over which the batch is split; the draws do not depend on the split.

    Returns: (mixed [batch, num, dim], kept bool [batch, num]).
    Raises: ValueError for shapes that do not fit.
    Source: Zhao et al. 2025 (2506.20923), pair-wise mixing. How many is not published: 7 is ours.
    Data: pairs with negatives.
    Kind: mixing; memory batch x mixtures x dim.
    """
    checks.whole("num", num)
    checks.positive("alpha", alpha)
    checks.positive("beta", beta)
    negatives, where = _negatives(negatives, where)
    batch, m, _ = negatives.shape
    if m < 2:
        raise ValueError(f"negatives must be two or more per row to be mixed, got {m}")

    def draw(row):
        places, shares = jax.random.split(jax.random.fold_in(key, row))
        return (
            jax.random.uniform(places, (num, m)),
            jax.random.beta(shares, alpha, beta, (num,), negatives.dtype),
        )

    noise, shares = jax.vmap(draw)(row_ids(batch, axis_name))
    # The two largest of random numbers are two places without replacement.
    _, places = jax.lax.top_k(jnp.where(where[:, None], noise, -1), 2)
    first, second = (
        jnp.take_along_axis(negatives, places[..., side, None], axis=1) for side in range(2)
    )
    has_pair = where.sum(axis=1) >= 2
    return mixture(first, second, shares), jnp.broadcast_to(has_pair[:, None], (batch, num))


@checked
def mix_list(
    queries: ArrayTree, negatives: Array, *, temperature: Numeric = 0.01, where: Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """One mixture of all negatives of a row, the nearest to the query with the largest weight.

        mixed = unit(sum_k a_k unit(n_k)),   a = softmax over k of cosine(q, n_k) / temperature

    Args:
      queries: [batch, dim].
      negatives: [batch, m, dim].
      temperature: divides the cosines, > 0; the loss's own, for want of a published one.
      where: bool [batch, m], False where a row has fewer negatives.

    Returns: (mixed [batch, 1, dim], kept bool [batch, 1]), False where a row has no negative.
    Raises: ValueError for shapes that do not fit.
    Source: Zhao et al. 2025 (2506.20923), list-wise mixing.
    Data: pairs with negatives.
    Kind: mixing; memory batch x negatives x dim.
    """
    checks.positive("temperature", temperature)
    negatives, where = _negatives(negatives, where)
    queries = checks.reals("queries", queries)
    checks.shaped("queries", queries, (negatives.shape[0], negatives.shape[2]), "one per row")
    negatives = unit(negatives)
    scores = jnp.einsum("bd,bmd->bm", unit(queries), negatives, precision="highest")
    shares = masked.softmax(scores / temperature, where)
    mixed = unit(jnp.einsum("bm,bmd->bd", shares, negatives, precision="highest"))
    return mixed[:, None], where.any(axis=1, keepdims=True)


def mixture(first: Array, second: Array, shares) -> jax.Array:
    """unit(shares * unit(first) + (1 - shares) * unit(second)), vectors [..., dim], shares [...]."""
    shares = shares[..., None]
    return unit(shares * unit(first) + (1 - shares) * unit(second))


@sharing(info_nce_with_extra, without=(*REFERENCES, "similarity", "reduce_fn", "extra_where"))
def kalm(
    queries: ArrayTree,
    documents: ArrayTree,
    *,
    key: PRNGKey,
    pairs: int = 7,
    gamma: Numeric = 0.5,
    temperature: Numeric = 0.01,
    **shared: Any,
) -> jax.Array:
    """KaLM-Embedding-V2's fine-tuning loss: InfoNCE with mixed negatives and focal weights.

        the mean of (1 - exp(-value_i))^gamma value_i, the weight without gradient
        value_i of `info_nce_with_extra`: extra are `pairs` of `mix_pairs` and one of `mix_list`

    Args:
      queries: [batch, dim].
      documents: [batch, 1 + negatives, dim], the positive first, two negatives or more.
      key: a random key, the same on every device.
      pairs: how many mixtures of two negatives each query gets; not published, 7 is ours.
      gamma: of the focal weights; 0.5 is the paper.
      temperature: divides the cosines, of the loss and of `mix_list`, > 0; 0.01 is the paper.

    ValueError also for documents with fewer than two negatives.

    Source: Zhao et al. 2025 (2506.20923).
    Data: pairs with negatives.
    Kind: mixing; memory block x documents, and batch x mixtures x dim.
    """
    checks.whole("pairs", pairs)
    where, document_where = shared["where"], shared["document_where"]
    axis_name = shared["axis_name"]
    if axis_name is not None:
        checks.bound(axis_name)
    documents = real_numbers("documents", documents)
    checks.shaped("documents", documents, (None, None, None), "the positive and its negatives")
    queries = checks.reals("queries", queries)
    checks.shaped("queries", queries, (len(documents), documents.shape[2]), "one per row")
    # Padding has no mixture: NaN in it would reach the slopes of what it is mixed with.
    mask = mask_of_lists(documents.shape[:2], "document_where", document_where, where)[:, 1:]
    rows = zeroed(queries, mask.any(axis=1))
    drawn = mix_pairs(key, documents[:, 1:], num=pairs, where=mask, axis_name=axis_name)
    listed = mix_list(rows, documents[:, 1:], temperature=temperature, where=mask)
    extra, extra_where = (jnp.concatenate(both, axis=1) for both in zip(drawn, listed, strict=True))
    return info_nce_with_extra(
        queries,
        documents,
        extra,
        extra_where=extra_where,
        temperature=temperature,
        similarity=cosine,
        **shared,
        reduce_fn=functools.partial(focal_mean, gamma=gamma),
    )


def _negatives(negatives, where):
    negatives = at_least_float32(real_numbers("negatives", negatives))
    checks.shaped("negatives", negatives, (None, None, None), "some for each row")
    where = checks.mask("where", where, negatives.shape[:2], "one per negative")
    return zeroed(negatives, where), where
