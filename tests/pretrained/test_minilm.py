"""all-MiniLM-L6-v2 in and out: against its equations in float64, and against sentence-transformers where it is."""

import dataclasses
import json
import math

import jax
import numpy as np
import pytest

from jaxsim import pretrained

TEXTS = [
    "How do I sort by two keys?",
    "a",
    "",
    "Sorting is stable: " + "sort by the second key, " * 40,
]


@pytest.fixture(scope="module")
def model(minilm):
    return pretrained.load(minilm)


@pytest.fixture(scope="module")
def vectors(model):
    return np.asarray(model.encode(model.params, model.tokenize(TEXTS)))


def reference(folder, ids):
    """One text by BERT's equations in float64, from the file itself."""
    tensors = {}
    blob = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(blob[:8], "little")
    for name, entry in json.loads(blob[8 : 8 + size]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, end = entry["data_offsets"]
            data = np.frombuffer(blob[8 + size + start : 8 + size + end], "<f4")
            tensors[name] = data.reshape(entry["shape"])

    def get(name):
        return tensors[name].astype(np.float64)

    def dense(x, name):
        return x @ get(name + ".weight").T + get(name + ".bias")

    def norm(x, name):
        x = x - x.mean(axis=1, keepdims=True)
        x = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-12)
        return x * get(name + ".weight") + get(name + ".bias")

    x = tensors["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x = x + get("embeddings.position_embeddings.weight")[: len(ids)]
    x = norm(x + get("embeddings.token_type_embeddings.weight")[0], "embeddings.LayerNorm")
    erf = np.vectorize(math.erf)
    for n in range(6):
        at = f"encoder.layer.{n}."
        q, k, v = (
            dense(x, f"{at}attention.self.{s}").reshape(len(ids), 12, 32).swapaxes(0, 1)
            for s in ("query", "key", "value")
        )
        logits = q @ k.swapaxes(1, 2) / np.sqrt(32)
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        mixed = (weights @ v).swapaxes(0, 1).reshape(len(ids), 384)
        x = norm(x + dense(mixed, at + "attention.output.dense"), at + "attention.output.LayerNorm")
        h = dense(x, at + "intermediate.dense")
        h = h * (1 + erf(h / np.sqrt(2))) / 2
        x = norm(x + dense(h, at + "output.dense"), at + "output.LayerNorm")
    return x.mean(axis=0) / np.linalg.norm(x.mean(axis=0))


@pytest.mark.thorough
def test_it_is_its_equations(minilm, model, vectors):
    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float32
    for place in (0, 1, 2):
        expected = reference(minilm, model.tokens(TEXTS)[place])
        np.testing.assert_allclose(vectors[place], expected, atol=1e-6)


def test_its_own_maximum_stands_not_the_tokenizers(model):
    assert model.max_length == 256
    assert [len(row) for row in model.tokens(TEXTS)] == [10, 3, 2, 246]
    assert len(model.tokens(["word " * 400])[0]) == 256


def test_one_by_one_is_all_together(model, vectors):
    for text, vector in zip(TEXTS[:3], vectors, strict=False):
        (alone,) = model.encode(model.params, model.tokenize([text], length=32))
        np.testing.assert_allclose(alone, vector, atol=1e-6)


@pytest.mark.thorough
def test_every_cut_is_pooled_and_the_last_is_the_embedding(model, vectors):
    cuts = model.encode_layers(model.params, model.tokenize(TEXTS))
    assert [cut.shape for cut in cuts] == [(4, 384)] * 7
    np.testing.assert_allclose(cuts[-1], vectors, atol=1e-6)
    assert np.abs(cuts[-2] - cuts[-1]).max() > 0.01


@pytest.mark.thorough
def test_saved_and_loaded_it_is_the_same_and_what_was_saved_there_is_replaced(
    model, vectors, tmp_path
):
    changed = jax.tree.map(lambda a: a, model.params)
    table = changed["params"]["transformer"]["tokens"]["embedding"]
    changed["params"]["transformer"]["tokens"]["embedding"] = table + 1
    model.save(tmp_path / "out")
    model.replace(params=changed).save(tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
    again = pretrained.load(tmp_path / "out")
    np.testing.assert_array_equal(
        again.params["params"]["transformer"]["tokens"]["embedding"], table + 1
    )
    assert again.kept.rest.keys() == model.kept.rest.keys()
    dataclasses.replace(again, params=model.params).save(tmp_path / "out")
    back = pretrained.load(tmp_path / "out")
    same = back.encode(back.params, back.tokenize(TEXTS))
    np.testing.assert_array_equal(same, vectors)


@pytest.mark.thorough
@pytest.mark.parametrize("out", [False, True], ids=["in", "out"])
def test_it_agrees_with_sentence_transformers(minilm, model, vectors, tmp_path, out):
    peer = pytest.importorskip("sentence_transformers")
    folder = model.save(tmp_path / "out") if out else minilm
    theirs = peer.SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(vectors, theirs, atol=1e-6)
