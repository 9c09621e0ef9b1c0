"""Losses of sentence-transformers on several layers and sizes, and on texts told again, against ours.

What theirs draws by `random.sample` is what ours draws from its key.
"""

import functools
from types import SimpleNamespace
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import CASES, DIM, Peer, assert_same, each, of_ours, torch
from sentence_stub import Given, embedded
from sentence_transformers import SentenceTransformer, sentence_transformer
from sentence_transformers.base.modules import Transformer

from jaxsim import losses

theirs = sentence_transformer.losses
LAYERS = 3  # the embeddings before the first block, and two blocks
DIMS = 4, 2, 1
WEIGHTS = 1.0, 0.5, 2.0
KEY = np.array([0, 7], np.uint32)  # made a key where it is drawn from


class Layers(Transformer):
    """A transformer whose layers are its input."""

    auto_model = SimpleNamespace(config=SimpleNamespace(output_hidden_states=False))

    def __init__(self):
        torch.nn.Module.__init__(self)

    def forward(self, features, **_):
        layers = features["layers"]
        features.update(all_layer_embeddings=layers, token_embeddings=layers[-1])
        return features  # in place, as theirs: the next pass looks there


class Layered(SentenceTransformer):
    """A bi-encoder of such a transformer: a text is one token, which needs no pooling."""

    def __init__(self):
        torch.nn.Sequential.__init__(self, Layers())

    def forward(self, features, **_):
        features = self[0].forward(features)
        return {**features, "sentence_embedding": features["token_embeddings"]}

    def get_embedding_dimension(self):
        return DIM


def of_layers(make, drawn=list, **settings):
    """Theirs of two texts, three columns each. drawn: () -> what its random.sample gives, in order."""

    def called(columns, labels):
        model = Layered()
        loss = make(model, theirs.MultipleNegativesRankingLoss(model), **settings)
        texts = columns[:LAYERS], columns[LAYERS:]
        with mock.patch("random.sample", side_effect=drawn()):
            return loss([{"layers": text} for text in texts], labels)

    return called


def ranked(where):
    return lambda z: losses.info_nce(z["q"], z["d"], where=where)


def on_layers(make, drawn, **settings):
    """Ours of the same. drawn: () -> layers, or a key."""

    def called(columns, labels, where):
        states = {"q": jnp.stack(columns[:LAYERS]), "d": jnp.stack(columns[LAYERS:])}
        return make(ranked(where), where=where, **settings)(states, drawn())

    return called


def key():
    return jax.random.wrap_key_data(KEY)


def on_drawn(columns, labels, where):
    make = losses.adaptive_matryoshka
    return on_layers(make, key, dims=DIMS, weights=WEIGHTS, draws=2)(columns, labels, where)


def drawn_by_ours():
    """What `adaptive_matryoshka` draws from the key: sizes of the last layer, a layer, its sizes."""
    for_layer, for_last, for_shallow = jax.random.split(key(), 3)
    layer = losses.parts.draw_layers(for_layer, num_layers=LAYERS - 1)
    return sizes_drawn(for_last), layer.tolist(), sizes_drawn(for_shallow)


def sizes_drawn(key):
    return jax.random.choice(key, len(DIMS), (2,), replace=False).tolist()


def layer_drawn():
    return losses.parts.draw_layers(key(), num_layers=LAYERS - 1)


def all_layers():
    return np.arange(LAYERS - 1)


def kl_alone(columns, labels, where):
    states = {"q": jnp.stack(columns[:LAYERS]), "d": jnp.stack(columns[LAYERS:])}
    last = jax.lax.stop_gradient(jax.tree.map(lambda a: a[-1], states))
    of = functools.partial(losses.coordinate_kl, teacher=last, temperature=0.5, where=where)
    return 0.5 * sum(of(jax.tree.map(lambda a, i=i: a[i], states)) for i in range(LAYERS - 1))


def cut(columns, labels, where):
    loss = losses.matryoshka_drawn(ranked(where), dims=DIMS, weights=WEIGHTS, draws=2)
    return loss({"q": columns[0], "d": columns[1]}, key())


def their_cuts(columns, labels):
    model = Given()
    ranking = theirs.MultipleNegativesRankingLoss(model)
    loss = theirs.MatryoshkaLoss(
        model, ranking, list(DIMS), matryoshka_weights=list(WEIGHTS), n_dims_per_step=2
    )
    with mock.patch("random.sample", side_effect=[sizes_drawn(key())]):
        return embedded(loss, columns, labels)


