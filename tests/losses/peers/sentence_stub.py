"""Models that give the vectors they are handed, so that a loss of sentence-transformers runs as it is."""

import pytest
from parity import DIM, torch

pytest.importorskip(
    "sentence_transformers", reason="needs sentence-transformers, of the extra peers"
)
from sentence_transformers import CrossEncoder


def tokenizer():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    return PreTrainedTokenizerFast(tokenizer_object=words)


class Given(torch.nn.Module):
    """A bi-encoder whose features are its output."""

    device = torch.device("cpu")
    max_seq_length = 8
    tokenizer = tokenizer()

    def __init__(self, name="sentence_embedding"):
        super().__init__()
        self.name = name

    def forward(self, features, **_):
        return {**features, "sentence_embedding": features[self.name]}

    def get_embedding_dimension(self):
        return DIM

    def __getitem__(self, place):
        return None


class Tokens(torch.nn.Module):
    """A multi-vector encoder whose features are its output."""

    def forward(self, features, **_):
        return features


class Scores(CrossEncoder):
    """A cross-encoder that reads its scores from a table, by the numbers that queries and documents are."""

    def __init__(self, table):
        torch.nn.Module.__init__(self)
        self.table = table

    num_labels = 1
    device = torch.device("cpu")

    def preprocess(self, pairs, **_):
        return {"pairs": torch.tensor([[int(text) for text in pair] for pair in pairs])}

    def forward(self, features, **_):
        query, document = features["pairs"].T
        scores = self.table[query, document]
        return {"scores": scores if scores.ndim > 1 else scores[:, None]}


def embedded(loss, columns, labels=None):
    """A loss of a bi-encoder on columns of vectors."""
    return loss([{"sentence_embedding": a} for a in columns], labels)


def scored(make, table, labels=None, columns=None):
    """A loss of a cross-encoder on a table of scores [queries, documents].

    make: model -> loss. columns: of documents' numbers, a list per column; None gives each query the
    list of all documents.
    """
    loss = make(Scores(table))
    queries = [str(i) for i in range(table.shape[0])]
    if columns is None:
        documents = [[str(j) for j in range(table.shape[1])]] * table.shape[0]
        return loss([queries, documents], [row for row in labels])
    return loss([queries, *[[str(j) for j in column] for column in columns]], labels)
