"""Encodes a corpus into an index, which `search` then reads.

    python -m jaxsim index --model out/ --corpus docs.jsonl
    python -m jaxsim index --model clip/ --corpus pictures/

A killed run resumes when started again.
"""

import argparse
from collections.abc import Sequence

from jaxsim.commands.options.arguments import Parser
from jaxsim.commands.options.shared import of_corpus


def parsed(command_line: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = Parser("index", __doc__)
    of_corpus(parser.add_argument)
    return parser.parse_args(command_line)
