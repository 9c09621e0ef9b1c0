"""Array files come back as they were, and are refused by name where a single bit is not."""

import hashlib
import json

import ml_dtypes
import numpy as np
import pytest

from jaxsim import storage
from jaxsim.storage._arrays import FIRST, MAGIC

ARRAYS = {
    "scores": np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32),
    "ids": np.arange(7) + 2**40,
    "half": np.arange(6).astype(ml_dtypes.bfloat16).reshape(2, 3),
    "none": np.zeros((0, 4), np.int8),
    "one": np.float64(2.5),
    "mask": np.array([True, False]),
    "columns": np.asfortranarray(np.arange(600.0).reshape(20, 30))[::2, ::-1],
    "swapped": np.arange(5, dtype=">i4"),
}


@pytest.mark.parametrize("mmap", [False, True])
def test_arrays_come_back_as_they_were(tmp_path, mmap):
    path = tmp_path / "deep" / "file.arrays"
    storage.save_arrays(path, ARRAYS, kind="test", version=3, meta={"k": [1, 2]})
    arrays, meta = storage.load_arrays(path, kind="test", version=3, mmap=mmap)
    assert meta == {"k": [1, 2]}
    assert list(arrays) == list(ARRAYS)
    for name, array in arrays.items():
        assert array.dtype == np.asarray(ARRAYS[name]).dtype.newbyteorder("=")
        np.testing.assert_array_equal(array, ARRAYS[name])
    assert isinstance(arrays["scores"], np.memmap) == mmap
    assert [p.name for p in path.parent.iterdir()] == ["file.arrays"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-64], "the file is truncated, rebuild it"),
        (lambda data: data + data, "the file is truncated, rebuild it"),
        (lambda data: data[:-70] + b"!" + data[-69:], "checksum does not match its header"),
        (lambda data: data[:200], "its header is incomplete"),
        (lambda data: b"", "not an array file of jaxsim"),
        (lambda data: b"[]\n", "not an array file of jaxsim"),
        (lambda data: np.random.default_rng(0).bytes(500), "not an array file of jaxsim"),
        (
            lambda data: b'{"format": "jaxsim arrays 1", "kind": "test"' + data,
            "was written by an older jaxsim; rebuild it",
        ),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, damage, message):
    path = tmp_path / "docs.index"
    storage.save_arrays(path, ARRAYS, kind="test", version=3)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"docs\.index: .*{message}"):
        storage.load_arrays(path, kind="test", version=3)


def test_every_flipped_bit_is_found(tmp_path):
    path = tmp_path / "docs.index"
    storage.save_arrays(
        path,
        {"a": np.arange(9), "b": np.ones((2, 3), np.float32)},
        kind="k",
        version=1,
        meta={"c": 1},
    )
    with path.open("r+b") as file:
        for place, byte in enumerate(path.read_bytes()):
            for flipped in [byte ^ 1 << bit for bit in range(8)] + [byte]:
                file.seek(place)
                file.write(bytes([flipped]))
                file.flush()
                if flipped != byte:
                    with pytest.raises(ValueError, match=r"docs\.index: "):
                        storage.load_arrays(path, kind="k", version=1, mmap=place % 2)
    storage.load_arrays(path, kind="k", version=1)


HEADER = {
    "kind": "k",
    "version": 1,
    "bytes": 64,
    "arrays": {"a": {"dtype": "int64", "shape": [8], "offset": 0}},
    "meta": {},
}


def crafted(path, header, payload=b"\1" * 64):
    """A file whose checksum is right, whatever its header says."""
    line = header if isinstance(header, bytes) else json.dumps(header).encode()
    line = line.ljust(-(FIRST + len(line) + 1) % 64 + len(line)) + b"\n"
    digest = hashlib.sha256(line + payload).hexdigest().encode()
    path.write_bytes(MAGIC + digest + b"\n" + line + payload)


def entry(**changes):
    return HEADER | {"arrays": {"a": HEADER["arrays"]["a"] | changes}}


