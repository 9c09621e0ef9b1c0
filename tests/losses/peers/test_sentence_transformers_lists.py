"""Every loss of sentence-transformers' cross-encoders and multi-vector encoders against ours.

A cross-encoder's loss sees a table of scores [queries, documents]; theirs rounds it to float32.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import CASES, DIM, ROWS, Peer, assert_same, each, of_ours, torch
from sentence_stub import Scores, Tokens, scored
from sentence_transformers.cross_encoder import losses as theirs
from sentence_transformers.multi_vector_encoder import losses as many

from jaxsim import losses
from jaxsim.similarity import max_sim

ROUNDED = 1e-5


def grades(random, rows):
    """Of each row's candidates, with ties."""
    return random.integers(0, 4, size=(rows, DIM)).astype(float)


def unlike(random, rows):
    """Without ties: whose order theirs leaves to an unstable sort."""
    return random.permuted(np.tile(np.arange(DIM, dtype=float), (rows, 1)), axis=1)


def falling(random, rows):
    return np.tile(np.arange(DIM, 0.0, -1), (rows, 1))


def on_lists(loss, **settings):
    def called(columns, labels, where):
        return loss(columns[0], labels, where=where, **settings)

    return called


def of_lists(make, **settings):
    return lambda columns, labels: scored(lambda m: make(m, **settings), columns[0], labels)


def lists(ours, theirs, labels=grades, apart=None):
    return Peer(ours, theirs, 1, labels, cosine=False, apart=apart or {}, atol=ROUNDED)


def in_bits(loss):
    return lambda *args, **settings: loss(*args, **settings) / np.log(2)


def weighed(scheme, weights, **settings):
    """Their weighting scheme and our weights in one loss."""
    ours = {"temperature": 1 / settings.pop("sigma", 1.0), **settings}
    return lists(
        on_lists(losses.lambda_loss, pair_weights=weights, **ours),
        of_lists(
            theirs.LambdaLoss,
            weighting_scheme=scheme,
            sigma=1 / ours["temperature"],
            **settings,
        ),
    )


def first_loss(columns, labels, where):
    """NDCG-Loss1 as theirs counts it: with each candidate against itself, at log 2."""
    gains = 2**labels - 1
    best = jnp.sort(gains, axis=1, descending=True) / jnp.log2(2 + jnp.arange(DIM))
    gains = gains / jnp.maximum(best.sum(axis=1, keepdims=True), 1e-10)
    ranks = 1 + jnp.argsort(jnp.argsort(-columns[0], axis=1), axis=1)
    itself = jnp.where(where[:, None], gains / jnp.log2(1 + ranks), 0).sum() / (where.sum() * DIM)
    apart = losses.ndcg_loss_1(columns[0], labels, where=where)
    return ((DIM - 1) * apart + itself) / DIM


