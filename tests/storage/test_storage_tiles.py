"""Tiles survive a kill and are computed once; progress says what is done."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxsim import storage

ROOT = Path(__file__).resolve().parents[2]


def tile(rows, columns):
    return rows[:, None] * 10.0 + columns


WHOLE = tile(np.arange(7), np.arange(4))


@pytest.mark.parametrize("rows", [1, 3, 7, 100])
def test_tiles_make_the_matrix(tmp_path, rows):
    np.testing.assert_array_equal(storage.fill(None, (7, 4), tile, rows=rows), WHOLE)
    path = tmp_path / "matrix"
    np.testing.assert_array_equal(storage.fill(path, (7, 4), tile, rows=rows), WHOLE)
    assert [p.name for p in tmp_path.iterdir()] == ["matrix"]
    again = storage.fill(path, (7, 4), None, rows=rows)  # from the file: nothing is computed
    np.testing.assert_array_equal(again, WHOLE)
    assert again.dtype == np.float32


def test_a_killed_job_goes_on_where_it_stood(tmp_path):
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from jaxsim import storage
def tile(rows, columns):
    if 4 in rows:
        os.kill(os.getpid(), signal.SIGKILL)
    return rows[:, None] * 10.0 + columns
storage.fill({str(tmp_path / "matrix")!r}, (7, 4), tile, rows=2)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "matrix").exists()
    computed = []

    def watched(rows, columns):
        computed.extend(rows.tolist())
        return tile(rows, columns)

    found = storage.fill(tmp_path / "matrix", (7, 4), watched, rows=2)
    np.testing.assert_array_equal(found, WHOLE)
    assert computed == [4, 5, 6]


@pytest.mark.thorough
def test_kills_at_any_moment_leave_the_same_bytes(tmp_path):
    """The builder kills itself at random moments: while it computes, writes, renames, puts together."""
    script = f"""
import os, random, signal, sys, threading, time
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from jaxsim import storage
path, after = sys.argv[1], float(sys.argv[2])
if after:
    threading.Thread(target=lambda: (time.sleep(after), os.kill(os.getpid(), signal.SIGKILL))).start()
def tile(rows, columns):
    time.sleep(0.01)
    return np.sin(rows[:, None] * 10.0 + columns)
