"""Reads a folder's tokenizer: tokenizer.json, and the settings next to it.

The truncation and padding of tokenizer.json are left over from whoever saved it (128 tokens in
all-MiniLM-L6-v2, which reads 256): the model's maximum decides. What tokenizer_config.json and
sentence_bert_config.json say is honored as transformers and sentence-transformers honor it, or refused with
the name of the file and the field.
"""

import json
import os
import re
import string
from pathlib import Path
from typing import Any

from jaxsim.numerics import checks
from jaxsim.pretrained._tokenizer import Tokenizer, check_encodes, ends
from jaxsim.storage._fields import Fields, parsed_json, read_object

FILE, SETTINGS, TOKENS = "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"
SENTENCES = tuple(  # the first that is there; the others are of sentence-transformers' first years
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
BERT_CLASSES = ("BertTokenizer", "DistilBertTokenizer", "MPNetTokenizer")
CLASSES = {  # of a family, where the settings name none
    "bert": "BertTokenizer",
    "distilbert": "DistilBertTokenizer",
    "mpnet": "MPNetTokenizer",
    "roberta": "RobertaTokenizer",
    "clip": "CLIPTokenizer",
    "siglip": "SiglipTokenizer",
}
WITH_IMAGES = ("clip", "siglip")
VOCABULARY, MERGES = "vocab.json", "merges.txt"  # CLIP's folders before tokenizer.json
_WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
# Of keyword arguments that a folder may carry: what changes no number.
HARMLESS = {"add_pooling_layer", "attn_implementation", "dtype", "torch_dtype", "trust_remote_code"}
SIDES = ("left", "right")


def read(
    folder: str | os.PathLike,
    *,
    family: str,
    vocabulary: int,
    longest: int,
    max_length: int | None = None,
    classifier: bool = False,
    sparse: bool = False,
    late: bool = False,
) -> Tokenizer:
    """Reads the tokenizer of a folder.

    Args:
      folder: of the transformer.
      family: a config's model_type.
      vocabulary: rows of the model's table of tokens.
      longest: the most tokens that the model reads.
      max_length: the most tokens of a text; None is what the folder says.
      classifier: whether the model reads pairs.
      sparse: whether it is a sparse encoder, of a masked language model's logits.
      late: whether it is one of late interaction, whose queries have a length and a filling.

    Raises: FileNotFoundError without a tokenizer.json; ValueError for a damaged one, and for settings that do
    not fit or are not here, by name.
    """
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import ByteLevel

    folder = Path(folder)
    images = family in WITH_IMAGES
    sentences = _sentences(folder, classifier, images, sparse, late)
    settings = read_object(folder / SETTINGS, missing={})
    tokens = read_object(folder / TOKENS, missing={})
    backend, side = _backend(folder / FILE, family)
    side = settings.text("truncation_side", side, choices=SIDES)
    settings.text("padding_side", None, choices=SIDES)
    _check_added(backend, settings)
    for end in ("cls", "sep", "bos", "eos", "pad", "unk", "mask"):
        _token(settings, tokens, f"{end}_token")
        _token(tokens, tokens, f"{end}_token")
    settings.flag("do_lower_case", None)
    kind = settings.text("tokenizer_class", CLASSES.get(family, "")).removesuffix("Fast")
    if kind in BERT_CLASSES and isinstance(backend.model, WordPiece):
        _as_bert(backend, settings, tokens, kind)
    elif kind == "RobertaTokenizer" and isinstance(backend.pre_tokenizer, ByteLevel):
        backend.pre_tokenizer = ByteLevel(settings.flag("add_prefix_space", False))
    elif kind == "SiglipTokenizer":
        _canonical(backend, lower=settings.flag("do_lower_case", True))
    ended = _with_ends(backend, settings, tokens)
    if sentences.flag("do_lower_case", False):
        _lowered(backend)
    backend.encode_special_tokens = settings.flag("split_special_tokens", False)
    if (highest := _highest_id(backend)) >= vocabulary:
        raise ValueError(
            f"{folder / FILE}: has tokens up to number {highest}, and the model's table has {vocabulary} "
            "rows: the tokenizer is of another model, or has tokens that the model was not resized for"
        )
    special = backend.num_special_tokens_to_add(classifier) + (2 if classifier else 1)
    most = _length(sentences, settings, longest, special, max_length)
    filler = None
    if family == "siglip":
        length = _length(sentences, settings, longest, special, None)
        filler = _filler(backend, settings, tokens), length
        if most > length:
            raise ValueError(
                f"max_length must be at most {length}, to which texts are filled, got {most}"
            )
    return Tokenizer(backend, most, side == "left", ended, filler)


def with_ends(data: bytes, backend: Any) -> bytes:
    """The bytes of a tokenizer.json with the post-processor of a backend, which others then have too."""
    tree = parsed_json(FILE, data)
    tree["post_processor"] = json.loads(backend.to_str())["post_processor"]
    return json.dumps(tree, ensure_ascii=False).encode()


def token_types(folder: str | os.PathLike, tokenizer: Tokenizer, *, pairs: bool) -> bool:
    """Whether the second text of a pair has another token type than the first.

    Raises: ValueError for types that are not 0 for the first text and 0 or 1 for the second.
    """
    folder = Path(folder)
    settings = read_object(folder / SETTINGS, missing={})
    names = settings.strings("model_input_names", ["token_type_ids"])
    if "token_type_ids" not in names:
        return False
    first, second = tokenizer.types if pairs else (tokenizer.types_of_one, [])
    if any(first) or (any(second) and set(second) != {1}):
        raise ValueError(
            f"{folder / FILE}: token types must be 0 for the first text and 1 for the second of a pair, got "
            f"{[*first, *second]}"
        )
    return any(second)


def sentence_settings(folder: Path) -> Fields:
    """sentence_bert_config.json as it is, empty where there is none."""
    path = next((folder / name for name in SENTENCES if os.path.lexists(folder / name)), None)
    return Fields(folder / SENTENCES[0], {}) if path is None else read_object(path)


def filling_token(folder: Path, backend: Any) -> str | None:
    """The token that fills queries where a folder names none: the mask token, else the last; None without both."""
    settings = read_object(folder / SETTINGS, missing={})
    tokens = read_object(folder / TOKENS, missing={})
    names = [_token(settings, tokens, "mask_token"), "[MASK]", "<mask>"]
    names.append(_token(settings, tokens, "eos_token"))
    there = (name for name in names if name and backend.token_to_id(name) is not None)
    return next(there, None)


def pads_left(folder: Path) -> bool:
    """Whether a folder's tokenizer fills texts at their beginning."""
    settings = read_object(folder / SETTINGS, missing={})
    return settings.text("padding_side", "right", choices=SIDES) == "left"


def _sentences(folder, classifier, images, sparse, late):
    """sentence_bert_config.json, of which all is known or refused."""
    fields = sentence_settings(folder)
    task = "sequence-classification" if classifier else "feature-extraction"
    task = "fill-mask" if sparse else task
    fields.text("transformer_task", None, choices=(task,))
    output = "scores" if classifier else "sentence_embedding" if images else "token_embeddings"
    fields.text("module_output_name", None, choices=(output,))
    of_sides = ("query_length", "document_length", "query_expansion")
    for name in ("tokenizer_name_or_path", *(() if late else of_sides)):
        if name in fields:
            raise fields.wrong(name, "null: it is not supported")
    for name in (
        "processing_kwargs",
        "model_args",
        "model_kwargs",
        "tokenizer_args",
        "processor_kwargs",
        "config_args",
        "config_kwargs",
    ):
        inner = fields.object(name, None)
        if inner is not None and set(inner) - HARMLESS:
            raise fields.wrong(name, "empty: its keywords are not supported")
    ways = fields.object("modality_config", None)
    if ways is not None:
        modes = ("text", "image") if images else ("text",)
        if not {"text"} <= set(ways) <= set(modes):
            wanted = " and ".join(f'"{mode}"' for mode in modes)
            raise fields.wrong("modality_config", f"of {wanted} alone")
        for mode in ways:
            way, wanted = (
                ways.object(mode),
                "logits" if classifier or sparse else "last_hidden_state",
            )
            method, wanted = (
                (f"get_{mode}_features", "pooler_output") if images else ("forward", wanted)
            )
            way.text("method", method, choices=(method,))
            way.text("method_output_name", wanted, choices=(wanted,))
    return fields


def _backend(path, family):
    """A tokenizer.json without its truncation and padding, and the side that it cuts."""
    import tokenizers

    if not path.exists():
        parts = path.with_name(VOCABULARY), path.with_name(MERGES)
        if family == "clip" and all(part.exists() for part in parts):
            return _clip(*parts), "right"
        if path.with_name("spiece.model").exists():
            raise FileNotFoundError(
                f"{path}: there is no such file, and spiece.model is not read: take tokenizer.json from the "
                "model's page on the hub"
            )
        raise FileNotFoundError(
            f"{path}: there is no such file; where transformers is installed, "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder) writes it"
        )
    try:
        backend = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
        side = (backend.truncation or {}).get("direction", "right")
        backend.no_truncation()
        backend.no_padding()
        check_encodes(backend)
    except (KeyboardInterrupt, SystemExit, MemoryError, PermissionError):
        raise
    except BaseException as error:  # a panic of tokenizers is not an Exception
        raise ValueError(f"{path}: not a tokenizer, or damaged: {error}") from error
    return backend, side


