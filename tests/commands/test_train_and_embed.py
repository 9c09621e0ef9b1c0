"""Fine-tuning and embedding by command: what a user types, on a model of a few thousand weights."""

import json

import jax
import numpy as np
import pytest

from jaxsim import pretrained
from jaxsim.__main__ import main
from jaxsim.commands.inputs import columns


def run(*words):
    return main([str(word) for word in words])


def figures(folder):
    """The figures that a run left."""
    return json.loads((folder / "figures.json").read_text())


@pytest.mark.xdist_group("commands")
@pytest.mark.parametrize(
    ("columns", "more", "better"),
    [
        pytest.param(("anchor", "positive"), (), "MRR@10", marks=pytest.mark.thorough),
        (("anchor", "positive", "negative"), ("--chunk", 8, "--batch-size", 16), "MRR@10"),
        pytest.param(
            ("anchor", "positive", "score"),
            ("--loss", "cosent"),
            "spearman",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_train_writes_a_better_model(tiny, table, tmp_path, columns, more, better):
    out = tmp_path / "out"
    words = ["train", "--model", tiny, "--pairs", table(*columns), "--out", out, *more]
    words += ["--epochs", 6, "--rate", 0.01, "--held-out", 0.2]
    assert run(*words) == 0
    found = figures(tmp_path / "out.run")
    assert found["after"][better] > found["before"][better]
    assert np.isfinite(list(found["after"].values())).all()
    before, after = pretrained.load(tiny), pretrained.load(out)
    assert jax.tree.map(np.shape, before.params) == jax.tree.map(np.shape, after.params)
    assert (tmp_path / "out.run" / "loss.png").exists()
    # Started again it is finished at once, and the same.
    first = (out / "model.safetensors").read_bytes()
    assert run(*words) == 0
    assert (out / "model.safetensors").read_bytes() == first


@pytest.mark.thorough
def test_embed_writes_the_vectors_of_the_model(tiny, table, tmp_path, rows, capsys):
    out = tmp_path / "vectors.npy"
    words = ("embed", "--model", tiny, "--corpus", table("anchor"), "--out", out)
    assert run(*words, "--column", "anchor") == 0
    model = pretrained.load(tiny)
    texts = model.tokenize([row["anchor"] for row in rows])
    expected = jax.jit(model.encode)(model.params, texts)
    np.testing.assert_allclose(np.load(out), expected, atol=1e-6)
    assert "80 vectors of 16" in capsys.readouterr().out
    # In another precision they are others, and another file's.
    assert run(*words, "--column", "anchor", "--dtype", "float32") == 0
    assert run(*words, "--column", "anchor", "--dtype", "bfloat16") == 2
    assert "was written with fingerprint" in capsys.readouterr().err
    rounded = (*words[:-1], tmp_path / "rounded.npy", "--column", "anchor", "--dtype", "bfloat16")
    assert run(*rounded) == 0
    difference = np.abs(np.load(tmp_path / "rounded.npy") - expected).max()
    assert 0 < difference < 2.0**-5 * np.abs(expected).max()
    # Other weights at the same place are another model: their vectors are not those of the file.
    folder = model.replace(params=jax.tree.map(lambda a: 2 * a, model.params)).save(tmp_path / "m")
    other = ["embed", "--model", folder, "--corpus", table("anchor"), "--column", "anchor"]
    assert run(*other, "--out", out) == 2
    assert "vectors.npy: was written with fingerprint" in capsys.readouterr().err


def test_columns_named_together_are_joined():
    rows = [
        {"title": "wings", "text": "of the bee", "a,b": "x"},
        {"title": "", "text": "flat", "a,b": "y"},
    ]
    assert columns.column_of(rows, "c", "title,text") == ["wings of the bee", "flat"]
    assert columns.column_of(rows, "c", "a,b") == ["x", "y"]
    with pytest.raises(ValueError, match="c: has no column 'body', it has title, text, a,b"):
        columns.column_of(rows, "c", "title,body")
    with pytest.raises(ValueError, match="c: row 2 must have a string in 'text', got None"):
        columns.column_of([rows[0], {"title": "flat", "text": None}], "c", "title,text")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "--pairs", "none.jsonl"), "none.jsonl: there is no such file"),
        (("train", "--pairs", "{negative}"), "no column for the query: looked for query, anchor"),
        (("train", "--pairs", "{anchor}"), "no column for the document"),
        (
            ("train", "--pairs", "{both}", "--score", "stars"),
            "has no column 'stars', it has anchor",
        ),
        (("train", "--pairs", "{both}", "--loss", "cosent"), "cosent needs a score for every pair"),
        (
            ("train", "--pairs", "{both}", "--loss", "triple"),
            "no loss 'triple': there are info_nce",
        ),
        (("embed", "--corpus", "{anchor}"), "has no column 'text', it has anchor"),
        (("dance",), "no command 'dance': there are train, merge, embed, index"),
    ],
)
def test_what_does_not_fit_is_one_sentence(tiny, table, tmp_path, capsys, words, said):
    files = {
        "negative": table("negative", name="n.jsonl"),
        "anchor": table("anchor", name="a.jsonl"),
        "both": table("anchor", "positive", name="b.jsonl"),
    }
    words = [str(word).format(**files) for word in words]
    if len(words) > 1:
        words += ["--model", tiny, "--out", tmp_path / "out.npy"]
    assert run(*words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out.npy").exists()


def test_help_names_the_commands(capsys):
    assert run("--help") == 0
    assert "fine-tunes a model" in capsys.readouterr().out
