"""The catalog's losses of a teacher, of several layers or sizes, and of words: name -> given, ours, theirs."""

import functools

import jax
import jax.numpy as jnp

from benchmarks.catalog import batches
from benchmarks.catalog.entry import Entry
from benchmarks.catalog.peers import cross_encoder, decoder, from_embeddings, jax_peer, sentence
from jaxsim import losses
from jaxsim.similarity import dot

partial = functools.partial
Vectors = partial(Entry, batches.pairs)
Layers = partial(Entry, batches.layers, moved=(0, 1), batch=256)
Scores = partial(Entry, batches.taught, batch=256, dim=32)
Words = partial(Entry, batches.words, moved=(0, 1, 2))
SIZES = 128, 64, 32


def distilled(metric):
    """Theirs of a student's and a teacher's vectors."""
    return sentence(lambda s, model: s.EmbedDistillLoss(model, metric), labels=True)


def ranked(z, **shared):
    """InfoNCE of both sides of a pair."""
    return losses.info_nce(z[0], z[1], **shared)


def sizes_of(x):
    """The sizes for vectors of at least 128 dimensions, in proportion for shorter ones."""
    return tuple(size * min(x.shape[-1], SIZES[0]) // SIZES[0] for size in SIZES)


def composed(make, *drawn, sized=False):
    """A composition of `info_nce` at layers, at sizes where it is `sized`, or at what a key draws."""

    def called(x, y):
        inputs = map(jnp.asarray, drawn) if drawn else [jax.random.key(0)]
        settings = {"dims": sizes_of(x)} if sized else {}
        return make(ranked, **settings)((x, y), *inputs)

    return called


def of_sizes(x, y):
    """Ours at several sizes of a vector."""
    return losses.matryoshka(ranked, dims=sizes_of(x))((x, y))


def their_sizes(s, model):
    """Theirs at the same sizes."""
    return s.MatryoshkaLoss(model, s.MultipleNegativesRankingLoss(model), list(SIZES))


def sparse(x, y):
    """Ours of sparse vectors."""
    ranking = partial(losses.info_nce, temperature=1.0, similarity=dot)
    return losses.splade(ranking, query_weight=0.5, document_weight=0.25)(x, y)


def their_sparse(s, model):
    """Theirs of sparse vectors, with the same weights."""
    return s.SpladeLoss(
        model,
        s.SparseMultipleNegativesRankingLoss(model),
        query_regularizer_weight=0.5,
        document_regularizer_weight=0.25,
    )


def reconstructed(loss, *arrays):
    """Theirs on the parts of an autoencoder that are given."""
    names = ("sentence_embedding_backbone", "decoded_embedding_k", "decoded_embedding_4k")
    names += ("decoded_embedding_aux", "decoded_embedding_k_pre_bias")
    return loss.compute_loss_from_embeddings([dict(zip(names, arrays, strict=True))])


def squared_error():
    """Optax's squared error, its mean."""

    import optax

    return lambda x, y: optax.losses.squared_error(x, y).mean()


def divergence():
    """Optax's divergence of a student's scores from a teacher's."""

    import optax

    def called(x, y):
        return optax.losses.kl_divergence(jax.nn.log_softmax(x), jax.nn.softmax(y)).mean()

    return called


def of_classes_drawn(loss):
    """A loss of rows, right classes and drawn ones, which the sampler draws equally often."""

    def called(x, y, drawn):
        counts = {"target_log_counts": jnp.zeros(len(x))}
        return loss(x, y, drawn, **counts, negative_log_counts=jnp.zeros(drawn.shape[:2]))

    return called


TEACHERS = {
    "coordinate_kl": Vectors(partial(losses.coordinate_kl, temperature=1.0)),
    "backward_compatible": Entry(batches.classes, losses.backward_compatible),
    "higher_order_compatibility": Entry(batches.replaced, losses.higher_order_compatibility),
    "higher_order_compatibility_released": Entry(
        batches.replaced, losses.higher_order_compatibility_released
    ),
    "stationary": Entry(batches.replaced_on_a_simplex, losses.stationary),
    "dse_binary": Entry(batches.taught_scores, losses.dse_binary),
    "dse_multiclass": Entry(batches.taught_logits, losses.dse_multiclass, dim=32),
    "dse_regression": Entry(batches.taught_scores, losses.dse_regression),
    "embedding_distillation": Vectors(losses.embedding_distillation),
    "embedding_distillation_cosine": Vectors(
        losses.embedding_distillation_cosine, distilled("cosine")
    ),
    "embedding_distillation_l2": Vectors(losses.embedding_distillation_l2, distilled("l2")),
    "embedding_distillation_mse": Vectors(losses.embedding_distillation_mse, distilled("mse")),
    "jensen_shannon": Scores(losses.jensen_shannon),
    "margin_mse": Scores(
        losses.margin_mse, cross_encoder(lambda s, model: s.MarginMSELoss(model), columns=True)
    ),
    "relational_angles": Vectors(losses.relational_angles, batch=256),
    "relational_distances": Vectors(losses.relational_distances),
    "score_distillation": Scores(
        losses.score_distillation, jax_peer("optax kl_divergence", divergence)
    ),
    "score_mse": Scores(losses.score_mse, jax_peer("optax squared_error", squared_error)),
    "symmetric_kl": Scores(losses.symmetric_kl),
    "symmetric_kl_released": Scores(losses.symmetric_kl_released),
}
LAYERS_AND_SIZES = {
    "adaptive_layers": Layers(composed(losses.adaptive_layers, (0, 1, 2))),
    "adaptive_matryoshka": Layers(composed(losses.adaptive_matryoshka, sized=True)),
    "matryoshka": Entry(batches.pairs, of_sizes, sentence(their_sizes), moved=(0, 1)),
    "matryoshka_2d": Layers(composed(losses.matryoshka_2d, 1, 64)),
    "matryoshka_2d_a1": Layers(composed(losses.matryoshka_2d_a1, 1, 64)),
    "matryoshka_2d_a2": Layers(composed(losses.matryoshka_2d_a2, 1, 64)),
    "matryoshka_drawn": Entry(
        batches.pairs, composed(losses.matryoshka_drawn, sized=True), moved=(0, 1)
    ),
}
SPARSE_AND_WORDS = {
    "csr_reconstruction": Entry(
        batches.told_again,
        losses.csr_reconstruction,
        from_embeddings(lambda s, model: s.CSRReconstructionLoss(model, beta=1.0), reconstructed),
        moved=(0, 1, 2, 3),
    ),
    "denoising": Entry(batches.tokens, losses.denoising, decoder, batch=32, dim=32),
    "binary_pv_dbow": Words(of_classes_drawn(losses.binary_pv_dbow)),
    "binary_pv_dm": Words(
        of_classes_drawn(
            lambda x, *rest, **counts: losses.binary_pv_dm(
                x[:, :64], x[:, None, 64:], *rest, **counts
            )
        )
    ),
    "binary_pv_dm_sum": Words(
        of_classes_drawn(
            lambda x, *rest, **counts: losses.binary_pv_dm_sum(x, x[:, None], *rest, **counts)
        )
    ),
    "disambiguated_skip_gram": Words(
        of_classes_drawn(
            lambda x, *rest, **counts: losses.disambiguated_skip_gram(
                jnp.float32(x)[:, None] + jnp.arange(3)[:, None],
                jax.nn.softmax(jnp.float32(x[:, :3])),
                *rest,
                entropy_weight=-0.1,
                **counts,
            )
        )
    ),
    "gaussian_elbo": Entry(batches.decoded, losses.gaussian_elbo, moved=(0, 1, 2, 3)),
    "real_binary_pv_dbow": Words(
        of_classes_drawn(
            lambda x, *rest, **counts: losses.real_binary_pv_dbow(
                x, jnp.eye(x.shape[1]), *rest, **counts
            )
        )
    ),
    "sampled_softmax": Words(of_classes_drawn(losses.sampled_softmax)),
    "sgns": Words(losses.sgns),
    "sgns_windows": Words(lambda x, y, drawn: losses.sgns_windows(x[:, None], y[:, None], drawn)),
    "splade": Entry(batches.activations, sparse, sentence(their_sparse, sparse=True), moved=(0, 1)),
}
TEACHERS |= LAYERS_AND_SIZES | SPARSE_AND_WORDS
