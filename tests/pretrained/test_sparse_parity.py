"""Sparse encoders against sentence-transformers' SparseEncoder, on random weights, in both directions."""

import jax
import numpy as np
import pytest
from model_folders import make, write
from safetensors.numpy import load_file, save_file

from jaxsim import encoders, losses, pretrained, search, similarity
from jaxsim.__main__ import main

peer = pytest.importorskip("sentence_transformers", reason="needs the extra peers")
torch = pytest.importorskip("torch", reason="needs torch, of the extra peers")
transformers = pytest.importorskip("transformers", reason="needs transformers, of the extra peers")

TEXTS = ["red round", "blue", "green " * 30, "", "large old square", "query : red"]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
SIZES = {
    "vocab_size": 30,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 34,
}
FAMILIES = {
    "bert": {},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24},
    "roberta": {"type_vocab_size": 1, "pad_token_id": 1},
}


def language_model(folder, family="bert", **sizes):
    """A folder of a masked language model with random weights, as transformers writes it."""
    make(folder, family, parts=False)
    (folder / "model.safetensors").unlink()
    config = transformers.AutoConfig.for_model(family, **SIZES | FAMILIES[family] | sizes)
    torch.manual_seed(0)
    model = transformers.AutoModelForMaskedLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    model.save_pretrained(folder)
    return folder


def sparse_encoder(folder, **pooling):
    body = peer.base.modules.Transformer(str(folder), transformer_task="fill-mask")
    pooled = peer.sparse_encoder.modules.SpladePooling(**pooling)
    return peer.SparseEncoder(modules=[body, pooled], device="cpu")


def theirs_of(model, **settings):
    return model.encode(TEXTS, convert_to_sparse_tensor=False, **settings).numpy()


@pytest.mark.thorough
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "pooling",
    [
        {"pooling_strategy": "max"},
        {"pooling_strategy": "sum"},
        {"pooling_strategy": "max", "activation_function": "log1p_relu"},
    ],
    ids=lambda pooling: "-".join(pooling.values()),
)
def test_a_folder_of_theirs_gives_their_vectors(family, pooling, tmp_path):
    theirs = sparse_encoder(language_model(tmp_path / "mlm", family), **pooling)
    theirs.save_pretrained(str(tmp_path / "in"))
    model = pretrained.load(tmp_path / "in")
    assert isinstance(model, pretrained.SparseTextModel)
    assert model.similarity is similarity.dot
    expected = theirs_of(theirs)
    assert (expected == 0).any()
    np.testing.assert_allclose(model.embed(TEXTS), expected, **CLOSE)
    np.testing.assert_allclose(model.embed_sparse(TEXTS).toarray(), expected, **CLOSE)
    found, kept = model.embed_sparse(TEXTS, max_active_dims=3), theirs_of(theirs, max_active_dims=3)
    np.testing.assert_allclose(found.toarray(), kept, **CLOSE)
    again = peer.SparseEncoder(str(model.save(tmp_path / "out")), device="cpu")
    np.testing.assert_allclose(theirs_of(again), expected, **CLOSE)
    scores = theirs.similarity(theirs.encode(TEXTS), theirs.encode(TEXTS)).to_dense().numpy()
    index = search.sparse_index(model.embed_sparse(TEXTS))
    best, ids = search.sparse_exact(model.embed(TEXTS), index, k=len(TEXTS))
    np.testing.assert_allclose(np.take_along_axis(scores, np.asarray(ids), 1), best, rtol=1e-4)


@pytest.mark.thorough
def test_what_is_made_and_trained_here_loads_there(tmp_path):
    model = pretrained.splade(
        pretrained.load(language_model(tmp_path / "mlm")),
        activation=encoders.log_log_saturation,
        max_active_dims=5,
    )
    loss = losses.splade(
        lambda queries, documents: losses.info_nce(
            queries, documents, temperature=1.0, similarity=similarity.dot
        ),
        query_weight=0.1,
        document_weight=0.1,
    )
    queries, documents = model.tokenize(TEXTS[:2]), model.tokenize(TEXTS[4:])

    @jax.jit
    def step(params):
        def value(params):
            return loss(model.encode(params, queries), model.encode(params, documents))

        slopes = jax.grad(value)(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, slopes)

    trained = model.replace(params=step(model.params))
    assert not np.allclose(trained.embed(TEXTS), model.embed(TEXTS))
    theirs = peer.SparseEncoder(str(trained.save(tmp_path / "out")), device="cpu")
    assert theirs.max_active_dims == 5
    assert theirs.similarity_fn_name == "dot"
    np.testing.assert_allclose(theirs_of(theirs), trained.embed(TEXTS), **CLOSE)
    words = theirs.decode(theirs.encode(TEXTS))
    for ours, their in zip(trained.words_of(trained.embed_sparse(TEXTS)), words, strict=True):
        assert {word for word, _ in ours} == {word for word, _ in their}


