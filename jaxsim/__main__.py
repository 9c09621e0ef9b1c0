"""python -m jaxsim COMMAND ...        (python -m jaxsim COMMAND --help explains one)"""

import contextlib
import errno
import importlib
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxsim import __version__

COMMANDS = {
    "train": "fine-tunes a model on pairs, triplets or graded pairs of a file",
    "merge": "merges several fine-tuned copies of a model into one",
    "embed": "writes the vectors of a text column or of pictures",
    "index": "encodes a corpus once, for search",
    "search": "finds the nearest texts or pictures of a corpus, reranks texts under a budget",
    "evaluate": "scores a run against judgments",
    "export": "writes a model as StableHLO or ONNX, vectors as an index of FAISS or usearch",
}
# Packages that an extra of ours brings.
EXTRAS = {
    **dict.fromkeys(
        ("flax", "tokenizers", "safetensors", "huggingface_hub", "flatbuffers"), "pretrained"
    ),
    **dict.fromkeys(("jax2onnx", "onnx", "onnxruntime"), "onnx"),
    **dict.fromkeys(("optax", "orbax", "etils"), "train"),
    "grain": "data",
    "pyarrow": "parquet",
    **dict.fromkeys(("rich", "tyro", "matplotlib", "sklearn", "scipy"), "experiments"),
    **dict.fromkeys(("tensorflow_datasets", "array_record", "PIL"), "data"),
}
# What the system calls it -> what it means and what to do.
REASONS = {
    errno.ENOSPC: "the disk is full: free some space and start the same command again",
    errno.EDQUOT: "the disk quota is used up: free some space and start the same command again",
    errno.EFBIG: "the file would be larger than the system allows",
    errno.EROFS: "the file system is read-only: choose another place",
    errno.EACCES: "permission denied: choose another place, or ask its owner",
    errno.EPERM: "not permitted: choose another place, or ask its owner",
    errno.EISDIR: "is a folder, wanted a file",
    errno.ENOTDIR: "lies below a file, wanted a folder there",
    errno.ENOENT: "there is no such file",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
    errno.EIO: "the disk cannot be read or written",
}
LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")  # who gets them
OUT_OF_MEMORY = "give a smaller --batch-size, --chunk, --batch-tokens or --max-length"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0, 2 after an error, 130 after Ctrl-C."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    return guarded(lambda: _run(arguments), smaller=OUT_OF_MEMORY)


def log_lines() -> None:
    """Shows the messages of jaxsim as they are, and of others what is a warning.

    Called before other packages are imported: some of them set up the log as they are.
    """
    logging.basicConfig(level=logging.WARNING, handlers=[_Lines()])
    logging.getLogger("jaxsim").setLevel(logging.INFO)


class _Lines(logging.StreamHandler):
    """Lines on what sys.stderr is at the moment, which is above a progress bar where one is shown."""

    def __init__(self):
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter("%(message)s"))
        self.addFilter(lambda record: not hasattr(record, "displayed"))

    @property
    def stream(self):
        return sys.stderr


def guarded(work: Callable[[], int], *, smaller: str, extra: str | None = None) -> int:
    """Runs a command's work; returns its exit code, after one sentence where it failed for a foreseeable reason.

    Foreseeable is what a user can fix: arguments, files, disks, memory, packages. A bug keeps its
    traceback.

    Args:
      work: function without arguments that returns the exit code.
      smaller: what to do where the memory is full.
      extra: the extra that brings a missing package; None takes the one of the library's room.
    """
    try:
        code = work()
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk or a closed pipe shows here, not after the last line
        return code
    except BrokenPipeError:  # the reader of the pipe has seen enough, as in `| head`
        _silence()
        return 128 + 13
    except KeyboardInterrupt:
        return fail("interrupted: the same command resumes where it stopped", code=130)
    except ModuleNotFoundError as error:
        if error.name is None:  # a sentence of ours
            return fail(error)
        package = error.name.split(".")[0]
        if package not in EXTRAS:
            raise
        needed = f'pip install "jaxsim-similarity[{extra or EXTRAS[package]}]"'
        return fail(f"the package {package} is missing: {needed}")
    except OSError as error:
        return fail(reason(error))
    except EOFError as error:
        return fail(f"a file ends too early: {error}")
    except RecursionError:
        return fail("a file is nested too deeply")
    except MemoryError as error:
        return fail(f"the memory is full ({error or 'no more is free'}): {smaller}")
    except (ValueError, FloatingPointError) as error:
        return fail(error)
    except RuntimeError as error:  # of a device, by jaxlib; of anything else it is a bug
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return fail(f"the device's memory is full: {smaller}")


def reason(error: OSError) -> str:
    """An OSError as a sentence that names the file."""
    if error.errno is None:  # a sentence of ours
        return str(error)
    what = REASONS.get(error.errno, (error.strerror or str(error)).lower())
    if not isinstance(error.filename, (str, bytes)):
        return what
    return f"{os.fsdecode(error.filename)}: {what}"


def fail(message: object, code: int = 2) -> int:
    """Prints in one line why nothing was done."""
    line = re.sub(r"\s*\n\s*", " ", str(message).strip())
    try:
        print(end="", flush=True)
    except (OSError, ValueError):
        _silence()
    with contextlib.suppress(OSError):
        print(f"error: {line}", file=sys.stderr)
    return code


def _run(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        lines = (f"  {name:{width}}  {about}" for name, about in COMMANDS.items())
        print("\n".join([__doc__, "", *lines]))
        return 0
    if arguments == ["--version"]:
        print(f"jaxsim {__version__}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        return fail(f"no command {name!r}: there are {', '.join(COMMANDS)}")
    log_lines()
    options = importlib.import_module(f"jaxsim.commands.options.{name}").parsed(rest)
    importlib.import_module(f"jaxsim.commands.{name}").main(options)
    return 0


def _silence():
    """Drops output that cannot be written, so that Python does not complain about it when it exits."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def with_large_pages() -> None:
    """Starts this command anew, in the same process, with memory in pages of 2 MiB where Linux has them for who asks.

    The values of a step on a CPU are in new memory each time: a good part of its time goes into asking the system
    for pages of 4 KiB (`python -m benchmarks.pages`). GLIBC_TUNABLES, which says how the C library asks, is
    read as a process starts; one that is set is left as it is.
    """
    if "GLIBC_TUNABLES" in os.environ or not sys.executable:
        return
    try:
        library = os.confstr("CS_GNU_LIBC_VERSION") or ""
        version = tuple(map(int, library.removeprefix("glibc ").split(".")))
        given = LARGE_PAGES.read_text(encoding="utf-8")
    except (AttributeError, ValueError, OSError):  # not Linux, or another C library
        return
    if version >= (2, 35) and "[madvise]" in given:
        line = [sys.executable, *sys.orig_argv[1:]]
        with contextlib.suppress(OSError):  # it goes on as it is
            os.execve(line[0], line, {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"})


def shown_whole() -> None:
    """Replaces characters that a terminal cannot show, which is not an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    with_large_pages()
    shown_whole()
    sys.exit(main())
