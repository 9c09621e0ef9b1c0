"""What an import of the rooms of models does not load, where it is installed."""

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "huggingface_hub",
    "tokenizers",
    "safetensors",
)


def loaded(statement):
    probe = f"import sys; {statement}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("room", ["encoders", "pretrained"])
def test_neither_torch_nor_transformers_is_imported(room):
    assert loaded(f"import jaxsim.{room}") == []


def test_the_probe_sees_what_is_loaded():
    assert "safetensors" in loaded("import safetensors")
