"""Exporting by command: folders of models, files of indexes, and what is refused before any work."""

import importlib.util
import json

import numpy as np
import pytest
from model_folders import make_images, make_late
from PIL import Image

from jaxsim import pretrained, search, storage
from jaxsim.__main__ import main

VECTORS = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)


def run(*words):
    return main(["export", *[str(word) for word in words]])


@pytest.fixture
def vectors(tmp_path):
    np.save(tmp_path / "docs.npy", VECTORS)
    return tmp_path / "docs.npy"


def function_of(folder, name):
    """A function of an exported folder's run.py."""
    spec = importlib.util.spec_from_file_location("run", folder / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


@pytest.mark.thorough
def test_a_model_becomes_a_folder_that_runs(tiny, tiny_cross, tmp_path, capsys):
    assert run(tiny, tmp_path / "out", "--to", "stablehlo", "--max-length", 5) == 0
    assert f"python {tmp_path}/out/run.py" in capsys.readouterr().out
    texts = ["red green", "blue " * 9]
    found = function_of(tmp_path / "out", "embed")(texts)
    np.testing.assert_allclose(found, pretrained.load(tiny, max_length=5).embed(texts), atol=1e-5)
    words = ("--weights", "inside", "--rows", 2, "--length", 16)
    assert run(tiny_cross, tmp_path / "cross", "--to", "stablehlo", *words) == 0
    found = function_of(tmp_path / "cross", "score")("red", ["red green", "blue", "old"])
    ranking = pretrained.load(tiny_cross).rank("red", ["red green", "blue", "old"])
    np.testing.assert_allclose(
        found[[place for place, _ in ranking]], [s for _, s in ranking], atol=1e-5
    )


@pytest.mark.thorough
def test_models_of_pictures_and_of_tokens_become_folders(tmp_path, capsys):
    picture = tmp_path / "red.png"
    Image.new("RGB", (20, 30), "red").save(picture)
    folder, out = make_images(tmp_path / "vit", "vit"), tmp_path / "out"
    assert run(folder, out, "--to", "stablehlo") == 0
    found = function_of(out, "embed_images")([picture])
    np.testing.assert_allclose(found, pretrained.load(folder).embed_images([picture]), atol=1e-5)
    assert run(folder, out, "--to", "stablehlo", "--length", 5) == 2
    assert "length must be None for a model of pictures alone" in capsys.readouterr().err
    folder = make_late(tmp_path / "late")
    assert run(folder, out, "--to", "stablehlo", "--max-length", 4) == 0
    (found,) = function_of(out, "embed")(["red " * 9])
    expected = pretrained.load(folder, max_length=4).embed("red " * 9)["vectors"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("metric", [None, "dot"])
def test_vectors_become_an_index(vectors, metric, tmp_path):
    faiss = pytest.importorskip("faiss", reason="needs faiss, of the extra faiss")
    words = ["--metric", metric] if metric else []
    for _ in range(2):  # what was written is replaced
        assert run(vectors, tmp_path / "a.faiss", "--to", "faiss", *words) == 0
    index = faiss.read_index(str(tmp_path / "a.faiss"))
    queries = VECTORS[:4] / np.linalg.norm(VECTORS[:4], axis=1, keepdims=True)
    items = VECTORS if metric else VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    _, expected = search.exact(queries, items, k=5)
    np.testing.assert_array_equal(index.search(queries, 5)[1], expected)
    about = json.loads((tmp_path / "a.faiss.json").read_text())
    assert (about["metric"], about["rows"], about["dim"]) == (metric or "cosine", 30, 6)


def test_names_of_rows_are_kept_and_numbers_are_ids(tmp_path):
    pytest.importorskip("pyarrow")
    index = pytest.importorskip("usearch.index", reason="needs usearch, of the extra usearch")
    names = [f"doc {row}" for row in range(30)]
    for name, ids in (("texts", names), ("numbers", np.arange(30) + 100)):
        storage.save_vectors(tmp_path / f"{name}.parquet", VECTORS, ids)
        assert run(tmp_path / f"{name}.parquet", tmp_path / name, "--to", "usearch") == 0
    assert json.loads((tmp_path / "texts.json").read_text())["ids"] == names
    found = index.Index.restore(str(tmp_path / "numbers")).search(VECTORS[3], 1)
    assert found.keys.tolist() == [103]


def test_the_folder_of_index_is_taken_by_its_own_measure(vectors, tmp_path):
    pytest.importorskip("faiss", reason="needs faiss, of the extra faiss")
    folder = tmp_path / "docs.index"
    folder.mkdir()
    np.save(folder / "vectors.npy", VECTORS)
    storage.write_json(folder / "index.json", {"similarity": "negative_euclidean"})
    assert run(folder, tmp_path / "a.faiss", "--to", "faiss") == 0
    assert json.loads((tmp_path / "a.faiss.json").read_text())["metric"] == "euclidean"


REFUSED = {
    "no format": ((), "the following arguments are required: --to"),
    "another format": (
        ("--to", "tf"),
        "--to must be stablehlo or onnx or faiss or usearch, got 'tf'",
    ),
    "of models": (("--to", "faiss", "--rows", "2"), "--rows has no effect on vectors"),
    "of vectors": (("--to", "onnx", "--metric", "dot"), "--metric has no effect on a model"),
    "narrow": (("--to", "onnx", "--dtype", "bfloat16"), "--dtype must be float32 for --to onnx"),
    "vectors": (("--to", "stablehlo"), "vectors go --to faiss or usearch"),
    "itself": (("--to", "faiss"), "must not be the file of the vectors"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_one_sentence(name, vectors, tmp_path, capsys):
    words, message = REFUSED[name]
    if name == "itself":
        pytest.importorskip("faiss", reason="needs faiss, of the extra faiss")
    out = vectors if name == "itself" else tmp_path / "out"
    assert run(vectors, out, *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_missing_package_is_named_before_any_work(vectors, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for to, extra in (("faiss", "faiss"), ("usearch", "usearch"), ("onnx", "onnx")):
        assert run("no such place", tmp_path / "out", "--to", to) == 2
        assert f'pip install "jaxsim-similarity[{extra}]"' in capsys.readouterr().err


def test_a_file_that_we_did_not_write_is_kept(vectors, tmp_path, capsys):
    pytest.importorskip("faiss", reason="needs faiss, of the extra faiss")
    (tmp_path / "mine").write_text("mine")
    assert run(vectors, tmp_path / "mine", "--to", "faiss") == 2
    assert "is not an index that jaxsim wrote" in capsys.readouterr().err
    assert (tmp_path / "mine").read_text() == "mine"
