"""Losses of sentence-transformers' sparse encoders against ours."""

import functools

import jax
import jax.numpy as jnp
import pytest
from parity import CASES, Peer, assert_same, each, of_ours, torch
from sentence_stub import Given, embedded
from sentence_transformers import sentence_transformer
from sentence_transformers.sparse_encoder import losses as theirs

from jaxsim import losses
from jaxsim.similarity import dot

of_dense = sentence_transformer.losses


def activations(columns):
    return [jax.nn.relu(a) for a in columns]


def their_activations(columns):
    return [torch.relu(a) for a in columns]


def our_flops(columns, labels, where):
    return losses.flops(jax.nn.relu(columns[0]), threshold=2, where=where)


def their_flops(columns, labels):
    loss = theirs.FlopsLoss(Given(), threshold=2)
    return loss.compute_loss_from_embeddings(torch.relu(columns[0]))


def our_splade(columns, labels, where):
    queries, *documents = map(jax.nn.relu, columns)
    ranking = functools.partial(losses.info_nce, temperature=1.0, similarity=dot, where=where)
    loss = losses.splade(
        ranking, query_weight=0.5, document_weight=0.25, query_threshold=2, where=where
    )
    return loss(queries, jnp.stack(documents, axis=1))


def their_splade(columns, labels):
    model = Given()
    loss = theirs.SpladeLoss(
        model,
        theirs.SparseMultipleNegativesRankingLoss(model),
        query_regularizer_weight=0.5,
        document_regularizer_weight=0.25,
        query_regularizer_threshold=2,
    )
    return embedded(loss, [torch.relu(a) for a in columns], labels)


# Of each column of texts: the sparse vectors, then what the autoencoder makes of them.
PARTS = (
    "sentence_embedding",
    "sentence_embedding_backbone",
    "decoded_embedding_k",
    "decoded_embedding_4k",
    "decoded_embedding_aux",
    "decoded_embedding_k_pre_bias",
)


def our_csr(columns, labels, where):
    texts = columns[: len(PARTS)], columns[len(PARTS) :]
    ranked = losses.info_nce(texts[0][0], texts[1][0], temperature=1.0, similarity=dot, where=where)
    told = [losses.csr_reconstruction(*t[1:], auxiliary_weight=0.5, where=where) for t in texts]
    return 2 * ranked + (told[0] + told[1]) / 2


def their_csr(columns, labels):
    texts = columns[: len(PARTS)], columns[len(PARTS) :]
    loss = theirs.CSRLoss(Given(), beta=0.5, gamma=2.0)
    return loss([dict(zip(PARTS, t, strict=True)) for t in texts], labels)


def our_splade_of_all(columns, labels, where):
    """The documents' penalty on queries and documents together."""
    rows = activations(columns)
    ranked = losses.info_nce(*rows, temperature=1.0, similarity=dot, where=where)
    return ranked + 0.25 * losses.flops(jnp.concatenate(rows), where=jnp.tile(where, 2))


def their_splade_of_all(columns, labels):
    model = Given()
    loss = theirs.SpladeLoss(
        model,
        theirs.SparseMultipleNegativesRankingLoss(model),
        document_regularizer_weight=0.25,
        use_document_regularizer_only=True,
    )
    return embedded(loss, their_activations(columns), labels)


def their_cached_splade(columns, labels):
    """As its two mini-batches of vectors have it."""
    model = Given()
    loss = theirs.CachedSpladeLoss(
        model,
        theirs.SparseMultipleNegativesRankingLoss(model),
        query_regularizer_weight=0.5,
        document_regularizer_weight=0.25,
        query_regularizer_threshold=2,
    )
    halves = [torch.tensor_split(a, 2) for a in their_activations(columns)]
    return loss.calculate_loss([[h for h in c if len(h)] for c in halves])


def our_reconstruction(columns, labels, where):
    return losses.csr_reconstruction(*columns, auxiliary_weight=0.5, where=where)


def their_reconstruction(columns, labels):
    loss = theirs.CSRReconstructionLoss(Given(), beta=0.5)
    return loss.compute_loss_from_embeddings([dict(zip(PARTS[1:], columns, strict=True))])


def grades(random, rows):
    return random.integers(0, 5, size=rows) / 4


def our_angle(columns, labels, where):
    return losses.angle(*columns, labels, temperature=0.5, where=where)


def their_angle(columns, labels):
    return theirs.SparseAnglELoss(Given(), scale=2.0).compute_loss_from_embeddings(columns, labels)


PEERS = {
    "SparseAnglELoss": Peer(our_angle, their_angle, labels=grades),
    "FlopsLoss": Peer(our_flops, their_flops, columns=1, cosine=False),
    "SpladeLoss": Peer(our_splade, their_splade, columns=4, cosine=False),
    "SpladeLoss, one penalty": Peer(our_splade_of_all, their_splade_of_all, cosine=False),
    "CachedSpladeLoss": Peer(our_splade, their_cached_splade, columns=4, cosine=False),
    "CSRReconstructionLoss": Peer(
        our_reconstruction, their_reconstruction, columns=len(PARTS) - 1, cosine=False
    ),
    "CSRLoss": Peer(our_csr, their_csr, columns=2 * len(PARTS), cosine=False),
}


@functools.cache
def compiled(name):
    return of_ours(PEERS[name])


@pytest.mark.parametrize(("name", "case"), each(PEERS, CASES))
def test_agrees(name, case, float64):
    assert_same(PEERS[name], compiled(name), case)


DENSE = {
    "SparseCoSENTLoss": of_dense.CoSENTLoss,
    "SparseAnglELoss": of_dense.CoSENTLoss,
    "SparseCosineSimilarityLoss": of_dense.CosineSimilarityLoss,
    "SparseDistillKLDivLoss": of_dense.DistillKLDivLoss,
    "SparseMarginMSELoss": of_dense.MarginMSELoss,
    "SparseMSELoss": of_dense.MSELoss,
    "SparseMultipleNegativesRankingLoss": of_dense.MultipleNegativesRankingLoss,
    "SparseTripletLoss": of_dense.TripletLoss,
}


@pytest.mark.parametrize("name", DENSE)
def test_a_loss_of_sparse_vectors_is_that_of_dense_ones(name):
    loss = getattr(theirs, name)
    assert issubclass(loss, DENSE[name])
    assert loss.compute_loss_from_embeddings is DENSE[name].compute_loss_from_embeddings
