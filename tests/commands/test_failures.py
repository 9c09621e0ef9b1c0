"""What stops a command is one sentence on standard error and an exit code; a bug is a traceback."""

import errno
import importlib
import os
import subprocess
import sys

import pytest

from jaxsim.__main__ import main


@pytest.fixture
def failing(monkeypatch):
    """A function that makes `evaluate` raise an error, and gives the exit code."""

    def fails(error):
        def raising(arguments):
            raise error

        options = importlib.import_module("jaxsim.commands.options.evaluate")
        monkeypatch.setattr(options, "parsed", raising)
        return main(["evaluate"])

    return fails


FULL = "the disk is full: free some space and start the same command again"
SENTENCES = {
    "refused": (ValueError("--rate must be above 0"), "--rate must be above 0"),
    "of two lines": (ValueError("one\n  two\n"), "one two"),
    "no such file, by us": (
        FileNotFoundError("a: there is no such file"),
        "a: there is no such file",
    ),
    "no such file": (OSError(errno.ENOENT, "No", "a"), "a: there is no such file"),
    "full": (OSError(errno.ENOSPC, "No space left on device", "a"), f"a: {FULL}"),
    "full, no name": (OSError(errno.ENOSPC, "No space left on device"), FULL),
    "quota": (
        OSError(errno.EDQUOT, "Quota", "a"),
        "a: the disk quota is used up: free some space and start the same command again",
    ),
    "read-only": (
        OSError(errno.EROFS, "Read-only", b"a"),
        "a: the file system is read-only: choose another place",
    ),
    "permission": (
        OSError(errno.EACCES, "Permission denied", "a"),
        "a: permission denied: choose another place, or ask its owner",
    ),
    "a folder": (OSError(errno.EISDIR, "Is a directory", "a"), "a: is a folder, wanted a file"),
    "below a file": (
        OSError(errno.ENOTDIR, "Not", "a"),
        "a: lies below a file, wanted a folder there",
    ),
    "long": (OSError(errno.ENAMETOOLONG, "File name too long", "a"), "a: the name is too long"),
    "another": (OSError(errno.EBUSY, "Device or resource busy", "a"), "a: device or resource busy"),
    "of a number": (OSError(errno.EIO, "I/O", 3), "the disk cannot be read or written"),
    "cut": (EOFError("Compressed file ended"), "a file ends too early: Compressed file ended"),
    "nested": (RecursionError("maximum"), "a file is nested too deeply"),
    "memory": (
        MemoryError("11 GiB"),
        "the memory is full (11 GiB): give a smaller --batch-size, "
        "--chunk, --batch-tokens or --max-length",
    ),
    "device": (
        RuntimeError("RESOURCE_EXHAUSTED: 9 GiB"),
        "the device's memory is full: give a smaller "
        "--batch-size, --chunk, --batch-tokens or --max-length",
    ),
    "loss": (FloatingPointError("loss nan in step 3"), "loss nan in step 3"),
    "package": (
        ModuleNotFoundError("No module named 'orbax'", name="orbax.checkpoint"),
        'the package orbax is missing: pip install "jaxsim-similarity[train]"',
    ),
    "package, by us": (ModuleNotFoundError("a.parquet: needs pyarrow"), "a.parquet: needs pyarrow"),
}


@pytest.mark.parametrize("kind", SENTENCES)
def test_what_can_be_foreseen_is_one_sentence(failing, capsys, kind):
    error, sentence = SENTENCES[kind]
    assert failing(error) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"error: {sentence}\n")


def test_an_interrupt_says_how_to_resume(failing, capsys):
    assert failing(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == (
        "error: interrupted: the same command resumes where it stopped\n"
    )


@pytest.mark.parametrize(
    "bug",
    [
        KeyError("x"),
        TypeError("x"),
        RuntimeError("x"),
        ModuleNotFoundError("No module named 'jaxsim.x'", name="jaxsim.x"),
    ],
    ids=lambda bug: type(bug).__name__,
)
def test_a_bug_is_a_traceback(failing, bug):
    with pytest.raises(type(bug)):
        failing(bug)


def test_output_that_nobody_reads_or_that_does_not_fit(tmp_path):
    """A closed pipe ends quietly, a full disk behind the output is said: both once, at the end too."""
    command = [
        sys.executable,
        "-c",
        "import sys; from jaxsim import __main__ as m; "
        "m.COMMANDS = dict.fromkeys(map(str, range(9_000)), 'x' * 20); sys.exit(m.main([]))",
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command, stdout=writer, stderr=subprocess.PIPE, env=environment, timeout=60
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=environment, timeout=60
        )
    assert (done.returncode, done.stderr.decode()) == (2, f"error: {FULL}\n")
