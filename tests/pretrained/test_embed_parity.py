"""One call against sentence-transformers: `embed` is `encode`, `rank` is `rank`, on folders of random weights."""

import numpy as np
import pytest
from model_folders import make

from jaxsim import pretrained

peer = pytest.importorskip("sentence_transformers", reason="needs the extra peers")
torch = pytest.importorskip("torch", reason="needs torch, of the extra peers")

TEXTS = ["red round", "blue", "green " * 30, "", "large old square", "query : red"]


@pytest.mark.parametrize("include_prompt", [True, False])
def test_embed_is_encode(include_prompt, tmp_path):
    folder = make(
        tmp_path / "bert",
        pooling={"include_prompt": include_prompt},
        sentence={"prompts": {"query": "query : "}, "similarity_fn_name": "euclidean"},
    )
    ours, theirs = pretrained.load(folder), peer.SentenceTransformer(str(folder), device="cpu")
    close = {"rtol": 1e-4, "atol": 2e-6}
    for mine, its in (
        ({}, {}),
        ({"prompt_name": "query"}, {"prompt_name": "query"}),
        ({"prompt": "small "}, {"prompt": "small "}),
        ({"truncate_dim": 5}, {"truncate_dim": 5}),
        (
            {"truncate_dim": 5, "normalize": True},
            {"truncate_dim": 5, "normalize_embeddings": True},
        ),
        ({"batch_size": 2}, {"batch_size": 2}),
    ):
        np.testing.assert_allclose(ours.embed(TEXTS, **mine), theirs.encode(TEXTS, **its), **close)
    one = ours.embed("red round")
    assert one.shape == theirs.encode("red round").shape
    np.testing.assert_allclose(one, theirs.encode("red round"), **close)
    vectors = ours.embed(TEXTS)
    scores = theirs.similarity(vectors, vectors[:2]).numpy()
    np.testing.assert_allclose(ours.similarity(vectors, vectors[:2]), scores, atol=1e-3)


def test_rank_is_rank(tiny_cross):
    ours, theirs = pretrained.load(tiny_cross), peer.CrossEncoder(str(tiny_cross), device="cpu")
    texts = ["red", "blue round", "red green " * 20, "", "old new dark heavy", "red"]
    expected = theirs.rank("red square", texts, activation_fn=torch.nn.Identity())
    found = ours.rank("red square", texts)
    assert [place for place, _ in found] == [row["corpus_id"] for row in expected]
    scores = [row["score"] for row in expected]
    np.testing.assert_allclose([score for _, score in found], scores, rtol=1e-4, atol=1e-5)
    best = theirs.rank("red square", texts, top_k=2)  # with its sigmoid: the same ranking
    assert [place for place, _ in ours.rank("red square", texts, k=2)] == [
        row["corpus_id"] for row in best
    ]
