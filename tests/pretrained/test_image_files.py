"""Files of image encoders, without torch: in and out, normalized images, and what is refused by name."""

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxsim import encoders, pretrained
from jaxsim.pretrained import _image_names as names
from jaxsim.pretrained._model import flat

SIZES = {"image": (8, 8), "patch": 4, "dim": 64, "layers": 2, "heads": 1, "hidden": 12}
MODELS = {  # name: (layout, module)
    "resnet": (
        "resnet",
        encoders.ResNet(blocks=(1, 2), widths=(4, 6), bottleneck=True, classes=3, stem="small"),
    ),
    "torchvision vit": ("torchvision vit", encoders.VisionTransformer(**SIZES, classes=3)),
    "timm vit": ("timm vit", encoders.VisionTransformer(**SIZES)),
    "timm vit of the mean": ("timm vit", encoders.VisionTransformer(**SIZES, pooling="mean")),
}
IMAGES = np.random.default_rng(1).random((2, 8, 8, 3), np.float32)


def tensors(name):
    """A file's tensors, and our arrays of them: {path: array}."""
    layout, module = MODELS[name]
    shapes = flat(jax.eval_shape(module.init, jax.random.key(0), IMAGES))
    rng = np.random.default_rng(0)
    arrays = {path: rng.uniform(0.1, 1, a.shape).astype(np.float32) for path, a in shapes.items()}
    mean = getattr(module, "pooling", None) == "mean"
    theirs = names.theirs_of({path: names._theirs(layout, path, mean) for path in arrays}, arrays)
    theirs = {tensor: np.ascontiguousarray(array) for tensor, array in theirs.items()}
    if layout == "resnet":
        theirs["bn1.num_batches_tracked"] = np.array(7)
    return theirs, arrays


def written(path, changes, name="resnet"):
    """A file with some tensors changed; None removes one."""
    theirs = tensors(name)[0] | changes
    save_file({name: array for name, array in theirs.items() if array is not None}, path)
    return path


@pytest.mark.thorough
@pytest.mark.parametrize("name", MODELS)
def test_a_file_comes_in_and_goes_out(name, tmp_path):
    layout, module = MODELS[name]
    theirs, arrays = tensors(name)
    path = written(tmp_path / "model.safetensors", {}, name)
    model = pretrained.load_image_model(path)
    assert model.layout == layout
    found = flat(model.params)
    assert set(found) == set(arrays)
    for ours, array in arrays.items():
        np.testing.assert_array_equal(found[ours], array)
    _, seen = module.apply(model.params, IMAGES, features=True)
    np.testing.assert_allclose(model.encode(model.params, IMAGES), seen, rtol=1e-4, atol=1e-5)
    saved = load_file(model.save(tmp_path / "deep" / "out.safetensors"))
    assert set(saved) == set(theirs)
    for tensor, array in theirs.items():
        np.testing.assert_array_equal(saved[tensor], array)
        assert saved[tensor].shape == array.shape
    again = pretrained.load_image_model(tmp_path)  # a folder with model.safetensors
    jax.tree.map(np.testing.assert_array_equal, again.params, model.params)


def test_trained_parameters_are_saved(tmp_path):
    model = pretrained.load_image_model(written(tmp_path / "in.safetensors", {}))
    grown = jax.tree.map(lambda a: a + 1, model.params)
    path = model.replace(params=grown).save(tmp_path / "out.safetensors")
    np.testing.assert_array_equal(
        load_file(path)["fc.weight"], tensors("resnet")[0]["fc.weight"] + 1
    )
    spoiled = jax.tree.map(lambda a: a * np.nan, model.params)
    for params, message in (
        (spoiled, "params must be finite, got NaN"),
        ({"params": model.params["params"]}, "params must hold batch_stats/norm/mean of shape"),
        (None, "params must be a dict of collections"),
    ):
        with pytest.raises(ValueError, match=message):
            model.replace(params=params).save(tmp_path / "new.safetensors")
    with pytest.raises(ValueError, match="path must be a file, got the folder"):
        model.save(tmp_path)
    assert not (tmp_path / "new.safetensors").exists()


