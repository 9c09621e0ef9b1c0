"""Folders of late interaction (ColBERT): sentence-transformers' MultiVectorEncoder, PyLate's, and Stanford's.

All say how a query and how a document is read: its prompt, its length, the mask tokens that fill a query and the
tokens of a document that do not count. A model of the two older layouts is saved in the first.
"""

import dataclasses
import json
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsim import encoders, similarity
from jaxsim.numerics import unit
from jaxsim.pretrained import (
    _modules as modules,
    _tokenizer_files as tokenizer_files,
    _weights as weights,
)
from jaxsim.pretrained._tokenizer import Tokenizer
from jaxsim.storage._fields import Fields, parsed_json, read_json, read_object

KIND, PYLATE, STANFORD = "MultiVectorEncoder", "ColBERT", "HF_ColBERT"
SIMILARITIES = {"maxsim": similarity.max_sim, "meanmaxsim": similarity.mean_max_sim}
SIDES = ("query", "document")
PROJECTION = "linear.weight"  # of Stanford's, among the tensors of the transformer
PYLATE_DENSE = "pylate.models.Dense.Dense"
_STATES = "token_embeddings"
_PARTS = ("Transformer", "Dense", "MultiVectorMask", "Normalize", "Dropout")
_LENGTH = 32  # that queries are filled to, where an old folder does not say
# Fields of PyLate's that say how texts are read, which the first layout has elsewhere.
_OLD_FIELDS = (
    *("query_prefix", "document_prefix", "query_length", "document_length", "skiplist_words"),
    *("query_expansion", "do_query_expansion", "attend_to_expansion_tokens"),
    "attend_to_mask_tokens",
)


class Expansion(NamedTuple):
    """Query expansion (ColBERT): queries are filled with a token whose vectors count."""

    token: int
    length: int  # that shorter queries are filled to
    fixed: bool = True  # whether longer ones are cut to it
    seen: bool = False  # whether other tokens attend to the filling


@dataclasses.dataclass(frozen=True)
class Reading:
    """How texts of each side are read."""

    query_length: int  # the most tokens of a query
    document_length: int
    expansion: Expansion | None = None
    skipped: frozenset = frozenset()  # tokens that do not count
    skipped_in: tuple[str, ...] = ("document",)
    counted: frozenset | None = None  # the only tokens of a document that count


class TokenRow(NamedTuple):
    """A text's tokens."""

    tokens: np.ndarray  # int32 [length]
    seen: np.ndarray  # bool [length], which tokens others attend to
    scored: np.ndarray  # bool [length], which tokens count


class LateFolder(NamedTuple):
    """A folder of late interaction, read."""

    layout: modules.Layout
    kind: str  # KIND, PYLATE or STANFORD
    similarity: Any
    prompts: dict  # {name: text}
    prefixes: tuple[str, ...]  # what old folders insert as one token
    fields: Mapping[
        str, Any
    ]  # query_length, document_length, query_expansion, as the first layout has them
    mask: Mapping[str, Any]  # skiplist_words, skiplist_tasks, keep_only_token_ids
    masked: bool  # whether there is a part that says which tokens count


def read(folder: Path) -> LateFolder | None:
    """Reads the settings of a folder of late interaction; None for a folder of any other model.

    Raises: ValueError for parts and settings that are not supported, by name.
    """
    settings = read_object(folder / modules.SETTINGS, missing={})
    kind = settings.raw("model_type")
    if kind not in (KIND, PYLATE):
        if kind is not None or read_json(folder / "modules.json", missing=None) is not None:
            return None
        config = read_object(folder / "config.json", missing={})
        return _stanford(folder) if STANFORD in (config.raw("architectures") or ()) else None
    if read_json(folder / "modules.json", missing=None) is None:
        raise FileNotFoundError(f"{folder / 'modules.json'}: there is no such file")
    layout, mask = _layout(folder, kind)
    texts = settings.object("prompts", None)
    prompts = {} if texts is None else {name: texts.text(name, "") for name in texts}
    fields, prefixes = {}, []
    if kind == PYLATE:
        words = settings.strings("skiplist_words", list(string.punctuation))
        mask = {"skiplist_words": words, "skiplist_tasks": ["document"]}
    for side in SIDES:
        if f"{side}_prefix" in settings.tree:
            prefix = settings.text(f"{side}_prefix", "")
            prompts[side] = prefix + prompts.get(side, "").removeprefix(prefix)
            prefixes.append(prefix)
    if any(name in settings.tree for name in _OLD_FIELDS):
        fields = _old_fields(settings)
    choices = (*SIMILARITIES, *modules.SIMILARITIES)
    compared = settings.text("similarity_fn_name", "maxsim", choices=choices)
    return LateFolder(
        layout=layout,
        kind=kind,
        similarity=SIMILARITIES.get(compared, similarity.max_sim),
        prompts=prompts,
        prefixes=tuple(prefixes),
        fields=fields,
        mask=mask or {},
        masked=mask is not None,
    )


