"""sentence-transformers' layout of a folder: transformer, pooling, heads, prompts, similarity.

modules.json names the parts in their order, each with its folder. Without it the states of a text's tokens
are averaged, or the last one is taken where a causal language model is named: sentence-transformers does so.
What a part's files say is honored, or refused with the name of the file and the field.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import jax.numpy as jnp

from jaxsim import encoders, similarity
from jaxsim.numerics import unit
from jaxsim.pretrained import _weights as weights
from jaxsim.storage._fields import Fields, parsed_json, read_json, read_object
from jaxsim.storage._targets import MARK

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
MOST_PARTS = 100
SMALL = (".json", ".txt", ".model", ".jinja", ".md")  # what is kept next to the weights
SETTINGS = "config_sentence_transformers.json"
_OLD_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
ACTIVATIONS = {
    "Tanh": jnp.tanh,
    "Identity": lambda x: x,
    "ReLU": lambda x: jnp.maximum(x, 0),
    "GELU": encoders.gelu,
    "Sigmoid": lambda x: 1 / (1 + jnp.exp(-x)),
}
WHOLE_TEXT = "sentence_embedding"  # what a part of an embedding model reads and writes
_OURS = "sentence_transformers."  # where its own parts are


class Layout(NamedTuple):
    """A folder's parts, read."""

    transformer: str = ""  # the folder of the transformer inside the model's, "" for itself
    places: tuple[str, ...] = ("",)  # the folders of all parts
    pooling: Callable | None = None  # None where no part pools
    width: int | None = None  # the transformer's, as the pooling says
    heads: tuple = ()  # functions and Linen modules, one after the other
    dense: Mapping = MappingProxyType({})  # {place among the heads: its folder}
    pool_prompt: bool = True  # whether tokens of a prompt are pooled
    first: bool = False  # whether the first token's state is the text's


class Settings(NamedTuple):
    """What config_sentence_transformers.json says."""

    prompts: dict  # {name: text}
    default_prompt: str  # the text of the one that is used by default, "" for none
    similarity: Callable
    truncate_dim: int | None
    kind: str | None  # of the model


def layout(folder: str | os.PathLike) -> Layout | None:
    """Reads modules.json and the settings of what it names; None without a modules.json.

    Raises: ValueError for parts and settings that are not supported, by name.
    """
    folder = Path(folder)
    path = folder / "modules.json"
    tree = read_json(path, missing=...)
    if tree is ...:
        return None
    parts = Fields(path, {"parts": tree}).objects("parts")
    if not 1 <= len(parts) <= MOST_PARTS:
        raise ValueError(f"{path}: must name from 1 to {MOST_PARTS} parts, got {len(parts)}")
    result = Layout(places=tuple(folder_of(part) for part in parts))
    for number, (part, place) in enumerate(zip(parts, result.places, strict=True)):
        kind = _kind(part)
        if (kind == "Transformer") != (number == 0):
            raise part.wrong("type", "a Transformer first and nowhere else")
        if kind in ("Dense", "Normalize") and result.pooling is None:
            raise part.wrong("type", "a Pooling after the Transformer, before all others")
        part.whole("idx", None)
        if part.text("name", str(number)) in [other.raw("name") for other in parts[:number]]:
            raise part.wrong("name", "another than those before it")
        if part.strings("kwargs", []):
            raise part.wrong("kwargs", "empty: keywords of parts are not supported")
        if kind == "Transformer":
            result = result._replace(transformer=place)
        elif kind == "Pooling":
            if result.pooling is not None:
                raise part.wrong("type", "one Pooling")
            result = _pooled(result, _settings(folder, place, result))
        elif kind == "Dense":
            head = dense(_settings(folder, place, result))
            places = {**result.dense, len(result.heads): place}
            result = result._replace(heads=(*result.heads, head), dense=places)
        elif kind == "Normalize":
            check_input(read_object(folder / place / "config.json", missing={}), WHOLE_TEXT)
            result = result._replace(heads=(*result.heads, unit))
    return result


def settings(folder: str | os.PathLike) -> Settings:
    """Reads config_sentence_transformers.json; where it is missing, what sentence-transformers does then.

    Raises: ValueError naming the field.
    """
    return _read(read_object(Path(folder) / SETTINGS, missing={}))


def check_kind(folder: str | os.PathLike, settings: Settings, kind: str) -> None:
    """Refuses settings of another kind of model, and prompts that a cross-encoder would leave out."""
    if settings.kind not in (None, kind):
        raise ValueError(
            f"{Path(folder) / SETTINGS}: model_type must be {kind!r}, as its parts and config.json are, got "
            f"{settings.kind!r}"
        )
    if kind == "CrossEncoder" and settings.default_prompt:
        raise ValueError(
            f"{Path(folder) / SETTINGS}: default_prompt_name must be null for a cross-encoder: prompts of "
            f"pairs are not supported, got {settings.default_prompt!r}"
        )


