"""What help says of a paper without running its file is what the loaded paper says."""

import contextlib
import io
import subprocess
import sys

import pytest
from rich.console import Console

from experiments.__main__ import main
from experiments.frame import explain, files, kept, options, places, static


def said(module, measured):
    """What a user reads: the explanation, and the options of every preset."""
    shown = io.StringIO()
    console = Console(file=shown, width=100)
    explain.show(module, console, name="paper", times=explain.times(module, measured))
    for preset in module.PRESETS:
        with contextlib.redirect_stdout(shown), pytest.raises(SystemExit) as ended:
            options.parse(module, preset, ["--help"])
        assert ended.value.code == 0
    return shown.getvalue()


@pytest.mark.parametrize("slug", places.slugs())
def test_a_file_says_what_the_loaded_paper_says(slug):
    module = static.read(slug)
    assert module is not None, "its presets and arms must be written in its file, and not imported"
    text = said(module, static.measured)
    assert text == said(files.load(slug), kept.measured)
    assert all(arm in text for arm in module.ARMS)


def test_what_must_be_run_to_be_known_is_not_read(tmp_path, monkeypatch):
    of_ours = (
        '"""A paper."""\nfrom jaxsim import data\nPRESETS = data.GENECIS\n\ndef claim(rows): ...\n'
    )
    (tmp_path / "mine.py").write_text(of_ours)
    monkeypatch.setattr(places, "HERE", tmp_path)
    monkeypatch.setattr(static, "HERE", tmp_path)
    assert static.read("mine") is None
    assert static.read("another") is None


@pytest.mark.parametrize("text", ["{", "[]", '{"date": "2999-01-01"}'])
def test_damaged_results_are_named(tmp_path, monkeypatch, capsys, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/dse-cpu.json").write_text(text)
    assert main(["dse"]) == 2
    assert "results/dse-cpu.json" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["", ", '--help'", ", '--preset', 'smoke', '-h'"])
def test_help_of_a_paper_loads_neither_jax_nor_numpy(arguments):
    lines = (
        "import contextlib, sys",
        "from experiments.__main__ import main",
        f"with contextlib.suppress(SystemExit): main(['dse'{arguments}])",
        "print(sorted({'jax', 'numpy', 'flax'} & sys.modules.keys()))",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "soft alignment of words" in done.stdout
