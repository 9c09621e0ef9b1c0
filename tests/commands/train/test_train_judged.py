"""`train --judged`: the figures of a judged collection are those of search and evaluate."""

import json

import pytest

from jaxsim.__main__ import main


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture
def collection(tmp_path, rows):
    """The files of a judged collection: each query has one right document."""
    corpus, queries = tmp_path / "corpus.jsonl", tmp_path / "queries.jsonl"
    lines = [{"_id": f"d{n}", "text": row["positive"]} for n, row in enumerate(rows[:30])]
    corpus.write_text("".join(json.dumps(line) + "\n" for line in lines))
    lines = [{"_id": f"q{n}", "text": row["anchor"]} for n, row in enumerate(rows[:20])]
    queries.write_text("".join(json.dumps(line) + "\n" for line in lines))
    qrels = tmp_path / "qrels.tsv"
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(20))
    qrels.write_text("query-id\tcorpus-id\tscore\n" + judged)
    return corpus, queries, qrels


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_figures_are_those_of_search_and_evaluate(tiny, table, collection, tmp_path):
    corpus, queries, qrels = collection
    words = ("train", "--model", tiny, "--pairs", table("anchor", "positive"), "--held-out", 0.2)
    words = (*words, "--steps", 2, "--rate", 0.01, "--out", tmp_path / "out")
    assert run(*words, "--judged", *collection) == 0
    after = json.loads((tmp_path / "out.run" / "figures.json").read_text())["after"]
    search = ("search", "--model", tmp_path / "out", "--corpus", corpus, "--queries", queries)
    search = (*search, "--query-column", "text", "--query-id", "_id", "--k", 30)
    assert run(*search, "--run", tmp_path / "run.trec") == 0
    evaluate = ("evaluate", "--run", tmp_path / "run.trec", "--qrels", qrels)
    assert run(*evaluate, "--out", tmp_path / "figures.json") == 0
    expected = json.loads((tmp_path / "figures.json").read_text())
    for name in ("nDCG@10", "recall@10", "MRR"):
        assert after[f"judged {name}"] == pytest.approx(expected[name], abs=1e-6)


def test_judgments_of_other_queries_are_refused(tiny, table, collection, tmp_path, capsys):
    corpus, queries, qrels = collection
    qrels.write_text("query-id\tcorpus-id\tscore\nother\td1\t1\n")
    words = ("train", "--model", tiny, "--pairs", table("anchor", "positive"))
    assert run(*words, "--out", tmp_path / "out", "--judged", corpus, queries, qrels) == 2
    assert "judges no document of a query of" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