def _layout(folder, kind):
    """The parts of modules.json, and the fields of the one that says which tokens count; None without it."""
    path = folder / "modules.json"
    parts = Fields(path, {"parts": read_json(path)}).objects("parts")
    layout = modules.Layout(places=tuple(modules.folder_of(part) for part in parts))
    mask = None
    for number, (part, place) in enumerate(zip(parts, layout.places, strict=True)):
        name = part.text("type")
        what = name.split(".")[-1]
        known = name.startswith("sentence_transformers.") or name == PYLATE_DENSE
        if what not in _PARTS or not known:
            raise part.wrong("type", f"one of {', '.join(_PARTS)} of sentence-transformers")
        if (what == "Transformer") != (number == 0):
            raise part.wrong("type", "a Transformer first and nowhere else")
        if part.strings("kwargs", []) not in ([], ["task"]):
            raise part.wrong("kwargs", "empty: keywords of parts are not supported")
        if what == "Transformer":
            layout = layout._replace(transformer=place)
        elif what == "Dense":
            head = modules.dense(read_object(folder / place / "config.json"), states=_STATES)
            dense = {**layout.dense, len(layout.heads): place}
            layout = layout._replace(heads=(*layout.heads, head), dense=dense)
        elif what == "Normalize":
            fields = read_object(folder / place / "config.json")
            modules.check_input(fields, _STATES, needed=True)
            layout = layout._replace(heads=(*layout.heads, unit))
        elif what == "MultiVectorMask":
            if mask is not None:
                raise part.wrong("type", "one MultiVectorMask")
            mask = _mask(read_object(folder / place / "config.json"))
    if kind == PYLATE:
        layout = layout._replace(heads=(*layout.heads, unit))
    return layout, mask


def _mask(fields):
    tasks = fields.raw("skiplist_tasks")
    tasks = [tasks] if isinstance(tasks, str) else fields.strings("skiplist_tasks", ["document"])
    return {
        "skiplist_words": fields.strings("skiplist_words", []),
        "skiplist_tasks": tasks,
        "keep_only_token_ids": fields.wholes("keep_only_token_ids", None),
    }


def _old_fields(settings):
    """PyLate's fields as the first layout has them."""
    fields = {}
    for name in ("query_length", "document_length"):
        if (length := settings.whole(name, None, least=1)) is not None:
            fields[name] = length
    if "query_expansion" in settings.tree:
        expansion = settings.object("query_expansion", None)
        fields["query_expansion"] = None if expansion is None else expansion.tree
    elif settings.flag("do_query_expansion", True):
        attend = settings.flag("attend_to_expansion_tokens", None)
        attend = settings.flag("attend_to_mask_tokens", False) if attend is None else attend
        length = fields.pop("query_length", None) or _LENGTH
        fields["query_expansion"] = {"strategy": "fixed", "attend": attend, "length": length}
    else:
        fields["query_expansion"] = None
    return fields


def _stanford(folder):
    """A folder of Stanford's ColBERT: the map is among the tensors, the settings are in artifact.metadata."""
    tensors = weights.entries(folder)
    if PROJECTION not in tensors or len(tensors[PROJECTION].shape) != 2:
        raise ValueError(f"{folder}: a folder of {STANFORD} must hold {PROJECTION} [dim, hidden]")
    settings = read_object(folder / "artifact.metadata", missing={})
    head = encoders.DenseHead(tensors[PROJECTION].shape[0], modules.ACTIVATIONS["Identity"], False)
    prefixes = (
        settings.text("query_token_id", "[unused0]") + " ",
        settings.text("doc_token_id", "[unused1]") + " ",
    )
    expansion = {
        "strategy": "fixed",
        "attend": settings.flag("attend_to_mask_tokens", False),
        "length": settings.whole("query_maxlen", _LENGTH, least=1),
    }
    length = settings.whole("doc_maxlen", None, least=1)
    skips = settings.flag("mask_punctuation", True)
    return LateFolder(
        layout=modules.Layout(places=("",), heads=(head, unit), dense={0: "1_Dense"}),
        kind=STANFORD,
        similarity=similarity.max_sim,
        prompts=dict(zip(SIDES, prefixes, strict=True)),
        prefixes=prefixes,
        fields={"query_expansion": expansion}
        | ({} if length is None else {"document_length": length}),
        mask={"skiplist_words": list(string.punctuation) if skips else []},
        masked=True,
    )


