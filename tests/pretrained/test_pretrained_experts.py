"""Loaded models with experts: upcycled, saved, loaded, and taken apart again."""

import json

import jax
import model_folders
import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxsim import pretrained

DOMAINS = ("physics", "law")
TEXTS = ["red square", "blue", "old large round", "small query : red"]


def moved(model, number):
    """The model with all parameters a little different, as training leaves them."""
    random = np.random.default_rng(number)
    change = jax.tree.map(lambda a: np.float32(0.1 * random.normal(size=a.shape)), model.params)
    return model.replace(params=jax.tree.map(np.add, model.params, change))


def vectors(model, **of_texts):
    return np.asarray(model.encode(model.params, model.tokenize(TEXTS, **of_texts)))


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_a_folder_with_experts_comes_back_as_it_was_saved(family, tmp_path):
    dense = pretrained.load(model_folders.make(tmp_path / "dense", family))
    before = vectors(dense)
    model = pretrained.with_experts(dense, DOMAINS)
    assert model.domains == DOMAINS
    np.testing.assert_allclose(vectors(model, domain="law"), before, atol=1e-6)
    model = moved(model, 1)
    by_domain = {name: vectors(model, domain=name) for name in DOMAINS}
    assert np.abs(by_domain["physics"] - by_domain["law"]).max() > 1e-3
    mixed = vectors(model, domain=["law", "physics", "law", "physics"])
    np.testing.assert_allclose(mixed[::2], by_domain["law"][::2], atol=1e-6)
    np.testing.assert_allclose(mixed[1::2], by_domain["physics"][1::2], atol=1e-6)
    model.save(tmp_path / "experts")
    back = pretrained.load(tmp_path / "experts")
    assert back.domains == DOMAINS
    np.testing.assert_array_equal(vectors(back, domain="law"), by_domain["law"])
    back.save(tmp_path / "again")
    for name in ("config.json", "model.safetensors"):
        one, other = ((tmp_path / f / name).read_bytes() for f in ("experts", "again"))
        assert one == other
    for name in DOMAINS:
        alone = pretrained.take_domain(back, name)
        np.testing.assert_allclose(vectors(alone), by_domain[name], atol=1e-6)
    alone.save(tmp_path / "law")
    assert json.loads((tmp_path / "law" / "config.json").read_text())["model_type"] == family
    np.testing.assert_array_equal(vectors(pretrained.load(tmp_path / "law")), vectors(alone))


def test_the_config_says_that_other_libraries_cannot_read_it(tmp_path):
    dense = pretrained.load(model_folders.make(tmp_path / "dense"))
    model = pretrained.with_experts(dense, DOMAINS, router="token_top_k", k=1, layers=(1,))
    model.save(tmp_path / "experts")
    config = json.loads((tmp_path / "experts" / "config.json").read_text())
    assert config["model_type"] == "jaxsim_experts"
    about = config["jaxsim_experts"]
    assert about.pop("note").startswith("Only jaxsim reads this folder")
    assert about == {
        "model_type": "bert",
        "count": 2,
        "router": "token_top_k",
        "k": 1,
        "layers": [1],
        "domains": list(DOMAINS),
    }
    tensors = load_file(tmp_path / "experts" / "model.safetensors")
    shapes = {name: array.shape for name, array in tensors.items()}
    assert shapes["encoder.layer.0.intermediate.dense.weight"] == (24, 16)
    assert shapes["encoder.layer.1.intermediate.dense.weight"] == (2, 24, 16)
    assert shapes["encoder.layer.1.router.weight"] == (2, 16)
    back = pretrained.load(tmp_path / "experts")
    np.testing.assert_array_equal(vectors(back), vectors(model))
    with pytest.raises(ValueError, match="model must have experts of domains"):
        pretrained.take_domain(back, "law")


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda dense, model, _: pretrained.with_experts(model, DOMAINS), "model must be dense"),
        (lambda dense, *_: pretrained.with_experts(dense, ["a", "a"]), "domains must be different"),
        (lambda dense, *_: pretrained.with_experts(dense, [1, 2]), "domains must be strings"),
        (lambda dense, *_: pretrained.take_domain(dense, "law"), "model must have experts"),
        (
            lambda _, model, __: pretrained.take_domain(model, "art"),
            "domain must be one of",
        ),
        (lambda _, model, __: model.tokenize(TEXTS, domain="art"), "domain must be one of"),
        (lambda _, model, __: model.tokenize(TEXTS, domain=["law"]), "domain must be .*per text"),
        (lambda _, model, __: vectors(model), "domain must be given"),
        (
            lambda *args: refused(args[2], {"model_type": "bert"}),
            "model_type must be 'jaxsim_experts' where",
        ),
        (lambda *args: refused(args[2], of_experts={"count": 3}), "domains must be 3 different"),
        (lambda *args: refused(args[2], of_experts={"router": "best"}), "router must be one of"),
        (lambda *args: refused(args[2], of_experts={"layers": [2]}), "layers must be numbers of"),
        (
            lambda *args: refused(args[2], of_experts={"count": 3, "domains": ["a", "b", "c"]}),
            "must have shape",
        ),
    ],
)
def test_refusals_name_what_is_wrong(act, message, models):
    with pytest.raises(ValueError, match=message):
        act(*models)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experts")
    dense = pretrained.load(model_folders.make(folder / "dense"))
    model = pretrained.with_experts(dense, DOMAINS)
    return dense, model, model.save(folder / "experts")


def refused(folder, changes=None, of_experts=None):
    path = folder / "config.json"
    before = path.read_text()
    config = json.loads(before)
    changed = config["jaxsim_experts"] | (of_experts or {})
    path.write_text(json.dumps(config | {"jaxsim_experts": changed} | (changes or {})))
    try:
        pretrained.load(folder)
    finally:
        path.write_text(before)
