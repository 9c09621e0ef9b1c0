"""The card of a folder that `train` writes: metadata, figures, code that runs; readable files."""

import importlib.util
import json
import os
import re
import stat
import types

import numpy as np
import pytest
from model_folders import make_images
from PIL import Image

from jaxsim.__main__ import main
from jaxsim.commands.options.train import parsed
from jaxsim.commands.outputs import cards

hub = pytest.importorskip("huggingface_hub")
ODD = [
    "a: b",
    "#x",
    "yes",
    "1e5",
    'a "b"',
    "a\\b",
    "ü\u2028\x7f😀",
    "- a",
    "",
    "loss:info_nce",
    "org/a-b",
]


def run(*words):
    return main([str(word) for word in words])


def test_metadata_is_yaml():
    yaml = pytest.importorskip("yaml")
    tree = {"tags": ODD, "number": 3, "value": 0.25, "empty": None, "none": [], "flag": True}
    metrics = [{"type": text, "value": 1e-5} for text in ODD]
    tree["model-index"] = [
        {"name": "a b", "results": [{"task": {"type": "t"}, "metrics": metrics}]}
    ]
    text = cards.written(tree, ["# a", "b"])
    front = text.split("---\n")[1]
    del tree["empty"], tree["none"]
    assert yaml.safe_load(front) == tree
    assert text.endswith("---\n\n# a\n\nb\n")


def test_a_base_is_named_where_the_hub_knows_it(tmp_path):
    assert cards.base_of("org/model") == "org/model"
    assert cards.base_of("no model") is None
    assert cards.base_of(str(tmp_path)) is None
    cached = tmp_path / "models--org--model" / "snapshots" / "abc"
    cached.mkdir(parents=True)
    assert cards.base_of(str(cached)) == "org/model"


def test_the_license_is_that_of_the_base():
    model = types.SimpleNamespace(kept=types.SimpleNamespace(files={}))

    def licensed(text):
        model.kept.files = {"README.md": text.encode()}
        return cards.licensed(model)

    assert licensed("---\nlicense: mit # x\ntags:\n- a\n---\n# a") == {"license": "mit"}
    other = "---\r\nlicense: other\r\nlicense_name: 'own'\r\n---\r\n"
    assert licensed(other) == {"license": "other", "license_name": "own"}
    for text in (
        "# a",
        "",
        "---\nlicense: mit\n",
        "---\nlicense: [mit, gpl]\n---\n",
        "license: mit",
    ):
        assert licensed(text) == {}
    model.kept.files = {}
    assert cards.licensed(model) == {}


def test_paths_are_named_by_their_last_part():
    assert cards.shortened("/home/me/pairs.jsonl") == "pairs.jsonl"
    assert cards.shortened("../me/pairs.jsonl") == "pairs.jsonl"
    assert cards.shortened("data/pairs.jsonl") == "data/pairs.jsonl"
    assert cards.shortened(3) == 3


def test_names_of_options_do_not_reach_a_card_twice():
    words = [
        "--model",
        "m",
        "--pairs",
        "p",
        "--out",
        "o",
        "--card",
        "tags=a",
        "tags=b",
        "license=mit",
    ]
    assert parsed(words).card == [("tags", "a"), ("tags", "b"), ("license", "mit")]


OF = ("--steps", 2, "--held-out", 0.2, "--batch-size", 16)
KINDS = {
    "text": (
        ("anchor", "positive"),
        ("--dims", 8, "--set", "temperature=0.1"),
        "sentence-transformers",
    ),
    "judged": (("anchor", "positive"), (), "sentence-transformers"),
    "several": (("anchor", "positive"), (), "sentence-transformers"),
    "cross": (
        ("anchor", "positive", "negative"),
        ("--loss", "list_softmax"),
        "sentence-transformers",
    ),
    "adapter": (("anchor", "positive"), ("--lora-rank", 2), "peft"),
    "experts": (("anchor", "positive"), ("--experts",), "jaxsim"),
}
PIPELINES = {"cross": "text-ranking", "experts": "feature-extraction"}