@pytest.mark.thorough
def test_a_copy_of_the_words_follows_the_training(tmp_path):
    folder = language_model(tmp_path / "mlm")
    sparse_encoder(folder).save_pretrained(str(tmp_path / "in"))
    path = tmp_path / "in" / "model.safetensors"
    tensors = load_file(path)
    words = tensors["bert.embeddings.word_embeddings.weight"]
    more = {"cls.predictions.decoder.weight": words}
    more["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"]
    save_file(tensors | more, path, metadata={"format": "pt"})
    model = pretrained.load(tmp_path / "in")
    table = model.params["params"]["transformer"]["tokens"]
    table["embedding"] = table["embedding"] * 1.5
    head = model.params["params"]["head"]
    head["bias"] = head["bias"] + 0.25
    theirs = peer.SparseEncoder(str(model.save(tmp_path / "out")), device="cpu")
    np.testing.assert_allclose(theirs_of(theirs), model.embed(TEXTS), **CLOSE)
    again = pretrained.load(tmp_path / "out")
    np.testing.assert_array_equal(again.embed(TEXTS), model.embed(TEXTS))


@pytest.mark.thorough
def test_the_older_name_of_the_transformer_is_read(tmp_path):
    sparse_encoder(language_model(tmp_path / "mlm")).save_pretrained(str(tmp_path / "in"))
    kinds = {
        "": "sentence_transformers.sparse_encoder.models.MLMTransformer",
        "1_SpladePooling": "sentence_transformers.sparse_encoder.models.SpladePooling",
    }
    entries = [
        {"idx": n, "name": str(n), "path": place, "type": kind}
        for n, (place, kind) in enumerate(kinds.items())
    ]
    write(tmp_path / "in" / "modules.json", entries)
    write(tmp_path / "in" / "sentence_bert_config.json", {"max_seq_length": 20})
    theirs = peer.SparseEncoder(str(tmp_path / "in"), device="cpu")
    model = pretrained.load(tmp_path / "in")
    np.testing.assert_allclose(model.embed(TEXTS), theirs_of(theirs), **CLOSE)


def routed(folder, **settings):
    """A SparseEncoder of theirs whose Router reads queries by weights of words (inference-free)."""
    documents = sparse_encoder(language_model(folder, vocab_size=15))
    tokenizer, weights = documents.tokenizer, torch.linspace(-1, 3, 15)
    parts = peer.sparse_encoder.modules
    router = peer.base.modules.Router.for_query_document(
        query_modules=[parts.SparseStaticEmbedding(tokenizer=tokenizer, weight=weights)],
        document_modules=list(documents),
    )
    return peer.SparseEncoder(modules=[router], device="cpu", **settings)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "settings", [{}, {"prompts": {"query": "old : ", "document": "small "}, "max_active_dims": 3}]
)
def test_a_router_s_queries_are_weights_of_words(settings, tmp_path, capsys):
    theirs = routed(tmp_path / "mlm", **settings)
    theirs.save_pretrained(str(tmp_path / "in"))
    model = pretrained.load(tmp_path / "in")
    again = model.replace(params=jax.tree.map(lambda a: 2 * a, model.params))
    sides = {
        "query": (model.embed_queries, again.embed_queries),
        "document": (
            lambda texts: model.embed(texts, prompt=model.prompts.get("document", "")),
            None,
        ),
    }
    saved = peer.SparseEncoder(str(model.save(tmp_path / "out")), device="cpu")
    for side, (embed, doubled) in sides.items():
        for other in (theirs, saved):
            encode = getattr(other, f"encode_{side}")
            expected = encode(TEXTS, convert_to_sparse_tensor=False).numpy()
            np.testing.assert_allclose(embed(TEXTS), expected, **CLOSE, err_msg=side)
        if doubled is not None:
            np.testing.assert_allclose(doubled(TEXTS), 2 * expected, **CLOSE)
    np.testing.assert_array_equal(model.embed_queries("red"), model.embed_queries(["red"])[0])
    scores, ids = search.sparse_exact(
        model.embed_queries(TEXTS[:1]), search.sparse_index(model.embed_sparse(TEXTS)), k=3
    )
    assert np.isfinite(scores).all()
    assert ids.shape == (1, 3)
    with pytest.raises(ValueError, match="must read queries as it reads documents to be exported"):
        pretrained.export_stablehlo(model, tmp_path / "exported")
    with pytest.raises(ValueError, match="must read queries as it reads documents to be evaluated"):
        pretrained.for_mteb(model, "a/b")
    (tmp_path / "docs.jsonl").write_text('{"text": "red"}\n')
    words = ["index", "--model", str(tmp_path / "in"), "--corpus", str(tmp_path / "docs.jsonl")]
    assert main(words) == 2
    assert "--model must read queries as it reads documents, and" in capsys.readouterr().err


@pytest.mark.thorough
def test_routes_that_are_not_here_are_named(tmp_path):
    theirs = routed(tmp_path / "mlm")
    theirs.save_pretrained(str(tmp_path / "in"))
    path = next((tmp_path / "in").rglob("router_config.json"))
    text = path.read_text()
    kind = "sparse_static_embedding.SparseStaticEmbedding"
    path.write_text(text.replace(kind, "dense.Dense"))
    with pytest.raises(ValueError, match="a query's route must be a SparseStaticEmbedding"):
        pretrained.load(tmp_path / "in")
    path.write_text(text.replace('"document": [', '"answer": ['))
    with pytest.raises(ValueError, match='routes of "query" and "document" and no others'):
        pretrained.load(tmp_path / "in")
