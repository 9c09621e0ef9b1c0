"""Dictionary entries: synonyms, splits by word and definition, and what is left out of training."""

import gzip
import json
import os

import numpy as np
import pytest

from jaxsim import data

needs_data = pytest.mark.skipif("JAXSIM_DATA" not in os.environ, reason="needs JAXSIM_DATA")
PAIRS = [
    ("car", "a vehicle"),
    ("bank", "a slope"),
    ("auto", "a vehicle"),
    ("bank", "a house of money"),
    ("shore", "a slope"),
    ("car", "a wagon"),
    ("auto", "a wagon"),
    ("car", "a vehicle"),
]
WORDS = data.dictionary_of(PAIRS)


def pairs_of(dictionary):
    entries = [dictionary.entries[owner] for owner in dictionary.owners]
    return sorted(zip(entries, dictionary.definitions, strict=True))


def test_entries_have_each_definition_once():
    assert WORDS.entries == [("car",), ("bank",), ("auto",), ("shore",)]
    assert pairs_of(WORDS) == sorted({((word,), text) for word, text in PAIRS})
    some = WORDS.of([3, 0])
    assert some.entries == [("shore",), ("car",)]
    assert pairs_of(some) == sorted({((w,), t) for w, t in PAIRS if w in ("shore", "car")})


def test_synonyms_are_one_entry_and_partial_ones_are_not():
    merged = data.merged_synonyms(WORDS)
    assert merged.entries == [("car", "auto"), ("bank",), ("shore",)]
    assert [merged.definitions[i] for i in np.flatnonzero(merged.owners == 0)] == [
        "a vehicle",
        "a wagon",
    ]
    again = data.merged_synonyms(merged)
    assert (again.entries, again.definitions) == (merged.entries, merged.definitions)
    np.testing.assert_array_equal(again.owners, merged.owners)


def disjoint(parts):
    words = [{word for entry in part.entries for word in entry} for part in parts]
    texts = [set(part.definitions) for part in parts]
    for sets in (words, texts):
        assert sum(map(len, sets)) == len(set.union(*sets))
    for part in parts:
        np.testing.assert_array_equal(np.unique(part.owners), np.arange(len(part.entries)))


def test_parts_share_no_word_and_no_definition():
    random = np.random.default_rng(0)
    pairs = [(f"w{random.integers(300)}", f"d{random.integers(500)}") for _ in range(900)]
    whole = data.merged_synonyms(data.dictionary_of(pairs))
    parts = data.split_dictionary(whole, (0.6, 0.2, 0.2), seed=3)
    disjoint(parts)
    assert len(parts[2].entries) == round(0.2 * len(whole.entries))  # the test stays whole
    own = [pair for pair in pairs_of(whole) if pair[0] in set(parts[2].entries)]
    assert pairs_of(parts[2]) == own
    assert len(parts[0].entries) > 0.4 * len(whole.entries)
    other = data.split_dictionary(whole, (0.6, 0.2, 0.2), seed=4)
    assert other[2].entries != parts[2].entries


def test_shares_must_be_a_split():
    for shares in ((0.5, 0.6), (1.0, 0.0), ()):
        with pytest.raises(ValueError, match="shares must be above 0 with a sum of 1"):
            data.split_dictionary(WORDS, shares)


def test_synsets_of_sts_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"wordnet/in_sts\.txt"):
        data.dictionary()
    (tmp_path / "wordnet").mkdir()
    (tmp_path / "wordnet" / "in_sts.txt").write_text("2-n\n", encoding="utf-8")
    rows = [
        {"id": "1-n", "lemmas": ["Ice_Cream", "gelato"], "definition": "frozen"},
        {"id": "2-n", "lemmas": ["gelato"], "definition": "of Italy"},
    ]
    common = {"pos": "n", "lexname": "noun.food", "examples": [], "hypernyms": []}
    lines = "".join(json.dumps(row | common) + "\n" for row in rows)
    (tmp_path / "wordnet" / "synsets.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert data.sts_synsets() == {"2-n"}
    assert pairs_of(data.dictionary()) == [(("gelato",), "frozen"), (("ice cream",), "frozen")]
    assert len(data.dictionary(in_sts=True).definitions) == 3


@needs_data
@pytest.mark.thorough
def test_wordnet_as_the_methods_description_counts_it():
    whole = data.dictionary(in_sts=True)
    assert len(whole.entries) == 147_306
    # 206,941 by synset; a word's synsets with equal texts are one definition here.
    assert len(whole.definitions) == 206_906
    merged = data.merged_synonyms(whole)
    assert len(merged.entries) == 100_894  # 100,901 by synset
    assert max(map(len, merged.entries)) == 34
    left = data.dictionary()
    ids = data.sts_synsets()
    assert len(ids) == 1757
    leaked = {row["definition"] for row in data.synsets() if row["id"] in ids}
    assert not leaked & set(left.definitions)
    disjoint(data.split_dictionary(data.merged_synonyms(left)))