LISTS = {
    "ListNetLoss": lists(on_lists(losses.list_net), of_lists(theirs.ListNetLoss)),
    "ListMLELoss": lists(
        on_lists(losses.list_mle),
        of_lists(theirs.ListMLELoss, respect_input_order=False),
        labels=unlike,
    ),
    "ListMLELoss, in the input's order": lists(
        lambda columns, labels, where: losses.list_mle(
            columns[0], jnp.asarray(falling(None, ROWS)), where=where
        ),
        of_lists(theirs.ListMLELoss),
    ),
    "PListMLELoss": lists(
        on_lists(losses.p_list_mle),
        of_lists(theirs.PListMLELoss, respect_input_order=False),
        labels=unlike,
    ),
    "PListMLELambdaWeight": lists(
        on_lists(losses.p_list_mle, place_weights=losses.parts.halving_places),
        of_lists(
            theirs.PListMLELoss,
            lambda_weight=theirs.PListMLELambdaWeight(),
            respect_input_order=False,
        ),
        labels=unlike,
    ),
    "PListMLELambdaWeight, one's own": lists(
        on_lists(losses.p_list_mle, place_weights=lambda places, count: 1 / places),
        of_lists(
            theirs.PListMLELoss,
            lambda_weight=theirs.PListMLELambdaWeight(
                lambda mask: mask / torch.arange(1, mask.shape[1] + 1)
            ),
            respect_input_order=False,
        ),
        labels=unlike,
    ),
    "ADRMSELoss": lists(
        on_lists(losses.adr_mse, temperature=0.5), of_lists(theirs.ADRMSELoss, alpha=2.0)
    ),
    "RankNetLoss": lists(
        on_lists(in_bits(losses.rank_net), k=2, temperature=0.5),
        of_lists(theirs.RankNetLoss, k=2, sigma=2.0),
    ),
    "LambdaLoss": lists(on_lists(losses.lambda_loss), of_lists(theirs.LambdaLoss)),
    "NoWeightingScheme": lists(
        on_lists(losses.rank_net),
        of_lists(
            theirs.LambdaLoss, weighting_scheme=theirs.NoWeightingScheme(), reduction_log="natural"
        ),
    ),
    "NDCGLoss1Scheme": lists(
        first_loss, of_lists(theirs.LambdaLoss, weighting_scheme=theirs.NDCGLoss1Scheme())
    ),
    "NDCGLoss2Scheme": weighed(theirs.NDCGLoss2Scheme(), losses.parts.ndcg_loss_2_weights, k=2),
    "LambdaRankScheme": weighed(theirs.LambdaRankScheme(), losses.parts.lambda_rank_weights, k=1),
    "NDCGLoss2PPScheme": weighed(
        theirs.NDCGLoss2PPScheme(mu=3.0),
        functools.partial(losses.parts.ndcg_loss_2pp_weights, mu=3.0),
        sigma=2.0,
    ),
}


def paired(make):
    """Theirs on the first column of scores: query i with document 0."""

    def called(columns, labels):
        return scored(make, columns[0], labels, columns=[[0] * len(columns[0])])

    return called


def on_pairs(loss, **settings):
    def called(columns, labels, where):
        return loss(columns[0][:, 0], labels, where=where, **settings)

    return called


def own(columns, labels):
    """Query i's negatives are its documents 1, 2 and 3, as the teacher's scores have it."""
    rows = len(columns[0])
    documents = [[j] * rows for j in range(DIM)]
    return scored(theirs.MarginMSELoss, columns[0], labels, columns=documents)


def in_batch(make, **settings):
    """Query i's document is i of the table's columns, all others are negatives."""

    def called(columns, labels):
        table = columns[0] @ columns[1].T
        loss = functools.partial(make, num_negatives=None, **settings)
        return scored(loss, table, columns=[list(range(len(table)))])

    return called


def ours_in_batch(columns, labels, where):
    scores = 10 * jax.nn.sigmoid(columns[0] @ columns[1].T)
    positives = jnp.eye(ROWS, dtype=bool)
    there = jnp.broadcast_to(where, (ROWS, ROWS))
    return losses.list_softmax(scores, positives, candidate_where=there, where=where)


def several_classes(columns, labels):
    """Theirs where the model gives a row of logits."""
    rows = len(columns[0])
    loss = theirs.CrossEntropyLoss(Scores(columns[0][:, None]))
    return loss([[str(i) for i in range(rows)], ["0"] * rows], labels)


def numbers(random, rows):
    return random.integers(0, 5, size=rows) / 4


TOGETHER = {
    "cross_encoder.BinaryCrossEntropyLoss": Peer(
        on_pairs(losses.binary_cross_entropy, positive_weight=3.0),
        paired(
            functools.partial(
                theirs.BinaryCrossEntropyLoss, pos_weight=torch.tensor(3.0, dtype=torch.float64)
            )
        ),
        1,
        numbers,
        cosine=False,
    ),
    "cross_encoder.CrossEntropyLoss": Peer(
        on_lists(losses.cross_entropy),
        several_classes,
        1,
        lambda random, rows: random.integers(0, DIM, size=rows),
        cosine=False,
    ),
    "cross_encoder.MSELoss": Peer(
        lambda columns, labels, where: losses.score_mse(
            columns[0][:, :1], labels[:, None], where=where
        ),
        paired(theirs.MSELoss),
        1,
        numbers,
        cosine=False,
    ),
    "cross_encoder.MarginMSELoss": Peer(
        on_lists(losses.margin_mse), own, 1, grades, cosine=False, atol=ROUNDED
    ),
    "cross_encoder.MultipleNegativesRankingLoss": Peer(
        ours_in_batch, in_batch(theirs.MultipleNegativesRankingLoss), 2, cosine=False
    ),
    # One mini-batch of scores: theirs goes back through the table for each.
    "cross_encoder.CachedMultipleNegativesRankingLoss": Peer(
        ours_in_batch,
        in_batch(theirs.CachedMultipleNegativesRankingLoss, mini_batch_size=ROWS**2),
        2,
        cosine=False,
    ),
}


