"""The two papers about losses, in seconds on images that need no download: they run, and report what came out."""

import dataclasses
import json

import pytest

from experiments import __main__ as command, multi_similarity


@pytest.mark.thorough
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


def test_classes_to_train_on_must_be_left():
    config = dataclasses.replace(multi_similarity.PRESETS["smoke"], validation_groups=9)
    with pytest.raises(ValueError, match=r"must leave some of the 10 groups of digits .*, got 12"):
        multi_similarity.parts(config)
    with pytest.raises(
        ValueError, match="test_classes must be a whole number of at least 1, got 0"
    ):
        dataclasses.replace(config, test_classes=0)
