"""Parameter names of towers: ours, and those of transformers' CLIP, SigLIP, ViT and DINOv2.

Ours are paths in the parameters, such as "text/transformer/layer_0/query/kernel"; theirs are tensors. A "*" in
their name is the leaf, weight or bias; a tensor that holds several of ours names each with its place among them.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxsim.pretrained import _weights as weights
from jaxsim.pretrained._image_names import ours_of as ours_of
from jaxsim.storage._fields import Fields

IMAGE_TEXT, IMAGES = ("clip", "siglip"), ("vit", "dinov2")
FAMILIES = (*IMAGE_TEXT, *IMAGES)


def _layers(ours, theirs, parts):
    """{our module of a layer: theirs}, below the stems of both."""
    result = {}
    for part, name in parts.items():
        single = isinstance(name, str)
        result[f"{ours}layer_#/{part}"] = theirs + name if single else (theirs + name[0], *name[1:])
    return result


_CLIP_LAYER = {
    "attention_norm": "layer_norm1.*",
    "query": "self_attn.q_proj.*",
    "key": "self_attn.k_proj.*",
    "value": "self_attn.v_proj.*",
    "attention_out": "self_attn.out_proj.*",
    "feed_forward_norm": "layer_norm2.*",
    "feed_forward_in": "mlp.fc1.*",
    "feed_forward_out": "mlp.fc2.*",
}
_TOWERS = {  # of CLIP and SigLIP
    "text/transformer/tokens": "text_model.embeddings.token_embedding.*",
    "text/transformer/positions": "text_model.embeddings.position_embedding.*",
    "text/transformer/norm": "text_model.final_layer_norm.*",
    **_layers("text/transformer/", "text_model.encoder.layers.#.", _CLIP_LAYER),
    "image/patches": "vision_model.embeddings.patch_embedding.*",
    "image/positions": "vision_model.embeddings.position_embedding.weight",
    "image/norm": "vision_model.post_layernorm.*",
    **_layers("image/", "vision_model.encoder.layers.#.", _CLIP_LAYER),
    "logit_scale": "logit_scale",
}
_HEAD = "vision_model.head."
_VIT = {
    "class_token": "embeddings.cls_token",
    "positions": "embeddings.position_embeddings",
    "patches": "embeddings.patch_embeddings.projection.*",
    "norm": "layernorm.*",
}
_VIT_ATTENTION = {
    "query": "attention.attention.query.*",
    "key": "attention.attention.key.*",
    "value": "attention.attention.value.*",
    "attention_out": "attention.output.dense.*",
}
_DINOV2 = {
    **_VIT_ATTENTION,
    "attention_norm": "norm1.*",
    "attention_scale": "layer_scale1.lambda1",
    "feed_forward_norm": "norm2.*",
    "feed_forward_scale": "layer_scale2.lambda1",
}
_PLAIN = {"feed_forward_in": "mlp.fc1.*", "feed_forward_out": "mlp.fc2.*"}
_GATED = {
    "feed_forward_gate": ("mlp.weights_in.*", 0, 2),
    "feed_forward_in": ("mlp.weights_in.*", 1, 2),
    "feed_forward_out": "mlp.weights_out.*",
}
NAMES = {  # {ours: theirs}, or {ours: (theirs, place, of how many)}; "#" is a number
    "clip": {
        **_TOWERS,
        "text/projection": "text_projection.*",
        "image/class_token": "vision_model.embeddings.class_embedding",
        "image/embedding_norm": "vision_model.pre_layrnorm.*",
        "image/projection": "visual_projection.*",
    },
    "siglip": {
        **_TOWERS,
        "text/heads_0/linear": "text_model.head.*",
        "image/map_head/query_token": f"{_HEAD}probe",
        "image/map_head/query": (f"{_HEAD}attention.in_proj_*", 0, 3),
        "image/map_head/key": (f"{_HEAD}attention.in_proj_*", 1, 3),
        "image/map_head/value": (f"{_HEAD}attention.in_proj_*", 2, 3),
        "image/map_head/attention_out": f"{_HEAD}attention.out_proj.*",
        "image/map_head/norm": f"{_HEAD}layernorm.*",
        "image/map_head/feed_forward_in": f"{_HEAD}mlp.fc1.*",
        "image/map_head/feed_forward_out": f"{_HEAD}mlp.fc2.*",
        "logit_bias": "logit_bias",
    },
    "vit": {
        **_VIT,
        **_layers(
            "",
            "encoder.layer.#.",
            {
                **_VIT_ATTENTION,
                "attention_norm": "layernorm_before.*",
                "feed_forward_norm": "layernorm_after.*",
                "feed_forward_in": "intermediate.dense.*",
                "feed_forward_out": "output.dense.*",
            },
        ),
    },
    "dinov2": {**_VIT, **_layers("", "encoder.layer.#.", {**_DINOV2, **_PLAIN})},
    "dinov2 gated": {**_VIT, **_layers("", "encoder.layer.#.", {**_DINOV2, **_GATED})},
}
LEAVES = {"kernel": "weight", "embedding": "weight", "scale": "weight", "bias": "bias"}
# What a file may hold and nothing here reads: it is kept for `save`.
REST = re.compile(r"(.*\.position_ids|pooler\..*|classifier\..*|(.*\.)?embeddings\.mask_token)")


def prefix_of(family: str, tensors: Mapping[str, weights.Entry]) -> str:
    """What precedes the names of a model in a file of a model with a head: "vit." of a classifier."""
    prefix = f"{family}."
    return prefix if any(name.startswith(prefix) for name in tensors) else ""


def check_layers(
    fields: Fields, name: str, stem: str, layers: int, tensors: Mapping[str, weights.Entry]
) -> None:
    """Compares a config's number of layers with the tensors, before anything is built.

    Args:
      fields: the config, or its part of one tower.
      name: of the field.
      stem: what the names of the layers' tensors begin with, up to the number.
      layers: the number of the config.
      tensors: {their name: entry}.

    Raises: ValueError naming the field.
    """
    numbers = {part.removeprefix(stem).split(".")[0] for part in tensors if part.startswith(stem)}
    count = 1 + max((int(number) for number in numbers if number.isdecimal()), default=-1)
    if count != layers:
        raise fields.wrong(name, f"{count}, the number of layers that its tensors have")


def places_of(
    names: Mapping[str, Any],
    prefix: str,
    shapes: Mapping[str, tuple],
    tensors: Mapping[str, weights.Entry],
    config: Fields,
) -> dict[str, tuple]:
    """Where each of our arrays is: {our path: (their name, place, of how many)}.

    Args:
      names: of NAMES.
      prefix: of their names.
      shapes: {our path: shape}.
      tensors: {their name: entry}.
      config: config.json, for errors.

    Raises: ValueError naming a tensor that is missing, has another shape, or has no place in the model.
    """
    places = {path: _theirs(names, prefix, path) for path in shapes}
    path = next((entry.path for entry in tensors.values()), config.path)
    family = config.text("model_type")
    for ours, (name, _, of) in places.items():
        if name not in tensors:
            raise ValueError(
                f"{path}: tensors must hold {name!r}, as a {family!r} of this config does"
            )
        wanted, shape = _turned(ours, shapes[ours]), tensors[name].shape
        wanted = (wanted[0] * of, *wanted[1:]) if of > 1 else wanted
        bare = (
            ours.rpartition("/")[2] not in LEAVES
        )  # class tokens, positions, scalars: 1s do not count
        if _sides(shape, bare) != _sides(wanted, bare):
            raise ValueError(
                f"{tensors[name].path}: {name} must have shape {wanted} in a "
                f"{family!r} of this config, got {shape}"
            )
    used = {name for name, _, _ in places.values()}
    for name in sorted(set(tensors) - used):
        if not REST.fullmatch(name.removeprefix(prefix)):
            raise ValueError(
                f"{tensors[name].path}: {name} has no place in a {family!r} of this config, which would leave "
                "it out: the config is of another model, or the tensor is of an adapter"
            )
    return places


def theirs_of(
    places: Mapping[str, tuple], shapes: Mapping[str, tuple], arrays: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Converts our arrays to a file's tensors: the inverse of `ours_of`.

    Args:
      places: as `places_of` gives them.
      shapes: {their name: shape} in the file that was read.
      arrays: {our path: array}.
    """
    pieces = {}
    for path, array in arrays.items():
        name, place, _ = places[path]
        if path.endswith("/kernel"):
            array = array.T if array.ndim == 2 else array.transpose(3, 2, 0, 1)
        pieces.setdefault(name, {})[place] = array
    result = {}
    for name, parts in pieces.items():
        whole = [parts[place] for place in sorted(parts)]
        array = np.concatenate(whole) if len(whole) > 1 else whole[0]
        result[name] = array.reshape(shapes[name])
    return result


def _turned(path, shape):
    """A shape of ours as torch has it: kernels are transposed."""
    if not path.endswith("/kernel"):
        return tuple(shape)
    return shape[::-1] if len(shape) == 2 else (shape[3], shape[2], shape[0], shape[1])


def _sides(shape, bare):
    return [side for side in shape if side != 1] if bare else list(shape)


def _theirs(names, prefix, path):
    """(tensor name, place, of how many) of one of our paths."""
    ours = re.sub(r"(?<=layer_)\d+", "#", path)
    leaf = ""
    if ours not in names:
        ours, _, leaf = ours.rpartition("/")
    entry = names[ours]
    name, place, of = (entry, 0, 1) if isinstance(entry, str) else entry
    if number := re.search(r"layer_(\d+)", path):
        name = name.replace("#", number[1], 1)
    return prefix + name.replace("*", LEAVES.get(leaf, "")), place, of
