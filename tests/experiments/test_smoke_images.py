"""The two papers about losses, in seconds on images that need no download: they run, and tell what came out."""

import json

import pytest

from experiments import __main__ as command


@pytest.mark.parametrize(
    ("words", "arms"),
    [
        (["multi_similarity"], {"contrastive", "multi_similarity"}),
        (["contrastive_behaviour", "--arms", "plain", "hard_simple"], {"plain", "hard_simple"}),
    ],
)
def test_it_runs_and_is_judged(words, arms, tmp_path, capsys):
    assert command.main([*words, "--preset", "smoke", "--workdir", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert {row["arm"] for row in results["rows"]} == arms
    assert results["claim"]["verdict"] in ("held", "not held", "not decided")
    assert list(tmp_path.glob("*.png"))
