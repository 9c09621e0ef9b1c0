"""Parameter names of image encoders: ours, and those of torchvision's and timm's files.

Ours are paths in the variables, such as "params/stage_1_0/conv_1/kernel"; theirs are tensors, such as
"layer1.0.conv1.weight". A "*" in their name is the leaf: weight, bias, running_mean, running_var.
Kernels are transposed on the way: dense ones from [out, in], convolutions' from [out, in, height, width].
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxsim import encoders
from jaxsim.pretrained import _weights as weights

RESNET, TORCHVISION_VIT, TIMM_VIT = "resnet", "torchvision vit", "timm vit"
SIGNS = {  # a tensor that only this layout has
    RESNET: "bn1.weight",
    TORCHVISION_VIT: "conv_proj.weight",
    TIMM_VIT: "patch_embed.proj.weight",
}
NAMES = {  # {ours: theirs}, or {ours: (theirs, place, of how many)}; "#" is a number
    RESNET: {
        "conv": "conv1.*",
        "norm": "bn1.*",
        "stage_#_#/conv_#": "layer#.#.conv#.*",
        "stage_#_#/norm_#": "layer#.#.bn#.*",
        "stage_#_#/shortcut_conv": "layer#.#.downsample.0.*",
        "stage_#_#/shortcut_norm": "layer#.#.downsample.1.*",
        "head": "fc.*",
    },
    TORCHVISION_VIT: {
        "class_token": "class_token",
        "positions": "encoder.pos_embedding",
        "patches": "conv_proj.*",
        "layer_#/attention_norm": "encoder.layers.encoder_layer_#.ln_1.*",
        "layer_#/query": ("encoder.layers.encoder_layer_#.self_attention.in_proj_*", 0, 3),
        "layer_#/key": ("encoder.layers.encoder_layer_#.self_attention.in_proj_*", 1, 3),
        "layer_#/value": ("encoder.layers.encoder_layer_#.self_attention.in_proj_*", 2, 3),
        "layer_#/attention_out": "encoder.layers.encoder_layer_#.self_attention.out_proj.*",
        "layer_#/feed_forward_norm": "encoder.layers.encoder_layer_#.ln_2.*",
        "layer_#/feed_forward_in": "encoder.layers.encoder_layer_#.mlp.0.*",
        "layer_#/feed_forward_out": "encoder.layers.encoder_layer_#.mlp.3.*",
        "norm": "encoder.ln.*",
        "head": "heads.head.*",
    },
    TIMM_VIT: {
        "class_token": "cls_token",
        "positions": "pos_embed",
        "patches": "patch_embed.proj.*",
        "layer_#/attention_norm": "blocks.#.norm1.*",
        "layer_#/query": ("blocks.#.attn.qkv.*", 0, 3),
        "layer_#/key": ("blocks.#.attn.qkv.*", 1, 3),
        "layer_#/value": ("blocks.#.attn.qkv.*", 2, 3),
        "layer_#/attention_out": "blocks.#.attn.proj.*",
        "layer_#/feed_forward_norm": "blocks.#.norm2.*",
        "layer_#/feed_forward_in": "blocks.#.mlp.fc1.*",
        "layer_#/feed_forward_out": "blocks.#.mlp.fc2.*",
        "norm": "norm.*",
        "head": "head.*",
    },
}
LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
COUNTER = ".num_batches_tracked"  # of torch's batch norms, which nothing here reads
_OLD = {"mlp.linear_1.": "mlp.0.", "mlp.linear_2.": "mlp.3."}  # of torchvision's first vit files
_HEADS = {1280: 16, 1408: 16, 1664: 16}  # of widths whose heads are not of 64 dimensions


def modern(tensors: Mapping[str, weights.Entry]) -> dict[str, weights.Entry]:
    """Tensors by their current names: torchvision's first vision transformers named two differently."""
    return {_modern(name): entry for name, entry in tensors.items()}


def layout_of(path: Any, tensors: Mapping[str, weights.Entry]) -> str:
    """Whose names the tensors have.

    Raises: ValueError for a file of another kind.
    """
    for layout, sign in SIGNS.items():
        if sign in tensors:
            return layout
    wanted = ", ".join(f"{sign!r} of a {layout}" for layout, sign in SIGNS.items())
    raise ValueError(f"{path}: tensors must hold one of {wanted}, got {len(tensors)} others")


