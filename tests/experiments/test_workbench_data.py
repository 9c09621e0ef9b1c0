"""Prepared data that are damaged or do not fit are refused by file and field."""

import json

import numpy as np
import pytest

from experiments.workbench.networks import maxsim
from experiments.workbench.sets import entities, sources
from jaxsim import data

CAPTION = {
    "filename": "1.jpg",
    "caption": "a cat",
    "caption2": "one cat",
    "negative_caption": "a dog",
}


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """Writes SugarCrepe++'s files, all alike, and reads them."""
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))
    (tmp_path / "sugarcrepe_pp").mkdir()

    def read(contents):
        for kind in data.SUGARCREPE_PP:
            (tmp_path / "sugarcrepe_pp" / f"{kind}.json").write_text(contents)
        return maxsim.captions(items=2, queries=1, seed=0)

    return read


def test_captions_are_read(prepared):
    corpus = prepared(json.dumps([CAPTION]))
    assert corpus.items == [("", "a cat"), ("", "a dog")]
    assert corpus.queries == [("", "one cat", "")]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("3", "replace_att.json: must be a list of captions, got 3"),
        ("[3]", r"replace_att.json: \[0\] must be an object, got 3"),
        (json.dumps([CAPTION | {"caption": 1}]), r"\[0\].caption must be a string, got 1"),
        ("[", "replace_att.json: not JSON, or damaged"),
    ],
)
def test_damaged_captions_are_refused(contents, message, prepared):
    with pytest.raises(ValueError, match=message):
        prepared(contents)


def test_mentions_without_their_gloss_are_refused(monkeypatch):
    row = {"left": "", "mention": "cat", "right": "", "synset": "1-n"}
    monkeypatch.setattr(data, "entity_mentions", lambda split: [row])
    monkeypatch.setattr(data, "glosses", list)
    with pytest.raises(ValueError, match="do not fit together: synset '1-n' has no gloss"):
        entities.entities("test", queries=1, items=1, seed=123)


def test_pairs_are_a_collection_with_each_document_once():
    found = sources.collection([("a", "x"), ("b", "y"), ("c", "x")])
    assert (found.queries, found.documents) == (["a", "b", "c"], ["x", "y"])
    np.testing.assert_array_equal(found.truth, [[0], [1], [0]])
    np.testing.assert_array_equal(found.grades, np.ones((3, 1)))
