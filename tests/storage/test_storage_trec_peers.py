"""Runs and judgments that we write, read by ir-measures and ranx: the same figures as ours, and theirs read here."""

import numpy as np
import pytest

from jaxsim import evaluation, storage

ir_measures = pytest.importorskip("ir_measures", reason="needs ir-measures, of the extra peers")
ranx = pytest.importorskip("ranx", reason="needs ranx, of the extra peers")

RANDOM = np.random.default_rng(0)
QUERIES, ITEMS, RETURNED, K = 9, 40, 20, 10
QUERY_IDS = [f"q{query}" for query in range(QUERIES)]
DOCUMENT_IDS = [f"d{item}" for item in range(ITEMS)]
SCORES = np.sort(RANDOM.integers(0, 12, (QUERIES, RETURNED)).astype(np.float32))[:, ::-1]  # ties
IDS = np.stack([RANDOM.permutation(ITEMS)[:RETURNED] for _ in range(QUERIES)])
GRADES = RANDOM.choice([0, 0, 0, 1, 2], size=(QUERIES, ITEMS))
MEASURES = {f"nDCG@{K}": "ndcg@10", "RR": "mrr", f"P@{K}": "precision@10", f"R@{K}": "recall@10"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A run and its judgments, as files."""
    folder = tmp_path_factory.mktemp("trec")
    storage.save_run(folder / "run.trec", QUERY_IDS, DOCUMENT_IDS, IDS, SCORES)
    judged = {
        query: {document: int(grade) for document, grade in zip(DOCUMENT_IDS, row, strict=True)}
        for query, row in zip(QUERY_IDS, GRADES, strict=True)
    }
    storage.save_qrels(folder / "qrels.txt", judged)
    return folder / "run.trec", folder / "qrels.txt"


@pytest.fixture(scope="module")
def ours():
    truth = np.where(GRADES > 0, np.arange(ITEMS), -1)
    report = evaluation.retrieval_report(IDS, truth, grades=GRADES, ks=(K,))
    names = (f"nDCG@{K}", "MRR", f"precision@{K}", f"recall@{K}")
    return dict(zip(MEASURES, (report[name].value for name in names), strict=True))


def test_ir_measures_reads_what_is_written(files, ours):
    run, qrels = map(str, files)
    measures = [ir_measures.parse_measure(name) for name in MEASURES]
    found = ir_measures.calc_aggregate(
        measures, ir_measures.read_trec_qrels(qrels), ir_measures.read_trec_run(run)
    )
    for name, value in ours.items():
        assert found[ir_measures.parse_measure(name)] == pytest.approx(value, abs=1e-6), name


def test_ranx_reads_what_is_written(files, ours):
    run, qrels = map(str, files)
    judged, ranked = ranx.Qrels.from_file(qrels, kind="trec"), ranx.Run.from_file(run, kind="trec")
    found = ranx.evaluate(judged, ranked, list(MEASURES.values()))
    for name, theirs in MEASURES.items():
        assert found[theirs] == pytest.approx(ours[name], abs=1e-6), name


def test_what_ranx_writes_is_read(files, tmp_path):
    run, qrels = map(str, files)
    ranx.Run.from_file(run, kind="trec").save(str(tmp_path / "run.trec"), kind="trec")
    ranx.Qrels.from_file(qrels, kind="trec").save(str(tmp_path / "qrels.trec"), kind="trec")
    assert storage.load_qrels(tmp_path / "qrels.trec") == storage.load_qrels(qrels)
    before, after = storage.load_run(run), storage.load_run(tmp_path / "run.trec")
    for query, ranking in before.items():
        assert [document for document, _ in after[query]] == [document for document, _ in ranking]