def test_images_are_normalized(tmp_path):
    path = written(tmp_path / "in.safetensors", {})
    model = pretrained.load_image_model(path)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype(np.uint8)
    expected = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(model.normalize(pixels), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        model.normalize(np.float32(pixels / 255)), expected, rtol=1e-5, atol=1e-6
    )
    model = pretrained.load_image_model(path, mean=(0, 0.5, 1), std=(1, 2, 4))
    expected = (pixels / 255 - [0, 0.5, 1]) / [1, 2, 4]
    np.testing.assert_allclose(model.normalize(pixels), expected, rtol=1e-5, atol=1e-6)
    for images, message in (
        (np.int32(pixels), "images must be uint8, or floats from 0 to 1, got int32"),
        (pixels[..., :2], "images must be .*channels of the model"),
    ):
        with pytest.raises(ValueError, match=message):
            model.normalize(images)
    for settings, message in (
        ({"mean": (0.5,)}, r"mean must be 3 numbers, one per channel, got \(0.5,\)"),
        ({"std": (0, 1, 1)}, "std must be > 0"),
        ({"heads": 2}, "heads and image must be None for a resnet"),
    ):
        with pytest.raises(ValueError, match=message):
            pretrained.load_image_model(path, **settings)


def zeros(*shape):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bn1.weight": None}, "tensors must hold one of 'bn1.weight' of a resnet, .* got"),
        ({"conv1.weight": None}, "tensors must hold 'conv1.weight', as its other names say"),
        ({"conv1.weight": zeros(4, 3, 5, 5)}, "conv1.weight must be a convolution of 7 x 7, or"),
        ({"conv1.weight": zeros(4, 3)}, "conv1.weight must be of 4 dimensions, none of them empty"),
        ({"layer1.0.bn2.weight": None}, "tensors must hold 'layer1.0.bn2.weight', as a resnet"),
        ({"layer2.0.bn1.bias": None}, "tensors must hold 'layer2.0.bn1.bias'"),
        ({"layer2.3.conv1.weight": zeros(4, 4, 3, 3)}, "tensors must hold 'layer2.2', as others"),
        (
            {"layer1.0.conv2.weight": zeros(4, 2, 3, 3)},
            r"must be of shape \(4, 4, 3, 3\) in a resnet",
        ),
        ({"layer1.0.se.fc.weight": zeros(4)}, "layer1.0.se.fc.weight has no place in a resnet"),
        ({"fc.bias": np.full(3, np.nan, np.float32)}, "fc.bias must be finite"),
        ({"fc.bias": np.zeros(3, np.int8)}, "fc.bias must be one of F64, .* got I8"),
    ],
)
def test_other_tensors_of_a_resnet_are_refused(changes, message, tmp_path):
    path = written(tmp_path / "in.safetensors", changes)
    with pytest.raises(ValueError, match=message) as caught:
        pretrained.load_image_model(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        (
            {"pos_embed": zeros(1, 4, 64)},
            {},
            "pos_embed must be of a square of patches and the class",
        ),
        (
            {"pos_embed": zeros(1, 7, 64)},
            {"image": (8, 8)},
            "image must be of 6 patches of 4 pixels",
        ),
        ({}, {"image": 8}, "image must be of 4 patches of 4 pixels, .* got 8"),
        ({}, {"heads": 5}, "heads must be a whole number that divides the width 64, got 5"),
        ({"cls_token": None}, {}, "tensors must hold 'cls_token', or 'fc_norm.weight'"),
        ({"blocks.0.ls1.gamma": zeros(64)}, {}, "blocks.0.ls1.gamma has no place in a timm vit"),
        ({"patch_embed.proj.weight": zeros(64, 3, 4, 2)}, {}, "patches as high as wide"),
        ({"blocks.1.norm1.weight": zeros(63)}, {}, r"must be of shape \(64,\) in a timm vit"),
    ],
)
def test_other_tensors_of_a_vision_transformer_are_refused(changes, settings, message, tmp_path):
    path = written(tmp_path / "in.safetensors", changes, "timm vit")
    with pytest.raises(ValueError, match=message) as caught:
        pretrained.load_image_model(path, **settings)
    assert "\n" not in str(caught.value)


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        pretrained.load_image_model(tmp_path / "missing.safetensors")
    (tmp_path / "model.pth").write_bytes(b"PK\3\4 a pickle")
    with pytest.raises(ValueError, match="not a safetensors file, or damaged"):
        pretrained.load_image_model(tmp_path / "model.pth")
    save_file({}, tmp_path / "empty.safetensors")
    with pytest.raises(ValueError, match=r"tensors must hold one of .* got 0 others"):
        pretrained.load_image_model(tmp_path / "empty.safetensors")
