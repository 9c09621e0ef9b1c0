"""Dual embeddings by hand: its rankings and splits, and what it says without its data."""

import dataclasses

import numpy as np
import pytest

from experiments import __main__ as command, dual_embeddings, runner
from experiments.workbench.sets import baskets, sources


def test_missing_baskets_are_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("JAXSIM_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert command.main(["dual_embeddings", "--preset", "cpu"]) == 2
    said = capsys.readouterr().err
    assert 'no prepared dataset "baskets": JAXSIM_DATA is not set' in said
    assert not (tmp_path / "runs").exists()


def test_partners_and_rankings_by_hand():
    partners = baskets.truth(np.array([[0, 2], [1, 2]]), 4)
    assert partners.tolist() == [[2, -1], [2, -1], [0, 1], [-1, -1]]
    scores = np.array([[9, 1, 2, 3], [5, 9, 5, 0], [1, 2, 9, -np.inf], [0, 0, 0, 9.0]])
    found = baskets.ranked(lambda rows: scores[rows], 4, 2, block=3)
    assert found.tolist() == [[3, 2], [0, 2], [1, 0], [0, 1]]
    known = baskets.ranked(lambda rows: scores[rows], 4, 2, known=np.array([[0, 3], [1, 2]]))
    assert known.tolist() == [[2, 1], [0, 3], [0, -1], [1, 2]]
    figures = baskets.figures(found, partners, 2)
    np.testing.assert_allclose(figures["recall"], [1, 1, 1])
    np.testing.assert_allclose(figures["precision"], [0.5, 0.5, 1])
    np.testing.assert_allclose(figures["average precision"], [0.5, 0.5, 1])


def test_the_split_hides_what_it_says():
    config = dual_embeddings.PRESETS["smoke"]
    hidden = np.zeros(len(sources.BASKETS["imports"]().names), bool)
    hidden[:5] = True
    split = dual_embeddings.split_of(config, hidden)
    assert not np.isin(np.flatnonzero(hidden), split.pairs).any()
    assert not split.item_counts[hidden].any()
    whole = dual_embeddings.split_of(config)
    both = np.concatenate([whole.pairs, whole.removed])
    assert len(np.unique(both, axis=0)) == len(both)
    assert 0.05 < len(whole.removed) / len(both) < 0.15


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_count": 100_000}, "data='imports' has no training pairs at min_count=100000"),
        ({"removed": 1.0}, "no training pairs at .* removed=1.0: lower these"),
    ],
)
def test_a_split_without_pairs_is_refused(changes, message):
    config = dataclasses.replace(dual_embeddings.PRESETS["smoke"], **changes)
    with pytest.raises(ValueError, match=message):
        dual_embeddings.split_of(config)


def test_the_verdict_asks_the_tables_by_themselves():
    rows = [
        {"arm": arm, "seed": 0, "subset": "orders", "k": 5, "recall": np.full(20, value)}
        for arm, value in (("in_out", 0.5), ("in_in", 0.3), ("out_out", 0.2), ("counts", 0.9))
    ]
    rows = [{**row, "recall": row["recall"] + np.linspace(0, 0.1, 20)} for row in rows]
    found = dual_embeddings.claim(rows)
    assert found.verdict == "held"
    assert "Reported only: in recall, in_out is lower than counts" in found.sentence
    with pytest.raises(ValueError, match="no rows"):
        runner.difference(rows, "in_out", over="top_sellers", on="recall")