def resnet(tensors: Mapping[str, weights.Entry]) -> encoders.ResNet:
    """The ResNet of the shapes of its tensors; a first convolution of 3 x 3 is a small stem."""
    side = shape_of(tensors, "conv1.weight", 4)[-1]
    if side not in (3, 7):
        raise wrong(tensors, "conv1.weight", "a convolution of 7 x 7, or of 3 x 3")
    blocks = []
    while stem := _count(tensors, f"layer{len(blocks) + 1}."):
        blocks.append(stem)
    if not blocks:
        path = tensors["conv1.weight"].path
        raise ValueError(f"{path}: tensors must hold 'layer1.0.conv1.weight', as a resnet does")
    return encoders.ResNet(
        blocks=tuple(blocks),
        widths=tuple(
            shape_of(tensors, f"layer{stage}.0.conv1.weight", 4)[0]
            for stage in range(1, len(blocks) + 1)
        ),
        bottleneck="layer1.0.conv3.weight" in tensors,
        classes=_classes(tensors, "fc.weight"),
        stem="large" if side == 7 else "small",
    )


def vision_transformer(
    layout: str,
    tensors: Mapping[str, weights.Entry],
    *,
    heads: int | None,
    image: tuple[int, int] | None,
) -> encoders.VisionTransformer:
    """The vision transformer of the shapes of its tensors.

    Args:
      layout: of the tensors.
      heads: None is dim / 64, and 16 for those widths of timm's and torchvision's where it is not.
      image: height and width; None is the square that its positions are for.
    """
    names = NAMES[layout]
    dim, _, patch, width = shape_of(tensors, tensor_name(layout, "patches/kernel"), 4)
    if patch != width:
        raise wrong(tensors, tensor_name(layout, "patches/kernel"), "patches as high as wide")
    layers = _count(tensors, names["layer_#/attention_norm"].split("#")[0])
    hidden = shape_of(tensors, tensor_name(layout, "layer_0/feed_forward_in/kernel"), 2)[0]
    class_token = names["class_token"] in tensors
    mean = layout == TIMM_VIT and "fc_norm.weight" in tensors
    if not mean and not class_token:
        path = tensors[SIGNS[layout]].path
        raise ValueError(
            f"{path}: tensors must hold {names['class_token']!r}, or 'fc_norm.weight' where the mean "
            "of the patches is what is normalized"
        )
    positions = shape_of(tensors, names["positions"], 3)[1]
    image = _image(tensors, names["positions"], positions - class_token, patch, image)
    if heads is None:
        heads = _HEADS.get(dim, dim // 64)
        if not heads or dim % heads:
            raise ValueError(f"heads must be named for a width of {dim}, which 64 does not divide")
    elif isinstance(heads, bool) or not isinstance(heads, int) or heads < 1 or dim % heads:
        raise ValueError(
            f"heads must be a whole number that divides the width {dim}, got {heads!r}"
        )
    biased = tensor_name(layout, "layer_0/query/bias") in tensors
    without = () if biased else ("query", "key", "value")
    style = encoders.Style(
        normalize=encoders.layer_norm(1e-6),
        biases=tuple(name for name in encoders.Style().biases if name not in without),
    )
    return encoders.VisionTransformer(
        image=image,
        patch=patch,
        dim=dim,
        layers=layers,
        heads=heads,
        hidden=hidden,
        pooling="mean" if mean else "cls",
        class_token=class_token,
        classes=_classes(tensors, tensor_name(layout, "head/kernel")),
        style=style,
    )


def places_of(
    layout: str, module: Any, shapes: Mapping[str, tuple], tensors: Mapping[str, weights.Entry]
) -> dict[str, tuple]:
    """Where each of our arrays is: {our path: (their name, place, of how many)}.

    Raises: ValueError naming a tensor that is missing, has another shape, or has no place in the model.
    """
    mean = getattr(module, "pooling", None) == "mean"
    places = {path: _theirs(layout, path, mean) for path in shapes}
    path = next(iter(tensors.values())).path
    for ours, (name, _, of) in places.items():
        if name not in tensors:
            raise ValueError(
                f"{path}: tensors must hold {name!r}, as a {layout} of these shapes does"
            )
        wanted = _their_shape(ours, shapes[ours], of)
        if tensors[name].shape != wanted:
            raise wrong(tensors, name, f"of shape {wanted} in a {layout} of these shapes")
    used = {name for name, _, _ in places.values()}
    for name in sorted(set(tensors) - used):
        if not name.endswith(COUNTER):
            raise ValueError(
                f"{path}: {name} has no place in a {layout}, which would leave it out: the file is of "
                "another model"
            )
    return places


def ours_of(
    places: Mapping[str, tuple], shapes: Mapping[str, tuple], tensors: Mapping[str, weights.Entry]
) -> dict[str, np.ndarray]:
    """Converts a file's tensors to {our path: float32 array}."""
    paths = {}
    for path, (name, _, _) in places.items():
        paths.setdefault(name, []).append(path)
    arrays = {}
    for name, array in weights.parameters({name: tensors[name] for name in paths}):
        for path in paths[name]:
            _, place, of = places[path]
            part = np.split(array, of)[place] if of > 1 else array
            if path.endswith("/kernel"):
                part = part.T if part.ndim == 2 else part.transpose(2, 3, 1, 0)
            # Reshaped last: a contiguous copy of a scalar has an axis.
            arrays[path] = np.ascontiguousarray(part, np.float32).reshape(shapes[path])
    return arrays


def theirs_of(places: Mapping[str, tuple], arrays: Mapping[str, np.ndarray]) -> dict:
    """Converts our arrays to a file's tensors: the inverse of `ours_of`."""
    pieces = {}
    for path, array in arrays.items():
        name, place, _ = places[path]
        if path.endswith("/kernel"):
            array = array.T if array.ndim == 2 else array.transpose(3, 2, 0, 1)
        else:
            array = array.reshape(_their_shape(path, array.shape, 1))
        pieces.setdefault(name, {})[place] = array
    return {
        name: np.concatenate([parts[place] for place in sorted(parts)])
        for name, parts in pieces.items()
    }


def tensor_name(layout: str, path: str) -> str:
    """Their name of one of our paths, without its collection: "head/kernel" -> "fc.weight"."""
    return _theirs(layout, f"params/{path}", False)[0]


def shape_of(tensors: Mapping[str, weights.Entry], name: str, dims: int) -> tuple[int, ...]:
    """The shape of a tensor that must be there, with so many dimensions, none of them 0."""
    if name not in tensors:
        path = next(iter(tensors.values())).path
        raise ValueError(f"{path}: tensors must hold {name!r}, as its other names say")
    if len(tensors[name].shape) != dims or 0 in tensors[name].shape:
        raise wrong(tensors, name, f"of {dims} dimensions, none of them empty")
    return tensors[name].shape


def wrong(tensors: Mapping[str, weights.Entry], name: str, wanted: str) -> ValueError:
    """The error of a tensor with another shape."""
    entry = tensors[name]
    return ValueError(f"{entry.path}: {name} must be {wanted}, got shape {entry.shape}")


def _theirs(layout, path, mean):
    """(tensor name, place, of how many) of one of our paths, which begins with its collection."""
    _, *module, leaf = path.split("/")
    if leaf not in LEAVES:
        module = [*module, leaf]  # of the model itself: its class token, its positions
    ours = "/".join(module)
    numbers = re.findall(r"(?<=_)\d+", ours)
    entry = NAMES[layout][re.sub(r"(?<=_)\d+", "#", ours)]
    name, place, of = (entry, 0, 1) if isinstance(entry, str) else entry
    for number in numbers:
        name = name.replace("#", number, 1)
    if layout == TIMM_VIT and mean and ours == "norm":
        name = "fc_norm.*"
    return name.replace("*", LEAVES.get(leaf, "")), place, of


def _their_shape(path, shape, of):
    if path.endswith("/kernel"):
        shape = shape[::-1] if len(shape) == 2 else (shape[3], shape[2], shape[0], shape[1])
    elif path.endswith("/class_token"):
        shape = (1, 1, *shape)
    elif path.endswith("/positions"):
        shape = (1, *shape)
    return (shape[0] * of, *shape[1:])


def _count(tensors, stem):
    """How many numbers follow a stem: from 0 to it all must be there."""
    numbers = {name.removeprefix(stem).split(".")[0] for name in tensors if name.startswith(stem)}
    for number in range(len(numbers)):
        if str(number) not in numbers:
            path = next(iter(tensors.values())).path
            raise ValueError(
                f"{path}: tensors must hold '{stem}{number}', as others after it are there"
            )
    return len(numbers)


def _classes(tensors, name):
    return shape_of(tensors, name, 2)[0] if name in tensors else None


def _image(tensors, name, patches, patch, image):
    """Height and width in pixels that as many patches cover."""
    if image is None:
        side = math.isqrt(max(patches, 0))
        if not patches or side**2 != patches:
            raise wrong(tensors, name, "of a square of patches and the class token, or image given")
        return side * patch, side * patch
    height, width = tuple(image) if np.shape(image) == (2,) else (0, 0)
    if (
        min(height, width) < 1
        or height % patch
        or width % patch
        or height // patch * (width // patch) != patches
    ):
        raise ValueError(
            f"image must be of {patches} patches of {patch} pixels, as {name} has them, got {image}"
        )
    return height, width


def _modern(name):
    for old, new in _OLD.items():
        name = name.replace(old, new)
    return name