# Three tokens of two dimensions are made of a column [rows, 4]; every other text lacks the last.
def there(rows):
    return (np.arange(3) < 2) | (np.arange(rows)[:, None] % 2 == 1)


def our_tokens(a):
    return {"vectors": jnp.stack([a[:, :2], a[:, 2:], a[:, 1:3] * 2], axis=1), "where": there(ROWS)}


def their_tokens(a):
    return {
        "token_embeddings": torch.stack([a[:, :2], a[:, 2:], a[:, 1:3] * 2], dim=1),
        "attention_mask": torch.tensor(there(len(a))),
    }


def stacked(columns):
    """Documents as a pytree [rows, documents, tokens, ...]."""
    return jax.tree.map(lambda *a: jnp.stack(a, axis=1), *map(our_tokens, columns))


def ranked(columns, labels, where):
    return losses.info_nce(
        our_tokens(columns[0]),
        stacked(columns[1:]),
        temperature=2.0,
        similarity=max_sim,
        where=where,
    )


def own_scores(columns):
    query, documents = our_tokens(columns[0]), stacked(columns[1:])

    def of_row(query, documents):
        return max_sim(jax.tree.map(lambda a: a[None], query), documents)[0]

    return jax.vmap(of_row)(query, documents)


def on_max_sim(loss, **settings):
    def called(columns, labels, where):
        return loss(own_scores(columns), labels, where=where, **settings)

    return called


def of_tokens(make, **settings):
    def called(columns, labels):
        return make(Tokens(), **settings)([their_tokens(a) for a in columns], labels)

    return called


def split_tokens(columns, labels):
    """The cached form, of two mini-batches of texts a column."""
    loss = many.CachedMultiVectorMultipleNegativesRankingLoss(
        Tokens(), scale=0.5, score_mini_batch_size=4
    )
    texts = [their_tokens(a) for a in columns]
    chunks = [
        [[h for h in torch.tensor_split(text[name], 2) if len(h)] for text in texts]
        for name in ("token_embeddings", "attention_mask")
    ]
    return loss.calculate_loss(*chunks)


def teacher(random, rows):
    return random.normal(size=(rows, 3))


TIES = {
    "one_zero_row": "a token of zeros ties with all: theirs pulls the first, ours shares the slope"
}
TOKENS = {
    "MultiVectorMultipleNegativesRankingLoss": Peer(
        ranked,
        of_tokens(many.MultiVectorMultipleNegativesRankingLoss, scale=0.5),
        3,
        cosine=False,
        apart=TIES,
        atol=ROUNDED,
    ),
    "CachedMultiVectorMultipleNegativesRankingLoss": Peer(
        ranked, split_tokens, 3, cosine=False, apart=TIES, atol=ROUNDED
    ),
    "MultiVectorMarginMSELoss": Peer(
        on_max_sim(losses.margin_mse),
        of_tokens(many.MultiVectorMarginMSELoss),
        4,
        teacher,
        cosine=False,
        apart=TIES,
        atol=ROUNDED,
    ),
    "MultiVectorDistillKLDivLoss": Peer(
        on_max_sim(losses.score_distillation),
        of_tokens(many.MultiVectorDistillKLDivLoss),
        4,
        teacher,
        cosine=False,
        apart=TIES,
        atol=ROUNDED,
    ),
}

PEERS = LISTS | TOGETHER | TOKENS


@functools.cache
def compiled(name):
    return of_ours(PEERS[name])


@pytest.mark.parametrize(("name", "case"), each(PEERS, CASES))
def test_agrees(name, case, float64):
    assert_same(PEERS[name], compiled(name), case)
