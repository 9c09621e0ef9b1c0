"""Folders with an image side, without torch: in and out, what pictures become, and what is refused by name."""

import json

import jax
import numpy as np
import pytest
from model_folders import IMAGE_CONFIGS, change, image_tensors, make_images
from PIL import Image
from safetensors.numpy import load_file, save_file
from tiers import parameters

from jaxsim import pretrained, search
from jaxsim.pretrained._model import flat

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (3, 24, 40, 3)).astype(np.uint8)
TEXTS = ["red round", "", "old query : green green green green blue blue blue blue red red red red"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each family."""
    place = tmp_path_factory.mktemp("images")
    families = ("clip", "siglip", "vit", "dinov2")
    return {family: make_images(place / family, family) for family in families}


@pytest.mark.parametrize(
    "family", parameters(("clip", "siglip", "vit", "dinov2"), quick=("dinov2",))
)
def test_a_folder_comes_in_and_goes_out(family, folders, tmp_path):
    model = pretrained.load(folders[family])
    out = model.save(tmp_path / "out")
    before = load_file(folders[family] / "model.safetensors")
    after = load_file(out / "model.safetensors")
    assert set(before) == set(after)
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)
        assert after[name].shape == array.shape
    again = pretrained.load(out)
    jax.tree.map(np.testing.assert_array_equal, again.params, model.params)
    np.testing.assert_array_equal(again.process(PIXELS), model.process(PIXELS))
    model.replace(params=jax.tree.map(lambda a: a + 1, model.params)).save(out)
    grown = flat(pretrained.load(out).params)
    for path, array in flat(model.params).items():
        np.testing.assert_allclose(grown[path], array + 1, rtol=1e-6)
    with pytest.raises(ValueError, match="params must be finite"):
        model.replace(params=jax.tree.map(lambda a: a * np.nan, model.params)).save(tmp_path / "no")
    assert not (tmp_path / "no").exists()


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_texts_and_pictures_meet_in_one_space(family, folders):
    model = pretrained.load(folders[family])
    images = model.encode_image(model.params, model.process(PIXELS))
    texts = model.encode_text(model.params, model.tokenize(TEXTS))
    assert images.shape[1] == texts.shape[1] == (12 if family == "clip" else 16)
    unit = [
        np.float64(a) / np.linalg.norm(np.float64(a), axis=1, keepdims=True)
        for a in (images, texts)
    ]
    top = model.params["params"]
    expected = unit[0] @ unit[1].T * np.exp(top["logit_scale"]) + top.get("logit_bias", 0)
    np.testing.assert_allclose(
        model.logits(model.params, images, texts), expected, rtol=1e-4, atol=1e-4
    )
    # 20 tokens are no multiple of 16, which search rounds lengths up to.
    found = search.encode_corpus(model.encode, model.params, model.tokens, TEXTS)
    np.testing.assert_allclose(found, texts, atol=1e-5)
    lengths = [len(row) for row in model.tokens(TEXTS)]
    assert lengths == ([4, 2, 17] if family == "clip" else [20, 20, 20])
    short = pretrained.load(folders[family], max_length=5)
    lengths = [len(row) for row in short.tokens(TEXTS)]
    assert lengths == ([4, 2, 5] if family == "clip" else [20, 20, 20])


@pytest.mark.thorough
def test_padding_is_part_of_siglip_and_no_part_of_clip(folders):
    for family, changes in (("clip", False), ("siglip", True)):
        model = pretrained.load(folders[family])
        texts = model.tokenize(["red round"], length=20)
        other = texts | {"tokens": np.where(texts["tokens"] == 0, 5, texts["tokens"])}
        both = [model.encode_text(model.params, one) for one in (texts, other)]
        assert (np.abs(both[0] - both[1]).max() > 1e-3) == changes


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_in_bfloat16_vectors_are_float32_and_near(family, folders):
    exact, rough = (pretrained.load(folders[family], dtype=t) for t in (None, jax.numpy.bfloat16))
    pictures, texts = exact.process(PIXELS), exact.tokenize(TEXTS)
    for one, other in (
        (m.encode_image(m.params, pictures), m.encode_text(m.params, texts)) for m in (exact, rough)
    ):
        assert one.dtype == other.dtype == np.float32
    mine, theirs = (np.asarray(m.encode_image(m.params, pictures)) for m in (exact, rough))
    assert 0 < np.abs(mine - theirs).max() < 2.0**-4 * np.abs(mine).max()
    assert rough.encode_image.dtype == rough.encode_text.dtype == jax.numpy.bfloat16


@pytest.mark.thorough
def test_dropout_has_a_key(folders):
    make_images(folders["vit"].parent / "dropped", "vit", config={"hidden_dropout_prob": 0.5})
    model = pretrained.load(folders["vit"].parent / "dropped")
    images = model.process(PIXELS)
    one, other = (model.encode_image(model.params, images, key=jax.random.key(n)) for n in range(2))
    assert np.abs(one - other).max() > 1e-3


def test_pictures_are_read_from_files_and_arrays(folders, tmp_path):
    model = pretrained.load(folders["clip"])
    Image.fromarray(PIXELS[0]).save(tmp_path / "a.png")
    turned = Image.fromarray(np.rot90(PIXELS[0]))
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees to the right
    turned.save(tmp_path / "turned.png", exif=exif)
    wanted = model.process(PIXELS[:1])[0]
    several = [
        tmp_path / "a.png",
        str(tmp_path / "turned.png"),
        PIXELS[0],
        Image.fromarray(PIXELS[0]),
    ]
    for image in model.process(several):
        np.testing.assert_array_equal(image, wanted)
    assert wanted.dtype == np.float32
    assert model.process([]).shape == (0, 16, 16, 3)


def test_a_picture_is_resized_cropped_and_normalized():
    process = pretrained.ImageProcessor(crop=(4, 6), mean=(0.5, 0, 0.25), std=(1, 2, 4))
    (found,) = process(PIXELS[:1])
    expected = (PIXELS[0, 10:14, 17:23] / 255 - [0.5, 0, 0.25]) / [1, 2, 4]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    small = pretrained.ImageProcessor(crop=(30, 41), scale=None)(PIXELS[:1])[0]
    expected = np.zeros((30, 41, 3))
    expected[3:27, 1:41] = PIXELS[0]
    np.testing.assert_array_equal(small, expected)
    assert pretrained.ImageProcessor(shortest=12)(PIXELS[:1]).shape == (1, 12, 20, 3)
    assert pretrained.ImageProcessor(size=(5, 7))(PIXELS).shape == (3, 5, 7, 3)
    with pytest.raises(ValueError, match="images must come out in one size"):
        pretrained.ImageProcessor(shortest=12)([PIXELS[0], PIXELS[0, :, :30]])


@pytest.mark.thorough
def test_a_folder_of_sentence_transformers_has_its_model_inside(folders, tmp_path):
    folder = make_images(tmp_path / "in", "clip", inner="0_CLIPModel")
    model, plain = pretrained.load(folder), pretrained.load(folders["clip"])
    jax.tree.map(np.testing.assert_array_equal, model.params, plain.params)
    out = model.save(tmp_path / "out")
    assert (out / "0_CLIPModel" / "model.safetensors").exists()
    pretrained.load(out)
    part = "sentence_transformers.models."
    first = {"path": "0_CLIPModel", "type": part + "CLIPModel"}
    for parts, message in (
        ([first, {"path": "1", "type": part + "Dense"}], "type must be a CLIPModel or Transformer"),
        ([first, first | {"path": "1"}], "a CLIPModel or Transformer first and nowhere else"),
    ):
        (folder / "modules.json").write_text(str(parts).replace("'", '"'))
        with pytest.raises(ValueError, match=message):
            pretrained.load(folder)


def refused(folder, message, error=ValueError, **settings):
    with pytest.raises(error, match=message) as caught:
        pretrained.load(folder, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("vit", {"num_hidden_layers": 3}, "num_hidden_layers must be 1, the number of layers"),
        ("vit", {"num_hidden_layers": 10**15}, "num_hidden_layers must be a whole number from 1"),
        ("vit", {"num_attention_heads": 3}, "must be a divisor of the width, 16, got 3"),
        ("vit", {"hidden_size": 8}, r"must have shape \(8"),
        ("vit", {"num_channels": 1}, "num_channels must be 3: pictures are of red, green and blue"),
        ("vit", {"patch_size": [8, 4]}, "patch_size must be as high as wide"),
        ("vit", {"image_size": 12}, "image_size must be a multiple of patch_size=8, got 12"),
        ("vit", {"image_size": 24}, r"image_size must be \(16, 16\), what comes out of the image"),
        ("vit", {"hidden_act": "snake"}, "hidden_act must be one of 'gelu'"),
        ("vit", {"qkv_bias": False}, "attention.key.bias has no place in a 'vit' of this config"),
        ("dinov2", {"use_swiglu_ffn": True}, "tensors must hold 'encoder.layer.0.mlp.weights_in"),
        ("clip", {"projection_dim": 5}, "must have shape .5, 16. in a 'clip' of this config"),
        ("clip", {"text_config": 3}, "text_config must be an object, got 3"),
        (
            "clip",
            {"text_config_dict": {"vocab_size": 9}},
            "text_config.num_hidden_layers must be 1",
        ),
        ("clip", {"quantization_config": {"bits": 4}}, "quantized weights are not supported"),
        ("siglip", {"vision_config": {"vision_use_head": False}}, "num_hidden_layers must be 1"),
    ],
)
def test_configs_that_do_not_fit_are_named(family, changes, message, folders, tmp_path):
    for path in folders[family].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    change(tmp_path / "config.json", **changes)
    refused(tmp_path, message)


def test_an_end_that_texts_lack_is_named(tmp_path):
    text = IMAGE_CONFIGS["clip"]["text_config"] | {"eos_token_id": 5}
    folder = make_images(tmp_path / "clip", config={"text_config": text})
    refused(folder, "text_config.eos_token_id must be the last token of every text, 3, got 5")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"image_processor_type": "OwlViTImageProcessor"},
            "image_processor_type must be one of CLIP",
        ),
        ({"do_pad": True}, "do_pad must be false"),
        ({"resample": 9}, "resample must be the number of a filter of Pillow"),
        ({"size": {"longest_edge": 3}}, 'size must be {"height", "width"} or {"shortest_edge"}'),
        ({"crop_size": {"shortest_edge": 3}}, 'crop_size must be {"height", "width"}, got'),
        ({"image_mean": [0.5, 0.5]}, "image_mean must be three finite numbers"),
        ({"image_std": [0.5, 0, 0.5]}, "image_std must be above 0"),
        ({"rescale_factor": 0}, "rescale_factor must be a finite number > 0"),
        ({"do_center_crop": False}, "size must have height and width, or do_center_crop must be"),
        ({"crop_size": 32}, r"image_size must be \(32, 32\), what comes out"),
    ],
)
def test_processors_that_do_not_fit_are_named(changes, message, tmp_path):
    refused(make_images(tmp_path / "clip", processor=changes), message)


def test_an_old_processor_is_read_as_its_class_reads_it(tmp_path):
    old = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 16, "crop_size": 16}
    folder = make_images(tmp_path / "clip")
    wanted = pretrained.load(folder).processor
    (folder / "preprocessor_config.json").unlink()
    refused(folder, "preprocessor_config.json: there is no such file", FileNotFoundError)
    (folder / "preprocessor_config.json").write_text(json.dumps(old))
    assert pretrained.load(folder).processor == wanted
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": old}))
    assert pretrained.load(folder).processor == wanted


@pytest.mark.thorough
def test_tensors_and_inputs_that_do_not_fit_are_named(folders, tmp_path):
    for family, name in (("clip", "text_projection.weight"), ("siglip", "vision_model.head.probe")):
        config = {"model_type": family}
        tensors = image_tensors(IMAGE_CONFIGS[family] | config)
        folder = make_images(tmp_path / family, family)
        for changed, message in (
            ({name: None}, f"tensors must hold '{name}', as a '{family}' of this config does"),
            ({name: np.zeros((2, 3), np.float32)}, f"{name} must have shape"),
            ({"lora.weight": np.zeros(2, np.float32)}, "lora.weight has no place in a"),
            ({"logit_scale": np.float32(np.nan)}, "logit_scale must be finite"),
        ):
            both = {key: a for key, a in (tensors | changed).items() if a is not None}
            save_file({key: np.asarray(a) for key, a in both.items()}, folder / "model.safetensors")
            refused(folder, message)
    refused(folders["vit"], "max_length must be None for a 'vit'", max_length=3)
    refused(folders["clip"], "causal is for decoders", causal=True)
    refused(folders["clip"], "dtype must be a type of floats", dtype=np.int8)
    refused(folders["siglip"], "max_length must be from", max_length=99)
    model = pretrained.load(folders["clip"])
    for images, message in (
        (["a.png"], "images must be float .* as `process` gives them, got list"),
        (PIXELS, "images must be float .* got uint8"),
        (np.zeros((1, 8, 8, 3), np.float32), "of the size that the positions are for"),
    ):
        with pytest.raises(ValueError, match=message):
            model.encode_image(model.params, images)
    for images, message in (
        ("a.png", "images must be a list of paths, pictures or arrays, got one path"),
        ([PIXELS[0] / 255], "uint8 arrays .* got float64 .* at place 0"),
        ([tmp_path / "clip" / "config.json"], "config.json: not a picture, or damaged"),
    ):
        with pytest.raises(ValueError, match=message):
            model.process(images)
    with pytest.raises(
        FileNotFoundError, match=r"none.png: there is no such file .images, place 1"
    ):
        model.process([PIXELS[0], tmp_path / "none.png"])
    with pytest.raises(ValueError, match=r"texts must be .* as tokenize gives them, got list"):
        model.encode_text(model.params, ["a"])


def test_a_siglip_without_a_padding_token_or_with_spiece_alone_is_refused(tmp_path):
    folder = make_images(tmp_path / "siglip", "siglip", tokenizer_config={"pad_token": None})
    refused(folder, "pad_token must be a token of tokenizer.json: the model reads its padding")
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(b"")
    refused(folder, "spiece.model is not read: take tokenizer.json", FileNotFoundError)


def test_siglips_own_tokenizer_drops_punctuation(tmp_path):
    folder = make_images(
        tmp_path / "siglip", "siglip", tokenizer_config={"tokenizer_class": "SiglipTokenizer"}
    )
    model = pretrained.load(folder)
    plain, dotted = model.tokens(["red round", " Red,\n(round)! : "])
    np.testing.assert_array_equal(plain, dotted)
