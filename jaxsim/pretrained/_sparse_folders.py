"""Folders of sparse encoders (SPLADE): sentence-transformers' SparseEncoder of a transformer and a SpladePooling."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxsim import encoders, similarity
from jaxsim.pretrained import _modules as modules
from jaxsim.pretrained._tokenizer_files import SENTENCES
from jaxsim.storage._fields import Fields, parsed_json, read_json, read_object

KIND = "SparseEncoder"
POOLING = "SpladePooling"
POOLINGS = {"max": encoders.largest, "sum": encoders.summed}
ACTIVATIONS = {"relu": encoders.log_saturation, "log1p_relu": encoders.log_log_saturation}
_OURS = "sentence_transformers."
_TRANSFORMERS = ("Transformer", "MLMTransformer")


class SparseFolder(NamedTuple):
    """A folder of a sparse encoder, read."""

    layout: modules.Layout  # its places; how states are pooled is below
    pooling: Callable
    activation: Callable
    dim: int | None  # the size of the vectors, as the pooling says
    max_active_dims: int | None  # numbers of a vector other than 0, at most


def read(folder: str | os.PathLike) -> SparseFolder | None:
    """Reads the parts of a sparse encoder; None where modules.json has no SpladePooling.

    Raises: ValueError for other parts next to it, and for settings that are not supported, by name.
    """
    folder = Path(folder)
    path = folder / "modules.json"
    tree = read_json(path, missing=...)
    if not isinstance(tree, list) or not any(
        isinstance(part, dict) and str(part.get("type")).split(".")[-1] == POOLING for part in tree
    ):
        return None
    parts = Fields(path, {"parts": tree}).objects("parts")
    kinds = [part.text("type") for part in parts]
    names = [kind.split(".")[-1] for kind in kinds]
    right = len(parts) == 2 and names[0] in _TRANSFORMERS and names[1] == POOLING
    if not right or not all(kind.startswith(_OURS) for kind in kinds):
        raise ValueError(
            f"{path}: a sparse encoder must be a Transformer and a SpladePooling of sentence-transformers, got "
            f"{', '.join(kinds)}"
        )
    inner, place = map(modules.folder_of, parts)
    if Path(inner) == Path(place):
        raise ValueError(f"{path}: parts must have folders, got two in {place!r}")
    fields = read_object(folder / place / "config.json")
    old = "word_embedding_dimension"
    fields.whole("chunk_size", None)
    settings = read_object(folder / modules.SETTINGS, missing={})
    if settings.raw("truncate_dim") is not None:
        raise settings.wrong("truncate_dim", "null: the words of a sparse vector have no order")
    return SparseFolder(
        modules.Layout(inner, (inner, place), pooling=encoders.mean),
        POOLINGS[fields.text("pooling_strategy", "max", choices=POOLINGS)],
        ACTIVATIONS[fields.text("activation_function", "relu", choices=ACTIVATIONS)],
        fields.whole(old if old in fields else "embedding_dimension", None, least=1),
        settings.whole("max_active_dims", None, least=1),
    )


def similarity_of(folder: str | os.PathLike, settings: modules.Settings) -> Callable:
    """The similarity of a sparse encoder's vectors: their dot product where the folder names none."""
    fields = read_object(Path(folder) / modules.SETTINGS, missing={})
    named = fields.raw("similarity_fn_name") is not None
    return settings.similarity if named else similarity.dot


def files_of(
    files: Mapping[str, bytes],
    inner: str,
    pooling: Callable,
    activation: Callable,
    dim: int,
    max_active_dims: int | None,
) -> dict[str, bytes]:
    """The small files of a folder as those of a sparse encoder in sentence-transformers' layout.

    Args:
      files: {relative path: bytes} of another embedding model of the same transformer.
      inner: the folder of the transformer.
      pooling, activation: as `encoders.SpladeEncoder` has them.
      dim: the number of words.
      max_active_dims: numbers of a vector other than 0, at most; None has no limit.
    """
    stem = f"{inner}/" if inner else ""
    place = "1_SpladePooling"
    parts = ["modules.json", "config_sentence_transformers.json"]
    below = {name.rpartition("/")[0] for name in files} - {"", inner}
    others = {
        name: data
        for name, data in files.items()
        if name not in parts and name.rpartition("/")[0] not in below
    }
    old = [name for name in (stem + one for one in SENTENCES) if name in others]
    sentences = parsed_json(old[0], others.pop(old[0])) if old else {}
    for name in old[1:]:
        others.pop(name)
    sentences = {
        name: value
        for name, value in sentences.items()
        if name in ("max_seq_length", "do_lower_case")
    }
    way = {"method": "forward", "method_output_name": "logits"}
    sentences |= {
        "transformer_task": "fill-mask",
        "modality_config": {"text": way},
        "module_output_name": "token_embeddings",
    }
    kinds = {
        inner: "base.modules.transformer.Transformer",
        place: f"sparse_encoder.modules.splade_pooling.{POOLING}",
    }
    entries = [
        {"idx": n, "name": str(n), "path": path, "type": f"{_OURS}{kind}"}
        for n, (path, kind) in enumerate(kinds.items())
    ]
    settings: dict[str, Any] = {"model_type": KIND, "prompts": {"query": "", "document": ""}}
    settings |= {"default_prompt_name": None, "similarity_fn_name": "dot"}
    if max_active_dims is not None:
        settings["max_active_dims"] = max_active_dims
    about = {
        "pooling_strategy": _name_of(POOLINGS, pooling),
        "activation_function": _name_of(ACTIVATIONS, activation),
        "embedding_dimension": dim,
    }
    written: dict[str, Any] = {
        "modules.json": entries,
        "config_sentence_transformers.json": settings,
        f"{place}/config.json": about,
        f"{stem}sentence_bert_config.json": sentences,
    }
    return others | {
        name: (json.dumps(tree, indent=2) + "\n").encode() for name, tree in written.items()
    }


def _name_of(choices, function):
    return next(name for name, known in choices.items() if known is function)