def _check_added(backend, settings):
    """Tokens that transformers would add to the tokenizer must be there."""
    if settings.strings("fast_tokenizer_files", [FILE]) != [FILE]:
        raise settings.wrong("fast_tokenizer_files", f"[{FILE!r}]")
    added = settings.object("added_tokens_decoder", None)
    for number in added or ():
        token = added.object(number)
        content = token.text("content")
        for name in ("special", "normalized", "lstrip", "rstrip", "single_word"):
            token.flag(name, False)
        if backend.token_to_id(content) is None:
            raise ValueError(
                f"{settings.path}: added_tokens_decoder adds {content!r}, which {FILE} lacks: save the "
                "tokenizer again with save_pretrained()"
            )


def _as_bert(backend, settings, tokens, kind):
    """What transformers' class makes of a tokenizer.json: its own normalizer, and special tokens around."""
    from tokenizers import normalizers, processors

    wanted = {
        "lowercase": settings.flag("do_lower_case", True),
        "strip_accents": settings.flag("strip_accents", None),
        "handle_chinese_chars": settings.flag("tokenize_chinese_chars", True),
    }
    if isinstance(backend.normalizer, normalizers.BertNormalizer):
        present = json.loads(backend.normalizer.__getstate__())
        if any(present.get(name) != value for name, value in wanted.items()):
            clean = present.get("clean_text", True)
            backend.normalizer = normalizers.BertNormalizer(clean_text=clean, **wanted)
    elif "do_lower_case" in settings and _lowers(backend) != wanted["lowercase"]:
        raise settings.wrong(
            "do_lower_case", f"{str(_lowers(backend)).lower()}, as the normalizer of {FILE} has it"
        )
    if backend.post_processor is None and kind != "MPNetTokenizer":
        ends = [
            (token, backend.token_to_id(token))
            for token in (
                _token(settings, tokens, "cls_token", "[CLS]"),
                _token(settings, tokens, "sep_token", "[SEP]"),
            )
        ]
        if all(token and number is not None for token, number in ends):
            first, last = (token for token, _ in ends)
            backend.post_processor = processors.TemplateProcessing(
                single=[first, "$A", last],
                pair=[first, "$A", last, "$B:1", f"{last}:1"],
                special_tokens=ends,
            )


