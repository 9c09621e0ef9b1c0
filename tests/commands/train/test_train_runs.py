"""Runs of `train`: the first step counts, a run is lengthened, a changed setting is named."""

import json

import jax
import numpy as np
import pytest

from jaxsim import losses, pretrained, similarity
from jaxsim.__main__ import main
from jaxsim.commands.fine_tuning.texts import Task
from jaxsim.commands.inputs import columns
from jaxsim.commands.options.train import parsed
from jaxsim.commands.train.losses import loss_of
from jaxsim.commands.train.runs import notes, validated, with_rows, worse
from jaxsim.commands.train.tables import check_batches

WORDS = ["--model", "m", "--pairs", "p", "--out", "o", "--loss", "info_nce"]


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture
def command(tiny, table, tmp_path):
    """A function that trains for some steps into one folder."""
    pairs = table("anchor", "positive")

    def trained(*more):
        words = ["train", "--model", tiny, "--pairs", pairs, "--out", tmp_path / "out"]
        return run(*words, "--held-out", 0.2, "--max-length", 8, *more)

    return trained


def weights(folder):
    return jax.tree.leaves(pretrained.load(folder).params)


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_a_run_of_one_step_learns_and_is_lengthened(command, tiny, tmp_path, capsys):
    assert command("--steps", 1, "--rate", 1e-3) == 0
    assert "best, after step 1 of 1" in capsys.readouterr().out
    one = weights(tmp_path / "out")
    assert max(abs(a - b).max() for a, b in zip(one, weights(tiny), strict=True)) > 1e-4
    assert command("--steps", 3, "--rate", 1e-3) == 0
    assert " of 3: " in capsys.readouterr().out
    lines = (tmp_path / "out.run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines if "examples/s" in line] == [1, 3]
    assert command("--steps", 3, "--rate", 1e-2, "--seed", 1) == 2
    said = (
        "belongs to another run, with other settings: --rate 0.001, now 0.01; --seed 0, now 1; rows"
    )
    assert said in capsys.readouterr().err
    assert command("--steps", 3, "--rate", 1e-3, "--max-length", 9) == 2
    said = capsys.readouterr()
    assert "other settings: --max-length 8, now 9" in said.err
    assert "before: " not in said.out, "nothing is encoded first"
    assert command("--steps", 3, "--rate", 1e-3, "--dtype", "float32") == 0  # as on CPU anyway
    assert command("--steps", 3, "--rate", 1e-3, "--dtype", "bfloat16") == 2
    assert 'other settings: --dtype not set, now "bfloat16"' in capsys.readouterr().err


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_a_loss_that_is_not_finite_is_one_sentence(command, tmp_path, capsys):
    assert command("--rate", 1e30, "--steps", 9) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: training ")
    assert "is not finite in step 1, for rows " in said
    assert said.endswith(
        "of " + str(tmp_path / "pairs.jsonl") + "; what came before is saved as step 1"
        ": lower --rate, 1e+30 now"
    )
    assert not (tmp_path / "out").exists()


def test_rows_of_the_file_are_named_in_place_of_ids():
    message, places = "step 1, for the batch of ids [3, 0]; saved", [(n, "p") for n in (0, 2, 5, 9)]
    assert with_rows(message, places) == "step 1, for rows 10, 1 of p; saved"
    message = "the batch of ids [0, 1] and 98 more; saved"
    assert with_rows(message, [(0, "p"), (1, "p")]) == "rows 1, 2 and 98 more of p; saved"
    assert with_rows("another", []) == "another"
    several = [(0, "p"), (7, "q")]
    assert with_rows("the batch of ids [1]", several) == "rows 8 of q"


def test_a_model_that_diverges_between_two_checkpoints_is_said(tiny):
    model = pretrained.load(tiny)
    pairs = columns.Pairs(["red", "old"], ["blue", "new"], None, None)
    settings = {"graded": False, "prompts": (None, None)}
    task = Task(model, losses.info_nce, pairs, pairs, 2, **settings)
    bad = jax.tree.map(lambda leaf: leaf * np.nan, model.params)
    with pytest.raises(FloatingPointError, match=r"training has diverged: .* are not finite"):
        validated(task)(bad)


def test_few_rows_are_one_batch():
    for count, size in ((10, 10), (32, 32), (100, 32)):
        options = parsed(WORDS)
        texts, one = [str(n) for n in range(count)], options.sources[0]
        one.loss, one.pairs = "info_nce", columns.Pairs(texts, texts, None, None)
        check_batches(options, one)
        assert one.batch_size == size


def test_a_model_that_got_worse_is_said():
    before, after = {"loss": 2.0, "MRR@10": 0.9}, {"loss": 1.0, "MRR@10": 0.8}
    said = "the model before training was better on what is held out: MRR@10 0.9000, now 0.8000"
    assert worse("MRR@10", before, after) == said
    assert worse("MRR@10", before, before) is None
    assert worse("MRR@10", after, before) is None


def test_what_is_known_of_a_table_is_said(capsys, tiny):
    class Task:
        left_out, seen = 3, 2
        held = columns.Pairs(["a", "b"], ["c", "d"], None, None)

    assert notes(Task) == [
        "3 negatives are left out: they are their row's query, or a right document of it",
        "of 2 rows that are held out 2 have a query that is trained on",
    ]
    Task.left_out = Task.seen = 0
    assert notes(Task) == []


@pytest.mark.thorough
def test_another_similarity_has_another_temperature(tiny, capsys):
    model = pretrained.load(tiny)
    x, y = np.random.default_rng(0).normal(size=(2, 4, 8)).astype(np.float32)
    for name, temperature in (("cosine", 0.05), ("dot", 1), ("negative_euclidean", 1)):
        function = getattr(similarity, name)
        loss = loss_of("info_nce", [], None, model.replace(similarity=function))
        expected = losses.info_nce(x, y, similarity=function, temperature=temperature)
        assert float(loss(x, y)) == float(expected)
        assert ("--temperature 1" in capsys.readouterr().out) == (temperature == 1)
    loss = loss_of("info_nce", [], 0.5, model.replace(similarity=similarity.dot))
    expected = losses.info_nce(x, y, similarity=similarity.dot, temperature=0.5)
    assert float(loss(x, y)) == float(expected)
    assert capsys.readouterr().out == ""
