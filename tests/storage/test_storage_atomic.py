"""Files and folders are whole or not there, and as readable as the umask says."""

import errno
import os

import numpy as np
import pytest

from jaxsim import storage


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
    with pytest.raises(
        OSError, match=r"No space left on device: the file takes 1 bytes: '.*a\.txt'"
    ):
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


def written(folder):
    """Everything that the library writes, by its own functions."""
    rows = np.ones((4, 40), np.float32)
    storage.write_json(folder / "json", {"a": (1, 2)})
    storage.save_arrays(folder / "arrays", {"a": rows}, kind="k", version=1)
    storage.save_vectors(folder / "v.npy", rows)
    storage.save_run(folder / "run", ["q"], ["d"], [[0]], [[1.0]])
    storage.fill(folder / "matrix", (4, 40), lambda r, c: rows[r], rows=2)
    with storage.write_folder(folder / "model", kind="model") as aside:
        (aside / "inner").mkdir()
        (aside / "inner" / "weights").touch(0o600)  # as safetensors does
        (aside / "run.sh").touch(0o755)


@pytest.mark.parametrize(("mask", "plain"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_files_are_as_readable_as_the_umask_says(tmp_path, mask, plain):
    before = os.umask(mask)
    try:
        written(tmp_path)
    finally:
        os.umask(before)
    modes = {
        p.relative_to(tmp_path).as_posix(): p.stat().st_mode & 0o777 for p in tmp_path.rglob("*")
    }
    folders = {name for name in modes if (tmp_path / name).is_dir()}
    assert folders == {"model", "model/inner"}
    assert {modes.pop(name) for name in folders} == {0o777 & ~mask}
    assert modes.pop("model/run.sh") & 0o700 == 0o700
    assert modes == dict.fromkeys(
        ["json", "arrays", "v.npy", "run", "matrix", "model/inner/weights", "model/jaxsim.json"],
        plain,
    )


def test_json_and_text_are_utf8(tmp_path):
    storage.write_json(tmp_path / "mine", {"a": (1, 2)})
    assert (tmp_path / "mine").read_text().split() == ["{", '"a":', "[", "1,", "2", "]", "}"]
    storage.write_json(tmp_path / "mine", {"a": [np.nan, (float("inf"), 1.5)], "b": 2})
    assert storage.read_json(tmp_path / "mine") == {"a": [None, [None, 1.5]], "b": 2}
    with pytest.raises(ValueError, match=r"mine: '\\ud800' is half of a surrogate pair"):
        storage.write_text(tmp_path / "mine", "a\ud800")
