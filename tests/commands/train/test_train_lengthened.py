"""`train`: more --epochs or --steps lengthen a finished run of every kind, fewer are refused."""

import json

import pytest

from jaxsim.__main__ import main

OF = ("--held-out", 0.2, "--batch-size", 16, "--rate", 1e-3)
KINDS = {
    "pairs": (("anchor", "positive"), ()),
    "mined negatives": (("anchor", "positive"), ("--negatives", 2, "--mine-every", 2)),
    "low rank": (("anchor", "positive"), ("--lora-rank", 2)),
    "cross-encoder": (("anchor", "positive", "negative"), ("--loss", "list_softmax")),
    "several": (("anchor", "positive"), ()),
}


def run(*words):
    return main([str(word) for word in words])


def steps_of(folder):
    """The steps of the lines of a run's log that training wrote."""
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line["step"] for line in lines if "examples/s" in line]


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_run_is_lengthened(kind, tiny, tiny_cross, table, tmp_path, capsys):
    columns, more = KINDS[kind]
    pairs = [table(*columns)]
    if kind == "several":
        pairs = [*pairs, table("anchor", "positive", "score", name="graded.jsonl")]
    model = tiny_cross if kind == "cross-encoder" else tiny
    words = ("train", "--model", model, "--pairs", *pairs, "--out", tmp_path / "out", *OF, *more)
    folder = tmp_path / "out.run"
    assert run(*words, "--epochs", 1) == 0
    first = steps_of(folder)[-1]
    capsys.readouterr()
    assert run(*words, "--epochs", 2) == 0
    said = capsys.readouterr().out
    assert f"the run of {first} steps is lengthened to {2 * first}" in said
    assert f" of {2 * first}: " in said
    assert steps_of(folder)[-1] == 2 * first
    assert run(*words, "--steps", 2 * first + 1) == 0
    assert steps_of(folder)[-1] == 2 * first + 1
    if kind == "mined negatives":
        there = sorted(path.name for path in (folder / "negatives").iterdir())
        assert there == [f"pairs-{step:08d}.arrays" for step in range(0, 2 * first + 1, 2)]
    # The same once more changes nothing, and fewer steps are refused before anything is encoded.
    figures = (folder / "figures.json").read_bytes()
    assert run(*words, "--steps", 2 * first + 1) == 0
    assert (folder / "figures.json").read_bytes() == figures
    capsys.readouterr()
    assert run(*words, "--epochs", 1) == 2
    captured = capsys.readouterr()
    assert (
        f"--epochs 1, {first} steps, must not be fewer than the {2 * first + 1} st" in captured.err
    )
    assert "before" not in captured.out
    assert run(*words, "--steps", first) == 2
    assert f"--steps {first} must not be fewer than the {2 * first + 1}" in capsys.readouterr().err
