"""An exported model gives the same numbers without jaxsim: StableHLO by jax, in a process of its own."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exported_folders import outputs
from model_folders import make, make_images, make_late, make_sparse
from PIL import Image

from jaxsim import pretrained

TEXTS = ["red round", "blue", "green " * 30, "", "large old square", "query : red"]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def deserialized(folder):
    return jax.export.deserialize(bytearray((folder / "encoder.stablehlo").read_bytes()))


def columns(model, texts, length=None):
    """What a tokenizer gives: ids and masks, int32."""
    arrays = model.tokenize(texts, length=length)
    return arrays["tokens"], arrays["where"].astype(np.int32)


def test_one_program_takes_any_number_of_texts_and_tokens(tmp_path):
    model = pretrained.load(make(tmp_path / "bert"))
    folder = pretrained.export_stablehlo(model, tmp_path / "out")
    program, weights = deserialized(folder), dict(np.load(folder / "weights.npz"))
    assert set(program.platforms) == {"cpu", "cuda", "rocm", "tpu"}
    for texts, length in ((TEXTS, None), (TEXTS[:1], 5)):
        found = program.call(weights, *columns(model, texts, length))
        np.testing.assert_allclose(found, model.embed(texts), **CLOSE)


@pytest.mark.thorough
def test_others_parameters_are_taken_in_place_of_these(tmp_path):
    model = pretrained.load(make(tmp_path / "bert"))
    folder = pretrained.export_stablehlo(model, tmp_path / "out")
    doubled = jax.tree.map(lambda a: 2 * a, model.params)
    weights = {name: 2 * array for name, array in np.load(folder / "weights.npz").items()}
    found = deserialized(folder).call(weights, *columns(model, TEXTS))
    np.testing.assert_allclose(found, model.replace(params=doubled).embed(TEXTS), **CLOSE)


PARTS = {
    "mean, normalized": {},
    "cls": {"pooling": {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}},
    "prompts": {"sentence": {"prompts": {"query": "query : "}, "default_prompt_name": "query"}},
    "unpooled prompts": {
        "pooling": {"include_prompt": False},
        "sentence": {"prompts": {"query": "query : "}, "default_prompt_name": "query"},
    },
    "cut on the left": {"tokenizer_config": {"truncation_side": "left"}},
}
SIZES = {
    "mean, normalized": {"weights": "inside"},
    "cls": {"rows": 4, "length": 20},
    "prompts": {"rows": 2, "weights": "inside"},
    "unpooled prompts": {"length": 9},
    "cut on the left": {"length": 6},
}


def with_dense(folder):
    """A folder whose vectors go through a dense part."""
    from safetensors.numpy import save_file

    make(folder)
    parts = json.loads((folder / "modules.json").read_text())
    kind = "sentence_transformers.models.Dense"
    parts.append({"idx": 3, "name": "3", "path": "3_Dense", "type": kind})
    (folder / "modules.json").write_text(json.dumps(parts))
    (folder / "3_Dense").mkdir()
    sizes = {"in_features": 16, "out_features": 5, "bias": True}
    activation = {"activation_function": "torch.nn.modules.activation.Tanh"}
    (folder / "3_Dense" / "config.json").write_text(json.dumps(sizes | activation))
    random = np.random.default_rng(0)
    shapes = {"linear.weight": (5, 16), "linear.bias": (5,)}
    tensors = {name: np.float32(random.normal(size=shape)) for name, shape in shapes.items()}
    save_file(tensors, folder / "3_Dense" / "model.safetensors", metadata={"format": "pt"})
    return folder


def exported_calls(export, cross, folder):
    """Calls of exported folders of every kind, and what the models give.

    Args:
      export: (model, path, **settings) -> the folder.
      cross: the folder of a cross-encoder.
      folder: an empty one, for all others.

    Returns: [(folder, "embed" or "score", arguments)], [array].
    """
    calls, expected = [], []
    for name, files in PARTS.items():
        model = pretrained.load(make(folder / name, **files))
        out = export(model, folder / f"{name} out", **SIZES[name])
        length = SIZES[name].get("length")
        cut = pretrained.load(folder / name, max_length=length) if length else model
        calls.append((out, "embed", [TEXTS]))
        expected.append(cut.embed(TEXTS))
        if "prompt" in name:
            calls.append((out, "embed", [TEXTS[:3], "small "]))
            expected.append(cut.embed(TEXTS[:3], prompt="small "))
    folders = [make(folder / family, family) for family in ("mpnet", "modernbert", "llama")]
    sparse = {"max_active_dims": 4, "similarity_fn_name": "dot"}
    folders += [with_dense(folder / "dense"), make_sparse(folder / "sparse", sentence=sparse)]
    for path in folders:
        model = pretrained.load(path)
        calls.append((export(model, folder / f"{path.name} out"), "embed", [TEXTS]))
        expected.append(model.embed(TEXTS))
    model = pretrained.load(cross)
    calls.append((export(model, folder / "cross out"), "score", ["red " * 20, TEXTS]))
    expected.append(model.scorer(["red " * 20], TEXTS)(np.zeros(6, int), np.arange(6)))
    return calls, expected


def check_calls(calls, expected, arrays):
    """Whether the arrays of calls are what the models give."""
    for call, array, wanted in zip(calls, arrays, expected, strict=True):
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, wanted, **CLOSE, err_msg=str(call))


@pytest.mark.thorough
def test_folders_run_without_jaxsim(tiny_cross, tmp_path):
    calls, expected = exported_calls(pretrained.export_stablehlo, tiny_cross, tmp_path)
    check_calls(calls, expected, outputs(calls, tmp_path / "work"))


LATE = {
    "filled": {
        "sentence": {"prompts": {"query": "query : ", "document": "old "}},
        "mask": {"skiplist_words": [":"], "keep_only_token_ids": [3, *range(5, 15)]},
        "lengths": {"query_expansion": {"strategy": "fixed", "length": 9}, "document_length": 11},
    },
    "seen": {
        "family": "modernbert",
        "config": {"local_attention": 16},
        "mask": {"skiplist_words": [":", "red"], "skiplist_tasks": ["query", "document"]},
        "lengths": {"query_expansion": {"strategy": "min", "length": 7, "attend": True}},
        "sentence": {"similarity_fn_name": "meanmaxsim"},
    },
    "pylate": {"layout": "pylate", "sentence": {"query_length": 8, "document_length": 12}},
}
LATE_SIZES = {
    "filled": {"weights": "inside", "rows": 4},
    "seen": {},
    "pylate": {"length": 12},
}


def late_calls(export, place):
    """Exported models of late interaction: (calls, what they should give)."""
    calls, expected = [], []
    for name, files in LATE.items():
        model = pretrained.load(make_late(place / name, **files))
        out = export(model, place / f"{name} out", **LATE_SIZES[name])
        sides = model.embed(TEXTS[:3], side="query"), model.embed(TEXTS)
        calls.append((out, "score", [TEXTS[:3], TEXTS]))
        expected.append(np.asarray(model.similarity(*sides)))
        calls += [(out, "embed", [TEXTS[:1], side]) for side in ("query", "document")]
        expected += [vectors["vectors"][:1, vectors["where"][0]] for vectors in sides]
    return calls, expected


PROCESSORS = {
    "clip": {},
    "siglip": {"do_normalize": False},
    "vit": {"do_rescale": False, "image_mean": [100, 120, 130], "image_std": [60, 60, 70]},
    "dinov2": {"size": {"height": 14, "width": 21}},  # which its crop widens
}
IMAGE_SIZES = {
    "clip": {"weights": "inside"},
    "siglip": {"rows": 2},
    "vit": {"rows": 4, "weights": "inside"},
    "dinov2": {},
}


def image_calls(export, place):
    """Exported models with an image side: (calls, what they should give)."""
    random, paths = np.random.default_rng(0), []
    for number, shape in enumerate(((16, 16, 3), (23, 40, 3), (31, 18))):
        paths.append(str(place / f"{number}.png"))
        Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(paths[-1])
    calls, expected = [], []
    for family, processor in PROCESSORS.items():
        inner = "0_CLIPModel" if family == "clip" else ""
        folder = make_images(place / family, family, inner=inner, processor=processor)
        model = pretrained.load(folder)
        out = export(model, place / f"{family} out", **IMAGE_SIZES[family])
        calls.append((out, "embed_images", [paths]))
        expected.append(model.embed_images(paths))
        if isinstance(model, pretrained.ImageTextModel):
            calls.append((out, "embed", [TEXTS]))
            expected.append(model.embed(TEXTS))
    return calls, expected


@pytest.mark.thorough
@pytest.mark.parametrize("calls_of", [image_calls, late_calls])
def test_pictures_and_tokens_run_without_jaxsim(calls_of, tmp_path):
    calls, expected = calls_of(pretrained.export_stablehlo, tmp_path)
    check_calls(calls, expected, outputs(calls, tmp_path / "work"))


@pytest.mark.thorough
def test_a_folder_of_pictures_explains_itself(tmp_path):
    out = pretrained.export_stablehlo(
        pretrained.load(make_images(tmp_path / "clip")), tmp_path / "out"
    )
    readme = (out / "README.md").read_text()
    assert "pip install jax numpy flatbuffers tokenizers pillow" in readme
    assert "{" not in readme
    there = {path.name for path in out.iterdir()} - {"README.md", "jaxsim.json", "MODEL_CARD.md"}
    assert there == {
        *("encoder.stablehlo", "weights.npz", "image_encoder.stablehlo", "image_weights.npz"),
        *("tokenizer.json", "settings.json", "run.py"),
    }
    assert all(name in readme for name in there)


@pytest.mark.thorough
def test_run_py_is_a_script_and_the_folder_explains_itself(tmp_path):
    folder = make(tmp_path / "bert")
    (folder / "README.md").write_text("the card")
    out = pretrained.export_stablehlo(pretrained.load(folder), tmp_path / "out")
    command = [sys.executable, str(out / "run.py"), "red", "blue round"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert [line.split(" (16,)")[0] for line in done.stdout.splitlines()] == ["red", "blue round"]
    assert (out / "MODEL_CARD.md").read_text() == "the card"
    readme = (out / "README.md").read_text()
    assert "pip install jax numpy flatbuffers tokenizers" in readme
    assert "{" not in readme
    for name in ("encoder.stablehlo", "weights.npz", "tokenizer.json", "settings.json", "run.py"):
        assert (out / name).exists()
        assert name in readme


def test_an_exported_folder_is_replaced_and_another_is_not(tmp_path):
    model = pretrained.load(make(tmp_path / "bert"))
    out = pretrained.export_stablehlo(model, tmp_path / "out", dtype=jnp.bfloat16)
    pretrained.export_stablehlo(model, out, weights="inside")
    assert not (out / "weights.npz").exists()
    with pytest.raises(ValueError, match="not a model export that jaxsim wrote"):
        pretrained.export_stablehlo(model, tmp_path / "bert")


REFUSED = {
    "weights": ({"weights": "under"}, "weights must be one of 'beside', 'inside', got 'under'"),
    "rows": ({"rows": 0}, "rows must be a whole number of at least 1, got 0"),
    "length": ({"length": 33}, "length must be at most 32, the most that the model reads, got 33"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("export", [pretrained.export_stablehlo, pretrained.export_onnx])
def test_what_is_out_of_range_is_named(name, export, tmp_path):
    settings, message = REFUSED[name]
    model = pretrained.load(make(tmp_path / "bert"))
    with pytest.raises(ValueError, match=message):
        export(model, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


OF_OTHER_LENGTHS = {
    "pictures": (
        lambda place: make_images(place, "vit"),
        "None for a model of pictures alone, got 5",
    ),
    "filled texts": (lambda place: make_images(place, "siglip"), "20, to which the model fills"),
    "filled queries": (lambda place: make_late(place, **LATE["filled"]), "at least 9, to which"),
}


@pytest.mark.parametrize("name", OF_OTHER_LENGTHS)
def test_lengths_that_a_model_does_not_have_are_named(name, tmp_path):
    make_folder, message = OF_OTHER_LENGTHS[name]
    model = pretrained.load(make_folder(tmp_path / "in"))
    with pytest.raises(ValueError, match=f"length must be {message}"):
        pretrained.export_stablehlo(model, tmp_path / "out", length=5)


def test_other_models_are_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"model must be of pretrained.load to be exported, got dict"
    ):
        pretrained.export_stablehlo({}, tmp_path / "out")


@pytest.mark.thorough
def test_a_model_of_several_domains_is_refused(tmp_path):
    model = pretrained.load(make(tmp_path / "bert"))
    model = pretrained.with_experts(model, ("a", "b"))
    with pytest.raises(ValueError, match="must be of one domain to be exported"):
        pretrained.export_stablehlo(model, tmp_path / "out")
    pretrained.export_stablehlo(pretrained.take_domain(model, "a"), tmp_path / "out")