def small_files(
    folder: str | os.PathLike, places: Iterable[str], inner: str | os.PathLike
) -> dict[str, bytes]:
    """The bytes of a folder's files that are not weights: {relative path: bytes}.

    Args:
      folder: of the model.
      places: the folders of its parts, inside it.
      inner: the folder of the transformer, whose config.json is left out.
    """
    folder, inner = Path(folder), Path(inner)
    skipped = {inner / "config.json", inner / weights.INDEX, folder / MARK}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in _files({folder, *(folder / place for place in places)})
        if path.suffix in SMALL and path not in skipped and not path.name.endswith(".index.json")
    }


def _files(folders):
    """The files of folders, without those of the folders in them."""
    for folder in sorted(folders):
        if folder.is_dir():
            yield from (path for path in sorted(folder.iterdir()) if path.is_file())


def with_settings(
    files: dict[str, bytes], prompts: Mapping[str, str], default_prompt: str, similarity: Callable
) -> dict[str, bytes]:
    """The small files of a folder with these settings in config_sentence_transformers.json.

    A file that already says the same keeps its bytes.

    Args:
      files: {relative path: bytes}.
      prompts: {name: text}.
      default_prompt: the text of one of them, "" for none.
      similarity: a function of SIMILARITIES.

    Raises: ValueError for a prompt or a similarity that the file cannot say.
    """
    name = next((name for name, known in SIMILARITIES.items() if known is similarity), None)
    if name is None:
        raise ValueError(
            f"similarity must be one of {', '.join(f.__name__ for f in SIMILARITIES.values())} to be saved, "
            f"got {getattr(similarity, '__name__', similarity)}"
        )
    default = next((one for one, text in prompts.items() if text == default_prompt), None)
    if default_prompt and default is None:
        raise ValueError(
            f"default_prompt must be the text of one of prompts to be saved, got {default_prompt!r}"
        )
    fields = Fields(SETTINGS, parsed_json(SETTINGS, files.get(SETTINGS, b"{}")))
    before = _read(fields)
    changed = {}
    if before.prompts != prompts:
        changed["prompts"] = dict(prompts)
    if before.default_prompt != default_prompt:
        changed["default_prompt_name"] = default if default_prompt else None
    if before.similarity is not similarity:
        changed["similarity_fn_name"] = name
    if not changed:
        return files
    return files | {SETTINGS: (json.dumps(fields.tree | changed, indent=2) + "\n").encode()}


def _read(fields):
    texts = fields.object("prompts", None)
    prompts = {} if texts is None else {name: texts.text(name, "") for name in texts}
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


def _kind(part):
    """The name of a part's class, which must be sentence-transformers' own: others are code."""
    name = part.text("type")
    kind = name.split(".")[-1]
    if not name.startswith(_OURS) or kind not in _PARTS:
        raise part.wrong(
            "type", "a Transformer, Pooling, Dense, Normalize or Dropout of sentence-transformers"
        )
    return kind


_PARTS = ("Transformer", "Pooling", "Dense", "Normalize", "Dropout")


def folder_of(part: Fields) -> str:
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
        # Tokens after a prompt that is not pooled keep the weights of their places.
        late = mode == "weightedmean" and not pooled
        poolings.append(encoders.weighted_mean_by_place if late else POOLINGS[mode])
    name = "embedding_dimension" if "embedding_dimension" in fields else "word_embedding_dimension"
    return layout._replace(
        pooling=poolings[0] if len(poolings) == 1 else encoders.side_by_side(*poolings),
        width=fields.whole(name, None, least=1),
        pool_prompt=pooled,
        first="cls" in _modes(fields),
    )


def _modes(fields):
    old = [mode for name, mode in _OLD_MODES.items() if fields.flag(name, False)]
    mode = fields.raw("pooling_mode")
    if mode is None:
        return old or ["mean"]
    modes = (
        [fields.text("pooling_mode")] if isinstance(mode, str) else fields.strings("pooling_mode")
    )
    if not modes or not set(modes) <= set(POOLINGS):
        raise fields.wrong("pooling_mode", f"one of {', '.join(POOLINGS)}, or a list of them")
    return modes


def dense(fields: Fields, *, states: str = WHOLE_TEXT) -> encoders.DenseHead:
    """The head of a dense part's settings.

    Args:
      fields: its config.json.
      states: what it must map: a text's vector, or those of its tokens.

    Raises: ValueError naming the field.
    """
    name = fields.text("activation_function", "torch.nn.modules.activation.Tanh")
    if not name.startswith("torch.") or name.split(".")[-1] not in ACTIVATIONS:
        raise fields.wrong("activation_function", f"one of torch's {', '.join(ACTIVATIONS)}")
    check_input(fields, states)
    fields.whole("in_features", None, least=1)
    return encoders.DenseHead(
        fields.whole("out_features", least=1),
        ACTIVATIONS[name.split(".")[-1]],
        fields.flag("bias", True),
        fields.flag("use_residual", False),
    )


def check_input(fields: Fields, states: str, *, needed: bool = False) -> None:
    """Refuses a part that reads or writes other states than `states`; with `needed` one that does not say so."""
    for name in ("module_input_name", "module_output_name"):
        if needed and name == "module_input_name":
            fields.text(name, choices=(states,))
        fields.text(name, None, choices=(states,))


def _names(names):
    return ", ".join(map(repr, names)) or "none"
