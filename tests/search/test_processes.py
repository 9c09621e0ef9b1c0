"""Exact search by two processes of four devices gives what one process of eight gives, ties included."""

import sys

import hosts
import numpy as np
import pytest

SCRIPT = hosts.ROOT / "tests" / "search" / "searched.py"


@pytest.mark.thorough
@pytest.mark.xdist_group("hosts")
@pytest.mark.usefixtures("several_processes")
def test_two_processes_find_what_one_finds(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    code, _, errors = hosts.run(
        [sys.executable, SCRIPT, tmp_path / "one"], env=hosts.environment(8)
    )
    assert code == 0, errors[-3000:]
    command = [sys.executable, SCRIPT, tmp_path / "two"]
    code, _, errors = hosts.on_two_hosts(command, devices=4)
    assert code == 0, errors[-3000:]
    one, *two = (
        np.load(tmp_path / name) for name in ("one/found0.npz", "two/found0.npz", "two/found1.npz")
    )
    assert len(one.files) == 12
    for answer in two:  # every process gets the whole answer
        assert set(answer.files) == set(one.files)
        for name in one.files:
            np.testing.assert_array_equal(answer[name], one[name], err_msg=name)
    assert len(np.unique(one["dot scores"])) < 20  # they do tie
