"""LoRA: what it computes, the folders that it makes, and PEFT's reading of them."""

import json

import jax
import jax.numpy as jnp
import model_folders
import numpy as np
import pytest

from jaxsim import pretrained
from jaxsim.pretrained._adapters import ALL_PARTS, ATTENTION
from jaxsim.pretrained._model import flat

TEXTS = ["red square", "blue", "old large round", "small query : red"]


def moved(adapter, seed=0):
    """An adapter whose factors are all drawn, as training leaves them."""
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda a: jnp.float32(random.normal(size=a.shape) / 4), adapter)


def vectors(model, params):
    return np.asarray(model.encode(params, model.tokenize(TEXTS)))


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return pretrained.load(model_folders.make(tmp_path_factory.mktemp("bert") / "in"))


def test_a_kernel_changes_by_the_product_of_its_factors(bert):
    adapter = pretrained.lora(bert, 2)
    parts = {path.split("/")[2] for path in adapter}
    assert parts == set(ATTENTION)
    assert len(adapter) == 8  # of two layers
    same = pretrained.with_lora(bert.params, adapter, scale=3.0)
    jax.tree.map(np.testing.assert_array_equal, same, bert.params)
    for factors in adapter.values():
        assert np.abs(factors["down"]).max() <= 1 / np.sqrt(len(factors["down"]))
    adapter = moved(adapter)
    before, after = (
        flat(tree["params"])
        for tree in (bert.params, pretrained.with_lora(bert.params, adapter, scale=0.5))
    )
    for path, kernel in before.items():
        expected = np.float64(kernel)
        if path in adapter:
            down, up = (np.float64(adapter[path][side]) for side in ("down", "up"))
            expected = expected + 0.5 * down @ up
        np.testing.assert_allclose(after[path], expected, atol=1e-6)


def test_the_gradient_is_the_kernels_through_the_factors(bert):
    """d down = scale G up^T and d up = scale down^T G, of the kernel's own gradient G."""
    adapter = moved(pretrained.lora(bert, 2, parts=("query",)))
    weights = {
        path: jnp.float32(np.random.default_rng(1).normal(size=(16, 16))) for path in adapter
    }

    def loss(adapter):
        leaves = flat(pretrained.with_lora(bert.params, adapter, scale=0.5)["params"])
        return sum((weights[path] * leaves[path]).sum() for path in adapter)

    slopes = jax.grad(loss)(adapter)
    for path, factors in adapter.items():
        np.testing.assert_allclose(
            slopes[path]["down"], 0.5 * weights[path] @ factors["up"].T, atol=1e-5
        )
        np.testing.assert_allclose(
            slopes[path]["up"], 0.5 * factors["down"].T @ weights[path], atol=1e-5
        )


@pytest.mark.parametrize(
    "family",
    [
        "bert",
        pytest.param("modernbert", marks=pytest.mark.thorough),
        pytest.param("llama", marks=pytest.mark.thorough),
    ],
)
def test_a_folder_of_an_adapter_comes_back(family, tmp_path):
    """ModernBERT holds three kernels in one tensor: its factors come side by side."""
    model = pretrained.load(model_folders.make(tmp_path / "in", family))
    adapter = moved(pretrained.lora(model, 2, parts=ALL_PARTS))
    folder = pretrained.save_lora(model, adapter, tmp_path / "out", base="base", scale=2.0)
    back, scale = pretrained.load_lora(model, folder)
    assert set(back) == set(adapter)
    ours, theirs = (
        pretrained.with_lora(model.params, one, scale=size)
        for one, size in ((adapter, 2.0), (back, scale))
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), ours, theirs)


def test_what_does_not_fit_is_refused(bert, tmp_path):
    with pytest.raises(ValueError, match="rank must be at most 16"):
        pretrained.lora(bert, 17)
    with pytest.raises(ValueError, match="parts must be one of"):
        pretrained.lora(bert, 2, parts=("tokens",))
    with pytest.raises(ValueError, match="must be dense"):
        pretrained.lora(pretrained.with_experts(bert, ["a", "b"]), 2, parts=("feed_forward_in",))
    adapter = pretrained.lora(bert, 2)
    other = {path.replace("layer_1", "layer_7"): factors for path, factors in adapter.items()}
    with pytest.raises(ValueError, match="adapter must be of the model's kernels"):
        pretrained.with_lora(bert.params, other)
    bad = jax.tree.map(lambda a: a * np.nan, adapter)
    with pytest.raises(ValueError, match="adapter must be finite"):
        pretrained.save_lora(bert, bad, tmp_path / "bad", base="x")
    folder = pretrained.save_lora(bert, adapter, tmp_path / "out", base="x")
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    for change, said in (({"bias": "all"}, "bias"), ({"peft_type": "IA3"}, "peft_type")):
        path.write_text(json.dumps(config | change))
        with pytest.raises(ValueError, match=said):
            pretrained.load_lora(bert, folder)


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["bert", "modernbert", "llama"])
def test_peft_reads_what_was_written(family, tmp_path):
    peft = pytest.importorskip("peft")
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    base = model_folders.make(tmp_path / "in", family)
    model = pretrained.load(base)
    adapter = moved(pretrained.lora(model, 2, parts=ALL_PARTS))
    folder = pretrained.save_lora(model, adapter, tmp_path / "out", base=str(base), scale=2.0)
    theirs = transformers.AutoModel.from_pretrained(base, attn_implementation="eager")
    theirs = peft.PeftModel.from_pretrained(theirs, str(folder)).eval()
    texts = model.tokenize(TEXTS)
    with torch.no_grad():
        inputs = {
            "input_ids": torch.tensor(texts["tokens"], dtype=torch.long),
            "attention_mask": torch.tensor(texts["where"], dtype=torch.long),
        }
        states = theirs(**inputs).last_hidden_state.numpy()
    where = texts["where"][:, :, None]
    pooled = (states * where).sum(axis=1) / where.sum(axis=1)
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)  # as the folder's modules say
    ours = vectors(model, pretrained.with_lora(model.params, adapter, scale=2.0))
    np.testing.assert_allclose(ours, pooled, rtol=1e-4, atol=1e-4)
    # And what PEFT saves is read here.
    theirs.save_pretrained(tmp_path / "theirs")
    back, scale = pretrained.load_lora(model, tmp_path / "theirs")
    again = vectors(model, pretrained.with_lora(model.params, back, scale=scale))
    np.testing.assert_allclose(again, ours, rtol=1e-5, atol=1e-5)