@pytest.mark.parametrize("mmap", [False, True])
def test_a_crafted_file_of_a_right_header_is_read(tmp_path, mmap):
    crafted(tmp_path / "x", HEADER)
    arrays, _ = storage.load_arrays(tmp_path / "x", kind="k", version=1, mmap=mmap)
    assert arrays["a"].tolist() == [0x0101010101010101] * 8


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize(
    ("header", "message"),
    [
        (entry(dtype="object"), "arrays.a.dtype must be one of 'bool', .*, got 'object'"),
        (entry(dtype="O"), "arrays.a.dtype must be one of"),
        (entry(dtype="i8,O"), "arrays.a.dtype must be one of"),
        (entry(dtype="V8"), "arrays.a.dtype must be one of"),
        (entry(dtype="str64"), "arrays.a.dtype must be one of"),
        (entry(dtype="datetime64[s]"), "arrays.a.dtype must be one of"),
        (entry(dtype="finfo"), "arrays.a.dtype must be one of"),
        (entry(dtype=["int64"]), "arrays.a.dtype must be one of"),
        (entry(shape=[-8]), "arrays.a.shape must be a list of whole numbers of at least 0"),
        (entry(shape=[-2, -4]), "arrays.a.shape must be a list of whole numbers of at least 0"),
        (entry(shape=[2**60, 2**60]), "arrays.a.shape must be of an array"),
        (entry(shape=[0, 2**63]), "arrays.a.shape must be of an array"),
        (entry(shape=[1] * 40 + [8]), "arrays.a.shape must be of an array"),
        (entry(shape=[2**40]), "bytes must be 8796093022208, of all arrays"),
        (entry(shape=[7]), None),
        (entry(shape=[9]), "bytes must be 128"),
        (entry(shape=8), "arrays.a.shape must be a list"),
        (entry(offset=-64), "arrays.a.offset must be a whole number"),
        (entry(offset=64), "arrays.a.offset must be 0, after the arrays before"),
        (entry(offset=True), "arrays.a.offset must be a whole number"),
        (
            HEADER | {"arrays": HEADER["arrays"] | {"b": HEADER["arrays"]["a"]}},
            "arrays.b.offset must be 64",
        ),
        (HEADER | {"arrays": {}}, "bytes must be 0, of all arrays"),
        (HEADER | {"arrays": [1]}, "arrays must be an object"),
        (HEADER | {"bytes": 2**70}, "bytes must be a whole number"),
        (
            HEADER
            | {"bytes": 128, "arrays": {"a": {"dtype": "int64", "shape": [16], "offset": 0}}},
            "has 64 bytes of arrays where its header says 128",
        ),
        (HEADER | {"kind": 3}, "kind must be a string"),
        (HEADER | {"version": "1"}, "version must be a whole number"),
        ({}, "lacks kind"),
        ([], "the file must be an object"),
        (b"[" * 100_000, "JSON that is nested too deeply"),
        (b'{"kind": NaN}', "not JSON"),
    ],
)
def test_a_header_is_believed_only_where_it_fits_its_bytes(tmp_path, header, message, mmap):
    crafted(tmp_path / "x", header)
    if message is None:  # seven of the eight: the last 8 bytes are padding
        arrays, _ = storage.load_arrays(tmp_path / "x", kind="k", version=1, mmap=mmap)
        assert arrays["a"].shape == (7,)
        return
    with pytest.raises(ValueError, match=rf"x: {message}"):
        storage.load_arrays(tmp_path / "x", kind="k", version=1, mmap=mmap)


def test_another_kind_or_version_is_refused(tmp_path):
    path = tmp_path / "docs.index"
    storage.save_arrays(path, ARRAYS, kind="test", version=3)
    with pytest.raises(ValueError, match=r"docs\.index: holds a 'test', wanted a 'cur index'"):
        storage.load_arrays(path, kind="cur index", version=3)
    with pytest.raises(ValueError, match=r"docs\.index: has version 3, this jaxsim reads 4"):
        storage.load_arrays(path, kind="test", version=4)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        storage.load_arrays(tmp_path / "absent", kind="test", version=3)
    with pytest.raises(ValueError, match=r"must be a file, is a folder"):
        storage.load_arrays(tmp_path, kind="test", version=3)


@pytest.mark.parametrize(
    ("arrays", "meta", "message"),
    [
        (
            {"a": np.array([object()])},
            None,
            "a must be an array of numbers or booleans, got object",
        ),
        ({"a": ["x", "y"]}, None, "a must be an array of numbers or booleans, got <U1"),
        ({"a": np.zeros(2, "f4,i4")}, None, "a must be an array of numbers or booleans"),
        ({"a": np.zeros(2, "M8[s]")}, None, "a must be an array of numbers or booleans"),
        ({"a": np.zeros(2)}, {"x": float("nan")}, "meta must be JSON"),
        ({"a": np.zeros(2)}, {"x": {1}}, "meta must be JSON"),
    ],
)
def test_what_would_not_come_back_is_not_written(tmp_path, arrays, meta, message):
    with pytest.raises(ValueError, match=message):
        storage.save_arrays(tmp_path / "a", arrays, kind="k", version=1, meta=meta)
    assert list(tmp_path.iterdir()) == []