def _with_ends(backend, settings, tokens):
    """Adds the token before and the one after a text that tokenizer_config.json asks for; whether it did.

    transformers 4 does so, and transformers 5 goes by tokenizer.json alone: the two must agree, or be made to.
    """
    from tokenizers import processors

    asked = [settings.flag(f"add_{end}_token", None) for end in ("bos", "eos")]
    if asked == [None, None]:
        return False
    ids = [
        None if token is None else backend.token_to_id(token)
        for token in (_token(settings, tokens, f"{end}_token") for end in ("bos", "eos"))
    ]
    before, after = ends(backend)
    present = [ids[0] in before[:1], ids[1] in after[-1:]]
    for end, wanted, number, there in zip(("bos", "eos"), asked, ids, present, strict=True):
        if wanted and number is None:
            raise settings.wrong(f"add_{end}_token", f"false, as there is no {end}_token in {FILE}")
        if wanted is False and there:
            raise settings.wrong(f"add_{end}_token", f"true, as {FILE} adds that token")
    new = [bool(wanted) and not there for wanted, there in zip(asked, present, strict=True)]
    if not any(new):
        return False
    if {*before, *after} - set(ids):
        raise settings.wrong(
            f"add_{'bos' if new[0] else 'eos'}_token", f"false: {FILE} adds other special tokens"
        )
    first, last = (
        backend.id_to_token(n) if a or p else None
        for n, a, p in zip(ids, new, present, strict=True)
    )
    one, other = (
        [*([f"{first}:{n}"] if first else []), f"${text}:{n}", *([f"{last}:{n}"] if last else [])]
        for n, text in enumerate("AB")
    )
    special = {token: backend.token_to_id(token) for token in (first, last) if token}
    backend.post_processor = processors.TemplateProcessing(
        single=one, pair=[*one, *other], special_tokens=list(special.items())
    )
    return True


