"""Encoding a corpus: the same vectors however they are batched, and the same bytes after a kill."""

import contextlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim import data, encoders, storage
from jaxsim.numerics._encoding import length_buckets, tokens_of_batch
from jaxsim.search._corpus import encode_corpus

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

    result = encode_corpus(watched, PARAMS, tokenize, TEXTS, batch_tokens=256, chunk=32)
    np.testing.assert_allclose(result, one_by_one(), atol=1e-6)
    assert sorted(length for _, length in shapes) == [16, 32, 48], "one compilation per length"
    np.testing.assert_allclose(run(batch_tokens=1, lengths=(40,)), one_by_one(), atol=1e-6)


def test_batches_are_as_large_as_suits_the_device(monkeypatch):
    sizes = []

    def watched(params, batch):
        sizes.append(batch["tokens"].size)
        return encode(params, batch)

    encode_corpus(watched, PARAMS, tokenize, [TEXTS[5]] * 3000)  # of 36 tokens, padded to 48
    assert sizes == [1024 // 48 * 8 * 48]  # each of 8 simulated devices is a CPU
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert tokens_of_batch() == 4096
    assert tokens_of_batch(7) == 7


def test_finished_vectors_are_read_where_nothing_may_be_written(tmp_path, monkeypatch):
    whole = np.array(run(path=tmp_path / "v.npy"))
    monkeypatch.setattr("os.access", lambda *_: False)
    np.testing.assert_array_equal(run(path=tmp_path / "v.npy"), whole)
    with pytest.raises(ValueError, match="cannot be written"):
        run(path=tmp_path / "w.npy")


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
        "v.npy",
        "v.npy.json",
        "whole.npy",
        "whole.npy.json",
    ]
    calls[:] = [0, 0]  # a finished file is read, not made again
    np.testing.assert_array_equal(run(path=tmp_path / "v.npy"), whole)


def test_files_of_another_run_are_refused_by_name(tmp_path):
    run(path=tmp_path / "v.npy", fingerprint="a")
    with pytest.raises(ValueError, match=r"v\.npy: was written with fingerprint 'a', wanted 'b'"):
        run(path=tmp_path / "v.npy", fingerprint="b")
    np.save(tmp_path / "other.npy", np.ones(3))
    with pytest.raises(ValueError, match=r"other\.npy: was not written by encode_corpus"):
        run(path=tmp_path / "other.npy")


def interrupted(path, chunks=2):
    """A corpus whose encoding stopped after some chunks."""
    calls = []

    def dying(texts):
        calls.append(len(texts))
        if len(calls) > chunks:
            raise KeyboardInterrupt
        return tokenize(texts)

    with pytest.raises(KeyboardInterrupt):
        encode_corpus(encode, PARAMS, dying, TEXTS, batch_tokens=256, chunk=32, path=path)


def flipped(path):
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)