ZEROS = {case: "a cut of zeros has slope 1e12 there" for case in ("one_zero_row", "all_zero")}
Deep = functools.partial(Peer, columns=2 * LAYERS, without=ZEROS)
STACKS = {
    "AdaptiveLayerLoss": Deep(
        on_layers(losses.adaptive_layers, all_layers),
        of_layers(theirs.AdaptiveLayerLoss, n_layers_per_step=-1),
    ),
    "AdaptiveLayerLoss, weighed": Deep(
        on_layers(
            losses.adaptive_layers,
            all_layers,
            last_weight=0.5,
            prior_weight=2.0,
            kl_weight=3.0,
            temperature=0.7,
            depth_weight=losses.parts.log_depth_weight,
        ),
        of_layers(
            theirs.AdaptiveLayerLoss,
            n_layers_per_step=-1,
            last_layer_weight=0.5,
            prior_layers_weight=2.0,
            kl_div_weight=3.0,
            kl_temperature=0.7,
            layer_weighting="log",
        ),
    ),
    "AdaptiveLayerLoss, linear": Deep(
        on_layers(
            losses.adaptive_layers, all_layers, depth_weight=losses.parts.linear_depth_weight
        ),
        of_layers(theirs.AdaptiveLayerLoss, n_layers_per_step=-1, layer_weighting="linear"),
    ),
    "AdaptiveLayerLoss, one layer drawn": Deep(
        on_layers(losses.adaptive_layers, layer_drawn),
        of_layers(theirs.AdaptiveLayerLoss, lambda: [layer_drawn().tolist()]),
    ),
    "AdaptiveLayerLoss, its divergence alone": Deep(
        kl_alone,
        of_layers(
            theirs.AdaptiveLayerLoss,
            n_layers_per_step=-1,
            last_layer_weight=0.0,
            prior_layers_weight=0.0,
            kl_temperature=0.5,
        ),
    ),
    "Matryoshka2dLoss": Deep(
        on_drawn,
        of_layers(
            theirs.Matryoshka2dLoss,
            drawn_by_ours,
            matryoshka_dims=list(DIMS),
            matryoshka_weights=list(WEIGHTS),
            n_dims_per_step=2,
        ),
    ),
    "MatryoshkaLoss, sizes drawn": Peer(cut, their_cuts, without=ZEROS),
}


# A decoder that is a table: what it says after a word, and of the text's vector.
WORDS, LENGTH, PAD = 7, 5, 0
AFTER = np.random.default_rng(1).normal(size=(WORDS, WORDS))
OF_VECTOR = np.random.default_rng(2).normal(size=(DIM, WORDS))


def texts(random, rows):
    """Texts of 3 to 5 words, padded."""
    tokens = random.integers(1, WORDS, size=(rows, LENGTH))
    lengths = 3 + np.arange(rows) % 3
    return np.where(np.arange(LENGTH) < lengths[:, None], tokens, PAD)


def told_again(columns, labels, where):
    logits = jnp.asarray(AFTER)[labels[:, :-1]] + (columns[0] @ OF_VECTOR)[:, None]
    return losses.denoising(logits, labels, token_where=labels != PAD, where=where)


def decoded(input_ids, encoder_hidden_states, **_):
    return (torch.tensor(AFTER)[input_ids] + encoder_hidden_states @ torch.tensor(OF_VECTOR),)


def told_again_by_theirs(columns, labels):
    loss = theirs.DenoisingAutoEncoderLoss.__new__(theirs.DenoisingAutoEncoderLoss)
    torch.nn.Module.__init__(loss)
    loss.encoder, loss.decoder, loss.need_retokenization = Given(), decoded, False
    loss.tokenizer_decoder = SimpleNamespace(pad_token_id=PAD)
    seen = torch.ones_like(labels)
    damaged = {"sentence_embedding": columns[0], "attention_mask": seen}
    return loss([damaged, {"input_ids": labels}], None)


PEERS = STACKS | {
    "DenoisingAutoEncoderLoss": Peer(
        told_again, told_again_by_theirs, columns=1, labels=texts, cosine=False
    ),
}


@functools.cache
def compiled(name):
    return of_ours(PEERS[name])


@pytest.mark.parametrize(("name", "case"), each(PEERS, CASES))
def test_agrees(name, case, float64):
    assert_same(PEERS[name], compiled(name), case)
