"""Losses of pytorch-metric-learning and of ours on embeddings with labels, as parity.py wants them."""

import pytest

pytest.importorskip(
    "pytorch_metric_learning", reason="needs pytorch-metric-learning, of the extra peers"
)


def labelled(loss, **settings):
    """Ours of embeddings, labels and the parameters."""

    def called(columns, labels, where):
        embeddings, *parameters = columns
        return loss(embeddings, labels, *parameters, where=where, **settings)

    return called


def of_labels(make, *, miner=None, parameters=(), **settings):
    """Theirs of embeddings and labels.

    miner: makes theirs, which then picks the pairs or triplets. parameters: the names of the
    attributes that the columns after the first one are.
    """

    def called(columns, labels):
        embeddings, *given = columns
        loss = make(**settings)
        for name, value in zip(parameters, given, strict=True):
            loss._parameters.pop(name, None)  # a parameter would be another leaf than the column
            setattr(loss, name, value)
        picked = None if miner is None else miner()(embeddings, labels)
        return loss(embeddings, labels, picked)

    return called
