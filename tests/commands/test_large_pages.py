"""Commands ask for large pages where the system has them for who asks, once."""

import os
import subprocess
import sys

import pytest

from jaxsim import __main__ as command

TUNABLES = "glibc.malloc.hugetlb=1"


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Asks on a made-up system: the command lines that were started instead."""

    def ask(pages="always [madvise] never", library="glibc 2.36", **environment):
        lines, file = [], tmp_path / "enabled"
        if pages is not None:
            file.write_text(pages)
        monkeypatch.setattr(command, "LARGE_PAGES", file)
        monkeypatch.setattr(os, "confstr", lambda name: library)
        monkeypatch.setattr(os, "execve", lambda path, line, given: lines.append((line, given)))
        monkeypatch.setattr(sys, "orig_argv", ["python", "-W", "error", "-m", "jaxsim", "train"])
        monkeypatch.setattr(os, "environ", dict(environment))
        command.with_large_pages()
        return lines

    return ask


def test_the_same_command_is_started_with_large_pages(started):
    line = [sys.executable, "-W", "error", "-m", "jaxsim", "train"]
    assert started(HOME="/here") == [(line, {"HOME": "/here", "GLIBC_TUNABLES": TUNABLES})]


@pytest.mark.parametrize(
    "system",
    [
        {"GLIBC_TUNABLES": TUNABLES},
        {"GLIBC_TUNABLES": ""},
        {"pages": "[always] madvise never"},
        {"pages": "always madvise [never]"},
        {"pages": None},
        {"library": "glibc 2.31"},
        {"library": "musl 1.2"},
        {"library": None},
    ],
    ids=str,
)
def test_nothing_is_started_where_it_has_no_effect_or_is_set(started, system):
    assert started(**system) == []


def test_what_can_not_be_started_goes_on(started, monkeypatch):
    started()
    tried = []

    def refused(path, line, given):
        tried.append(given)
        raise OSError("argument list too long")

    monkeypatch.setattr(os, "execve", refused)
    command.with_large_pages()
    assert tried == [{"GLIBC_TUNABLES": TUNABLES}]
    assert os.environ == {}  # what this command starts has the system's own pages too


@pytest.mark.parametrize("module", ["jaxsim", "experiments"])
def test_the_commands_run_either_way(module):
    environment = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES"}
    anew, as_it_is = (
        subprocess.run(
            [sys.executable, "-m", module],
            capture_output=True,
            text=True,
            check=True,
            env=environment | more,
        )
        for more in ({}, {"GLIBC_TUNABLES": ""})
    )
    assert anew.stdout == as_it_is.stdout != ""
    assert anew.stderr == as_it_is.stderr == ""
