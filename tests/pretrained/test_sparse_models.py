"""Sparse encoders (SPLADE) of folders: vectors, their words, saving, and what is refused."""

import jax
import numpy as np
import pytest
from model_folders import make, make_sparse

from jaxsim import encoders, pretrained, similarity

TEXTS = ["red round", "blue", "", "large old square"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return pretrained.load(make_sparse(tmp_path_factory.mktemp("sparse") / "in"))


def test_vectors_are_the_largest_saturated_logits(model):
    texts = model.tokenize(TEXTS)
    module, params = model.masked_lm()
    logits = np.float64(jax.jit(module.apply)(params, texts))
    weights = np.log1p(np.maximum(logits, 0)) * texts["where"][..., None]
    np.testing.assert_allclose(model.encode(model.params, texts), weights.max(axis=1), atol=1e-5)
    assert model.similarity is similarity.dot
    vectors = model.embed(TEXTS)
    np.testing.assert_allclose(vectors, weights.max(axis=1), atol=1e-5)
    sparse = model.embed_sparse(TEXTS)
    assert sparse.shape == (4, 15)
    assert sparse.dtype == np.float32
    np.testing.assert_array_equal(sparse.toarray(), vectors)
    assert 0 < sparse.nnz < vectors.size


def test_the_largest_numbers_are_kept(model):
    vectors = model.embed(TEXTS)
    few = model.embed_sparse(TEXTS, max_active_dims=3)
    for row, kept in zip(vectors, few.toarray(), strict=True):
        order = np.argsort(-row, kind="stable")[:3]
        np.testing.assert_array_equal(np.flatnonzero(kept), np.sort(order))
        np.testing.assert_allclose(kept[order], row[order], rtol=1e-6)
    limited = model.replace(max_active_dims=3)
    np.testing.assert_array_equal(limited.embed(TEXTS), few.toarray())
    assert (limited.encode(model.params, model.tokenize(TEXTS)) != 0).sum() > few.nnz


def test_words_of_a_vector_come_with_their_weights(model):
    vectors = model.embed_sparse(TEXTS)
    words = model.words_of(vectors, 2)
    assert list(map(len, words)) == [2, 2, 2, 2]
    assert words == [one[:2] for one in model.words_of(vectors.toarray())]
    number = model.tokenizer.backend.token_to_id(words[0][0][0])
    assert words[0][0][1] == vectors.toarray()[0, number] == vectors.toarray()[0].max()


def test_a_saved_folder_gives_the_same_vectors(model, tmp_path):
    again = pretrained.load(model.save(tmp_path / "out"))
    assert isinstance(again, pretrained.SparseTextModel)
    np.testing.assert_array_equal(again.embed(TEXTS), model.embed(TEXTS))
    limited = pretrained.load(make_sparse(tmp_path / "in", sentence={"max_active_dims": 2}))
    assert limited.max_active_dims == 2


def test_of_a_masked_language_model_a_sparse_encoder_is_made(model, tmp_path):
    language = pretrained.load(make_sparse(tmp_path / "in", parts=False))
    assert not isinstance(language, pretrained.SparseTextModel)
    made = pretrained.splade(language, pooling=encoders.summed, max_active_dims=4)
    again = pretrained.load(made.save(tmp_path / "out"))
    assert again.module.pooling is encoders.summed
    assert again.max_active_dims == 4
    assert again.prompts == {"query": "", "document": ""}
    np.testing.assert_array_equal(
        again.params["params"]["head"]["bias"], made.params["params"]["head"]["bias"]
    )
    for settings, words in (
        ({"pooling": encoders.mean}, "pooling must be largest, summed, got mean"),
        ({"activation": max}, "activation must be log_saturation, .* got max"),
        ({"max_active_dims": 0}, "max_active_dims must be"),
    ):
        with pytest.raises(ValueError, match=words):
            pretrained.splade(language, **settings)
    with pytest.raises(ValueError, match=r"lacks cls\.predictions"):
        pretrained.splade(pretrained.load(make(tmp_path / "none")))


def test_refusals_name_the_file_and_the_field(tmp_path):
    def refused(words, **files):
        number = len(list(tmp_path.iterdir()))
        with pytest.raises(ValueError, match=words):
            pretrained.load(make_sparse(tmp_path / str(number), **files))

    refused("pooling_strategy must be", pooling={"pooling_strategy": "mean"})
    refused("activation_function must be", pooling={"activation_function": "gelu"})
    refused("gives vectors of 14, and the model has 15", pooling={"embedding_dimension": 14})
    refused("truncate_dim must be null", sentence={"truncate_dim": 4})
    refused("model_type must be 'SparseEncoder'", sentence={"model_type": "SentenceTransformer"})
    refused("transformer_task must be", lengths={"transformer_task": "feature-extraction"})
    folder = make_sparse(tmp_path / "parts")
    entries = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(
            [("", "Transformer"), ("1_SpladePooling", "SpladePooling"), ("2", "Normalize")]
        )
    ]
    (folder / "modules.json").write_text(str(entries).replace("'", '"'))
    with pytest.raises(ValueError, match="a sparse encoder must be a Transformer and a Splade"):
        pretrained.load(folder)
    bare = make_sparse(tmp_path / "bare", head=False)
    with pytest.raises(ValueError, match="a sparse encoder's masked_lm needs a folder with"):
        pretrained.load(bare)
