"""Folders of sparse encoders (SPLADE): sentence-transformers' SparseEncoder of a transformer and a SpladePooling.

Where a Router chooses by side, these two read documents, and queries are read by a table of the weights of words.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsim import encoders, similarity
from jaxsim.pretrained import (
    _modules as modules,
    _tokenizer_files as tokenizer_files,
    _weights as weights,
)
from jaxsim.pretrained._tokenizer import Tokenizer
from jaxsim.pretrained._tokenizer_files import SENTENCES
from jaxsim.storage._fields import Fields, parsed_json, read_json, read_object

KIND = "SparseEncoder"
POOLING = "SpladePooling"
POOLINGS = {"max": encoders.largest, "sum": encoders.summed}
ACTIVATIONS = {"relu": encoders.log_saturation, "log1p_relu": encoders.log_log_saturation}
_OURS = "sentence_transformers."
_TRANSFORMERS = ("Transformer", "MLMTransformer")
LONGEST = 2**20  # tokens of a query that no model reads
ROUTER, STATIC = "Router", "SparseStaticEmbedding"
ROUTES = ("router_config.json", "config.json")  # the first that is there


class SparseFolder(NamedTuple):
    """A folder of a sparse encoder, read."""

    layout: modules.Layout  # its places; how states are pooled is below
    pooling: Callable
    activation: Callable
    dim: int | None  # the size of the vectors, as the pooling says
    max_active_dims: int | None  # numbers of a vector other than 0, at most
    query: str | None = (
        None  # the folder of the table that reads queries; None where one reads both
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Queries:
    """How queries are read that have no model of their own: the words that are in them, once each."""

    folder: str  # inside the model's, of the tokenizer and the weights
    tokenizer: Tokenizer

    def tokens(self, texts: Iterable[str], *, prompt: str = "") -> list[np.ndarray]:
        """Token ids without special tokens: a list of int32 [length].

        Args:
          texts: strings.
          prompt: what is written before each of them.
        """
        texts = [prompt + text for text in self.tokenizer.texts("texts", texts)]
        rows = self.tokenizer.bare("texts", texts)
        return [self.tokenizer.cut(row, self.tokenizer.max_length) for row in rows]


def queries_of(
    folder: Path, place: str, family: str, vocabulary: int
) -> tuple[Queries, np.ndarray]:
    """The queries of a router's folder, and their weights float32 [vocabulary].

    Args:
      folder: of the model.
      place: of the table, inside it.
      family: of the transformer, whose tokenizers have defaults.
      vocabulary: of the documents' vectors.

    Raises: ValueError for weights of another size, or that are not finite.
    """
    path = folder / place
    read_object(path / "config.json", missing={}).flag("frozen", False)
    tensors = dict(weights.parameters(weights.entries(path)))
    if set(tensors) != {"weight"} or tensors["weight"].shape != (vocabulary,):
        shapes = {name: array.shape for name, array in tensors.items()}
        raise ValueError(f"{path}: must hold weight [{vocabulary}], one per word, got {shapes}")
    tokenizer = tokenizer_files.read(path, family=family, vocabulary=vocabulary, longest=LONGEST)
    return Queries(place, tokenizer), tensors["weight"]


def read(folder: str | os.PathLike) -> SparseFolder | None:
    """Reads the parts of a sparse encoder; None where modules.json has no SpladePooling.

    Raises: ValueError for other parts next to it, and for settings that are not supported, by name.
    """
    folder = Path(folder)
    path = folder / "modules.json"
    tree = read_json(path, missing=...)
    entries = tree if isinstance(tree, list) else ()
    names = [str(one.get("type")).split(".")[-1] for one in entries if isinstance(one, dict)]
    settings = read_object(folder / modules.SETTINGS, missing={})
    if ROUTER in names and settings.raw("model_type") == KIND:
        path, parts, query = _routed(folder, path, tree)
    elif POOLING in names:
        pair = Fields(path, {"parts": tree}).objects("parts")
        parts, query = [(part.text("type"), modules.folder_of(part)) for part in pair], None
    else:
        return None
    _check_parts(path, [kind for kind, _ in parts], (_TRANSFORMERS, (POOLING,)), "a sparse encoder")
    (_, inner), (_, place) = parts
    if Path(inner) == Path(place):
        raise ValueError(f"{path}: parts must have folders, got two in {place!r}")
    fields = read_object(folder / place / "config.json")
    old = "word_embedding_dimension"
    fields.whole("chunk_size", None)
    if settings.raw("truncate_dim") is not None:
        raise settings.wrong("truncate_dim", "null: the words of a sparse vector have no order")
    return SparseFolder(
        modules.Layout(inner, _places(inner, place, query), pooling=encoders.mean),
        POOLINGS[fields.text("pooling_strategy", "max", choices=POOLINGS)],
        ACTIVATIONS[fields.text("activation_function", "relu", choices=ACTIVATIONS)],
        fields.whole(old if old in fields else "embedding_dimension", None, least=1),
        settings.whole("max_active_dims", None, least=1),
        query,
    )


def _places(inner, place, query):
    """The folders whose files are kept; of a router the one around them too, which is the whole."""
    return (inner, place) if query is None else (inner, place, query)


def _check_parts(path, kinds, wanted, what):
    """Refuses parts other than those wanted, a tuple of names for each."""
    names = [kind.split(".")[-1] for kind in kinds]
    right = len(names) == len(wanted)
    right = right and all(name in some for name, some in zip(names, wanted, strict=True))
    if not right or not all(kind.startswith(_OURS) for kind in kinds):
        parts = " and ".join(f"a {some[0]}" for some in wanted)
        raise ValueError(
            f"{path}: {what} must be {parts} of sentence-transformers, got {', '.join(kinds) or 'none'}"
        )


def _routed(folder, path, tree):
    """The file of a router's settings, its parts for documents [(type, folder)], and its folder for queries."""
    parts = Fields(path, {"parts": tree}).objects("parts")
    if len(parts) != 1:
        raise ValueError(f"{path}: a Router must be the only part, got {len(parts)} parts")
    outer = modules.folder_of(parts[0])
    paths = [folder / outer / name for name in ROUTES]
    fields = read_object(next((one for one in paths if one.exists()), paths[0]))
    types, routes = fields.object("types"), fields.object("structure")
    if set(routes) != {"query", "document"}:
        raise fields.wrong("structure", 'routes of "query" and "document" and no others')
    settings = fields.object("parameters", None)
    if settings is not None and settings.raw("route_mappings"):
        raise settings.wrong("route_mappings", "empty: routes are of queries and of documents")
    sides = {}
    for side in ("query", "document"):
        names = routes.strings(side)
        for name in names:
            if Path(name).name != name:
                raise routes.wrong(side, f"names of folders in the router's, got {name!r}")
        sides[side] = [(types.text(name), str(Path(outer) / name)) for name in names]
    _check_parts(fields.path, [kind for kind, _ in sides["query"]], ((STATIC,),), "a query's route")
    return fields.path, sides["document"], sides["query"][0][1]


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
