"""The parts of a folder in sentence-transformers' layout: transformer, pooling, heads, prompts, similarity.

modules.json names the parts in their order, each with its folder. Without it the states of a text's tokens
are averaged, or the last one is taken where a causal language model is named: sentence-transformers does so.
What a part's files say is honored, or refused with the name of the file and the field.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import jax.numpy as jnp

from jaxsim import encoders, similarity
from jaxsim.numerics import unit
from jaxsim.storage.fields import Fields, read_json, read_object

POOLINGS = {
    "cls": encoders.cls,
    "max": encoders.largest,
    "mean": encoders.mean,
    "mean_sqrt_len_tokens": encoders.mean_by_root,
    "weightedmean": encoders.weighted_mean,
    "lasttoken": encoders.last,
}
SIMILARITIES = {
    "cosine": similarity.cosine,
    "dot": similarity.dot,
    "euclidean": similarity.negative_euclidean,
    "manhattan": similarity.negative_manhattan,
}
SETTINGS = "config_sentence_transformers.json"
_OLD_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_ACTIVATIONS = {
    "Tanh": jnp.tanh,
    "Identity": lambda x: x,
    "ReLU": lambda x: jnp.maximum(x, 0),
    "GELU": encoders.gelu,
    "Sigmoid": lambda x: 1 / (1 + jnp.exp(-x)),
}
_OURS = "sentence_transformers."  # where its own parts are


class Layout(NamedTuple):
    """A folder's parts, read."""

    transformer: str = ""  # the folder of the transformer inside the model's, "" for itself
    pooling: Callable | None = None  # None where no part pools
    width: int | None = None  # the transformer's, as the pooling says
    heads: tuple = ()  # functions and Linen modules, one after the other
    dense: Mapping = MappingProxyType({})  # {place among the heads: its folder}
    pool_prompt: bool = True  # whether tokens of a prompt are pooled


class Settings(NamedTuple):
    """What config_sentence_transformers.json says."""

    prompts: dict  # {name: text}
    default_prompt: str  # the text of the one that is used by default, "" for none
    similarity: Callable
    truncate_dim: int | None
    kind: str | None  # of the model


def layout(folder):
    """Reads modules.json and the settings of what it names; None without a modules.json.

    Raises: ValueError for parts and settings that are not here, by name.
    """
    folder = Path(folder)
    path = folder / "modules.json"
    tree = read_json(path, missing=None)
    if tree is None:
        return None
    parts = Fields(path, {"parts": tree}).objects("parts")
    if not parts:
        raise ValueError(f"{path}: must name at least a Transformer, got no parts")
    result = Layout()
    for number, part in enumerate(parts):
        place, kind = _folder(part), _kind(part)
        if (kind == "Transformer") != (number == 0):
            raise part.wrong("type", "a Transformer first and nowhere else")
        if kind in ("Dense", "Normalize") and result.pooling is None:
            raise part.wrong("type", "a Pooling behind the Transformer, before all others")
        if part.strings("kwargs", []):
            raise part.wrong("kwargs", "empty: keywords of parts are not supported")
        if kind == "Transformer":
            result = result._replace(transformer=place)
        elif kind == "Pooling":
            if result.pooling is not None:
                raise part.wrong("type", "one Pooling")
            result = _pooled(result, _settings(folder, place, result))
        elif kind == "Dense":
            head = _dense(_settings(folder, place, result))
            places = {**result.dense, len(result.heads): place}
            result = result._replace(heads=(*result.heads, head), dense=places)
        elif kind == "Normalize":
            _whole_text(read_object(folder / place / "config.json", missing={}))
            result = result._replace(heads=(*result.heads, unit))
    return result


def settings(folder):
    """Reads config_sentence_transformers.json; where it is missing, what sentence-transformers does then.

    Raises: ValueError naming the field.
    """
    fields = read_object(Path(folder) / SETTINGS, missing={})
    texts = fields.object("prompts", None)
    prompts = {} if texts is None else dict(_prompts(texts))
    default = fields.text("default_prompt_name", None)
    if default is not None and default not in prompts:
        raise fields.wrong("default_prompt_name", f"one of the prompts, {_names(prompts)}")
    return Settings(
        prompts,
        prompts.get(default, ""),
        SIMILARITIES[fields.text("similarity_fn_name", "cosine", choices=SIMILARITIES)],
        fields.whole("truncate_dim", None, least=1),
        fields.text("model_type", None),
    )


def name_of(function):
    """A similarity's name in config_sentence_transformers.json; None for one that has none there."""
    return next((name for name, known in SIMILARITIES.items() if known is function), None)


def _prompts(texts):
    for name in texts:
        text = texts.text(name, "")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise texts.wrong(name, "text of Unicode, without half of a surrogate pair") from None
        yield name, text


def _kind(part):
    """The name of a part's class, which must be sentence-transformers' own: others are code."""
    name = part.text("type")
    kind = name.split(".")[-1]
    if not name.startswith(_OURS) or kind not in _PARTS:
        raise part.wrong("type", "a Transformer, Pooling, Dense, Normalize or Dropout of its own")
    return kind


_PARTS = ("Transformer", "Pooling", "Dense", "Normalize", "Dropout")


def _folder(part):
    """The path of a part, inside the model's folder."""
    path = part.text("path", "")
    if Path(path).is_absolute() or ".." in Path(path).parts or "\0" in path:
        raise part.wrong("path", "inside the model's folder")
    return path


def _settings(folder, place, layout):
    if Path(place) == Path(layout.transformer):
        raise ValueError(
            f"{folder / 'modules.json'}: parts must have folders, got two in {place!r}"
        )
    return read_object(folder / place / "config.json")


def _pooled(layout, fields):
    pooled = fields.flag("include_prompt", True)
    poolings = []
    for mode in _modes(fields):
        # Tokens behind a prompt that is not pooled keep the weights of their places.
        late = mode == "weightedmean" and not pooled
        poolings.append(encoders.weighted_mean_by_place if late else POOLINGS[mode])
    name = "embedding_dimension" if "embedding_dimension" in fields else "word_embedding_dimension"
    return layout._replace(
        pooling=poolings[0] if len(poolings) == 1 else encoders.side_by_side(*poolings),
        width=fields.whole(name, None, least=1),
        pool_prompt=pooled,
    )


def _modes(fields):
    old = [mode for name, mode in _OLD_MODES.items() if fields.flag(name, False)]
    given = fields.raw("pooling_mode")
    if given is None:
        return old or ["mean"]
    modes = (
        [fields.text("pooling_mode")] if isinstance(given, str) else fields.strings("pooling_mode")
    )
    if not modes or not set(modes) <= set(POOLINGS):
        raise fields.wrong("pooling_mode", f"one of {', '.join(POOLINGS)}, or a list of them")
    return modes


def _dense(fields):
    name = fields.text("activation_function", "torch.nn.modules.activation.Tanh")
    if not name.startswith("torch.") or name.split(".")[-1] not in _ACTIVATIONS:
        raise fields.wrong("activation_function", f"one of torch's {', '.join(_ACTIVATIONS)}")
    _whole_text(fields)
    return encoders.DenseHead(
        fields.whole("out_features", least=1),
        _ACTIVATIONS[name.split(".")[-1]],
        fields.flag("bias", True),
        fields.flag("use_residual", False),
    )


def _whole_text(fields):
    for name in ("module_input_name", "module_output_name"):
        fields.text(name, None, choices=("sentence_embedding",))


def _names(names):
    return ", ".join(map(repr, names)) or "none"
