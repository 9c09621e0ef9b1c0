"""Encodes a corpus into an index, which `search` then reads. Killed and started again it goes on.

python -m jaxsim index --model out/ --corpus docs.jsonl
"""

import argparse

from jaxsim.commands import corpora


def main(arguments):
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxsim index", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    corpora.options(parser.add_argument)
    chosen = parser.parse_args(arguments)
    found = corpora.indexed(chosen)
    place = chosen.index or f"{chosen.corpus}.index"
    print(f"{place}: {found.vectors.shape[0]} texts, vectors of {found.vectors.shape[1]}")
