"""A sparse encoder by command: trained from a masked language model, then its corpus embedded, indexed and searched."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.sparse import load_npz

from jaxsim import data, pretrained, search, storage
from jaxsim.__main__ import main
from jaxsim.commands.fine_tuning.batches import with_ramp


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def language_model(tiny, tmp_path_factory):
    """The folder `tiny` with the head of a masked language model."""
    folder = tmp_path_factory.mktemp("language") / "model"
    shutil.copytree(tiny, folder)
    tensors, random = load_file(folder / "model.safetensors"), np.random.default_rng(0)
    name = next(one for one in tensors if one.endswith("word_embeddings.weight"))
    count, dim = tensors[name].shape
    shapes = {
        "transform.dense.weight": (dim, dim),
        "transform.dense.bias": (dim,),
        "transform.LayerNorm.weight": (dim,),
        "transform.LayerNorm.bias": (dim,),
        "bias": (count,),
    }
    for part, shape in shapes.items():
        array = 0.3 * random.normal(size=shape) + part.endswith("LayerNorm.weight")
        tensors[f"cls.predictions.{part}"] = np.asarray(array, np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def sparse(language_model, tmp_path_factory):
    """Its folder as a sparse encoder that keeps 6 numbers of a vector."""
    model = pretrained.splade(pretrained.load(language_model), max_active_dims=6)
    return model.save(tmp_path_factory.mktemp("sparse") / "model")


@pytest.fixture
def corpus(tmp_path, rows):
    path = tmp_path / "docs.jsonl"
    lines = (json.dumps({"_id": f"d{i}", "text": row["positive"]}) for i, row in enumerate(rows))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_a_masked_language_model_becomes_a_trained_sparse_encoder(
    language_model, table, tmp_path, capsys
):
    words = ["train", "--model", language_model, "--pairs", table("anchor", "positive")]
    words += ["--loss", "splade", "--set", "query_weight=0.05", "document_weight=0.03"]
    words += ["--batch-size", 16, "--rate", 0.01, "--steps", 12, "--out", tmp_path / "out"]
    assert run(*words) == 0
    assert "becomes a sparse encoder" in capsys.readouterr().out
    assert isinstance(pretrained.load(tmp_path / "out"), pretrained.SparseTextModel)
    figures = json.loads((tmp_path / "out.run" / "figures.json").read_text())
    for name in ("loss", "active dims of queries", "active dims of documents"):
        assert figures["after"][name] < figures["before"][name]
    card = (tmp_path / "out" / "README.md").read_text()
    assert "- sparse-encoder" in card
    assert 'SparseEncoder("out")' in card


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_a_corpus_is_embedded_indexed_and_searched(sparse, table, corpus, rows, tmp_path, capsys):
    both = "--model", sparse, "--corpus", corpus
    assert run("embed", *both, "--out", tmp_path / "docs.npz") == 0
    vectors = load_npz(tmp_path / "docs.npz")
    assert vectors.shape == (80, pretrained.load(sparse).module.transformer.vocabulary)
    assert np.diff(vectors.indptr).max() <= 6
    assert run("index", *both) == 0
    printed = capsys.readouterr().out
    assert "80 texts, vectors of" in printed
    assert "of them not 0" in printed
    index = search.load_sparse_index(f"{corpus}.index/sparse")
    assert index.active_dims == pytest.approx(vectors.nnz / 80)
    words = *both, "--queries", table("anchor"), "--query-column", "anchor", "--k", 5
    assert run("search", *words, "--run", tmp_path / "found.trec") == 0
    found = storage.load_run(tmp_path / "found.trec")
    queries = pretrained.load(sparse).embed_sparse([row["anchor"] for row in rows])
    scores = (queries @ vectors.T).toarray()
    for place, row in enumerate(scores):
        best = np.sort(row)[::-1][:5]
        np.testing.assert_allclose([score for _, score in found[str(place)]], best, atol=1e-5)
    assert run("index", *both) == 0  # finished: read, not built


def test_what_does_not_fit_a_sparse_encoder_is_refused(sparse, tiny, table, corpus, capsys):
    def refused(words, *command):
        assert run(*command) != 0
        assert words in capsys.readouterr().err

    both = "--corpus", corpus
    refused("must end in .npz for a sparse", "embed", "--model", sparse, *both, "--out", "a.npy")
    refused("must end in .npy, got", "embed", "--model", tiny, *both, "--out", "a.npz")
    train = "train", "--pairs", table("anchor", "positive"), "--batch-size", 16, "--out", "out"
    weights = "--set", "query_weight=1", "document_weight=1"
    splade = *train, "--loss", "splade", "--model"
    refused("splade needs --set query_weight=...", *splade, sparse)
    refused("--loss splade needs a sparse encoder or a masked", *splade, tiny, *weights)
    refused("--dims has no effect on sparse", *splade, sparse, *weights, "--dims", 4)


def test_the_weight_of_the_regularizer_grows_to_a_third_of_the_run():
    planned = data.array_batches({"row": np.arange(18)}, batch_size=2, seed=0, epochs=1)
    batches = with_ramp(planned)
    assert len(batches) == 9
    shares = [batches[step]["ramp"] for step in range(9)]
    assert {share.shape for share in shares} == {(2,)}
    np.testing.assert_allclose([s[0] for s in shares], [1 / 9, 4 / 9] + 7 * [1], rtol=1e-6)
    np.testing.assert_array_equal(batches[3]["row"], planned[3]["row"])
