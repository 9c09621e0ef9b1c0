"""The catalog's losses of lists of scores, and of scores alone: name -> what they are given, ours, theirs."""

import functools
import math

import jax.numpy as jnp

from benchmarks.catalog import batches
from benchmarks.catalog.entry import Entry
from benchmarks.catalog.peers import cross_encoder, jax_peer
from jaxsim import losses

partial = functools.partial
Lists = partial(Entry, batches.lists, batch=256, dim=32)
Orders = partial(Entry, batches.orders, batch=256, dim=32)
Pairs = partial(Entry, batches.scores)


def sentence(name, **settings):
    """In one mini-batch of all scores."""
    return cross_encoder(lambda s, model: getattr(s, name)(model, mini_batch_size=-1, **settings))


def in_their_order(name):
    """Theirs by name, where documents are sorted by grade first."""
    return sentence(name, respect_input_order=False)


def of_rax(name):
    """Rax's function by name."""

    def make():
        import rax

        return getattr(rax, name)

    return jax_peer(f"rax {name}", make)


def of_two():
    """Rax's logistic loss of two documents, the first one liked."""

    import rax

    def called(first, second):
        liked = jnp.tile(jnp.array([1.0, 0.0]), (len(first), 1))
        return rax.pairwise_logistic_loss(jnp.stack([first, second], axis=1), liked)

    return called


def of_optax(name):
    """The mean of optax's function by name."""

    def make():
        import optax

        return lambda *arrays: getattr(optax.losses, name)(*arrays).mean()

    return jax_peer(f"optax {name}", make)


def first_of_each():
    """Optax's softmax over a list whose first document is right."""

    import optax

    def called(scores):
        return optax.losses.ranking_softmax_loss(scores, jnp.zeros_like(scores).at[:, 0].set(1))

    return called


LISTS = {
    "adr_mse": Lists(losses.adr_mse, sentence("ADRMSELoss")),
    "lambda_loss": Lists(losses.lambda_loss, sentence("LambdaLoss")),
    "list_mle": Orders(losses.list_mle, in_their_order("ListMLELoss")),
    "list_net": Lists(losses.list_net, sentence("ListNetLoss")),
    "list_softmax": Entry(
        batches.one_right,
        losses.list_softmax,
        jax_peer("optax ranking_softmax_loss", first_of_each),
        batch=256,
        dim=32,
    ),
    "ndcg_loss_1": Lists(
        losses.ndcg_loss_1,
        cross_encoder(
            lambda s, model: s.LambdaLoss(
                model, weighting_scheme=s.NDCGLoss1Scheme(), mini_batch_size=-1
            )
        ),
        apart="a candidate against itself counts there",
    ),
    "p_list_mle": Orders(losses.p_list_mle, in_their_order("PListMLELoss")),
    "pairwise_hinge": Lists(losses.pairwise_hinge, of_rax("pairwise_hinge_loss")),
    "pairwise_mse": Lists(losses.pairwise_mse, of_rax("pairwise_mse_loss")),
    "pairwise_soft_zero_one": Lists(
        losses.pairwise_soft_zero_one, of_rax("pairwise_soft_zero_one_loss")
    ),
    "rank_net": Lists(
        lambda *arrays: losses.rank_net(*arrays) / math.log(2), sentence("RankNetLoss")
    ),
    "unime_v2_rerank": Entry(
        batches.reranked, losses.unime_v2_rerank, moved=(0, 1), batch=256, dim=32
    ),
    "unique_softmax": Lists(losses.unique_softmax, of_rax("unique_softmax_loss")),
}
SCORES = {
    "arl": Entry(batches.modalities, losses.arl, moved=(0, 1)),
    "binary_cross_entropy": Entry(
        batches.yes_or_no, losses.binary_cross_entropy, of_optax("sigmoid_binary_cross_entropy")
    ),
    "bradley_terry": Entry(
        batches.two_scores,
        losses.bradley_terry,
        jax_peer("rax pairwise_logistic_loss", of_two),
        moved=(0, 1),
    ),
    "cross_entropy": Entry(
        batches.logits,
        losses.cross_entropy,
        of_optax("softmax_cross_entropy_with_integer_labels"),
    ),
    "dependence": Entry(batches.one_right, losses.dependence),
    "inverse_entropy": Entry(batches.one_right, losses.inverse_entropy),
    "expected_preference": Entry(batches.two_scores, losses.expected_preference, moved=(0, 1)),
    "pair_rank": Pairs(losses.pair_rank),
    "pearson": Pairs(losses.pearson),
    "pro": Pairs(losses.pro),
    "rank_kl": Pairs(losses.rank_kl),
    "rank_kl_total": Pairs(losses.rank_kl_total),
    "unimodal_entropy": Entry(batches.one_right, losses.unimodal_entropy),
}
Routers = partial(Entry, batches.routers, dim=8)
ROUTERS = {
    "enforced_routing": Routers(losses.enforced_routing),
    "load_balance": Routers(lambda logits, domains: losses.load_balance(logits)),
    "router_z": Routers(lambda logits, domains: losses.router_z(logits)),
    "routing_information": Routers(partial(losses.routing_information, tasks=8)),
    "routing_information_released": Routers(partial(losses.routing_information_released, tasks=8)),
}
LISTS |= SCORES | ROUTERS
