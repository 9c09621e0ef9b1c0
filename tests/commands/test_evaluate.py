"""What `evaluate` says of runs and judgments that do not fit each other, before it prints figures."""

import json

import numpy as np
import pytest

from jaxsim.__main__ import main
from jaxsim.commands.evaluate import values


@pytest.fixture
def evaluate(tmp_path, monkeypatch, capsys):
    """A function that writes files, runs the command and gives (exit code, figures, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(run, qrels, *words, **files):
        for name, text in {"run": run, "qrels": qrels, **files}.items():
            (tmp_path / name).write_text(text)
        code = main(["evaluate", "--run", "run", "--qrels", "qrels", *map(str, words)])
        out, err = capsys.readouterr()
        return code, {line.split()[0]: float(line.split()[1]) for line in out.splitlines()}, err

    return run


def ranked(*pairs):
    """A run of (query, document) in order."""
    return "".join(f"{q} Q0 {d} {n} {-n} t\n" for n, (q, d) in enumerate(pairs, 1))


def test_queries_that_are_missing_are_counted(evaluate):
    qrels = "query-id\tcorpus-id\tscore\nq 7\ta\t1\nq8\tb\t1\nq9\tb\t0\n"
    code, figures, err = evaluate(ranked(("q8", "b"), ("x", "a")), qrels)
    assert (code, figures["MRR"]) == (0, 0.5)
    said = "warning: run: 1 of 2 judged queries are missing in the run, such as 'q 7': each counts as 0"
    assert err == said + "\n"


def test_ids_that_do_not_meet_are_an_error_and_documents_a_warning(evaluate):
    qrels = "".join(f"q{n} 0 d{n} 1\n" for n in range(5))
    code, figures, err = evaluate(ranked(("0", "d0"), ("1", "d1")), qrels)
    assert (code, figures) == (2, {})
    assert (
        "run and qrels have no query in common: the run has '0', '1', judged are 'q0', 'q1'," in err
    )
    code, _, err = evaluate("", qrels)
    assert code == 2
    assert "the run has none, judged are 'q0', 'q1', 'q2', ...; search --query-id names" in err
    run = ranked(*((f"q{n}", f"{n}") for n in range(5)))
    code, figures, err = evaluate(run, qrels)
    assert (code, figures["MRR"]) == (0, 0)
    said = "run: ranks no document that is judged: the run has '0', '1', '2', ..., judged are 'd0', 'd1',"
    assert said in err
    code, _, err = evaluate(run, qrels, "--against", "other", other=ranked(("z", "d1")))
    assert code == 2
    assert "other and qrels have no query in common" in err


def test_a_querys_own_document_is_named_and_left_out_if_asked(evaluate):
    run = ranked(("a", "a"), ("a", "b"), ("b", "b"), ("b", "a"))
    code, figures, err = evaluate(run, "a 0 b 1\nb 0 a 1\n")
    assert (code, figures["MRR"]) == (0, 0.5)
    assert "the first document of 2 of 2 queries has the query's own id" in err
    assert "--ignore-self leaves it out" in err
    code, figures, err = evaluate(run, "a 0 b 1\nb 0 a 1\n", "--ignore-self")
    assert (code, figures["MRR"], err) == (0, 1.0, "")
    code, _, err = evaluate(run, "a 0 a 1\nb 0 b 1\n")
    assert (code, err) == (0, ""), "documents of the query's own id that are judged are no mistake"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--k", 0), "--k must be a whole number of at least 1, got '0'"),
        (("--k", -1), "--k must be a whole number of at least 1, got '-1'"),
        (("--out", "."), "--out must be a file, got the folder '.'"),
        (("--out", ""), "--out must be the name of a file or folder, got ''"),
        (("--out", "run/x"), "--out='run/x' lies below "),
        (("--out", "run"), "--out must not be the file of --run, got 'run'"),
        (("--out", "./qrels"), "--out must not be the file of --qrels, got 'qrels'"),
        (("--against", "none"), "none: there is no such file"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(evaluate, words, said):
    code, figures, err = evaluate(ranked(("q", "d")), "q 0 d 1\n", *words)
    assert (code, figures) == (2, {})
    assert said in err


def test_judgments_without_a_relevant_document_are_named(evaluate):
    code, _, err = evaluate(ranked(("q", "d")), "q 0 d 0\nq 0 e -1\n")
    assert code == 2
    assert "qrels: judges no document relevant, with a grade of at least 1" in err


def test_a_k_beyond_all_rankings_takes_no_more_memory(evaluate, tmp_path):
    run, qrels = ranked(("q", "a"), ("q", "b")), "q 0 b 1\n"
    code, _, _ = evaluate(run, qrels, "--k", 10**9, "--out", "figures.json")
    assert code == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    expected = {"queries": 1, "MAP": 0.5, "MRR": 0.5, f"recall@{10**9}": 1}
    expected |= {f"nDCG@{10**9}": 1 / np.log2(3), f"precision@{10**9}": 1e-9}
    assert figures == pytest.approx(expected, rel=1e-6)
    found = values({"q": [("a", 2.0), ("b", 1.0)]}, {"q": {"b": 1}}, 8)
    assert found["precision@8"] == pytest.approx(1 / 8)
