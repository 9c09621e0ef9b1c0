"""Targets on disk: what may be replaced, who owns them, and folders that survive a kill."""

import errno
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jaxsim import storage
from jaxsim.storage import _atomic as atomic


def write(path, text, kind="model"):
    with storage.write_folder(path, kind=kind) as aside:
        (aside / "inner").mkdir()
        (aside / "inner" / "a.txt").write_text(text)


def test_our_own_folder_is_replaced_and_nothing_is_left(tmp_path):
    write(tmp_path / "out", "old")
    write(tmp_path / "out", "new")
    assert (tmp_path / "out" / "inner" / "a.txt").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("stranger", ["notes.txt", "inner/b.txt", ".git/config"])
def test_a_folder_with_anything_else_is_refused_and_kept(tmp_path, stranger):
    write(tmp_path / "out", "old")
    (tmp_path / "out" / stranger).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / stranger).write_text("mine")
    with pytest.raises(ValueError, match=f"is not empty and not a model .*{stranger}"):
        write(tmp_path / "out", "new")
    assert (tmp_path / "out" / stranger).read_text() == "mine"
    assert (tmp_path / "out" / "inner" / "a.txt").read_text() == "old"


def test_a_folder_of_another_kind_is_refused(tmp_path):
    write(tmp_path / "out", "old", kind="corpus")
    with pytest.raises(ValueError, match="not a model that jaxsim wrote"):
        write(tmp_path / "out", "new")


@pytest.mark.parametrize("name", [".", "..", "/", "", "  ", "../.."])
def test_no_name_current_and_parent_folders_are_refused(tmp_path, monkeypatch, name):
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    with pytest.raises(ValueError, match=r"^out must (be a separate folder|name a path)"):
        storage.check_folder("out", name, kind="model")


def test_files_links_and_what_holds_another_target_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"out must be a folder, got the file"):
        storage.check_folder("out", tmp_path / "file", kind="model")
    with pytest.raises(ValueError, match=r"out must not be a link"):
        storage.check_folder("out", tmp_path / "link", kind="model")
    with pytest.raises(ValueError, match=r"lies below .*file', which is not a folder"):
        storage.check_folder("out", tmp_path / "file" / "out", kind="model")
    with pytest.raises(ValueError, match=r"out must not hold workdir="):
        storage.check_folder(
            "out", tmp_path / "x", kind="model", outside={"workdir": tmp_path / "x" / "run"}
        )
    with pytest.raises(ValueError, match=r"run must be a file, got the folder"):
        storage.check_file("run", tmp_path)
    with pytest.raises(ValueError, match=r"run must be a file, got the device"):
        storage.check_file("run", os.devnull)


def test_a_folder_to_work_in_is_new_empty_or_ours(tmp_path):
    def check(path):
        return storage.check_place("workdir", path, mark="run.json", kind="the workdir of a run")

    ours, mine, empty = (tmp_path / name for name in ("ours", "mine", "empty"))
    for folder in (ours, mine, empty):
        folder.mkdir()
    (ours / "run.json").write_text("{}")
    (ours / "notes.txt").write_text("x")
    (empty / ".lock").write_text("")  # killed processes left these
    (empty / ".run.json.x1.part").write_text("")
    (mine / "notes.txt").write_text("x")
    (tmp_path / "link").symlink_to(ours)
    for path in (ours, empty, tmp_path / "link", tmp_path / "new" / "run"):
        assert check(path) == path
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match=r"not empty and not the workdir .*run.json.*'notes.txt'"):
        check(mine)
    with pytest.raises(ValueError, match="workdir must be a folder, got the file"):
        check(mine / "notes.txt")
    with pytest.raises(ValueError, match="workdir must name a path"):
        check("")


