"""Stored files with bytes flipped, cut, put in and put on: the same arrays, or one error that names the file.

Never another exception, never other arrays.
"""

import functools
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from jaxsim import search, storage
from jaxsim.storage._arrays import FIRST, MAGIC

pytestmark = pytest.mark.thorough
many = settings(
    derandomize=True,
    max_examples=300,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),  # disks are slow at times
)

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(6, 20)).astype(np.float32)
ROWS = RNG.normal(size=(120, 40)).astype(np.float32)
TEXTS = ["w " * (1 + n % 5) for n in range(30)]
TABLE = {"table": RNG.normal(size=(50, 6)).astype(np.float32)}
SPECIAL = [
    b"\0",
    b"\xff",
    b"\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b"-",
    b"0",
    b"9" * 25,
    b"1e999",
    b"NaN",
    b"null",
    b"true",
    b"object",
    b"|O",
    b"int64",
    b"float16",
    b"(",
    b")",
    b"\x93NUMPY",
    b"PK\x03\x04",
]


def encode(params, batch):
    hidden = params["table"][batch["tokens"]] * batch["where"][..., None]
    return hidden.sum(axis=1)


def tokenize(texts):
    return [np.arange(len(text.split())) + 1 for text in texts]


def corpus(path, encode=encode):
    settings = {"chunk": 10, "batch_tokens": 160, "path": path}
    return search.encode_corpus(encode, TABLE, tokenize, TEXTS, **settings)


def stopped_corpus(path):
    calls = []

    def dying(texts):
        calls.append(texts)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return tokenize(texts)

    with pytest.raises(KeyboardInterrupt):
        search.encode_corpus(encode, TABLE, dying, TEXTS, chunk=10, batch_tokens=160, path=path)


def stopped_fill(path):
    def dying(rows, columns):
        if 4 in rows:
            raise KeyboardInterrupt
        return SCORES[rows]

    with pytest.raises(KeyboardInterrupt):
        storage.fill(path, SCORES.shape, dying, rows=2)


def filled(path, mmap):
    return storage.fill(path, SCORES.shape, lambda rows, columns: SCORES[rows], rows=2, mmap=mmap)


# name: (writes PATH, reads PATH, name of the file that is damaged)
STORES = {
    "index": (
        lambda p: search.save_index(p, search.cur_index(SCORES, [3, 9, 11])),
        search.load_index,
        "x",
    ),
    "basis": (lambda p: search.save_basis(p, search.row_basis(SCORES)), search.load_basis, "x"),
    "int8": (
        lambda p: search.save_quantized(p, search.quantized(search.fit_int8(ROWS), ROWS)),
        search.load_quantized,
        "x",
    ),
    "bits": (
        lambda p: search.save_quantized(p, search.quantized(search.fit_binary(ROWS), ROWS)),
        search.load_quantized,
        "x",
    ),
    "matrix": (lambda p: filled(p, False), filled, "x"),
    "tile": (stopped_fill, filled, "x.tiles/000000002"),
    "vectors": (corpus, lambda p, mmap: storage.load_vectors(p, mmap=mmap)[1], "x.npy"),
    "corpus": (corpus, lambda p, mmap: corpus(p), "x.npy"),
    "their json": (corpus, lambda p, mmap: storage.load_vectors(p, mmap=mmap)[1], "x.npy.json"),
    "json of corpus": (corpus, lambda p, mmap: corpus(p), "x.npy.json"),
    "part": (stopped_corpus, lambda p, mmap: corpus(p), "x.npy.part"),
    "json of part": (stopped_corpus, lambda p, mmap: corpus(p), "x.npy.part.json"),
}


def arrays_of(found):
    """What was read, as (types, shapes, bytes)."""
    if isinstance(found, search.Quantized):
        found = (type(found.quantizer).__name__, found.codes, *found.quantizer)
    leaves = found if isinstance(found, tuple) else (found,)
    leaves = [leaf if isinstance(leaf, str) else np.asarray(leaf) for leaf in leaves]
    return [
        leaf if isinstance(leaf, str) else (leaf.dtype.name, leaf.shape, leaf.tobytes())
        for leaf in leaves
    ]


PLACE = st.integers(0, 400) | st.integers(0, 2**16)
EDIT = (
    st.tuples(st.just("flip"), PLACE, st.integers(0, 7))
    | st.tuples(st.just("put"), PLACE, st.sampled_from(SPECIAL) | st.binary(min_size=1, max_size=9))
    | st.tuples(
        st.just("over"), PLACE, st.sampled_from(SPECIAL) | st.binary(min_size=1, max_size=9)
    )
    | st.tuples(st.just("out"), PLACE, st.integers(1, 200))
    | st.tuples(st.just("end"), PLACE, st.just(0))
    | st.tuples(st.just("more"), st.just(0), st.binary(min_size=1, max_size=200))
)
EDITS = st.lists(EDIT, min_size=1, max_size=3)


