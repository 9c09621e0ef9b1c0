"""What `train` writes, read by other libraries: the same numbers."""

import numpy as np
import pytest

from jaxsim import pretrained
from jaxsim.__main__ import main

TRAINING = ("--steps", 3, "--rate", 0.01, "--held-out", 0.2, "--batch-size", 16)
A, B, C, D = "red green", "old new", "blue round", "square large"


def run(*words):
    return main([str(word) for word in words])


@pytest.mark.thorough
def test_a_trained_cross_encoder_is_one_of_sentence_transformers(tiny_cross, table, tmp_path):
    peer = pytest.importorskip("sentence_transformers")
    torch = pytest.importorskip("torch")
    lists = table("anchor", "positive", "negative")
    words = ("train", "--model", tiny_cross, "--pairs", lists, *TRAINING, "--loss", "rank_net")
    assert run(*words, "--out", tmp_path / "out") == 0
    model = pretrained.load(tmp_path / "out")
    queries, documents = [A, B, C], [C, D, A]
    ours = model.score(model.params, *model.tokenize_pairs(queries, documents))
    judge = peer.CrossEncoder(str(tmp_path / "out"), device="cpu")
    pairs = list(zip(queries, documents, strict=True))
    theirs = judge.predict(pairs, activation_fn=torch.nn.Identity())
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
