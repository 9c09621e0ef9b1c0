"""Max-margin ranking losses: the matching pair scores above every other one, by a margin.

    queries [batch, dim], documents [batch, dim] -> loss          (ranking hinges)
    first, second, odd [batch, dim] -> loss                       (symmetric_triplet)

The ranking hinges are sums over the batch, as published: the learning rate that suits them shrinks as
the batch grows. With `reduce_fn=mean` they are means over the queries, and over the documents.
"""

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._compositions import both_ways
from jaxsim.losses._lift._lifters import over_pairs
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.losses._lift._over_triplets import hinge, over_triplets
from jaxsim.numerics import masked
from jaxsim.numerics._reductions import total
from jaxsim.numerics.types import Array, Numeric
from jaxsim.similarity import dot


@over_pairs(similarity=dot, reduce_fn=total)
def one_way_ranking_hinge(
    scores: Array, positives: Array, where: Array, *, margin: Numeric = 1.0
) -> tuple[jax.Array, jax.Array]:
    """Ranking hinge of the queries alone, the first half of `ranking_hinge`: for ranking documents.

        sum_i sum_{j != i} [margin + s_ij - s_ii]+

    The other half is the same with the arguments exchanged. Negatives that were drawn from elsewhere
    are `references`.

    Args:
      margin: in units of the scores.

    Source: Baqapuri 2015 (1601.03478), one direction of its objective.
    Data: pairs, pairs with negatives, images with texts.
    """
    sums, _ = over_triplets(hinge, scores, positives, where & ~positives, margin)
    return sums, positives.any(axis=1)


ranking_hinge = both_ways(
    one_way_ranking_hinge,
    "ranking_hinge",
    """Ranking hinge in both directions: each query ranks its document above others by a margin, and vice versa.

        query_weight    sum_i sum_{j != i} [margin + s_ij - s_ii]+
        + document_weight sum_j sum_{i != j} [margin + s_ij - s_jj]+

    With several positives each is compared with every negative. A satisfied comparison, or one that is
    exactly at the margin, has slope 0. Counts all queries and all documents. Without ids a duplicate in
    the batch costs the margin.

    Args:
      margin: in units of the scores; 1 suits inner products, 0.2 cosines. Inner products can satisfy
        any margin by growing: watch their norms.
      query_weight: of the queries' direction (images that rank sentences, annotation).
      document_weight: of the documents' direction (sentences that rank images, search).

    Source: Baqapuri 2015 (1601.03478), the global ranking objective, after Karpathy et al. 2014
    (1406.5679), equation 6.
    Data: pairs, images with texts.
    Kind: pairwise; memory block x documents, walked twice.
    """,
)


@over_pairs(similarity=dot, reduce_fn=total)
def _hardest_hinge(scores, positives, where, *, margin=0.2):
    negatives = where & ~positives
    hardest = masked.max(scores, negatives, keepdims=True)
    costs = jax.nn.relu(margin + hardest - scores)
    counted = positives & negatives.any(axis=1, keepdims=True)
    return masked.sum(costs, counted), positives.any(axis=1)


hardest_ranking_hinge = both_ways(
    _hardest_hinge,
    "hardest_ranking_hinge",
    """VSE++: `ranking_hinge` against the hardest negative alone, in both directions.

        query_weight    sum_i max_{j != i} [margin + s_ij - s_ii]+
        + document_weight sum_j max_{i != j} [margin + s_ij - s_jj]+

    From a random start it collapses easily: warm up with `ranking_hinge`. With several positives each
    is compared with the hardest negative. Negatives that tie share the slope.

    Args:
      margin: in units of the scores; 0.2 is the paper, on cosines.
      query_weight, document_weight: of the two directions, as in `ranking_hinge`.

    Source: Faghri et al. 2018 (1707.05612), equation 6 (VSE++).
    Data: pairs, images with texts.
    Kind: pairwise; memory block x documents, walked twice.
    """,
)


@over_examples(axes="batch, dim")
def symmetric_triplet(
    first: Array, second: Array, odd: Array, *, margin: Numeric = 1.0
) -> jax.Array:
    """Triplet loss for odd-one-out answers: both similar items act as the anchor.

        value_i = [|f_i - s_i|^2 - |f_i - o_i|^2 + margin]+ + [|s_i - f_i|^2 - |s_i - o_i|^2 + margin]+

    Counts all answers.

    Args:
      first, second: [batch, dim], the pair that belongs together; they may be exchanged.
      odd: [batch, dim], the third.
      margin: in squared distance; it only sets the scale of the embedding.

    Source: Bobu et al. 2023 (2301.00810), SIRL's loss of similarity answers.
    Data: triplets.
    """

    def squared_distance(x, y):
        return jnp.sum(jnp.square(x - y), axis=1)

    near = squared_distance(first, second) + margin
    of_first = jax.nn.relu(near - squared_distance(first, odd))
    return of_first + jax.nn.relu(near - squared_distance(second, odd))
