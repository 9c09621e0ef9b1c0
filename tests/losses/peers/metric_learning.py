"""Losses of pytorch-metric-learning and of ours on embeddings with labels, as parity.py wants them."""

import pytest

pytest.importorskip(
    "pytorch_metric_learning", reason="needs pytorch-metric-learning, of the extra peers"
)


def labeled(loss, **settings):
    """Ours of embeddings, labels and the parameters."""

    def called(columns, labels, where):
        embeddings, *parameters = columns
        return loss(embeddings, labels, *parameters, where=where, **settings)

    return called


def as_it_is(value):
    return value


def of_labels(make, *, miner=None, parameters=None, **settings):
    """Theirs of embeddings and labels.

    miner: makes theirs, which then picks the pairs or triplets. parameters: {attribute: what is made
    of a column for it}, of the columns after the first one.
    """

    def called(columns, labels):
        embeddings, *given = columns
        loss = make(**settings)
        for (name, change), value in zip((parameters or {}).items(), given, strict=True):
            loss._parameters.pop(name, None)  # a parameter would be another leaf than the column
            setattr(loss, name, change(value))
        picked = None if miner is None else miner()(embeddings, labels)
        return loss(embeddings, labels, picked)

    return called
