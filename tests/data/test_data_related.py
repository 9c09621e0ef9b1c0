"""Texts that belong together in pairs, on files of their layout and on the real ones where they are."""

import gzip
import json
import os

import numpy as np
import pytest

from jaxsim import data

needs_data = pytest.mark.skipif("JAXSIM_DATA" not in os.environ, reason="needs JAXSIM_DATA")
PAPERS = [{"_id": n, "text": text} for n, text in zip("1234", ["a", "b", " ", "d"], strict=True)]


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A function that writes a collection's papers and citations."""
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))
    folder = tmp_path / "retrieval" / "cacm"
    folder.mkdir(parents=True)
    text = "".join(json.dumps(row) + "\n" for row in PAPERS)
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(text.encode()))

    def write(*lines):
        path = folder / "cocitations.tsv"
        path.write_text("".join(f"{line}\n" for line in ("doc_a\tdoc_b\tcount", *lines)))

    return write


def synset(name, hypernym, lexname="noun.act", definition=None):
    return {
        "id": name,
        "pos": "n",
        "lexname": lexname,
        "lemmas": [name],
        "definition": definition or f"meaning of {name}",
        "examples": [],
        "hypernyms": [hypernym] if hypernym else [],
    }


def test_cocitations_are_pairs_of_abstracts_once_each(written):
    written("4\t2\t1", "1\t2\t2", "2\t1\t3", "1\t3\t5")
    related = data.cocitations("cacm")
    named = {frozenset(related.texts[n] for n in pair) for pair in related.pairs}
    assert named == {frozenset("db"), frozenset("ab")}
    assert len(related.pairs) == 2
    assert related.pairs.dtype == np.int32
    assert set(data.cocitations("cacm", least=2).texts) == {"a", "b"}


@pytest.mark.parametrize("line", ["1\t2", "1\t2\t0", "1\t9\t1", "1\t1\t1", "1\t2\tx"])
def test_damaged_citations_are_named(written, line):
    written("1\t2\t1", line)
    with pytest.raises(ValueError, match="line 3 must have two papers of the corpus"):
        data.cocitations("cacm")


def test_siblings_share_a_hypernym_of_their_file(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))
    rows = [
        synset("top", None),
        synset("s1", "top"),
        synset("s2", "top"),
        synset("s3", "top"),
        synset("same", "top", definition="meaning of s1"),
        synset("r1", "s1"),
        synset("r2", "s1"),
        synset("out", "top", "noun.state"),
        synset("under out", "out"),
    ]
    (tmp_path / "wordnet").mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "wordnet" / "synsets.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    related = data.sibling_definitions("noun.act")
    named = [[related.texts[n].removeprefix("meaning of ") for n in pair] for pair in related.pairs]
    assert named == [["s1", "s2"], ["r1", "r2"]]
    assert related.groups.tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="lexname must be one with siblings, such as"):
        data.sibling_definitions("noun.state")


def test_titles_belong_to_the_bodies_below_them():
    texts = data.LabeledTexts(["a", "", "c"], ["x", "y", "z"], np.array([1, 1, 1]), ["p", "q"], [])
    related = data.titled_texts(texts)
    assert related["p"].texts == []
    assert related["q"].texts == ["a", "x", "c", "z"]
    np.testing.assert_array_equal(related["q"].pairs, [[0, 1], [2, 3]])


def chains():
    """Twenty pairs, two of each group, and a component of 100 texts."""
    pairs = [[n, n + 1] for n in range(0, 40, 2)] + [[n, n + 1] for n in range(40, 139)]
    groups = np.concatenate([np.arange(40) // 4, 10 + np.arange(100)])
    texts = [str(n) for n in range(140)]
    return data.RelatedTexts(texts, np.array(pairs, np.int32), groups.astype(np.int32))


def test_parts_share_no_text_and_small_groups_stay_whole():
    related = chains()
    parts = data.split_related(related, shares=(0.5, 0.25, 0.25), seed=1)
    seen = set()
    whole = 0
    for part in parts:
        assert not seen & set(part.texts)
        seen |= set(part.texts)
        names = np.array([int(text) for text in part.texts])
        np.testing.assert_array_equal(part.groups, related.groups[names])
        small = [n for n in names if n < 40]
        assert all({n // 4 * 4 + k for k in range(4)} <= set(small) for n in small)
        whole += sum(n < 40 for n in names)
        known = {tuple(pair) for pair in related.pairs.tolist()}
        assert {tuple(names[pair]) for pair in part.pairs} <= known
    assert whole == 40
    again = data.split_related(related, shares=(0.5, 0.25, 0.25), seed=1)
    assert [p.texts for p in again] == [p.texts for p in parts]


def test_balanced_pairs_have_as_many_right_as_wrong_and_no_partner_among_these():
    related = chains()
    near = np.stack([(np.arange(140) + step) % 140 for step in (0, 1, 2, 3, 4)], axis=1)
    pairs, labels = data.balanced_pairs(related, near, seed=0)
    assert labels.sum() * 2 == len(labels)
    right, wrong = pairs[labels], pairs[~labels]
    np.testing.assert_array_equal(right[:, 0], wrong[:, 0])
    partners = {frozenset(pair) for pair in related.pairs.tolist()}
    for one, other in wrong.tolist():
        assert frozenset((one, other)) not in partners
        assert related.groups[one] != related.groups[other]
        assert other in near[one]
    near_fewer = near.copy()
    near_fewer[:20] = np.arange(20)[:, None]
    assert len(data.balanced_pairs(related, near_fewer, seed=0)[1]) == len(labels) - 20


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: data.cocitations("npl"), "name must be one of"),
        (lambda: data.split_related(chains(), shares=(0.5, 0.4), seed=0), "shares must be > 0"),
        (
            lambda: data.split_related(chains(), shares=(0.999, 0.001), seed=0),
            "shares must leave a pair in every part",
        ),
        (
            lambda: data.balanced_pairs(chains(), np.arange(140)[:, None], seed=0),
            "candidates must hold a negative",
        ),
        (lambda: data.balanced_pairs(chains(), np.full((140, 1), 140), seed=0), "candidates must"),
    ],
)
def test_refusals_name_the_argument(act, message):
    with pytest.raises(ValueError, match=message):
        act()


@needs_data
@pytest.mark.thorough
def test_the_real_ones_have_the_numbers_of_their_readme():
    assert len(data.cocitations("cacm").pairs) == 2632
    related = data.cocitations("cisi")
    assert (len(related.texts), len(related.pairs)) == (1439, 38672)
    news = data.titled_texts(data.ag_news())
    assert [len(related.pairs) for related in news.values()] == [1900] * 4
