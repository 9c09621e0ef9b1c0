"""Labeled documents, running text and senses: on files of their layout, and on the real ones where they are."""

import gzip
import json
import os

import numpy as np
import pytest

from jaxsim import data

needs_data = pytest.mark.skipif("JAXSIM_DATA" not in os.environ, reason="needs JAXSIM_DATA")

AG = "text_classification/ag_news_test"
MEDICAL = "text_classification/medical_abstracts_test"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A function that writes a file of JAXSIM_DATA."""
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = text if isinstance(text, str) else "".join(json.dumps(row) + "\n" for row in text)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())

    return write


def test_a_news_item_is_its_title_and_its_description(written):
    written(f"{AG}/label_keywords.csv", "class_index;class_name;keywords\n1;A;x y\n2;B;z\n")
    written(f"{AG}/test.csv.gz", '"2","T","d, e"\n"1","","f"\n')
    news = data.ag_news()
    assert news.texts == ["T. d, e", "f"]
    assert news.labels.tolist() == [1, 0]
    assert news.keywords == [["x", "y"], ["z"]]
    written(f"{AG}/test.csv.gz", '"2","T","d"\n"3","T","d"\n')
    with pytest.raises(ValueError, match=r"test\.csv\.gz: row 2 must have 3 cells, .* from 1 to 2"):
        data.ag_news()
    written(f"{AG}/label_keywords.csv", "class_index;class_name;keywords\n1;A\n")
    with pytest.raises(ValueError, match="line 2 must have class_name and keywords"):
        data.ag_news()


def test_abstracts_have_no_title_and_their_condition_as_keyword(written):
    written(f"{MEDICAL}/medical_tc_labels.csv", "condition_label,condition_name\n1,a b\n2,c\n")
    written(f"{MEDICAL}/medical_tc_test.csv.gz", 'condition_label,medical_abstract\n2,"x, y"\n')
    abstracts = data.medical_abstracts()
    assert abstracts.texts == ["x, y"]
    assert abstracts.labels.tolist() == [1]
    assert abstracts.keywords == [["a b"], ["c"]]


def test_news_of_reuters_have_any_number_of_topics(written):
    row = {"modapte": "train", "topics": ["b", "a"], "title": "T", "body": "x"}
    rows = [row, row | {"modapte": "test", "topics": ["c"]}, row | {"modapte": "unused"}]
    written("text_classification/reuters21578/articles.jsonl.gz", rows)
    train, test = data.reuters("train"), data.reuters("test")
    assert train.names == test.names == ["a", "b", "c"]
    assert train.topics.tolist() == [[True, True, False]]
    assert test.topics.tolist() == [[False, False, True]]
    with pytest.raises(ValueError, match="split must be one of 'train', 'test', got 'all'"):
        data.reuters("all")


def test_running_text_is_sentences_of_words(written):
    written("text_corpus/masc.jsonl.gz", [{"sentences": ["A 2nd 1,000", "...", "It 's"]}])
    assert data.running_text("masc") == [["a", "NUMBER", "nd", "NUMBER"], ["it", "s"]]
    written("text_corpus/wikitext2_test.txt.gz", " \n = Head = \n One <unk> two . \n")
    assert data.running_text("wikitext2_test") == [["one", "<unk>", "two"]]
    fields = {"pos": "n", "lexname": "noun.act", "lemmas": ["a"], "hypernyms": []}
    row = {"id": "1-n", "definition": "x y", "examples": ["z"], **fields}
    written("wordnet/synsets.jsonl.gz", [row])
    assert data.running_text("glosses") == [["x", "y"], ["z"]]
    assert data.synsets() == [row]
    written("wordnet/synsets.jsonl.gz", [row | {"examples": [1]}])
    with pytest.raises(ValueError, match="line 1: examples must be a list of strings"):
        data.synsets()
    with pytest.raises(ValueError, match="name must be one of 'masc'"):
        data.running_text("brown")


def test_gold_senses_are_at_their_places(written):
    mentions = [[1, "run", "run%2:38:00::", "1-v"]]
    written("semcor/test.jsonl.gz", [{"tokens": ["he", "runs"], "mentions": mentions}])
    (sentence,) = data.tagged_sentences("test")
    assert sentence["places"] == [1]
    assert sentence["senses"] == ["run%2:38:00::"]
    assert data.entity_mentions("test")[0]["mention"] == "runs"
    row = {"id": "a.n.1", "target": "a.n", "left": "", "right": "x", "sense": None}
    written("wsi/semeval2013_task13.jsonl.gz", [row, row | {"sense": "a.n.2"}])
    assert [context["sense"] for context in data.sense_contexts()] == [None, "a.n.2"]
    written("wsi/semeval2013_task13.jsonl.gz", [row | {"sense": 3}])
    with pytest.raises(ValueError, match="line 1: sense must be a string, got 3"):
        data.sense_contexts()


def test_chunks_are_as_the_papers_rule_packs_them():
    sentences = ["One two three.", "Four five six seven eight.", "Nine ten."]
    assert data.chunk_sentences(sentences, 8) == [sentences[0], " ".join(sentences[1:])]
    assert data.chunk_sentences(sentences, 100) == [" ".join(sentences)]
    assert data.chunk_sentences(["a b c", " ", "d"], 2) == ["a b c", "d"], "no empty first chunk"
    assert data.chunk_sentences([], 5) == []


def test_sentences_end_where_a_capital_follows():
    text = 'He said "no." Then 3 went.  1 e.g. this'
    assert data.sentences(text) == ['He said "no."', "Then 3 went.", "1 e.g. this"]


@pytest.mark.thorough
@needs_data
def test_the_real_documents_have_their_counts():
    news, abstracts = data.ag_news(), data.medical_abstracts()
    assert np.bincount(news.labels).tolist() == [1900] * 4
    assert [len(words) for words in news.keywords] == [11, 32, 10, 18]
    assert np.bincount(abstracts.labels).tolist() == [633, 299, 385, 610, 961]
    assert (len(data.reuters("train").texts), len(data.reuters("test").texts)) == (9603, 3299)
    assert len(data.sense_contexts()) == 4804
    assert sum(len(row["places"]) for row in data.tagged_sentences("validation")) == 7144
    assert {row["lexname"] for row in data.synsets()} >= {"noun.animal", "verb.motion"}
