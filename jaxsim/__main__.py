"""python -m jaxsim COMMAND ...        (python -m jaxsim COMMAND --help explains one)"""

import importlib
import logging
import sys

COMMANDS = {
    "train": "fine-tunes a model on pairs, triplets or graded pairs of a file",
    "embed": "writes the vectors of a text column",
    "index": "encodes a corpus once, for search",
    "search": "finds the nearest texts of a corpus, reranks them under a budget",
    "evaluate": "scores a run against judgements",
}


def main(arguments=None):
    """The command line; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        lines = (f"  {name:{width}}  {about}" for name, about in COMMANDS.items())
        print("\n".join([__doc__, "", *lines]))
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        return fail(f"no command {name!r}: there are {', '.join(COMMANDS)}")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("jaxsim").setLevel(logging.INFO)
    try:
        importlib.import_module(f"jaxsim.commands.{name}").main(rest)
    except KeyboardInterrupt:
        return fail("interrupted: the same command goes on where this stood", code=130)
    except (ValueError, FileNotFoundError, ModuleNotFoundError) as error:
        return fail(str(error))
    return 0


def fail(message, code=2):
    """Says in one line why nothing was done."""
    print(f"error: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
