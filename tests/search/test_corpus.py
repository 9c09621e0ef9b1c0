"""Encoding a corpus: the same vectors however they are batched, and the same bytes after a kill."""

import numpy as np
import pytest

from jaxsim.search.corpus import encode_corpus, length_buckets

PARAMS = {"table": np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)}
TEXTS = [" ".join("w" for _ in range(1 + (7 * i) % 40)) for i in range(90)]


def tokenize(texts):
    return [(np.arange(len(t.split())) * 3 + len(t)) % 50 for t in texts]


def encode(params, batch):
    hidden = params["table"][batch["tokens"]] * batch["where"][..., None]
    return hidden.sum(axis=1) / batch["where"].sum(axis=1, keepdims=True)


def one_by_one():
    return np.stack([PARAMS["table"][row].mean(axis=0) for row in tokenize(TEXTS)])


def run(**more):
    return encode_corpus(
        encode, PARAMS, tokenize, TEXTS, **{"batch_tokens": 256, "chunk": 32} | more
    )


def test_batches_give_what_one_by_one_gives():
    shapes = []

    def watched(params, batch):
        shapes.append(batch["tokens"].shape)
        return encode(params, batch)

    found = encode_corpus(watched, PARAMS, tokenize, TEXTS, batch_tokens=256, chunk=32)
    np.testing.assert_allclose(found, one_by_one(), atol=1e-6)
    assert sorted(length for _, length in shapes) == [16, 32, 48], "one compilation per length"
    np.testing.assert_allclose(run(batch_tokens=1, lengths=(40,)), one_by_one(), atol=1e-6)


def test_killed_and_resumed_it_gives_the_same_bytes(tmp_path):
    whole = run(path=tmp_path / "whole.npy")
    np.testing.assert_allclose(whole, one_by_one(), atol=1e-6)
    calls = []

    def dying(texts):
        calls.append(len(texts))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return tokenize(texts)

    with pytest.raises(KeyboardInterrupt):
        encode_corpus(
            encode, PARAMS, dying, TEXTS, batch_tokens=256, chunk=32, path=tmp_path / "v.npy"
        )
    assert not (tmp_path / "v.npy").exists()
    again = run(path=tmp_path / "v.npy")
    assert (tmp_path / "v.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    np.testing.assert_array_equal(again, whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "v.npy", "v.npy.json", "whole.npy", "whole.npy.json",
    ]  # fmt: skip
    calls[:] = [0, 0]  # a finished file is read, not made again
    np.testing.assert_array_equal(run(path=tmp_path / "v.npy"), whole)


def test_files_of_another_run_are_refused_by_name(tmp_path):
    run(path=tmp_path / "v.npy", fingerprint="a")
    with pytest.raises(ValueError, match=r"v\.npy: was written with fingerprint 'a', wanted 'b'"):
        run(path=tmp_path / "v.npy", fingerprint="b")
    np.save(tmp_path / "other.npy", np.ones(3))
    with pytest.raises(ValueError, match=r"other\.npy: was not written by encode_corpus"):
        run(path=tmp_path / "other.npy")


def test_what_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="vectors are not finite among the texts 0 to 31"):
        encode_corpus(
            encode, {"table": np.full((50, 6), np.nan, np.float32)}, tokenize, TEXTS, chunk=32
        )
    with pytest.raises(ValueError, match="texts must not be empty"):
        encode_corpus(encode, PARAMS, tokenize, [])


def test_buckets_waste_little_and_are_few():
    assert length_buckets(16) == (16,)
    assert length_buckets(130) == (16, 32, 48, 64, 80, 96, 112, 128, 160)
    assert length_buckets(512)[-1] == 512
    assert len(length_buckets(512)) == 16
