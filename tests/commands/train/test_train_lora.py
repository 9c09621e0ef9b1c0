"""`train --lora-rank`: an adapter that changes the model, as a folder of PEFT's or merged."""

import json

import jax
import numpy as np
import pytest

from jaxsim import pretrained
from jaxsim.__main__ import main

TRAINING = ("--steps", 4, "--rate", 0.05, "--held-out", 0.2, "--batch-size", 16)


def run(*words):
    return main([str(word) for word in words])


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_an_adapter_is_trained_read_and_merged(tiny, table, tmp_path, rows):
    pairs, adapter, merged = table("anchor", "positive"), tmp_path / "adapter", tmp_path / "merged"
    words = ("train", "--model", tiny, "--pairs", pairs, *TRAINING, "--lora-rank", 4)
    words = (*words, "--lora-alpha", 8, "--workdir", tmp_path / "run")
    assert run(*words, "--out", adapter) == 0
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (4, 8)
    assert config["base_model_name_or_path"] == str(tiny)
    # The finished run, written whole: kernels of attention have changed, and nothing else has.
    assert run(*words, "--out", merged, "--lora-merged") == 0
    before, after = pretrained.load(tiny), pretrained.load(merged)
    moved = jax.tree.map(lambda a, b: bool(np.abs(a - b).max() > 1e-6), before.params, after.params)
    layer = moved["params"]["transformer"]["layer_0"]
    assert {name for name, part in layer.items() if any(part.values())} <= {
        *("query", "key", "value", "attention_out"),
    }
    assert layer["value"]["kernel"]
    assert not layer["value"]["bias"]
    # Commands read both alike.
    vectors = []
    for folder in (adapter, merged):
        out = folder.with_suffix(".npy")
        embed = ("embed", "--model", folder, "--corpus", pairs, "--column", "anchor", "--out", out)
        assert run(*embed) == 0
        vectors.append(np.load(out))
    np.testing.assert_allclose(*vectors, atol=1e-5)


REFUSED = {
    "alpha alone": (["--lora-alpha", 3], "--lora-alpha has no effect without --lora-rank"),
    "merged alone": (["--lora-merged"], "--lora-merged has no effect without --lora-rank"),
    "a rank above the kernels": (["--lora-rank", 99], "--lora-rank must be at most 16"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(tiny, table, tmp_path, capsys, case):
    words, message = REFUSED[case]
    pairs, out = table("anchor", "positive"), tmp_path / "out"
    assert run("train", "--model", tiny, "--pairs", pairs, "--out", out, *words) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