def edited(data, edits):
    """Bytes with some of them flipped, put in, written over, taken out, cut off or put on."""
    data = bytearray(data)
    for what, place, how in edits:
        place = place % (len(data) or 1)
        if what == "flip" and data:
            data[place] ^= 1 << how
        elif what == "put":
            data[place:place] = how
        elif what == "over":
            data[place : place + len(how)] = how
        elif what == "out":
            del data[place : place + how]
        elif what == "end":
            del data[place:]
        elif what == "more":
            data += how
    return bytes(data)


def attempt(read):
    """(what was read, None), or (None, the sentence of the ValueError)."""
    try:
        return read(), None
    except ValueError as error:
        return None, str(error)


@functools.cache
def stored(kind):
    """The files of a stored kind, {name: bytes}, and what is read from them."""
    write, read, name = STORES[kind]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, target(name)))
        paths = [path for path in Path(folder).rglob("*") if path.is_file()]
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        return files, arrays_of(read(Path(folder, target(name)), mmap=False))


def target(name):
    return "x.npy" if name.startswith("x.npy") else "x"


@pytest.mark.parametrize("kind", STORES)
@many
@given(edits=EDITS, mmap=st.booleans())
def test_a_damaged_store_is_the_same_or_named(kind, edits, mmap):
    files, expected = stored(kind)
    _, read, name = STORES[kind]
    with tempfile.TemporaryDirectory() as folder:
        for path, data in files.items():
            Path(folder, path).parent.mkdir(exist_ok=True)
            Path(folder, path).write_bytes(edited(data, edits) if path == name else data)
        path = Path(folder, target(name))
        found, said = attempt(lambda: arrays_of(read(path, mmap=mmap)))
        if said is None:
            assert found == expected
        else:
            assert str(path) in said
            assert "\n" not in said


@pytest.mark.parametrize("kind", ["index", "basis", "int8", "bits", "matrix"])
@many
@given(edits=EDITS, mmap=st.booleans())
def test_a_crafted_header_is_right_or_named(kind, edits, mmap):
    """The checksum is right, the header is anything: nothing but ValueError, and no array beyond the file."""
    line, _, payload = stored(kind)[0]["x"][FIRST:].partition(b"\n")
    line = edited(line.rstrip(), edits).replace(b"\n", b" ")
    line += b" " * (-(FIRST + len(line) + 1) % 64) + b"\n"
    digest = hashlib.sha256(line + payload).hexdigest().encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x")
        path.write_bytes(MAGIC + digest + b"\n" + line + payload)
        found, said = attempt(lambda: arrays_of(STORES[kind][1](path, mmap=mmap)))
        if said is None:
            assert sum(len(one[2]) for one in found if not isinstance(one, str)) <= len(payload)
        else:
            assert str(path) in said


@many
@given(edits=EDITS)
def test_vectors_in_parquet_are_the_same_or_named(edits):
    pytest.importorskip("pyarrow")
    names = [f"d{n}" for n in range(len(ROWS))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "v.parquet")
        storage.save_vectors(path, ROWS, names)
        path.write_bytes(edited(path.read_bytes(), edits))
        found, said = attempt(lambda: storage.load_vectors(path))
        if said is None:
            assert found[0].tolist() == names
            np.testing.assert_array_equal(found[1], ROWS)
        else:
            assert str(path) in said
            assert "\n" not in said


@many
@given(edits=EDITS, stranger=st.booleans())
def test_a_damaged_mark_never_gives_a_folder_away(edits, stranger):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "out")
        with storage.write_folder(folder, kind="model") as aside:
            (aside / "a.txt").write_text("a")
        mark = folder / "jaxsim.json"
        whole = json.loads(mark.read_text())
        mark.write_bytes(edited(mark.read_bytes(), edits))
        if stranger:
            (folder / "notes.txt").write_text("mine")
        _, said = attempt(lambda: storage.check_folder("out", folder, kind="model"))
        if said is not None:
            assert str(folder) in said
            return
        assert not stranger
        known = json.loads(mark.read_text(encoding="utf-8-sig"))
        assert (known["format"], known["kind"]) == (whole["format"], whole["kind"])
        assert set(whole["files"]) <= set(known["files"])