def test_a_parent_that_cannot_be_written_is_found_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "run.json").write_text("{}")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path / "ours")
    storage.check_file("out", tmp_path / "file")
    settings = {"mark": "run.json", "kind": "a run"}
    storage.check_place("workdir", tmp_path / "ours", **settings, writing=False)
    for check in (
        lambda: storage.check_file("out", tmp_path / "ours" / "new" / "file"),
        lambda: storage.check_folder("out", tmp_path / "ours" / "model", kind="model"),
        lambda: storage.check_place("out", tmp_path / "ours", **settings),
    ):
        with pytest.raises(ValueError, match=r"^out='.*' cannot be written: '.*ours' is read-only"):
            check()


def test_what_a_kill_between_both_renames_left_is_brought_back(tmp_path):
    write(tmp_path / "out", "old")
    (tmp_path / "out").rename(tmp_path / ".out.1.old")
    (tmp_path / ".out.x.part").mkdir()
    (tmp_path / ".other.x.part").mkdir()
    with pytest.raises(RuntimeError), storage.write_folder(tmp_path / "out", kind="model"):
        raise RuntimeError
    assert (tmp_path / "out" / "inner" / "a.txt").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.x.part", "out"]


def test_leftovers_of_a_target_with_a_longer_name_are_its_own(tmp_path, caplog):
    write(tmp_path / "out.v2", "other")
    (tmp_path / "out.v2").rename(tmp_path / ".out.v2.1.old")
    (tmp_path / ".out.v2.x.part").mkdir()
    (tmp_path / ".out.y.part").mkdir()
    with caplog.at_level(logging.INFO, logger="jaxsim"):
        write(tmp_path / "out", "new")
    assert (tmp_path / "out" / "inner" / "a.txt").read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".out.v2.1.old", ".out.v2.x.part", "out"]
    assert [r.getMessage().split(": ")[0] for r in caplog.records] == [
        str(tmp_path / ".out.y.part")
    ]
    assert storage.recovered(tmp_path / "out.v2").joinpath("inner/a.txt").read_text() == "other"


def test_a_folder_that_cannot_take_its_place_is_kept(tmp_path, monkeypatch):
    """Somebody put a file there while the folder was made; or the rename fails."""

    def overtaken():
        with storage.write_folder(tmp_path / "out", kind="model") as aside:
            (aside / "a.txt").write_text("new")
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "notes.txt").write_text("mine")

    with pytest.raises(
        ValueError, match=r"notes.txt'; .*what was written is in '.*out\.\w+\.part'"
    ):
        overtaken()
    (kept,) = tmp_path.glob("out.*.part")
    assert (kept / "a.txt").read_text() == "new"
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"

    def broken(aside, path):
        raise OSError(errno.EBUSY, "busy", str(aside))

    monkeypatch.setattr(atomic, "_swapped", broken)
    with pytest.raises(
        OSError, match=r"busy; what was written is in .*other\.\w+\.part.*: .*other"
    ):
        write(tmp_path / "other", "x")
    assert len(list(tmp_path.glob("other.*.part/inner/a.txt"))) == 1


def test_a_reader_between_two_renames_waits_for_the_new_folder(tmp_path, monkeypatch):
    write(tmp_path / "out", "old")
    seen = []

    def reader():
        seen.append(storage.recovered(tmp_path / "out").joinpath("inner/a.txt").read_text())

    def slow(one, other, replace=os.replace):
        replace(one, other)
        if str(other).endswith(".old"):
            thread.start()
            time.sleep(0.1)

    thread = threading.Thread(target=reader)
    monkeypatch.setattr(atomic, "_exchanged", lambda one, other: False)
    monkeypatch.setattr(atomic.os, "replace", slow)
    write(tmp_path / "out", "new")
    thread.join()
    assert seen == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_mounted_disks_devices_and_unreadable_folders_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="out must not be a mounted disk, got '/proc'"):
        storage.check_folder("out", "/proc", kind="model")
    with pytest.raises(ValueError, match="run must be a file, got the device '/dev/null'"):
        storage.check_file("run", "/dev/null")
    with pytest.raises(ValueError, match=r"/dev/null: must be a file, is a device"):
        storage.write_text("/dev/null", "x")
    write(tmp_path / "out", "old")
    scandir = os.scandir

    def locked(place):
        if str(place).endswith("inner"):
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(ValueError, match=r"inner: cannot be read \(Permission denied\)"):
        storage.check_folder("out", tmp_path / "out", kind="model")