@pytest.fixture
def trained(tiny, tiny_cross, table, rows, tmp_path, monkeypatch):
    """A function of a kind that trains in a folder, and gives what it wrote and its figures."""
    monkeypatch.chdir(tmp_path)

    def made(kind):
        columns, more, _ = KINDS[kind]
        base = tmp_path / "base"
        base.mkdir()
        for path in (tiny_cross if kind == "cross" else tiny).iterdir():
            (base / path.name).write_bytes(path.read_bytes())
        (base / "README.md").write_text("---\nlicense: apache-2.0\n---\n# the base\n")
        pairs = [table(*columns)]
        if kind in ("several", "experts"):
            pairs.append(table("anchor", "positive", name="others.jsonl"))
        if kind == "several":
            pairs[1] = table("anchor", "positive", "score", name="graded.jsonl") + ":cosent:0.5"
        if kind == "judged":
            for name, column in (("corpus", "positive"), ("queries", "anchor")):
                lines = [{"_id": f"{n}", "text": row[column]} for n, row in enumerate(rows[:20])]
                (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
            judged = "".join(f"{n}\t{n}\t1\n" for n in range(20))
            (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
            more = ("--judged", "corpus.jsonl", "queries.jsonl", "qrels.tsv")
        words = ("train", "--model", "base", "--pairs", *pairs, "--out", "tuned", *OF, *more)
        assert run(*words, "--card", "language=en") == 0
        figures = json.loads((tmp_path / "tuned.run" / "figures.json").read_text())
        return tmp_path / "tuned", figures

    return made


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
@pytest.mark.parametrize("kind", KINDS)
def test_a_card_says_what_was_trained(kind, trained, tmp_path):
    folder, figures = trained(kind)
    card = hub.ModelCard.load(folder / "README.md")
    metadata = card.data
    assert metadata.library_name == KINDS[kind][2]
    assert metadata.pipeline_tag == PIPELINES.get(kind, "sentence-similarity")
    assert (metadata.license, metadata.language) == ("apache-2.0", "en")
    assert "jaxsim" in metadata.tags
    assert any(tag.startswith("loss:") for tag in metadata.tags)
    assert metadata.model_name == "tuned"
    results = {
        (one.dataset_name, one.metric_name): one.metric_value for one in metadata.eval_results
    }
    names = {"text": "pairs.jsonl, held out", "judged": f"{tmp_path.name}-corpus.jsonl, judged"}
    if kind == "text":
        value = figures["after"]["MRR@10"]
        assert results[names[kind], "MRR@10"] == pytest.approx(value, abs=1e-6)
        value = figures["before"]["MRR@10"]
        assert results[names[kind], "MRR@10 before training"] == pytest.approx(value, abs=1e-6)
    if kind == "judged":
        value = figures["after"]["judged nDCG@10"]
        assert results[names[kind], "nDCG@10"] == pytest.approx(value, abs=1e-6)
    if kind == "several":
        value = figures["after"]["graded spearman"]
        assert results["graded.jsonl, held out", "spearman"] == pytest.approx(value, abs=1e-6)
    text = card.text
    assert "the base" not in text
    assert str(tmp_path) not in card.content  # no folder of this machine
    assert "python -m jaxsim train --model base --pairs pairs.jsonl" in text
    assert "checkpoint after step" in text
    assert ("jaxsim alone reads" in text) == (kind == "experts")
    readable = 0o666 & ~_umask()
    for path in folder.rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == readable, path
    (ours, *_) = code_of(card.text)
    exec(ours, {})


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["text", "cross", "adapter"])
def test_the_code_of_a_card_runs_in_its_library(kind, trained):
    pytest.importorskip("sentence_transformers")
    if kind == "adapter":
        pytest.importorskip("peft")
    folder, _ = trained(kind)
    (ours, theirs) = code_of((folder / "README.md").read_text())
    here, there = {}, {}
    exec(ours, here)
    exec(theirs, there)
    if kind == "cross":
        assert there["ranking"][0]["corpus_id"] == here["ranking"][0][0]
        return
    gap = abs(here["scores"] - there["scores"].numpy()).max()
    assert gap < 1e-5


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_a_card_of_pictures_and_texts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_images(tmp_path / "base", "clip")
    random, rows = np.random.default_rng(0), []
    for number in range(12):
        pixels = random.integers(0, 256, (20, 24, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        rows.append({"text": f"red {number}", "path": f"{number}.png"})
    (tmp_path / "pictures.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ("train", "--model", "base", "--pairs", "pictures.jsonl", "--image-column", "path")
    words = (*words, "--out", "tuned", "--steps", 1, "--held-out", 0.2, "--batch-size", 8)
    assert run(*words) == 0
    card = hub.ModelCard.load(tmp_path / "tuned" / "README.md")
    assert card.data.pipeline_tag == "zero-shot-image-classification"
    assert card.data.library_name == "transformers"
    assert "pictures with texts" in card.text
    for name, place in (("cat.jpg", 0), ("dog.jpg", 1)):
        Image.open(tmp_path / f"{place}.png").save(tmp_path / name)
    ours, theirs = code_of(card.text)
    exec(ours, {})
    if importlib.util.find_spec("torch"):
        exec(theirs, {})


def code_of(text):
    """The blocks of Python of a card."""
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
