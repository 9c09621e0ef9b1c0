"""Encodes a corpus into an index, which `search` then reads. A killed run resumes when started again.

python -m jaxsim index --model out/ --corpus docs.jsonl
"""

from collections.abc import Sequence

from jaxsim.commands import arguments, corpora, models


def main(command_line: Sequence[str]) -> None:
    """Runs the command."""
    parser = arguments.Parser("index", __doc__)
    corpora.options(parser.add_argument)
    chosen = parser.parse_args(command_line)
    corpus = corpora.read(chosen)
    vectors = corpora.vectors_of(chosen, corpus, models.text_model(chosen))
    print(f"{corpora.folder_of(chosen)}: {vectors.shape[0]} texts, vectors of {vectors.shape[1]}")
