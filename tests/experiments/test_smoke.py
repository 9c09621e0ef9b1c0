"""Every paper in seconds, without data: it runs, and says what came out."""

import json

import pytest

from experiments import __main__ as command
from experiments.frame import files, places


@pytest.mark.thorough
@pytest.mark.parametrize("slug", places.slugs())
def test_it_runs_without_data_and_is_judged(slug, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("JAXSIM_DATA", raising=False)
    words = [slug, "--preset", "smoke", "--workdir", str(tmp_path)]
    assert command.main(words) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    preset = files.load(slug).PRESETS["smoke"]
    arms = {row["arm"] for row in results["rows"]}
    assert arms == set(preset.arms or files.load(slug).ARMS)
    assert results["claim"]["verdict"] in ("held", "not held", "not decided")
    assert results["claim"]["sentence"] in " ".join(capsys.readouterr().out.split("\n"))
    pictures = list(tmp_path.glob("*.png"))
    assert pictures
    assert min(picture.stat().st_size for picture in pictures) > 5000
    if slug in EXPECTED:
        EXPECTED[slug](results["rows"])


def dual_embeddings(rows):
    """Counting knows nothing of pairs it never saw."""
    recall = {(row["arm"], row["subset"]): row["recall"] for row in rows}
    assert recall["counts", "unseen"] == 0
    assert recall["counts", "orders"] > recall["in_out", "orders"] > 0
    assert ("cold_both", "cold") in recall


def leaf(rows):
    """The teacher is the same for all students; one that learns vectors is nearer to it."""
    score = {(row["arm"], row["output"], row["mode"]): row["score"] for row in rows}
    assert score["squared", "full", "teacher"] == score["scores", "full", "teacher"]
    assert score["squared", "cosine", "documents"] > score["scores", "cosine", "documents"]


EXPECTED = {"dual_embeddings": dual_embeddings, "leaf": leaf}
