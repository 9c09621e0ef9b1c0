"""`index`: the vectors of a corpus in a folder."""

import argparse

from jaxsim import search
from jaxsim.commands.inputs import corpora, models


def main(options: argparse.Namespace) -> None:
    """Runs the command."""
    corpus = corpora.read(options)
    images = corpus.images is not None
    model = models.embedding_model(options, texts=not images, images=images)
    vectors = corpora.vectors_of(options, corpus, model)
    what = "pictures" if images else "texts"
    count, dim = vectors.shape
    active = ""
    if isinstance(vectors, search.SparseIndex):
        active = f", {vectors.active_dims:.1f} of them not 0"
    if isinstance(vectors, corpora.TokenVectors):
        active = f", one for each of {len(vectors.vectors)} tokens"
    print(f"{corpora.folder_of(options)}: {count} {what}, vectors of {dim}{active}")
