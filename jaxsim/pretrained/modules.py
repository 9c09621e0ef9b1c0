"""What stands behind the transformer in sentence-transformers' layout: pooling, dense heads, prompts.

modules.json names the parts in their order, each with a folder of its own; without it the states of a
text's tokens are averaged, which is what sentence-transformers does then.
"""

import json
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp

from jaxsim import encoders
from jaxsim.numerics import unit
from jaxsim.pretrained import weights

POOLINGS = {
    "cls": encoders.cls,
    "max": encoders.largest,
    "mean": encoders.mean,
    "mean_sqrt_len_tokens": encoders.mean_by_root,
    "weightedmean": encoders.weighted_mean,
    "lasttoken": encoders.last,
}
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


class Layout(NamedTuple):
    """A folder's parts, read."""

    transformer: (
        str  # the folder of the transformer and the tokenizer inside the model's, "" for itself
    )
    pooling: object
    heads: tuple  # functions and Linen modules, one after the other
    dense: dict  # {place among the heads: (folder, {our leaf: array})}
    pool_prompt: bool  # whether tokens of a prompt are pooled
    kinds: tuple  # names of the parts


def layout(folder):
    """Reads modules.json and what it names.

    Raises: ValueError for parts and settings that are not here, by name.
    """
    folder = Path(folder)
    if not (folder / "modules.json").exists():
        return Layout("", encoders.mean, (), {}, True, ())
    parts = read_json(folder / "modules.json")
    kinds = tuple(part["type"].split(".")[-1] for part in parts)
    found = {"transformer": "", "pooling": encoders.mean, "pool_prompt": True}
    heads, dense = [], {}
    for part, kind in zip(parts, kinds, strict=True):
        path = part["path"]
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise ValueError(
                f"{folder / 'modules.json'}: path must be inside the folder, got {path!r}"
            )
        settings = read_json(folder / path / "config.json", {})
        if kind == "Transformer":
            found["transformer"] = path
        elif kind == "Pooling":
            found["pooling"] = _pooling(settings, folder / path)
            found["pool_prompt"] = settings.get("include_prompt", True)
        elif kind == "Dense":
            _whole_text(settings, folder / path)
            heads.append(_dense(settings, folder / path))
            dense[len(heads) - 1] = (path, weights.read(folder / path))
        elif kind == "Normalize":
            _whole_text(settings, folder / path)
            heads.append(unit)
        elif kind != "Dropout":
            raise ValueError(
                f"{folder / 'modules.json'}: a part must be a Transformer, Pooling, Dense, Normalize "
                f"or Dropout, got {part['type']!r}"
            )
    return Layout(**found, heads=tuple(heads), dense=dense, kinds=kinds)


def prompts(folder):
    """({name: text}, the name that is used by default or None)."""
    settings = read_json(Path(folder) / "config_sentence_transformers.json", {})
    return settings.get("prompts") or {}, settings.get("default_prompt_name")


def read_json(path, default=None):
    """A JSON file; `default` where it is missing, unless that is None."""
    path = Path(path)
    if not path.exists():
        if default is None:
            raise FileNotFoundError(f"{path}: there is no such file")
        return default
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON, or damaged: {error}") from error


def _pooling(settings, path):
    modes = settings.get("pooling_mode")
    if modes is None:
        modes = [mode for old, mode in _OLD_MODES.items() if settings.get(old)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else modes
    if unknown := [mode for mode in modes if mode not in POOLINGS]:
        raise ValueError(
            f"{path}: pooling_mode must be one of {', '.join(POOLINGS)}, got {unknown[0]!r}"
        )
    poolings = [POOLINGS[mode] for mode in modes]
    return poolings[0] if len(poolings) == 1 else encoders.side_by_side(*poolings)


def _dense(settings, path):
    name = settings.get("activation_function", "torch.nn.modules.activation.Tanh").split(".")[-1]
    if name not in _ACTIVATIONS:
        raise ValueError(
            f"{path}: activation_function must be one of {', '.join(_ACTIVATIONS)}, got {name!r}"
        )
    return encoders.DenseHead(
        settings["out_features"],
        _ACTIVATIONS[name],
        settings.get("bias", True),
        settings.get("use_residual", False),
    )


def _whole_text(settings, path):
    for key in ("module_input_name", "module_output_name"):
        if (settings.get(key) or "sentence_embedding") != "sentence_embedding":
            raise ValueError(f"{path}: {key} must be 'sentence_embedding', got {settings[key]!r}")
