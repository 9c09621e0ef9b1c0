"""Towers of transformers' configs: vision transformers, and the text towers next to them.

Families: clip, siglip, vit, dinov2.
"""

from typing import Any, NamedTuple

import jax

from jaxsim import encoders
from jaxsim.pretrained import _families as families, _tower_names as names
from jaxsim.storage._fields import Fields

CHANNELS = 3
_TEXT = {  # what transformers' configs leave out where it is the usual
    "clip": {
        "vocab_size": 49408,
        "hidden_size": 512,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "num_attention_heads": 8,
        "max_position_embeddings": 77,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
        "eos_token_id": 49407,
    },
    "siglip": {
        "vocab_size": 32000,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "max_position_embeddings": 64,
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-6,
        "pad_token_id": 1,
    },
}
_BASE = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
}
_VISION = {
    "clip": _BASE | {"patch_size": 32, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5},
    "siglip": _BASE | {"patch_size": 16, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6},
    "vit": _BASE | {"patch_size": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-12},
    "dinov2": _BASE | {"patch_size": 14, "hidden_act": "gelu", "layer_norm_eps": 1e-6},
}


class Towers(NamedTuple):
    """The Linen modules of a model of images and texts."""

    image: encoders.VisionTransformer
    text: encoders.TextEncoder

    @property
    def transformer(self) -> encoders.Transformer:
        """The text tower's transformer."""
        return self.text.transformer

    @property
    def heads(self) -> tuple:
        """What comes after the text tower's pooling and projection."""
        return self.text.heads


class Text(NamedTuple):
    """A text tower, and what it asks of its tokenizer."""

    module: encoders.TextEncoder
    fields: Fields  # of text_config