storage.fill(path, (24, 3000), tile, rows=1, fingerprint="f", mmap=True)
os._exit(0)
"""

    def build(path, after):
        words = [sys.executable, "-c", script, str(path), str(after)]
        return subprocess.run(words, check=False, env=os.environ).returncode

    assert build(tmp_path / "unbroken", 0) == 0
    moments = np.random.default_rng(0).uniform(0.02, 0.2, 3)
    codes = [build(tmp_path / "killed", moment) for moment in moments]
    assert -signal.SIGKILL in codes
    assert build(tmp_path / "killed", 0) == 0
    assert (tmp_path / "killed").read_bytes() == (tmp_path / "unbroken").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["killed", "unbroken"]


def test_a_mapped_matrix_is_the_same(tmp_path):
    found = storage.fill(tmp_path / "matrix", (7, 4), tile, rows=2, mmap=True)
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, WHOLE)
    assert [p.name for p in tmp_path.iterdir()] == ["matrix"]
    with pytest.raises(ValueError, match="mmap=True needs a path"):
        storage.fill(None, (7, 4), tile, rows=2, mmap=True)


def test_other_work_is_refused_by_name(tmp_path):
    path = tmp_path / "matrix"
    storage.fill(path, (7, 4), tile, rows=2, fingerprint="one")
    with pytest.raises(
        ValueError, match="matrix: was computed for fingerprint 'one', wanted 'two'"
    ):
        storage.fill(path, (7, 4), tile, rows=2, fingerprint="two")
    with pytest.raises(
        ValueError, match=r"matrix: was computed for shape \[7, 4\], wanted \[8, 4\]"
    ):
        storage.fill(path, (8, 4), tile, rows=2, fingerprint="one")


def test_nan_is_refused_and_finished_tiles_stay(tmp_path):
    def broken(rows, columns):
        return np.where(rows[:, None] == 5, np.nan, tile(rows, columns))

    with pytest.raises(
        ValueError, match="scoring: 4 of 8 entries are NaN in rows 4 to 5; finished"
    ):
        storage.fill(tmp_path / "matrix", (7, 4), broken, rows=2, label="scoring")
    assert sorted(p.name for p in (tmp_path / "matrix.tiles").iterdir()) == [
        "000000000",
        "000000002",
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3)), r"compute must return \[2, 4\] for rows 0 to 1, got shape \(2, 3\)"),
        (np.full((2, 4), "1"), "compute must return real numbers for rows 0 to 1, got <U1"),
        (np.ones((2, 4), complex), "compute must return real numbers for rows 0 to 1, got complex"),
        (np.full((2, 4), None), "compute must return real numbers for rows 0 to 1, got object"),
        (np.full((2, 4), 1e39), "8 of 8 entries are beyond float32 in rows 0 to 1"),
    ],
)
def test_a_block_that_is_not_a_tile_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        storage.fill(None, (7, 4), lambda r, c: values, rows=2)


def test_infinite_scores_and_other_numbers_are_taken(tmp_path):
    for values in (np.full((1, 2), -np.inf), np.ones((1, 2), bool), np.full((1, 2), 7, np.uint8)):
        found = storage.fill(None, (1, 2), lambda r, c, values=values: values, rows=2)
        np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("mmap", [False, True])
def test_what_compute_raises_loses_no_finished_tile(tmp_path, mmap):
    def failing(rows, columns):
        if 4 in rows:
            raise RuntimeError("the model is gone")
        return tile(rows, columns)

    path = tmp_path / "matrix"
    with pytest.raises(RuntimeError, match="the model is gone"):
        storage.fill(path, (7, 4), failing, rows=2, mmap=mmap)
    assert len(list((tmp_path / "matrix.tiles").iterdir())) == 2
    computed = []
    found = storage.fill(
        path, (7, 4), lambda r, c: computed.append(r[0]) or tile(r, c), rows=2, mmap=mmap
    )
    np.testing.assert_array_equal(found, WHOLE)
    assert computed == [4, 6]


@pytest.mark.parametrize("mmap", [False, True])
def test_a_damaged_tile_is_named_and_the_others_stay(tmp_path, mmap):
    def interrupted(rows, columns):
        if 6 in rows:
            raise KeyboardInterrupt
        return tile(rows, columns)

    path, tiles = tmp_path / "matrix", tmp_path / "matrix.tiles"
    with pytest.raises(KeyboardInterrupt):
        storage.fill(path, (7, 4), interrupted, rows=2)
    data = bytearray((tiles / "000000002").read_bytes())
    data[-64] ^= 1
    (tiles / "000000002").write_bytes(data)
    with pytest.raises(
        ValueError, match=r"000000002: checksum .* rebuild it \(that tile alone: the others"
    ):
        storage.fill(path, (7, 4), tile, rows=2, mmap=mmap)
    (tiles / "000000002").unlink()
    np.testing.assert_array_equal(storage.fill(path, (7, 4), tile, rows=2, mmap=mmap), WHOLE)


def test_one_process_fills_a_path_and_all_may_read_it(tmp_path):
    path = tmp_path / "matrix"
    with (
        storage.owned(path, "file"),
        pytest.raises(ValueError, match="matrix: is in use by this process already"),
    ):
        storage.fill(path, (7, 4), tile, rows=2)
    storage.fill(path, (7, 4), tile, rows=2)
    with storage.owned(path, "file"):
        np.testing.assert_array_equal(storage.fill(path, (7, 4), None, rows=2), WHOLE)


def test_what_somebody_else_keeps_among_the_tiles_stays(tmp_path):
    (tmp_path / "matrix.tiles").mkdir()
    (tmp_path / "matrix.tiles" / "notes.txt").write_text("mine")
    storage.fill(tmp_path / "matrix", (7, 4), tile, rows=2)
    assert [p.name for p in (tmp_path / "matrix.tiles").iterdir()] == ["notes.txt"]


def test_a_path_that_cannot_be_written_is_found_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=r"lies below .*file', which is not a folder"):
        storage.fill(tmp_path / "file" / "matrix", (7, 4), None, rows=2)
    with pytest.raises(ValueError, match="folder: must be a file, is a folder"):
        storage.fill(tmp_path / "folder", (7, 4), None, rows=2)
    with pytest.raises(ValueError, match="rows must be a whole number of at least 1, got 0"):
        storage.fill(tmp_path / "matrix", (7, 4), None, rows=0)


def test_progress_is_told_in_the_log_where_nobody_looks(caplog):
    with (
        caplog.at_level(logging.INFO, logger="jaxsim"),
        storage.bar(10, "outer", "parts") as outer,
        storage.bar(100, "training", "examples") as inner,
    ):
        inner.advance(60, loss=0.5)
        inner.advance(40, loss=0.25)
        outer.advance(1)
    told = [record.getMessage() for record in caplog.records]
    assert told[0].startswith("training: 100 of 100 examples in 0 s")
    assert "loss 0.25" in told[0]
    assert told[1].startswith("outer: 1 of 10 parts")


def test_skipped_work_counts_for_the_end_and_not_for_the_speed():
    with storage.bar(100, "training", "examples") as progress:
        progress.skip(90)
        assert progress.done == 90
        assert progress.rate() == 0


def test_bars_in_a_terminal_share_a_display(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with storage.bar(10, "outer") as outer, storage.bar(5, "inner") as inner:
        inner.advance(2, loss=0.5)
        assert inner.display is outer.display
        assert [task.completed for task in inner.display.tasks] == [0, 2]
        inner.note("renamed")
        assert inner.display.tasks[1].description == "renamed"
    assert outer.display.live.is_started is False
