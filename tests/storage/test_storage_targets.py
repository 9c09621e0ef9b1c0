"""Targets on disk: what may be replaced, who owns them, and folders that survive a kill."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxsim import storage


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
    with pytest.raises(ValueError, match=r"^out must (be a folder of its own|name a path)"):
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


def test_folders_have_the_permissions_of_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        write(tmp_path / "out", "x")
    finally:
        os.umask(before)
    modes = [(tmp_path / "out" / name).stat().st_mode & 0o777 for name in ("", "inner/a.txt")]
    assert modes == [0o755, 0o644]


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
