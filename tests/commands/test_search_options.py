"""What search does by the model's folder and by its options: similarity, prompts, the query's own text."""

import json
import shutil

import numpy as np
import pytest

from jaxsim import pretrained, similarity, storage
from jaxsim.__main__ import main

TEXTS = ["red green blue", "old new bright", "round square", "hard light soft", "dark heavy small"]


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture
def files(tmp_path):
    """A corpus that holds its queries, and the queries in BEIR's columns."""
    for name in ("corpus", "queries"):
        rows = [{"_id": n + 7, "text": text} for n, text in enumerate(TEXTS)]
        rows = rows if name == "corpus" else rows[1:3]
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.fixture
def folder(tiny, tmp_path):
    """A function that makes a folder of the tiny model with settings of sentence-transformers."""

    def made(**settings):
        path = tmp_path / "model"
        shutil.copytree(tiny, path, dirs_exist_ok=True)
        (path / "config_sentence_transformers.json").write_text(json.dumps(settings))
        return path

    return made


def encoded(folder, texts, prompt=""):
    model = pretrained.load(folder)
    return np.asarray(model.encode(model.params, model.tokenize(texts, prompt=prompt)))


def ranking(folder, files, *more):
    """{query: [(document, score)]} of both queries."""
    run_file = files / "run.trec"
    words = ["--model", folder, "--corpus", files / "corpus.jsonl", "--run", run_file, *more]
    words += ["--queries", files / "queries.jsonl", "--query-column", "text"]
    assert run("search", *words) == 0
    return storage.load_run(run_file)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "function"),
    [("dot", similarity.dot), ("euclidean", similarity.negative_euclidean)],
)
def test_texts_are_compared_by_the_models_own_similarity(files, folder, capsys, name, function):
    model = folder(similarity_fn_name=name)
    scores = np.asarray(function(encoded(model, TEXTS[1:3]), encoded(model, TEXTS)))
    found = ranking(model, files, "--k", 3)
    assert list(found) == ["8", "9"]  # the ids of the queries, whole numbers in the file
    for row, query in zip(scores, found.values(), strict=True):
        order = np.argsort(-row)[:3]
        assert [document for document, _ in query] == [str(n + 7) for n in order]
        np.testing.assert_allclose([score for _, score in query], row[order], rtol=1e-4, atol=1e-5)
    about = json.loads((files / "corpus.jsonl.index" / "index.json").read_text())
    assert about["similarity"] == function.__name__
    folder(similarity_fn_name="cosine")
    words = "--model", model, "--corpus", files / "corpus.jsonl", "red"
    assert run("search", *words) == 2
    assert f'similarity "{function.__name__}", now "cosine"' in capsys.readouterr().err


@pytest.mark.thorough
def test_a_querys_own_text_is_left_out_by_its_id(files, tiny, tiny_cross):
    everything = ranking(tiny, files, "--k", 5)
    assert [everything[query][0][0] for query in ("8", "9")] == ["8", "9"]
    found = ranking(tiny, files, "--k", 4, "--ignore-self")
    for query, documents in found.items():
        assert documents == [pair for pair in everything[query] if pair[0] != query]
    # With one text fewer than wanted the rankings are shorter, not padded.
    assert ranking(tiny, files, "--k", 5, "--ignore-self") == found
    reranked = ranking(tiny, files, "--k", 5, "--ignore-self", "--reranker", tiny_cross)
    for query, documents in reranked.items():
        assert len(documents) == 4
        assert query not in dict(documents)


def test_a_long_document_is_cut_with_its_query_not_by_itself(files, tiny, tiny_cross):
    long = " ".join(["soft"] * 14 + ["red"] * 10)  # its end is beyond half of the 32 tokens
    texts = [long, long.replace("red", "blue"), *TEXTS]
    rows = [{"_id": n, "text": text} for n, text in enumerate(texts)]
    (files / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = pretrained.load(tiny_cross)
    pairs = model.tokenize_pairs([TEXTS[1]] * len(texts), texts)
    scores = np.asarray(model.score(model.params, *pairs))
    found = ranking(tiny, files, "--k", 7, "--reranker", tiny_cross)["8"]
    by_number = {int(document): score for document, score in found}
    np.testing.assert_allclose([by_number[n] for n in range(7)], scores, atol=1e-5)
    assert abs(scores[0] - scores[1]) > 1e-3, "the end of both counts"


@pytest.mark.thorough
def test_each_side_gets_the_prompt_that_the_model_has_for_it(files, folder, capsys):
    model = folder(prompts={"query": "red: ", "passage": "blue: ", "other": "dark: "})
    scores = np.asarray(
        similarity.cosine(encoded(model, TEXTS[1:2], "red: "), encoded(model, TEXTS, "blue: "))
    )
    found = ranking(model, files, "--k", 5)["8"]
    np.testing.assert_allclose([score for _, score in found], np.sort(scores[0])[::-1], atol=1e-5)
    options = "--query-prompt", "", "--document-prompt", "other", "--index", files / "another"
    scores = np.asarray(
        similarity.cosine(encoded(model, TEXTS[1:2]), encoded(model, TEXTS, "dark: "))
    )
    found = ranking(model, files, "--k", 5, *options)["8"]
    np.testing.assert_allclose([score for _, score in found], np.sort(scores[0])[::-1], atol=1e-5)
    words = "--model", model, "--corpus", files / "corpus.jsonl", "red", "--document-prompt"
    assert run("search", *words, "none") == 2
    said = "--document-prompt must name a prompt of the model ('query', 'passage', 'other'), got 'none'"
    assert said in capsys.readouterr().err
    assert run("search", *words, "other") == 2
    assert 'another prompt "blue: ", now "dark: "' in capsys.readouterr().err
    (model / "1_Pooling").mkdir()
    (model / "1_Pooling" / "config.json").write_text(
        json.dumps({"pooling_mode_mean_tokens": True, "include_prompt": False})
    )
    parts = [("", "Transformer"), ("1_Pooling", "Pooling")]
    (model / "modules.json").write_text(
        json.dumps([{"path": p, "type": f"sentence_transformers.models.{t}"} for p, t in parts])
    )
    assert run("search", *words[:-1]) == 2
    said = "the model reads its prompt 'red: ' without pooling it, which commands cannot do: leave it out"
    assert said in capsys.readouterr().err


def test_a_run_of_ours_is_replaced_and_a_finished_index_only_read(files, tiny, monkeypatch, capsys):
    assert ranking(tiny, files, "--k", 2) != ranking(tiny, files, "--k", 3)

    def refused(*_, **__):
        raise AssertionError("written to")

    for name in ("owned", "write_json"):
        monkeypatch.setattr(storage, name, refused)
    assert run("search", "--model", tiny, "--corpus", files / "corpus.jsonl", "red") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3 + len(TEXTS)
