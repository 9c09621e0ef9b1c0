"""DefSent+ as an experiment: stages start equally, DefSent's frozen parts stay, a folder starts it, its claim."""

import dataclasses
import json

import jax
import model_folders
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from experiments import __main__ as command, defsent_plus, runner
from experiments.workbench.networks import backbones, entries
from experiments.workbench.sets import definitions
from jaxsim import data

SMALL = defsent_plus.PRESETS["smoke"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """What the arms of a seed share, with a backbone of a few steps."""
    folder = tmp_path_factory.mktemp("defsent_plus")
    common = defsent_plus.prepare_all(SMALL, folder)
    return defsent_plus.prepare(SMALL, folder / "seed", common)


@pytest.mark.thorough
def test_stages_start_from_bitwise_the_same_parameters(shared, monkeypatch, tmp_path):
    starts, tables = [], []

    def recorded(config, common, objective, params, columns, workdir, *, state, **way):
        starts.append(jax.tree.map(np.asarray, params))
        tables.append(np.asarray(state["table"]))
        return {"params": jax.tree.map(lambda a: a + 1, params["body"])}

    monkeypatch.setattr(defsent_plus, "chosen", recorded)
    own = shared._replace(stages=runner.Stages(tmp_path))
    defsent_plus.staged(SMALL, own, 3)
    assert len(starts) == 3  # each stage is made once
    defsent_plus.staged(SMALL, own, 2)
    assert len(starts) == 3
    for later in starts[1:]:
        jax.tree.map(np.testing.assert_array_equal, starts[0], later)
    assert (tables[0] != tables[1]).any()
    defsent_plus.staged(SMALL, own, 2, continued=True)
    moved = jax.tree.map(lambda a: a + 1, starts[0]["body"])
    jax.tree.map(np.testing.assert_array_equal, starts[3]["body"], moved)
    np.testing.assert_array_equal(tables[3], tables[1])


@pytest.mark.thorough
def test_defsent_trains_layers_alone_and_entries_train_all(shared, tmp_path):
    before = shared.common.backbone.params["params"]
    for arm, frozen in (("defsent", True), ("stage_1", False)):
        after = defsent_plus.ENCODERS[arm](SMALL, shared, tmp_path / arm)["params"]
        assert after.keys() == before.keys()
        changed = jax.tree.map(lambda a, b: bool((a != b).any()), before, after)
        assert changed["layer_0"]["query"]["kernel"]
        assert changed["tokens"]["embedding"] != frozen
        assert changed["norm"]["scale"] != frozen


@pytest.mark.thorough
@pytest.mark.parametrize("arm", ["zca", "ica", "unmerged", "infonce", "stage_k"])
def test_other_arms_run(arm, shared, tmp_path):
    config = dataclasses.replace(SMALL, steps=2, rates=(5e-4, 1e-3), entries=60)
    own = shared._replace(stages=runner.Stages(tmp_path / "stages"))
    (row,) = defsent_plus.run(config, arm, own, tmp_path / arm)
    assert np.isfinite(row["uniformity"])
    assert np.isfinite(row["STS"].value)


def test_single_tokens_are_pairs_of_a_definition_and_a_word():
    dictionary = data.Dictionary(
        [("car", "auto"), ("ice cream",)], ["a", "b", "c"], np.array([0, 1, 0])
    )
    places, targets = definitions.single_tokens(dictionary, {"car": 7, "auto": 9, "ice": 1})
    assert (places.tolist(), targets.tolist()) == ([0, 0, 2, 2], [7, 9, 7, 9])


def test_questions_are_one_definition_of_entries_with_several():
    owners = np.array([0, 1, 1, 2, 2, 2], np.int32)
    test = data.Dictionary([("a",), ("b",), ("c",)], list("uvwxyz"), owners)
    asked, rest = entries.questions(test, 10)
    assert (asked.tolist(), rest.tolist()) == ([1, 3], [2, 4, 5])
    asked, rest = entries.questions(test, 1)
    assert len(asked) == 1
    assert set(owners[rest]) == set(owners[asked])


def test_partners_are_other_definitions_of_the_same_entry():
    owners = np.array([0, 1, 1, 2, 2, 2, 0, 3], np.int32)
    found = entries.partners(owners, seed=1)
    np.testing.assert_array_equal(owners[found], owners)
    assert found[7] == 7
    assert (found[:7] != np.arange(7)).all()
    assert sorted(found) == list(range(8))


def test_drawn_entries_have_the_preferred_ones_first():
    dictionary = data.dictionary_of((f"w{n}", f"d{n}") for n in range(50))
    preferred = np.arange(50) % 10 == 3
    some = entries.drawn(dictionary, 12, preferred=preferred)
    assert {("w3",), ("w13",), ("w43",)} < set(some.entries)
    assert len(some.entries) == 12


def test_settings_that_are_refused():
    for change, words in (
        ({"length": 20}, "length must be a multiple of 16, got 20"),
        ({"definition_length": 48}, "definition_length must be at most length=32"),
        ({"heads": 5}, "dim must be a multiple of heads=5"),
        ({"rates": ()}, "rates must have one value"),
    ):
        with pytest.raises(ValueError, match=words):
            defsent_plus.Config(**change)


def with_head(folder):
    """A folder of a tiny BERT with a masked language model's head, without a pooler."""
    random, dim = np.random.default_rng(0), 16
    tensors = load_file(folder / "model.safetensors")
    count = len(tensors["embeddings.word_embeddings.weight"])
    for name, shape in {
        "transform.dense.weight": (dim, dim),
        "transform.dense.bias": (dim,),
        "transform.LayerNorm.weight": (dim,),
        "transform.LayerNorm.bias": (dim,),
        "bias": (count,),
    }.items():
        tensors[f"cls.predictions.{name}"] = np.float32(random.normal(size=shape))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.thorough
def test_the_gpu_preset_starts_from_a_folder(tmp_path):
    folder = with_head(model_folders.make(tmp_path / "model", "bert"))
    options = ["--data", "docstrings-small", "--steps", "2", "--batch", "8", "--repeats", "5"]
    options += ["--arms", "backbone", "stage_1", "--seeds", "1", "--rates", "1e-4"]
    options += ["--length", "16", "--definition-length", "16", "--evenness", "20"]
    options += ["--model", str(folder), "--workdir", str(tmp_path / "run")]
    assert command.main(["defsent_plus", "--preset", "gpu", *options]) == 0
    rows = json.loads((tmp_path / "run" / "results.json").read_text())["rows"]
    assert {row["arm"] for row in rows} == {"backbone", "stage_1"}


def test_defsent_needs_a_folder_with_the_head(tmp_path):
    folder = model_folders.make(tmp_path / "model", "bert")
    tensors = load_file(folder / "model.safetensors")
    tensors["pooler.dense.weight"] = np.ones((16, 16), np.float32)
    tensors["pooler.dense.bias"] = np.ones(16, np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = dataclasses.replace(SMALL, start="folder", model=str(folder))
    with pytest.raises(ValueError, match="the arm defsent needs a masked language model's head"):
        defsent_plus.prepare_all(config, tmp_path)


def test_a_folder_gives_its_pooler_or_its_head(tmp_path):
    bare = model_folders.make(tmp_path / "bare", "bert")
    with pytest.raises(ValueError, match="needs a pooler or a masked language model's head"):
        backbones.from_folder(str(bare))
    headed = with_head(model_folders.make(tmp_path / "headed", "bert"))
    found = backbones.from_folder(str(headed))
    np.testing.assert_array_equal(
        found.project_params["params"]["linear"]["kernel"],
        found.lm_params["params"]["dense"]["kernel"],
    )
    assert found.pieces["red"] == 5
    pooled = model_folders.make(tmp_path / "pooled", "bert")
    tensors = load_file(pooled / "model.safetensors")
    tensors["pooler.dense.weight"] = np.float32(np.arange(256).reshape(16, 16))
    tensors["pooler.dense.bias"] = np.ones(16, np.float32)
    save_file(tensors, pooled / "model.safetensors", metadata={"format": "pt"})
    found = backbones.from_folder(str(pooled))
    assert found.lm is None
    kernel = found.project_params["params"]["linear"]["kernel"]
    np.testing.assert_array_equal(kernel, np.arange(256).reshape(16, 16).T)


def rows(arm, sts, uniformity):
    """Rows of three seeds with these figures and a little noise."""
    found = []
    for seed in range(3):
        repeats = sts + 0.001 * np.random.default_rng(seed).normal(size=20)
        figure = runner.Resampled(sts + 0.001 * seed, repeats)
        found.append(
            {"arm": arm, "seed": seed, "STS": figure, "uniformity": uniformity + seed / 100}
        )
    return found


def test_the_claim_wants_all_four_sentences():
    backbone, defsent = rows("backbone", 0.4, 1.0), rows("defsent", 0.5, 1.2)
    stages = [*rows("stage_1", 0.6, 2.0), *rows("stage_2", 0.6, 2.1)]
    every = [*backbone, *defsent, *stages]
    assert defsent_plus.claim(every).verdict == "held"
    assert defsent_plus.claim([*backbone, *stages]).verdict == "not decided"
    worse = [*rows("stage_1", 0.6, 2.0), *rows("stage_2", 0.5, 2.1)]
    assert defsent_plus.claim([*backbone, *defsent, *worse]).verdict == "not held"
    narrow = [*rows("stage_1", 0.6, 0.5), *rows("stage_2", 0.6, 2.1)]
    assert defsent_plus.claim([*backbone, *defsent, *narrow]).verdict == "not held"
    assert defsent_plus.claim([]).verdict == "not decided"