def edited(path, **changes):
    """Changes fields of a JSON file; None takes them out."""
    about = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in about.items() if v is not None}))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("v.npy", flipped, r"v\.npy: its checksum differs from the recorded one"),
        (
            "v.npy",
            lambda p: p.write_bytes(p.read_bytes()[:-4]),
            r"v\.npy: has 2156 bytes of values where its header says 2160",
        ),
        ("v.npy", lambda p: p.write_bytes(b""), r"v\.npy: not an array of numbers"),
        (
            "v.npy",
            lambda p: np.save(p, np.zeros((90, 6), np.float32)),
            "its checksum differs from the recorded",
        ),
        ("v.npy", lambda p: (p.unlink(), p.mkdir()), r"v\.npy: must be a file, is a folder"),
        ("v.npy.json", lambda p: p.write_text("{"), r"v\.npy\.json: not JSON"),
        ("v.npy.json", lambda p: p.write_text("[]"), r"v\.npy\.json: the file must be an object"),
        ("v.npy.json", lambda p: edited(p, sha256=None), r"v\.npy\.json: lacks sha256"),
        (
            "v.npy.json",
            lambda p: edited(p, sha256=3),
            r"v\.npy\.json: sha256 must be a string, got 3",
        ),
        (
            "v.npy.json",
            lambda p: edited(p, sha256="0" * 64),
            "its checksum differs from the recorded",
        ),
        ("v.npy.json", lambda p: edited(p, texts=91), "was written with texts 91, wanted 90"),
        ("v.npy.json", lambda p: edited(p, chunk=None), "was written with chunk None, wanted 32"),
    ],
)
def test_a_damaged_corpus_is_named(tmp_path, name, damage, message):
    run(path=tmp_path / "v.npy")
    damage(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        run(path=tmp_path / "v.npy")
    if "wanted" not in message and "folder" not in message and "lacks" not in message:
        with pytest.raises(ValueError, match=message):
            storage.load_vectors(tmp_path / "v.npy")


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (
            "v.npy.part",
            flipped,
            r"v\.npy\.part: is not what v\.npy\.part\.json says of its first 64 rows",
        ),
        ("v.npy.part", lambda p: p.write_bytes(p.read_bytes()[:1000]), "of its first 64 rows"),
        ("v.npy.part", lambda p: p.write_bytes(b""), "of its first 64 rows"),
        ("v.npy.part.json", lambda p: p.write_text("{"), r"v\.npy\.part\.json: not JSON"),
        (
            "v.npy.part.json",
            lambda p: p.unlink(),
            r"v\.npy\.part: was not written by encode_corpus",
        ),
        (
            "v.npy.part.json",
            lambda p: edited(p, done=96),
            "done must be a whole number from 0 to 90, got 96",
        ),
        (
            "v.npy.part.json",
            lambda p: edited(p, done=-32),
            "done must be a whole number from 0 to 90, got -32",
        ),
        (
            "v.npy.part.json",
            lambda p: edited(p, done=33),
            "done must be a multiple of 32, or 90, got 33",
        ),
        ("v.npy.part.json", lambda p: edited(p, done="64"), "done must be a whole number"),
        ("v.npy.part.json", lambda p: edited(p, done=None), "lacks done"),
        ("v.npy.part.json", lambda p: edited(p, done=32), "of its first 32 rows"),
        ("v.npy.part.json", lambda p: edited(p, dim=7), "of its first 64 rows"),
        ("v.npy.part.json", lambda p: edited(p, dim=10**18), "dim must be a whole number"),
        ("v.npy.part.json", lambda p: edited(p, sha256=None), "lacks sha256"),
        (
            "v.npy.part.json",
            lambda p: edited(p, fingerprint="x"),
            "was written with fingerprint 'x', wanted ''",
        ),
    ],
)
def test_a_damaged_part_is_named_and_not_resumed(tmp_path, name, damage, message):
    interrupted(tmp_path / "v.npy")
    damage(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        run(path=tmp_path / "v.npy")
    assert not (tmp_path / "v.npy").exists()


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_what_was_killed_resumes_at_its_chunk(tmp_path, chunks):
    run(path=tmp_path / "whole.npy")
    interrupted(tmp_path / "v.npy", chunks)
    with (tmp_path / "v.npy.part").open("r+b") if chunks else contextlib.nullcontext() as file:
        if chunks:  # a kill in the middle of the next chunk
            file.seek(128 + 4 * 6 * 32 * chunks)
            file.write(b"half" * 10_000)
    seen = []
    encode_corpus(
        encode,
        PARAMS,
        lambda some: seen.extend(some) or tokenize(some),
        TEXTS,
        batch_tokens=256,
        chunk=32,
        path=tmp_path / "v.npy",
    )
    assert seen == TEXTS[32 * chunks :]
    assert (tmp_path / "v.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    ids, vectors = storage.load_vectors(tmp_path / "v.npy", mmap=True)
    assert ids is None
    np.testing.assert_array_equal(vectors, np.load(tmp_path / "whole.npy"))


def test_another_model_does_not_go_on_with_a_part(tmp_path):
    interrupted(tmp_path / "v.npy")
    wide = {"table": np.ones((50, 7), np.float32)}
    with pytest.raises(
        ValueError, match=r"v\.npy\.part: has vectors of 6 numbers, the model gives 7"
    ):
        encode_corpus(
            encode, wide, tokenize, TEXTS, batch_tokens=256, chunk=32, path=tmp_path / "v.npy"
        )


def test_another_arithmetic_does_not_go_on_with_a_part(tmp_path):
    interrupted(tmp_path / "v.npy")
    with pytest.raises(ValueError, match="bfloat16"):
        run(path=tmp_path / "v.npy", dtype=jnp.bfloat16)


def test_one_process_encodes_a_path_and_all_may_read_it(tmp_path):
    path = tmp_path / "v.npy"
    refused = pytest.raises(ValueError, match=r"v\.npy: is in use by this process already")
    with storage.owned(path, "file"), refused:
        run(path=path)
    vectors = run(path=path)
    with storage.owned(path, "file"):
        np.testing.assert_array_equal(run(path=path), vectors)


def test_somebody_elses_part_is_not_overwritten(tmp_path):
    (tmp_path / "v.npy.part").write_text("a download that is not finished")
    with pytest.raises(
        ValueError, match=r"v\.npy\.part: was not written by encode_corpus; move it"
    ):
        run(path=tmp_path / "v.npy")
    assert (tmp_path / "v.npy.part").read_text() == "a download that is not finished"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"texts": "one text"}, "texts must be a sequence of strings, got one: 'one text'"),
        (
            {"tokenize": lambda some: tokenize(some)[1:]},
            "tokenize must return a row per text, 32, got 31",
        ),
        (
            {"encode": lambda p, b: p["table"][0, 0] * b["tokens"][:, 0]},
            r"encode must return \[b, dim\]",
        ),
        (
            {"encode": lambda p, b: p["table"][:1]},
            r"encode must return \[b, dim\], a row per text, got",
        ),
        ({"path": "v.txt"}, r"path must end in \.npy, got 'v\.txt'"),
    ],
)
def test_what_does_not_fit_the_texts_is_named(tmp_path, changes, message):
    inputs = {"encode": encode, "tokenize": tokenize, "texts": TEXTS} | changes
    path = inputs.pop("path", None)
    with pytest.raises(ValueError, match=message):
        encode_corpus(params=PARAMS, path=path, chunk=32, **inputs)


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


@pytest.mark.thorough
@pytest.mark.parametrize("devices", [1, 8])
def test_packed_texts_have_the_vectors_of_padded_ones(monkeypatch, devices):
    """Of a transformer, over texts of nothing to longer than a packed row, in batches of few tokens."""
    monkeypatch.setattr(jax, "local_devices", lambda kept=jax.local_devices: kept()[:devices])
    body = encoders.Transformer(
        60, dim=8, layers=1, heads=2, hidden=8, max_length=320, dtype=jnp.float32
    )
    module = encoders.TextEncoder(body)
    params = module.init(jax.random.key(0), data.padded([np.ones(3, int)]))
    encode = encoders.as_function(module)
    random = np.random.default_rng(0)
    sizes = [*random.integers(1, 60, 90), 130, 200, 250, 256, 257, 300, 0]
    texts = [random.integers(1, 60, size).astype(np.int32) for size in sizes]
    settings = {"batch_tokens": 1024, "chunk": 64}
    packed = encode_corpus(encode, params, list, texts, **settings)
    padded = encode_corpus(encode, params, list, texts, lengths=(64, 320), **settings)
    np.testing.assert_allclose(packed, padded, atol=2e-6)
