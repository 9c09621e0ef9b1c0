"""Fine-tuning by command for vectors that may be cut, and on a teacher's vectors."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxsim import losses, pretrained
from jaxsim.__main__ import main
from jaxsim.commands.train.losses import both_sides

TRAINING = ("--epochs", 6, "--rate", 0.01, "--held-out", 0.2)


def run(*words):
    return main([str(word) for word in words])


def figures(folder):
    """The figures that a run left."""
    return json.loads((folder / "figures.json").read_text())


@pytest.fixture(scope="module")
def deep(tiny, tmp_path_factory):
    """The folder of a BERT of two layers, the second a copy of the first."""
    folder = tmp_path_factory.mktemp("deep")
    for path in tiny.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((tiny / "config.json").read_text()) | {"num_hidden_layers": 2}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(tiny / "model.safetensors")
    copied = {
        name.replace("layer.0.", "layer.1."): array
        for name, array in tensors.items()
        if "layer.0." in name
    }
    save_file(tensors | copied, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_dims_make_vectors_that_may_be_cut(tiny, table, tmp_path):
    words = ("train", "--model", tiny, "--pairs", table("anchor", "positive"), *TRAINING)
    assert run(*words, "--out", tmp_path / "whole") == 0
    assert run(*words, "--out", tmp_path / "cut", "--dims", 4, 8) == 0
    found = figures(tmp_path / "cut.run")
    assert found["after"]["MRR@10 of 4"] > found["before"]["MRR@10 of 4"]
    settings = json.loads((tmp_path / "cut" / "config_sentence_transformers.json").read_text())
    assert settings["matryoshka_dims"] == [16, 8, 4]
    assert "matryoshka_layers" not in settings
    # It still is the model that it was, and what was not asked for is not said.
    assert pretrained.load(tmp_path / "cut").max_length == pretrained.load(tiny).max_length
    whole = tmp_path / "whole" / "config_sentence_transformers.json"
    assert not whole.exists() or "matryoshka" not in whole.read_text()
    # Other cuts are another run.
    assert run(*words, "--out", tmp_path / "cut", "--dims", 8) == 2


@pytest.mark.thorough
@pytest.mark.xdist_group("commands")
def test_layers_make_a_model_that_may_be_cut_in_depth(deep, table, tmp_path):
    words = ("train", "--model", deep, "--pairs", table("anchor", "positive", "negative"))
    words = (*words, *TRAINING, "--out", tmp_path / "out", "--loss", "matryoshka_2d")
    assert run(*words) == 0
    settings = json.loads((tmp_path / "out" / "config_sentence_transformers.json").read_text())
    assert settings["matryoshka_dims"] == [16, 8]
    assert settings["matryoshka_layers"] == [1, 2]
    found = figures(tmp_path / "out.run")
    assert found["after"]["MRR@10"] > found["before"]["MRR@10"]
    assert found["after"]["MRR@10 of 8"] > found["before"]["MRR@10 of 8"]


@pytest.mark.xdist_group("commands")
@pytest.mark.parametrize(
    "loss",
    ["similarity_distillation", pytest.param("embedding_distillation", marks=pytest.mark.thorough)],
)
def test_a_student_gets_nearer_to_its_teacher(tiny, table, tmp_path, rows, loss):
    """The teacher is a copy of the student that has been moved."""
    student = pretrained.load(tiny)
    random = np.random.default_rng(0)
    moved = jax.tree.map(
        lambda a: a + np.float32(0.3 * random.normal(size=a.shape)), student.params
    )
    teacher = student.replace(params=moved).save(tmp_path / "teacher")
    words = ("train", "--model", tiny, "--pairs", table("anchor", "positive", "score"), *TRAINING)
    words = (*words, "--teacher", teacher, "--loss", loss, "--no-score", "--out", tmp_path / "out")
    assert run(*words) == 0

    def similarities(folder):
        model = pretrained.load(folder)
        texts = model.tokenize([row["anchor"] for row in rows])
        vectors = np.asarray(model.encode(model.params, texts))
        units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return units @ units.T

    wanted = similarities(teacher)
    before, after = (np.abs(similarities(f) - wanted).mean() for f in (tiny, tmp_path / "out"))
    assert after < before
    assert (tmp_path / "out.run" / "teacher-queries.npy").exists()


@pytest.mark.thorough
def test_both_sides_are_halves():
    """Of queries and of documents with negatives, rows that do not count left out."""
    random = np.random.default_rng(0)
    queries, taught = random.normal(size=(2, 3, 4))
    documents, answers = random.normal(size=(2, 3, 2, 4))
    where = np.array([True, False, True])
    found = both_sides(
        losses.embedding_distillation, queries, documents, teacher=(taught, answers), where=where
    )

    def units(a):
        return a / np.linalg.norm(a, axis=-1, keepdims=True)

    of_queries = ((units(queries) - units(taught)) ** 2).sum(-1)[where].mean()
    of_documents = ((units(documents) - units(answers)) ** 2).sum(-1)[where].mean()
    np.testing.assert_allclose(found, (of_queries + of_documents) / 2, rtol=1e-6)
    assert losses.embedding_distillation(queries, queries) == 0


REFUSED = {
    "a teacher without its loss": (("--teacher", "x", "--loss", "info_nce"), "need each other"),
    "its loss without a teacher": (("--loss", "similarity_distillation"), "need each other"),
    "cuts of vectors that are learned whole": (
        ("--teacher", "x", "--loss", "embedding_distillation", "--dims", 8),
        "--teacher and --dims must not both be given",
    ),
    "layers in chunks": (("--layers", "--chunk", 4), "--layers and --chunk must not both be given"),
    "a size that is the whole": (("--dims", 16), "--dims must be below 16"),
    "one layer": (("--layers",), "--layers needs a model of two layers or more, got 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(tiny, table, tmp_path, capsys, case):
    words, message = REFUSED[case]
    pairs = table("anchor", "positive")
    assert run("train", "--model", tiny, "--pairs", pairs, "--out", tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
