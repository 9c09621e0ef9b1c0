"""A corpus indexed, searched, reranked and scored by command, on models of a few thousand weights."""

import json

import jax
import numpy as np
import pytest

from jaxsim import pretrained, storage
from jaxsim.__main__ import main
from jaxsim.commands.evaluate import differences, values


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture
def corpus(tmp_path, rows):
    """The second texts of the pairs as a file of documents."""
    path = tmp_path / "docs.jsonl"
    lines = (json.dumps({"_id": f"d{i}", "text": row["positive"]}) for i, row in enumerate(rows))
    path.write_text("\n".join(lines) + "\n")
    return path


def vectors_of(tiny, texts):
    """The model's unit vectors of some texts, all at once."""
    model = pretrained.load(tiny)
    found = np.asarray(jax.jit(model.encode)(model.params, model.tokenize(texts)))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.xdist_group("commands")
def test_search_finds_what_the_model_says(tiny, table, corpus, rows, tmp_path, capsys):
    both = "--model", tiny, "--corpus", corpus
    assert run("index", *both) == 0
    assert "80 texts, vectors of 16" in capsys.readouterr().out
    queries = [row["anchor"] for row in rows]
    scores = vectors_of(tiny, queries) @ vectors_of(tiny, [row["positive"] for row in rows]).T
    words = *both, "--queries", table("anchor"), "--query-column", "anchor", "--k", 5
    assert run("search", *words, "--run", tmp_path / "found.trec") == 0
    found = storage.load_run(tmp_path / "found.trec")
    for place, row in enumerate(scores):
        best = np.sort(row)[::-1][:5]
        np.testing.assert_allclose([score for _, score in found[str(place)]], best, atol=2e-6)
        assert row[int(found[str(place)][0][0][1:])] == pytest.approx(best[0], abs=2e-6)
    capsys.readouterr()
    assert run("search", *both, "red", "green", "blue", "--k", 2) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "red green blue"
    assert len(told) == 3


@pytest.mark.xdist_group("commands")
def test_a_cross_encoder_reranks_within_its_budget(tiny, tiny_cross, table, corpus, rows, tmp_path):
    words = ["--model", tiny, "--corpus", corpus, "--queries", table("anchor")]
    words += ["--query-column", "anchor", "--k", 80, "--run"]
    assert run("search", *words, tmp_path / "all.trec") == 0
    words[words.index(80)] = 3
    more = "--reranker", tiny_cross, "--budget", 9
    assert run("search", *words, tmp_path / "reranked.trec", *more) == 0
    first, found = (storage.load_run(tmp_path / f"{n}.trec") for n in ("all", "reranked"))
    model = pretrained.load(tiny_cross)
    score = jax.jit(model.score)
    for place in range(0, 80, 20):
        near = [document for document, _ in first[str(place)][:9]]
        texts = [rows[int(document[1:])]["positive"] for document in near]
        pairs = model.tokenize_pairs([rows[place]["anchor"]] * 9, texts, length=16)
        exact = dict(zip(near, np.asarray(score(model.params, *pairs)), strict=True))
        wanted = sorted(exact.values(), reverse=True)[:3]
        np.testing.assert_allclose([s for _, s in found[str(place)]], wanted, atol=1e-5)
        assert {document for document, _ in found[str(place)]} <= set(near)


def test_evaluate_by_hand(tmp_path, capsys):
    (tmp_path / "run").write_text("q1 Q0 a 1 3 t\nq1 Q0 b 2 2 t\nq2 Q0 c 1 1 t\n")
    (tmp_path / "qrels").write_text("q1 0 b 2\nq1 0 c 1\nq2 0 c 1\nq3 0 a 1\nq4 0 a 0\n")
    words = "evaluate", "--run", tmp_path / "run", "--qrels", tmp_path / "qrels", "--k", 2
    assert run(*words, "--out", tmp_path / "figures.json") == 0
    found = json.loads((tmp_path / "figures.json").read_text())
    discount = 1 / np.log2(3)
    expected = {
        "queries": 3,
        "nDCG@2": (2 * discount / (2 + discount) + 1 + 0) / 3,
        "recall@2": (0.5 + 1 + 0) / 3,
        "precision@2": (0.5 + 0.5 + 0) / 3,
        "MAP": (0.5 / 2 + 1 + 0) / 3,
        "MRR": (0.5 + 1 + 0) / 3,
    }
    assert found == pytest.approx(expected, abs=1e-6)
    assert "nDCG@2" in capsys.readouterr().out
    with pytest.raises(ValueError, match="must name a relevant document"):
        values({}, {"q": {"a": 0}}, 2)


def test_a_run_against_another_is_compared_query_by_query(tmp_path, capsys):
    orders = [("b", "a") if n % 4 else ("a", "b") for n in range(40)]
    lines = [f"q{n} Q0 {d} 1 3 t\nq{n} Q0 {e} 2 2 t\n" for n, (d, e) in enumerate(orders)]
    (tmp_path / "before").write_text("".join(lines))
    (tmp_path / "after").write_text("".join(f"q{n} Q0 a 1 3 t\n" for n in range(40)))
    (tmp_path / "qrels").write_text("".join(f"q{n} 0 a 1\n" for n in range(40)))
    words = ["evaluate", "--run", tmp_path / "after", "--qrels", tmp_path / "qrels"]
    words += ["--against", tmp_path / "before", "--out", tmp_path / "out.json"]
    assert run(*words) == 0
    found = json.loads((tmp_path / "out.json").read_text())["against"]["MRR"]
    assert found["difference"] == pytest.approx(0.375)  # 30 of 40 gain a half
    assert 0.25 < found["low"] < 0.375 < found["high"] < 0.5
    told = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert told["MRR"].startswith("MRR            1.0000  +0.3750 [+0.3")
    same = {"MAP": np.array([0.1, 0.9])}
    assert differences(same, same)["MAP"] == {"difference": 0, "low": 0, "high": 0}


def test_what_does_not_fit_is_one_sentence(tiny, tiny_cross, corpus, tmp_path, capsys):
    both = "--model", tiny, "--corpus", corpus
    assert run("index", *both) == 0
    assert run("search", *both, "red", "--max-length", 8) == 2
    said = "index.json: the index was built with another max_length 32, now 8: remove the folder"
    assert said in capsys.readouterr().err
    for option in ("--document-prompt", "--query-prompt"):
        assert run("search", *both, "red", option, "task") == 2
        said = f"{option} must name a prompt of the model (which has none), got 'task'"
        assert said in capsys.readouterr().err
    assert run("search", *both, "red", "--reranker", tiny) == 2
    assert "--reranker must be a cross-encoder, got" in capsys.readouterr().err
    assert run("search", "--model", tiny_cross, "--corpus", corpus, "red") == 2
    assert "--model must be an embedding model, got the cross-encoder" in capsys.readouterr().err
    assert run("evaluate", "--run", tmp_path / "none", "--qrels", tmp_path / "none") == 2
    assert "no such file" in capsys.readouterr().err