def reading(
    late: LateFolder, inner: Path, tokenizer: Tokenizer, *, longest: int, max_length: int | None
) -> Reading:
    """How the texts of a folder are read; prefixes of old folders become special tokens of the tokenizer.

    Args:
      late: of `read`.
      inner: the folder of the transformer.
      tokenizer: of it.
      longest: the most tokens that the model reads.
      max_length: that the user asked for, or None.

    Raises: ValueError for lengths that do not fit, and for a token that the tokenizer lacks, by name.
    """
    fields = tokenizer_files.sentence_settings(inner)
    tree = dict(late.fields) | {
        name: fields.tree[name]
        for name in ("query_length", "document_length", "query_expansion")
        if name in fields.tree
    }
    fields = Fields(fields.path, tree)
    backend: Any = tokenizer.backend
    for prefix in late.prefixes:
        _register(backend, prefix)
    least = 1 + backend.num_special_tokens_to_add(False)
    expansion = fields.object("query_expansion", None)
    if expansion is not None:
        expansion = _expansion(fields, expansion, inner, tokenizer, least, longest)
        if not late.masked:
            raise fields.wrong("query_expansion", "null: no MultiVectorMask counts the filling")
    lengths = {}
    for side in SIDES:
        name = f"{side}_length"
        length = fields.whole(name, tokenizer.max_length, least=least)
        if side == "query" and expansion is not None:
            if name in fields and length < expansion.length:
                raise fields.wrong(name, f"at least {expansion.length}, as query_expansion has it")
            length = expansion.length if expansion.fixed else max(length, expansion.length)
        elif max_length is not None:
            length = max_length
        lengths[name] = min(length, longest)
    words = late.mask.get("skiplist_words", ())
    ids = (backend.token_to_id(word) for word in words)
    counted = late.mask.get("keep_only_token_ids")
    return Reading(
        **lengths,
        expansion=expansion,
        skipped=frozenset(number for number in ids if number is not None),
        skipped_in=tuple(late.mask.get("skiplist_tasks") or ("document",)),
        counted=frozenset(counted) if counted else None,
    )


def _expansion(fields, expansion, inner, tokenizer, least, longest):
    strategy = expansion.text("strategy", choices=("fixed", "min"))
    word = expansion.text("token", None) or tokenizer_files.filling_token(inner, tokenizer.backend)
    number = None if word is None else tokenizer.backend.token_to_id(word)
    if number is None:
        raise fields.wrong(
            "query_expansion", "with a token of the tokenizer, which has no mask token"
        )
    if tokenizer_files.pads_left(inner):
        raise fields.wrong("query_expansion", "null, as padding_side is left")
    length = expansion.whole("length", least=least, most=longest)
    return Expansion(number, length, strategy == "fixed", expansion.flag("attend", False))


def _register(backend, prefix):
    """Makes the prefix of an old folder one special token, where the tokenizer knows it and splits it."""
    import tokenizers

    for word in (prefix, *prefix.split(None, 1)[:1]):
        if not word.strip() or backend.token_to_id(word) is None:
            continue
        if backend.encode(word, add_special_tokens=False).tokens != [word]:
            token = tokenizers.AddedToken(word, normalized=False, special=True)
            backend.add_special_tokens([token])
        return


def rows(
    reading: Reading, tokenizer: Tokenizer, texts: list[str], *, side: str, prompt: str
) -> list[TokenRow]:
    """Tokenizes texts of a side without padding.

    Args:
      reading: of the model.
      tokenizer: of it.
      texts: strings.
      side: "query" or "document".
      prompt: what goes before each.
    """
    asked = side == "query"
    most = reading.query_length if asked else reading.document_length
    ids = dataclasses.replace(tokenizer, max_length=most).tokens(texts, prompt=prompt)
    result = [_row(reading, tokens, side) for tokens in ids]
    return [_expanded(reading, row) for row in result] if asked else result


def _row(reading, tokens, side):
    seen = np.ones(len(tokens), bool)
    scored = seen
    if side in reading.skipped_in and reading.skipped:
        scored = scored & ~np.isin(tokens, list(reading.skipped))
    if side != "query" and reading.counted is not None:
        scored = scored & np.isin(tokens, list(reading.counted))
    return TokenRow(tokens, seen, scored)