def _token(settings, tokens, name, default=None):
    """A special token's text, from tokenizer_config.json or else special_tokens_map.json."""
    for fields in (settings, tokens):
        value = fields.raw(name)
        if isinstance(value, dict):
            return fields.object(name).text("content")
        if value is not None:
            return fields.text(name)
    return default


def _clip(vocabulary, merges):
    """CLIP's tokenizer of the files of its vocabulary and its merges."""
    import tokenizers
    from tokenizers import Regex, normalizers, pre_tokenizers, processors

    ends = "<|startoftext|>", "<|endoftext|>"
    try:
        backend = tokenizers.Tokenizer(
            tokenizers.models.BPE.from_file(
                str(vocabulary), str(merges), end_of_word_suffix="</w>", unk_token=ends[1]
            )
        )
    except Exception as error:  # tokenizers raises nothing narrower
        raise ValueError(f"{vocabulary}: not a vocabulary of CLIP, or damaged: {error}") from error
    first, last = (backend.token_to_id(end) for end in ends)
    if first is None or last is None:
        raise ValueError(f"{vocabulary}: must hold {ends[0]!r} and {ends[1]!r}")
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    backend.post_processor = processors.RobertaProcessing(
        (ends[1], last), (ends[0], first), trim_offsets=False, add_prefix_space=False
    )
    backend.add_special_tokens(list(ends))
    check_encodes(backend)
    return backend


def _canonical(backend, *, lower):
    """Texts without ASCII punctuation and double spaces, which is how SigLIP's are read."""
    from tokenizers import Regex, normalizers

    punctuation = re.escape(string.punctuation)
    last = [] if backend.normalizer is None else [backend.normalizer]
    backend.normalizer = normalizers.Sequence(
        [
            *([normalizers.Lowercase()] if lower else []),
            normalizers.Replace(Regex(f"[{punctuation}]"), ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            *last,
        ]
    )


def _filler(backend, settings, tokens):
    """The number of the token that pads, which a model that reads its padding must have."""
    token = _token(settings, tokens, "pad_token")
    number = None if token is None else backend.token_to_id(token)
    if number is None:
        raise settings.wrong("pad_token", f"a token of {FILE}: the model reads its padding")
    return number


def _lowered(backend):
    """Puts texts in lower case first, as sentence-transformers does."""
    from tokenizers import normalizers

    last = [] if backend.normalizer is None else [backend.normalizer]
    backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *last])


def _lowers(backend):
    return backend.normalizer is not None and "A" not in backend.normalizer.normalize_str("A")


def _highest_id(backend):
    """The highest number that a token has, and those around texts."""
    around = backend.encode("", "").ids
    return max([*backend.get_vocab(with_added_tokens=True).values(), *around], default=-1)


def _length(sentences, settings, longest, special, max_length):
    """The most tokens of a text."""
    if max_length is not None:
        checks.whole("max_length", max_length)
        if not special <= max_length <= longest:
            raise ValueError(
                f"max_length must be from {special} (the special tokens and one per text) to {longest}, got "
                f"{max_length}"
            )
        return int(max_length)
    if longest < special:
        raise ValueError(
            f"{sentences.path.parent}: the model reads {longest} tokens, fewer than the special tokens and one "
            f"per text, {special}"
        )
    stated = []
    for fields, name in ((sentences, "max_seq_length"), (settings, "model_max_length")):
        value = fields.number(name, None, least=special)
        if value is not None and value != int(value):
            raise fields.wrong(name, "a whole number")
        stated.append(value)
    # Some say 1e30 for no limit of the tokenizer's.
    return int(min(next((value for value in stated if value is not None), longest), longest))