def image_tower(
    config: Fields,
    tensors: dict,
    prefix: str,
    *,
    image: tuple[int, int] | None,
    dtype: Any,
    cudnn: bool,
) -> encoders.VisionTransformer:
    """Builds the vision transformer of a config.

    Args:
      config: config.json.
      tensors: {name: entry}, which the number of layers must fit.
      prefix: of their names.
      image: height and width in pixels that come out of the image processor.
      dtype, cudnn: as for `pretrained.load`.

    Raises: ValueError for settings that are not here or do not fit, by name.
    """
    family = config.text("model_type", choices=names.FAMILIES)
    dual = family in names.IMAGE_TEXT
    fields = _part(config, "vision_config", _VISION[family]) if dual else _filled(config, family)
    stem = "vision_model.encoder.layers." if dual else "encoder.layer."
    sizes = _sizes(fields, prefix + stem, tensors)
    if fields.whole("num_channels") != CHANNELS:
        raise fields.wrong("num_channels", "3: pictures are of red, green and blue")
    patch = _side(fields, "patch_size")
    sides = _square(fields, "image_size")
    if any(side % patch for side in sides):
        raise fields.wrong("image_size", f"a multiple of patch_size={patch}")
    image = sides if image is None else image
    if image != sides and (family != "dinov2" or any(side % patch for side in image)):
        raise ValueError(
            f"{config.path}: image_size must be {image}, what comes out of the image processor, got {sides}"
        )
    settings = {"pooling": "cls", "table": tuple(side // patch for side in sides)}
    if family == "clip":
        settings |= {
            "start_norm": True,
            "patch_bias": False,
            "projection": config.whole("projection_dim", 512, least=1, most=families.WIDTH),
        }
    if family == "siglip":
        if not fields.flag("vision_use_head", True):
            raise fields.wrong("vision_use_head", "true: without a head nothing pools the patches")
        settings |= {"pooling": "map", "class_token": False}
    style = _style(fields)
    if family in names.IMAGES:
        settings["dropout"] = fields.number("hidden_dropout_prob", 0.0, least=0, most=1)
        if not fields.flag("qkv_bias", True):
            style["biases"] = ("attention_out", "feed_forward_in", "feed_forward_out")
    if family == "dinov2":
        style["layer_scale"] = fields.number("layerscale_value", 1.0)
        sizes["hidden"] = int(sizes["dim"] * fields.number("mlp_ratio", 4, above=0))
        if fields.flag("use_swiglu_ffn", False):
            sizes["hidden"] = (int(sizes["hidden"] * 2 / 3) + 7) // 8 * 8
            style |= {"gated": True, "activation": jax.nn.silu}
    return encoders.VisionTransformer(
        image=image,
        patch=patch,
        **sizes,
        **settings,
        initial=fields.number("initializer_range", 0.02, least=0),
        dtype=dtype,
        style=encoders.Style(**style),
        cudnn=cudnn,
    )


def text_tower(config: Fields, tensors: dict, *, dtype: Any, cudnn: bool) -> Text:
    """Builds the text tower of CLIP or SigLIP.

    CLIP's sees what comes before and takes the state of the end-of-text token: the first of eos_token_id, or of the
    highest number where that is 2, as the first configs had it. SigLIP's sees both ways, padding included, and
    takes the last state.

    Args: as for `image_tower`.
    Raises: ValueError for settings that are not here or do not fit, by name.
    """
    family = config.text("model_type", choices=names.IMAGE_TEXT)
    fields = _part(config, "text_config", _TEXT[family])
    sizes = _sizes(fields, "text_model.encoder.layers.", tensors)
    transformer = encoders.Transformer(
        vocabulary=fields.whole("vocab_size", least=1),
        **sizes,
        max_length=fields.whole("max_position_embeddings", least=1),
        segments=0,
        norm="pre",
        dropout=0.0,
        initial=fields.number("initializer_range", 0.02, least=0),
        causal=family == "clip",
        dtype=dtype,
        style=encoders.Style(**_style(fields)),
        cudnn=cudnn,
    )
    if family == "siglip":
        size = fields.whole("projection_size", sizes["dim"], least=1, most=families.WIDTH)
        head = encoders.DenseHead(size, _same)
        return Text(encoders.TextEncoder(transformer, encoders.last, heads=(head,)), fields)
    size = config.whole("projection_dim", 512, least=1, most=families.WIDTH)
    end = fields.whole("eos_token_id")
    place = encoders.highest_place if end == 2 else encoders.place_of(end)
    return Text(encoders.TextEncoder(transformer, dim=size, place=place), fields)


def _same(x):
    return x


def _part(config, name, usual):
    """The fields of one tower: what transformers 4 wrote under NAME_dict comes first, as it does there."""
    part, old = config.object(name, None), config.object(f"{name}_dict", None)
    tree = usual | ({} if part is None else _present(part.tree))
    if old is not None:
        tree |= usual | _present(old.tree)
    return Fields(config.path, tree, name)


def _filled(config, family):
    """The fields of a config of one tower, what it leaves out filled in."""
    return Fields(config.path, _VISION[family] | _present(config.tree))


def _present(tree):
    return {name: value for name, value in tree.items() if value is not None}


def _sizes(fields, stem, tensors):
    """Width, layers, heads and the width inside, checked against each other and the number of layers."""
    for name in ("attention_dropout", "attention_probs_dropout_prob"):
        fields.number(name, None, least=0, most=1)
    sizes = {
        "dim": fields.whole("hidden_size", least=1, most=families.WIDTH),
        "layers": fields.whole("num_hidden_layers", least=1, most=families.LAYERS),
        "heads": fields.whole("num_attention_heads", least=1, most=families.WIDTH),
        "hidden": fields.whole("intermediate_size", least=1, most=families.WIDTH),
    }
    if sizes["dim"] % sizes["heads"]:
        raise fields.wrong("num_attention_heads", f"a divisor of the width, {sizes['dim']}")
    names.check_layers(fields, "num_hidden_layers", stem, sizes["layers"], tensors)
    return sizes


def _style(fields):
    eps = fields.number("layer_norm_eps", least=0, most=1)
    return {
        "normalize": encoders.layer_norm(eps),
        "activation": families.activation(fields, "hidden_act", "gelu"),
    }


def _square(fields, name):
    """Height and width of a field that is one number or two."""
    if isinstance(fields.raw(name), list):
        sides = tuple(fields.wholes(name, least=1))
        if len(sides) != 2:
            raise fields.wrong(name, "a whole number, or height and width")
        return sides
    return (fields.whole(name, least=1, most=families.WIDTH),) * 2


def _side(fields, name):
    """The side of a square."""
    height, width = _square(fields, name)
    if height != width:
        raise fields.wrong(name, "as high as wide")
    return height