def _expanded(reading, row):
    expansion = reading.expansion
    missing = 0 if expansion is None else expansion.length - len(row.tokens)
    if missing <= 0:
        return row
    scored = "query" not in reading.skipped_in or expansion.token not in reading.skipped
    return TokenRow(
        np.pad(row.tokens, (0, missing), constant_values=expansion.token),
        np.pad(row.seen, (0, missing), constant_values=expansion.seen),
        np.pad(row.scored, (0, missing), constant_values=scored),
    )


def with_settings(
    files: dict[str, bytes], prompts: Mapping[str, str], compared: Any
) -> dict[str, bytes]:
    """The small files of a folder with these prompts and this similarity; what says the same keeps its bytes.

    Raises: ValueError for a similarity that the file cannot say.
    """
    name = next((name for name, known in SIMILARITIES.items() if known is compared), None)
    if name is None:
        raise ValueError(
            f"similarity must be one of {', '.join(f.__name__ for f in SIMILARITIES.values())} to be saved, "
            f"got {getattr(compared, '__name__', compared)}"
        )
    fields = Fields(
        modules.SETTINGS, parsed_json(modules.SETTINGS, files.get(modules.SETTINGS, b"{}"))
    )
    texts = fields.object("prompts", None)
    changed = {}
    if ({} if texts is None else {one: texts.text(one, "") for one in texts}) != dict(prompts):
        changed["prompts"] = dict(prompts)
    if SIMILARITIES.get(fields.text("similarity_fn_name", "maxsim")) is not compared:
        changed["similarity_fn_name"] = name
    if not changed:
        return files
    return files | {modules.SETTINGS: _bytes(fields.tree | changed)}


def native(
    late: LateFolder, files: dict[str, bytes], tokenizer: Tokenizer, width: int
) -> dict[str, bytes]:
    """The small files of a folder in the layout of sentence-transformers' MultiVectorEncoder.

    Args:
      late: of `read`.
      files: of the folder, {relative path: bytes}.
      tokenizer: with the prefixes of old folders as tokens.
      width: of the transformer's states.
    """
    if late.kind == KIND and not late.prefixes and not late.fields:
        return files
    inner = f"{late.layout.transformer}/" if late.layout.transformer else ""
    settings = parsed_json(modules.SETTINGS, files.get(modules.SETTINGS, b"{}"))
    settings = {name: value for name, value in settings.items() if name not in _OLD_FIELDS}
    compared = next(n for n, known in SIMILARITIES.items() if known is late.similarity)
    settings |= {
        "model_type": KIND,
        "prompts": late.prompts,
        "similarity_fn_name": compared,
    }
    name = inner + tokenizer_files.SENTENCES[0]
    sentences = parsed_json(name, files.get(name, b"{}")) | dict(late.fields)
    backend: Any = tokenizer.backend
    tree = json.loads(backend.to_str()) | {"truncation": None, "padding": None}
    files = files | {
        modules.SETTINGS: _bytes(settings),
        name: _bytes(sentences),
        inner + tokenizer_files.FILE: json.dumps(tree, ensure_ascii=False).encode(),
    }
    return files if late.kind == KIND else files | _native_parts(late, files, width)


def _native_parts(late, files, width):
    """modules.json and the settings of the parts, of an old folder."""
    base = "sentence_transformers.base.modules."
    parts = [(late.layout.transformer, f"{base}transformer.Transformer")]
    written = {}
    for place, folder in late.layout.dense.items():
        name = f"{folder}/config.json"
        head = late.layout.heads[place]
        settings = {
            "in_features": width,
            "out_features": head.size,
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
        }
        settings = parsed_json(name, files[name]) if name in files else settings
        width = head.size
        written[name] = _bytes(
            settings | {"module_input_name": _STATES, "module_output_name": _STATES}
        )
        parts.append((folder, f"{base}dense.Dense"))
    mask, norm = (f"{len(parts) + n}_{what}" for n, what in enumerate(_PARTS[2:4]))
    written[f"{mask}/config.json"] = _bytes(dict(late.mask))
    written[f"{norm}/config.json"] = _bytes({"module_input_name": _STATES})
    of_mask = "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"
    parts += [(mask, of_mask), (norm, f"{base}normalize.Normalize")]
    entries = [
        {"idx": number, "name": str(number), "path": path, "type": kind}
        for number, (path, kind) in enumerate(parts)
    ]
    return written | {"modules.json": _bytes(entries)}


def _bytes(tree):
    return (json.dumps(tree, indent=2) + "\n").encode()
