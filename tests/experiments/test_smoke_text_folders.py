"""The gpu presets of experiments on texts begin with a model's folder: a few steps of small models."""

import json

import model_folders
import pytest

from experiments import __main__ as command, kalm_v2
from experiments.workbench.networks import models

SMALL = ["--data", "docstrings-small", "--steps", "2", "--batch", "8", "--seeds", "1"]
OPTIONS = {
    "kalm_v2": [
        *("--arms", "causal_last", "--collections", "--dim", "16", "--wide", "8"),
        *("--sizes", "16", "8", "--shares", "1", "0.3", "--first-steps", "2"),
        *("--teacher-steps", "2", "--query-length", "16", "--document-length", "32"),
        *("--window", "2", "40", "--top", "200", "--negatives", "2", "--queries", "40"),
    ],
    "codiemb": [
        *("--arms", "best_single", "--collections", "--queries", "20", "--pairs", "20"),
        *("--start-steps", "2", "--start-batch", "8", "--sts-batch", "8", "--negatives", "1"),
        *("--query-length", "16", "--document-length", "32", "--sentence-length", "32"),
        *("--rates", "1e-4", "--repeats", "5"),
    ],
    "dse": [
        *("--arms", "cross_fitted", "--transfer", "--length", "32", "--hidden", "8"),
        *("--top-layers", "2", "--words", "200", "--word-dim", "10", "--grid", "20"),
        *("--repeats", "5", "--vocabulary", "400"),
    ],
    "unime_v2": [
        *("--arms", "released", "rerank_both", "--length", "32", "--queries", "60", "--top", "20"),
        *("--negatives", "3", "--floor", "0", "--words", "200", "--word-dim", "10"),
        *("--listed", "2", "--lists", "8", "--reranker-steps", "2", "--vocabulary", "400"),
        *("--repeats", "5"),
    ],
}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("slug", "family"),
    [("codiemb", "bert"), ("kalm_v2", "qwen2"), ("dse", "bert"), ("unime_v2", "qwen2")],
)
def test_the_gpu_preset_starts_from_a_folder(slug, family, tmp_path):
    folder = model_folders.make(tmp_path / "model", family)
    places = ["--model", str(folder), "--workdir", str(tmp_path / "run")]
    assert command.main([slug, "--preset", "gpu", *SMALL, *OPTIONS[slug], *places]) == 0
    rows = json.loads((tmp_path / "run" / "results.json").read_text())["rows"]
    assert rows
    assert {row["arm"] for row in rows} >= {OPTIONS[slug][1]}


def test_a_text_that_is_cut_keeps_its_end(tmp_path):
    start = models.start(str(model_folders.make(tmp_path / "model", "bert")))
    (row,) = kalm_v2.sentences.token_ids(start.words, ["red green blue round square"], 4)
    assert row.tolist()[0] == 2
    assert row.tolist()[-1] == 3
    assert len(row) == 4
    assert start.dim == 16
