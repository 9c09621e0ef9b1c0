"""Writers that are killed before each of their calls of the system, and disks that are full."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from jaxsim import storage

# Every writer is killed at its first call of the system, then at its second, and so on until it ends.
KILLS = """
import os, signal, sys
from pathlib import Path
import numpy as np
from jaxsim import storage
from jaxsim.storage import _atomic as atomic

exchanged = atomic._exchanged

def write(folder, number):
    out, what = folder / "out", folder.name
    if what == "file":
        storage.write_text(out, f"{number} " * 100)
    elif what == "arrays":
        storage.save_arrays(out, {"a": np.full(100, number)}, kind="k", version=1)
    else:
        with storage.write_folder(out, kind="model") as aside:
            for name in "abc":
                (aside / name).write_text(str(number))

def read(folder):
    out, what = folder / "out", folder.name
    if what == "file":
        return set(out.read_text().split())
    if what == "arrays":
        return set(storage.load_arrays(out, kind="k", version=1)[0]["a"].tolist())
    return {(storage.recovered(out) / name).read_text() for name in "abc"}

def die_at(moment):
    calls = 0
    def counted(call):
        def counting(*given, **more):
            nonlocal calls
            calls += 1
            if calls == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*given, **more)
        return counting
    for name in ("open", "mkdir", "replace", "fsync", "unlink", "rmdir", "posix_fallocate"):
        setattr(os, name, counted(getattr(os, name)))
    atomic._exchanged = counted(atomic._exchanged)

for what in ("file", "arrays", "one exchange", "two renames"):
    atomic._exchanged = (lambda one, other: False) if what == "two renames" else exchanged
    folder = Path(sys.argv[1], what)
    folder.mkdir()
    write(folder, 0)
    for moment in range(1, 1000):
        child = os.fork()
        if not child:
            die_at(moment)
            write(folder, moment)
            os._exit(0)
        ended = os.waitpid(child, 0)[1]
        print(what, moment, *sorted(read(folder)), sep=",")
        if ended == 0:
            break
    write(folder, 0)
    print(what, "left", *sorted(p.name for p in folder.iterdir()), sep=",")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_at_every_moment_a_reader_finds_the_old_or_the_new(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", KILLS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, moments = {}, {}
    for line in done.stdout.splitlines():
        what, moment, *found = line.split(",")
        if moment == "left":
            assert found == ["out"], line
            assert before[what] == str(moments[what]), "the last write was not killed"
            continue
        assert len(found) == 1, f"half of one and half of another: {line}"
        assert found[0] in (before.get(what, "0"), moment), line
        before[what], moments[what] = found[0], int(moment)
    assert moments.keys() == {"file", "arrays", "one exchange", "two renames"}
    assert min(moments.values()) > 5, moments


# No file may grow beyond 20,000 bytes: to the process, the disk is full.
FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from jaxsim import search, storage

folder = Path(sys.argv[1])
rows = np.ones((400, 30), np.float32)
params = [np.ones(30, np.float32)]

def save(path):
    with storage.write_folder(path, kind="model") as aside:
        (aside / "weights").write_bytes(rows.tobytes())

encode = lambda params, batch: params[0] + 0 * batch["tokens"][:, :1].astype(np.float32)
texts = ["a"] * 400
writes = {
    "text": lambda path: storage.write_text(path, "a" * 30_000),
    "arrays": lambda path: storage.save_arrays(path, {"a": rows}, kind="k", version=1),
    "v.npy": lambda path: storage.save_vectors(path, rows),
    "v.parquet": lambda path: storage.save_vectors(path, np.random.default_rng(0).normal(size=(400, 30))),
    "matrix": lambda path: storage.fill(path, (400, 30), lambda r, c: rows[r], rows=100),
    "mapped": lambda path: storage.fill(path, (400, 30), lambda r, c: rows[r], rows=100, mmap=True),
    "model": save,
    "basis": lambda path: search.save_basis(path, search.factor_basis(rows)),
    "texts.npy": lambda path: search.encode_corpus(
        encode, params, lambda some: [np.array([1])] * len(some), texts, path=path, chunk=100),
}
search.encode_corpus(encode, params, lambda some: [np.array([1])] * len(some), texts)
for name, write in writes.items():
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        write(folder / name)
        print(name, "was written")
    except OSError as error:
        print(name, error.errno, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    print(name, "left", *sorted(p.name for p in folder.iterdir() if p.name.startswith((name, "."))))
print(search.encode_corpus(
    encode, params, lambda some: [np.array([1])] * len(some), texts, path=folder / "texts.npy", chunk=100).sum())
"""


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="a system without limits of files")
def test_a_full_disk_is_one_error_with_the_file_and_its_bytes(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    takes = {
        "text": "30,000",
        "arrays": "48,256",
        "v.npy": "48,128",
        "v.parquet": None,
        "matrix": "48,256",
        "mapped": "48,256",
        "model": None,
        "basis": "51,648",
        "texts.npy": "48,128",
    }
    left = {
        "matrix": ["matrix.tiles"],
        "mapped": ["mapped.tiles"],
        "texts.npy": ["texts.npy.part", "texts.npy.part.json"],
    }
    for (name, size), error, after in zip(takes.items(), lines[::2], lines[1::2], strict=False):
        assert error.startswith(f"{name} {errno.EFBIG} [Errno {errno.EFBIG}]"), error
        assert error.endswith(
            f": '{tmp_path / name}'" if name != "texts.npy" else "texts.npy.part'"
        ), error
        assert size is None or f"the file takes {size}" in error, error
        assert after.split()[2:] == left.get(name, []), after
    assert lines[-1] == "12000.0"  # with room again, the corpus is finished


def test_a_disk_that_is_full_is_said_before_anything_is_written(tmp_path, monkeypatch):
    def full(handle, start, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        OSError, match=r"No space left on device: the file takes 4,288 bytes: '.*/a'"
    ):
        storage.save_arrays(tmp_path / "a", {"a": np.zeros(1000, np.float32)}, kind="k", version=1)
    assert list(tmp_path.iterdir()) == []

    def unable(handle, start, size):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", unable)  # some file systems cannot reserve
    storage.save_arrays(tmp_path / "a", {"a": np.zeros(1000, np.float32)}, kind="k", version=1)
    assert (tmp_path / "a").stat().st_size == 4288


def test_what_killed_writes_left_is_swept_and_what_is_being_written_is_not(tmp_path, caplog):
    stale, other = tmp_path / ".a.0badc0de.part", tmp_path / ".a.b.0badc0de.part"
    stale.write_text("half")
    other.write_text("half of a.b")
    with (
        caplog.at_level("INFO", logger="jaxsim"),
        storage._atomic.write_aside(tmp_path / "a") as one,
    ):
        one.write(b"one")
        assert not stale.exists()
        storage.write_text(
            tmp_path / "a", "two"
        )  # at the same time: each is whole, the last one stays
        assert (tmp_path / "a").read_text() == "two"
    assert (tmp_path / "a").read_text() == "one"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".a.b.0badc0de.part", "a"]
    assert [r.getMessage() for r in caplog.records] == [
        f"{stale}: swept, left by a write of {tmp_path / 'a'} that was killed"
    ]
