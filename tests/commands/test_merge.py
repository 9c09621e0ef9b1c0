"""Merging by command: the folder that comes out is the mean, or the fusion, of the models' parameters."""

import json

import jax
import numpy as np
import pytest

from jaxsim import merging, pretrained
from jaxsim.__main__ import main


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def copies(tiny, tmp_path_factory):
    """The folders of a model and of two that have moved from it, and their parameters."""
    folder = tmp_path_factory.mktemp("copies")
    model = pretrained.load(tiny)
    folders, trees = [tiny], [model.params]
    for seed in range(2):
        random = np.random.default_rng(seed)
        tree = jax.tree.map(
            lambda a, random=random: a + np.float32(0.1 * random.normal(size=a.shape)), model.params
        )
        folders.append(model.replace(params=tree).save(folder / str(seed)))
        trees.append(tree)
    return folders, trees


def check(folder, expected):
    """The parameters of a folder are those of a tree."""
    params = pretrained.load(folder).params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), params, expected)


@pytest.mark.parametrize("weights", [None, [1, 3]])
def test_a_soup_is_the_mean(copies, tmp_path, capsys, weights):
    (_, one, two), (_, *trees) = copies
    words = [] if weights is None else ["--weights", *weights]
    assert run("merge", one, two, "--out", tmp_path / "out", *words) == 0
    check(tmp_path / "out", merging.soup(trees, weights=weights))
    assert "soup of 2 models" in capsys.readouterr().out
    card = (tmp_path / "out" / "README.md").read_text()
    assert "library_name: sentence-transformers" in card
    assert "the mean of the parameters of 2 models" in card
    assert f"| `1` | {3 if weights else 1}.0000 |" in card
    assert str(tmp_path) not in card


def test_a_fusion_starts_from_the_base(copies, tmp_path):
    (base, one, two), (start, *trees) = copies
    words = ["--method", "fuse", "--base", base, "--unit", "layer", "--power", -1]
    assert run("merge", one, two, "--out", tmp_path / "out", *words) == 0
    check(tmp_path / "out", merging.fuse(start, trees, unit="layer", power=-1.0))


def test_the_result_reads_texts_as_the_first_model_does(copies, tmp_path):
    (_, one, two), _ = copies
    assert run("merge", one, two, "--out", tmp_path / "out") == 0
    found = pretrained.load(tmp_path / "out").tokens(["red round"])
    np.testing.assert_array_equal(found, pretrained.load(one).tokens(["red round"]))


REFUSED = {
    "one model": (lambda base, one, two: [one], "MODEL must be two folders or more"),
    "weights": (
        lambda base, one, two: [one, two, "--weights", 1, 1, 1],
        "--weights must be one for each of the 2 models, got 3",
    ),
    "no base": (lambda base, one, two: [one, two, "--method", "fuse"], "needs --base"),
    "a soup's base": (
        lambda base, one, two: [one, two, "--base", base],
        "--base has no effect without --method fuse",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(copies, tmp_path, capsys, case):
    words, message = REFUSED[case]
    assert run("merge", *words(*copies[0]), "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_models_of_other_networks_are_refused(copies, tiny_cross, tmp_path, capsys):
    (_, one, _), _ = copies
    assert run("merge", one, tiny_cross, "--out", tmp_path / "out") == 2
    assert "must be of the network of" in capsys.readouterr().err


def test_another_vocabulary_is_refused(copies, tmp_path, capsys):
    (_, one, two), _ = copies
    other = pretrained.load(two).save(tmp_path / "other")
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    first, second = list(vocabulary)[-2:]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert run("merge", one, other, "--out", tmp_path / "out") == 2
    assert "the vocabulary of tokenizer.json" in capsys.readouterr().err