@pytest.mark.parametrize(
    "mark",
    [
        "",
        "[]",
        "{}",
        '{"format": 3}',
        "[" * 100_000,
        '{"format": "jaxsim folder 1", "kind": "model", "files": "inner/a.txt"}',
    ],
)
def test_a_damaged_mark_makes_a_folder_somebody_elses(tmp_path, mark):
    write(tmp_path / "out", "old")
    (tmp_path / "out" / "jaxsim.json").write_text(mark)
    with pytest.raises(
        ValueError, match=r"is not empty and not a model that jaxsim wrote: it holds"
    ):
        write(tmp_path / "out", "new")
    assert (tmp_path / "out" / "inner" / "a.txt").read_text() == "old"


OWNER = """
import sys
from jaxsim import storage
with storage.owned(sys.argv[1], sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path, what):
    target = tmp_path / "run"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(target), what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout.readline() == "held\n"
    with (
        pytest.raises(ValueError, match=f"is in use by process {owner.pid} on"),
        storage.owned(target, what),
    ):
        pass
    owner.kill()
    owner.wait()
    twice = pytest.raises(ValueError, match="by this process already")
    with storage.owned(target, what), twice, storage.owned(target, what):
        pass
    assert not [p for p in tmp_path.rglob("*lock")]


FORKED = """
import os, sys, time
from jaxsim import storage

def say(text):
    os.write(1, f"{text}\\n".encode())

with storage.owned(sys.argv[1], "file"):
    child = os.fork()
    if not child:
        try:
            with storage.owned(sys.argv[1], "file"):
                say("owned twice")
        except ValueError as error:
            say(str(error).split(" on ")[0])
        os.close(0)
        time.sleep(60)
    say(child)
    sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_child_that_outlives_a_killed_owner_does_not_keep_its_target(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path / "run")]
    owner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said = {owner.stdout.readline().strip() for _ in range(2)}
    (child,) = (int(line) for line in said if line.isdigit())
    try:
        assert said == {str(child), f"{tmp_path / 'run'}: is in use by process {owner.pid}"}
        owner.kill()
        owner.wait()
        with storage.owned(tmp_path / "run", "file"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_two_names_of_a_file_are_one_target_and_the_link_stays(tmp_path):
    (tmp_path / "link").symlink_to("real")
    refused = pytest.raises(ValueError, match="in use by this process already")
    with (
        storage.owned(tmp_path / "real", "file"),
        refused,
        storage.owned(tmp_path / "link", "file"),
    ):
        pass
    storage.write_text(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "x"


def test_an_owner_can_be_waited_for(tmp_path):
    def briefly():
        with storage.owned(tmp_path / "run", "file"):
            held.set()
            time.sleep(0.1)

    held = threading.Event()
    thread = threading.Thread(target=briefly)
    thread.start()
    held.wait()
    with storage.owned(tmp_path / "run", "file", wait=30):
        pass
    thread.join()


def test_a_lock_that_another_user_left_is_no_obstacle(tmp_path, monkeypatch):
    def restricted(path, flags, *more):
        if str(path).endswith(".lock") and flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, flags, *more)

    opened = os.open
    (tmp_path / ".run.lock").write_text("process 1 on another host")
    monkeypatch.setattr(os, "open", restricted)
    refused = pytest.raises(ValueError, match="in use by this process already")
    with storage.owned(tmp_path / "run", "file"), refused, storage.owned(tmp_path / "run", "file"):
        pass
    with (
        pytest.raises(PermissionError, match=r"Permission denied: '.*/run'"),
        storage.owned(tmp_path / "run", "file"),
    ):
        pass
