"""Batches without buckets, of a dict of columns: two lengths for each, which hold half of the texts and all."""

import numpy as np
import pytest

from jaxsim import data

LENGTHS = [3, 5, 7, 9, 40]
COLUMNS = {
    "query": [np.arange(1, length + 1) for length in LENGTHS],
    "document": [np.full(2, place) for place in range(5)],
}


def test_columns_are_examples():
    rows = [{name: column[place] for name, column in COLUMNS.items()} for place in range(5)]
    buckets = {"query": (16, 48), "document": (16,)}
    ours = data.batches(COLUMNS, batch_size=2, seed=0, epochs=2)
    expected = data.batches(rows, batch_size=2, seed=0, epochs=2, buckets=buckets)
    assert len(ours) == len(expected)
    for one, other in zip(ours, expected, strict=True):
        for side in COLUMNS:
            np.testing.assert_array_equal(one[side]["tokens"], other[side]["tokens"])
        np.testing.assert_array_equal(one["ids"], other["ids"])


def test_columns_of_different_lengths_are_named():
    columns = {"query": COLUMNS["query"], "document": COLUMNS["document"][:3]}
    with pytest.raises(ValueError, match=r"columns of one length, got {'query': 5, 'document': 3}"):
        data.batches(columns, batch_size=2, seed=0)
