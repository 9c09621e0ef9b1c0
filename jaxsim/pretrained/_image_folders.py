"""Loads models with an image side from folders: CLIP, SigLIP, ViT and DINOv2."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import unit
from jaxsim.numerics._copies import copied
from jaxsim.pretrained import (
    _families as families,
    _functions as functions,
    _image_processor as image_processor,
    _modules as modules,
    _tokenizer_files as tokenizer_files,
    _tower_names as names,
    _towers as towers,
    _weights as weights,
)
from jaxsim.pretrained._image_models import ImageTextModel, KeptTowers, VisionModel
from jaxsim.pretrained._model import flat, nested
from jaxsim.storage._fields import Fields, read_json, read_object

_PARTS = ("CLIPModel", "Transformer", "Normalize")


class Place(NamedTuple):
    """Where a model with an image side is in its folder."""

    inner: str  # "" for the folder itself
    places: tuple[str, ...]  # the folders of all parts
    normalized: bool  # whether vectors are


def place_of(folder: Path) -> Place | None:
    """Where the model with an image side is; None for a folder of any other model.

    A folder of sentence-transformers holds it in its first part, such as 0_CLIPModel.

    Raises: ValueError for parts after it that are not supported, by name.
    """
    path = folder / "modules.json"
    tree = read_json(path, missing=[])
    parts = Fields(path, {"parts": tree}).objects("parts")
    inner = modules.folder_of(parts[0]) if parts else ""
    config = folder / inner / "config.json"
    if not config.is_file():
        return None
    if read_object(config).raw("model_type") not in names.FAMILIES:
        return None
    kinds = []
    for number, part in enumerate(parts):
        kind = part.text("type").split(".")[-1]
        first = kind in _PARTS[:2]
        if kind not in _PARTS or not part.text("type").startswith("sentence_transformers."):
            raise part.wrong("type", "a CLIPModel or Transformer, then perhaps a Normalize")
        if first != (number == 0):
            raise part.wrong("type", "a CLIPModel or Transformer first and nowhere else")
        kinds.append(kind)
    places = tuple(modules.folder_of(part) for part in parts) or ("",)
    return Place(inner, places, "Normalize" in kinds)


def load(
    folder: Path, place: Place, *, dtype: Any, max_length: int | None, cudnn: bool
) -> ImageTextModel | VisionModel:
    """Loads a model with an image side.

    Args:
      folder: the whole folder.
      place: as `place_of` gives it.
      dtype, max_length, cudnn: as for `pretrained.load`.

    Raises: as `pretrained.load` does.
    """
    inner = folder / place.inner
    config = read_object(inner / "config.json")
    family = config.text("model_type", choices=names.FAMILIES)
    if dtype is not None and not jnp.issubdtype(families.dtype_of(dtype), jnp.floating):
        raise ValueError(f"dtype must be a type of floats, such as jnp.bfloat16, got {dtype!r}")
    if "quantization_config" in config:
        raise config.wrong("quantization_config", "missing: quantized weights are not supported")
    tensors = weights.entries(inner)
    processor = image_processor.read(inner, family)
    if processor.shape is None:
        raise ValueError(
            f"{inner / image_processor.FILE}: size must have height and width, or do_center_crop must be true: "
            "pictures must come out in one size"
        )
    prefix = names.prefix_of(family, tensors)
    image = towers.image_tower(
        config, tensors, prefix, image=processor.shape, dtype=dtype, cudnn=cudnn
    )
    table = names.NAMES["dinov2 gated" if family == "dinov2" and image.style.gated else family]
    pictures = jax.ShapeDtypeStruct((1, *image.image, towers.CHANNELS), jnp.float32)
    shapes = _shapes(image, pictures, "image/" if family in names.IMAGE_TEXT else "")
    common = {"config": dict(config.tree), "processor": processor}
    unit_head = unit if place.normalized else None
    if family in names.IMAGES:
        if max_length is not None:
            raise ValueError(f"max_length must be None for a {family!r}, which reads no texts")
        params, kept = _filled(folder, place, config, table, prefix, shapes, tensors)
        return VisionModel(
            **common,
            params=params,
            module=image,
            kept=kept,
            encode_image=functions.of_images(image, head=unit_head),
        )
    text, fields = towers.text_tower(config, tensors, dtype=dtype, cudnn=cudnn)
    tokenizer = tokenizer_files.read(
        inner,
        family=family,
        vocabulary=text.transformer.vocabulary,
        longest=text.transformer.max_length,
        max_length=max_length,
    )
    if family == "clip":
        _check_end(fields, tokenizer)
    if unit_head is not None:
        text = text.clone(heads=(*text.heads, unit_head))
    settings = modules.settings(folder)
    modules.check_kind(folder, settings, "SentenceTransformer")
    if settings.truncate_dim is not None:
        raise ValueError(
            f"{folder / modules.SETTINGS}: truncate_dim must be null for a model with an image side, got "
            f"{settings.truncate_dim}"
        )
    words = {"tokens": np.zeros((1, 1), np.int32), "where": np.ones((1, 1), bool)}
    shapes |= _shapes(text, words, "text/")
    shapes |= dict.fromkeys(("logit_scale", "logit_bias")[: 2 if family == "siglip" else 1], ())
    params, kept = _filled(folder, place, config, table, prefix, shapes, tensors)
    return ImageTextModel(
        **common,
        params=params,
        module=towers.Towers(image, text),
        tokenizer=tokenizer,
        kept=kept,
        encode=functions.of_texts(text, "texts", at="text"),
        encode_layers=functions.of_texts(text, "texts", at="text", all_layers=True),
        encode_image=functions.of_images(image, at="image", head=unit_head),
        prompts=settings.prompts,
        default_prompt=settings.default_prompt,
        similarity=settings.similarity,
    )


def _check_end(fields, tokenizer):
    """CLIP takes the state of the end-of-text token: texts must end with it."""
    _, after = tokenizer_files.ends(tokenizer.backend)
    end = fields.whole("eos_token_id")
    if not after or end not in (2, after[-1]):
        raise fields.wrong(
            "eos_token_id",
            f"the last token of every text, {after[-1] if after else 'which has none'}",
        )


def _shapes(module, inputs, start):
    """{path: shape} of a module's parameters, without making them."""
    tree = jax.eval_shape(module.init, jax.random.key(0), inputs)["params"]
    return {start + path: leaf.shape for path, leaf in sorted(flat(tree).items())}


def _filled(folder, place, config, table, prefix, shapes, tensors):
    """The parameters of a file, and what `save` needs."""
    inner = folder / place.inner
    places = names.places_of(table, prefix, shapes, tensors, config)
    arrays = names.ours_of(places, shapes, tensors)
    used = {name for name, _, _ in places.values()}
    unused = {name: entry for name, entry in tensors.items() if name not in used}
    kept = KeptTowers(
        files=modules.small_files(folder, place.places, inner),
        transformer=place.inner,
        prefix=prefix,
        rest=weights.read(unused),
        dense={},
        shapes=shapes,
        places=places,
        theirs={name: tensors[name].shape for name in used},
    )
    return {"params": nested({path: copied(arrays[path]) for path in shapes})}, kept
