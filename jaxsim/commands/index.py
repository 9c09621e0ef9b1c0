"""Encodes a corpus into an index, which `search` then reads. A killed run resumes when started again.

python -m jaxsim index --model out/ --corpus docs.jsonl
python -m jaxsim index --model clip/ --corpus pictures/
"""

from collections.abc import Sequence

from jaxsim import search
from jaxsim.commands.inputs import arguments, corpora, models


def main(command_line: Sequence[str]) -> None:
    """Runs the command."""
    parser = arguments.Parser("index", __doc__)
    corpora.options(parser.add_argument)
    chosen = parser.parse_args(command_line)
    corpus = corpora.read(chosen)
    images = corpus.images is not None
    model = models.embedding_model(chosen, texts=not images, images=images)
    vectors = corpora.vectors_of(chosen, corpus, model)
    what = "pictures" if images else "texts"
    count, dim = vectors.shape
    active = ""
    if isinstance(vectors, search.SparseIndex):
        active = f", {vectors.active_dims:.1f} of them not 0"
    if isinstance(vectors, corpora.TokenVectors):
        active = f", one for each of {len(vectors.vectors)} tokens"
    print(f"{corpora.folder_of(chosen)}: {count} {what}, vectors of {dim}{active}")
