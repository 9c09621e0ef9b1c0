"""The code of the pages runs as it stands, and says what the page says of it."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest
from model_folders import make, make_images, make_late
from PIL import Image

from jaxsim import pretrained, storage

DOCS = Path(__file__).resolve().parents[2] / "docs"


def run(page, replaced=(), **names):
    """The names that a page's blocks leave, run in order after those that the page leaves to the reader.

    `replaced` are (text, other text) for what is too large for a test.
    """
    text = (DOCS / page).read_text(encoding="utf-8")
    for large, small in replaced:
        assert large in text
        text = text.replace(large, small)
    names["__name__"] = page
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(block, page, "exec"), names)
    return names


@pytest.mark.thorough
def test_the_road_ends_at_the_right_answers():
    names = run("road.md")
    assert list(names["batches"][0]["where"]) == [True] * 8
    assert names["recall"] == 1


@pytest.mark.thorough
def test_the_doors_of_the_home_page_open():
    names = run("index.md")
    assert names["ids"].shape == (8, 3)
    assert names["nearest"](np.eye(2), np.array([0, 0])) == 1


@pytest.mark.thorough
def test_a_loss_is_prototyped():
    names = run("prototype.md")
    assert np.isfinite(names["value"])
    assert np.abs(names["gradient"]).max() > 0
    assert np.abs(names["slope"]) > 0
    np.testing.assert_allclose(
        names["in_blocks"], names["by_labels"](names["embeddings"], names["labels"]), rtol=1e-6
    )
    np.testing.assert_allclose(names["against_queue"], names["in_blocks"], rtol=1e-6)
    assert names["on_hard"] <= names["in_blocks"]
    assert (names["weights"][names["positives"]] <= 0).all()
    assert names["penalty"] > 0


@pytest.mark.thorough
def test_search_keeps_its_budget():
    names = run("search.md")
    assert names["ids"].shape == (6, 10)
    assert (names["found"].calls == 60).all()
    assert (names["adapted"].calls == 60).all()
    assert sum(names["calls"]) == 2 * 6 * 60
    assert 0.8 < names["recall"] <= 1


@pytest.mark.thorough
def test_figures_come_as_reports_and_files(tmp_path):
    names = run("evaluation.md", out=tmp_path)
    assert set(names["classes"]) == {"recall@1", "recall@4", "MRR", "R-precision", "MAP@R", "NMI"}
    assert 0.5 < names["classes"]["recall@1"].value <= 1
    assert 0 < names["rankings"]["nDCG@10"].value <= 1
    judged = storage.load_qrels(tmp_path / "qrels.txt")
    queries, *_ = storage.ranking_arrays(storage.load_run(tmp_path / "run.trec"), judged)
    assert queries == names["query_ids"]


@pytest.mark.thorough
def test_a_model_is_fine_tuned_by_hand(tiny, rows, tmp_path):
    sides = ([row[side] for row in rows] for side in ("anchor", "positive"))
    names = dict(zip(("queries", "documents"), sides, strict=True))
    names |= {"folder": tiny, "out": tmp_path / "out", "colbert": make_late(tmp_path / "late")}
    short = [("(32, 64)", "(16,)"), ("(64, 128)", "(16,)")]
    names = run("fine_tuning.md", short, **names)
    trained = pretrained.load(tmp_path / "out").params
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), names["model"].params, trained)
    assert 0 < max(jax.tree.leaves(moved)) < 1e-2
    assert 0 < names["value"] < np.log(len(rows)) * 10
    assert all(
        np.abs(slope).max() > 0 for slope in jax.tree.leaves(names["slopes"]["params"]["heads_0"])
    )


@pytest.mark.thorough
def test_pictures_are_searched_by_words_and_trained(tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 20, 24, 3)).astype(np.uint8)
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    folder = make_images(tmp_path / "clip")
    names = run("images.md", folder=folder, pictures=tmp_path, out=tmp_path / "out")
    assert names["vectors"].shape == (4, 12)
    assert names["ids"].shape == (2, 3)
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert names["logits"].shape == (2, 2)
    assert np.isfinite(names["value"])
    pretrained.load(names["saved"])


@pytest.mark.thorough
def test_an_exported_program_gives_the_models_vectors(tmp_path):
    names = run("leave.md", folder=make(tmp_path / "bert"), out=tmp_path / "out")
    expected = names["model"].embed(["a sentence", "another"])
    np.testing.assert_allclose(names["vectors"], expected, atol=1e-5)


def test_every_page_is_in_the_navigation():
    named = re.findall(r"[:-] (\S+\.md)$", (DOCS.parent / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    # A new experiment is one file: its page is in the table of results.md, made with it.
    listed = re.findall(r"\]\((results/\w+\.md)\)", (DOCS / "results.md").read_text())
    assert sorted([*named, *set(listed)]) == sorted(pages)
