"""Files are whole or not there, come back as they were, and are refused by name where they are not."""

import errno

import ml_dtypes
import numpy as np
import pytest

from jaxsim import storage

ARRAYS = {
    "scores": np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32),
    "ids": np.arange(7),
    "half": np.arange(6).astype(ml_dtypes.bfloat16).reshape(2, 3),
    "none": np.zeros((0, 4), np.int8),
    "one": np.float64(2.5),
    "mask": np.array([True, False]),
}


@pytest.mark.parametrize("mmap", [False, True])
def test_arrays_come_back_as_they_were(tmp_path, mmap):
    path = tmp_path / "deep" / "file.arrays"
    storage.save_arrays(path, ARRAYS, kind="test", version=3, meta={"k": [1, 2]})
    arrays, meta = storage.load_arrays(path, kind="test", version=3, mmap=mmap)
    assert meta == {"k": [1, 2]}
    assert list(arrays) == list(ARRAYS)
    for name, array in arrays.items():
        assert array.dtype == np.asarray(ARRAYS[name]).dtype
        np.testing.assert_array_equal(array, ARRAYS[name])
    assert isinstance(arrays["scores"], np.memmap) == mmap


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "the file is cut, rebuild it"),
        (lambda data: data[:-70] + b"!" + data[-69:], "checksum does not match its header"),
        (lambda data: b"", "not an array file of jaxsim"),
        (lambda data: b"[]\n", "not an array file of jaxsim"),
        (lambda data: np.random.default_rng(0).bytes(500), "not an array file of jaxsim"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, damage, message):
    path = tmp_path / "docs.index"
    storage.save_arrays(path, ARRAYS, kind="test", version=3)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"docs\.index: .*{message}"):
        storage.load_arrays(path, kind="test", version=3)


def test_another_kind_or_version_is_refused(tmp_path):
    path = tmp_path / "docs.index"
    storage.save_arrays(path, ARRAYS, kind="test", version=3)
    with pytest.raises(ValueError, match=r"docs\.index: holds a 'test', wanted a 'cur index'"):
        storage.load_arrays(path, kind="cur index", version=3)
    with pytest.raises(ValueError, match=r"docs\.index: has version 3, this jaxsim reads 4"):
        storage.load_arrays(path, kind="test", version=4)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        storage.load_arrays(tmp_path / "absent", kind="test", version=3)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    storage.write_text(path, "old")

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(OSError, match="disk full"):
        storage.write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*a\.txt'"):
        storage.write_text(tmp_path / "a.txt", "x")
    assert not list(tmp_path.iterdir())


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with storage.write_folder(tmp_path / "corpus", kind="corpus") as aside:
        (aside / "a.txt").write_text("a")
        assert not (tmp_path / "corpus").exists()
    assert (tmp_path / "corpus/a.txt").read_text() == "a"

    def fails():
        with storage.write_folder(tmp_path / "other", kind="corpus") as aside:
            (aside / "a.txt").write_text("a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert [p.name for p in tmp_path.iterdir()] == ["corpus"]


def test_files_can_be_read_by_whoever_could_read_others(tmp_path):
    (tmp_path / "plain").write_text("")
    storage.write_json(tmp_path / "mine", {"a": (1, 2)})
    assert (tmp_path / "mine").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "mine").read_text().split() == ["{", '"a":', "[", "1,", "2", "]", "}"]
