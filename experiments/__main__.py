"""python -m experiments: see experiments/frame/command.py, which needs the extra `experiments`."""

import importlib
import sys

from jaxsim.__main__ import guarded, log_lines, shown_whole, with_large_pages


def main(arguments=None):
    """The command line; returns the exit code: 0, 2 after an error, 130 after Ctrl-C."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)

    def work():
        log_lines()
        return importlib.import_module("experiments.frame.command").run(arguments)

    return guarded(work, smaller="choose a smaller preset, or a smaller batch", extra="experiments")


if __name__ == "__main__":
    with_large_pages()
    shown_whole()
    sys.exit(main())
