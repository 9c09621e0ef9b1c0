"""Parameter names: ours, which are the same for all families, and those of each family's files.

Ours are paths in the parameters, such as "layer_0/query/kernel"; theirs are tensors, such as
"encoder.layer.0.attention.self.query.weight". Kernels are transposed on the way. A tensor that holds
several of ours one above the other (ModernBERT's Wqkv) names each with its place among them.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxsim.pretrained import _weights as weights
from jaxsim.storage._fields import Fields


@dataclasses.dataclass(frozen=True)
class Names:
    """Module names of a family: {ours: theirs}, or {ours: (theirs, place, of how many)}."""

    prefix: str  # of the transformer's tensors in a file that has heads too
    body: dict
    pooler: object = None  # of a classification head; a leading "." means the prefix
    pooler_norm: object = None
    score: object = None


def _layers(stem, **parts):
    return {f"layer_#/{ours}": _stemmed(stem, theirs) for ours, theirs in parts.items()}


def _stemmed(stem, theirs):
    return stem + theirs if isinstance(theirs, str) else (stem + theirs[0], *theirs[1:])


_EMBEDDINGS = {
    "tokens": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "norm": "embeddings.LayerNorm",
}
_BERT = {
    **_EMBEDDINGS,
    "segments": "embeddings.token_type_embeddings",
    **_layers(
        "encoder.layer.#.",
        query="attention.self.query",
        key="attention.self.key",
        value="attention.self.value",
        attention_out="attention.output.dense",
        attention_norm="attention.output.LayerNorm",
        feed_forward_in="intermediate.dense",
        feed_forward_out="output.dense",
        feed_forward_norm="output.LayerNorm",
    ),
}
_MPNET = {
    **_EMBEDDINGS,
    "relative": "encoder.relative_attention_bias",
    **_layers(
        "encoder.layer.#.",
        query="attention.attn.q",
        key="attention.attn.k",
        value="attention.attn.v",
        attention_out="attention.attn.o",
        attention_norm="attention.LayerNorm",
        feed_forward_in="intermediate.dense",
        feed_forward_out="output.dense",
        feed_forward_norm="output.LayerNorm",
    ),
}
_DISTILBERT = {
    **_EMBEDDINGS,
    **_layers(
        "transformer.layer.#.",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attention_out="attention.out_lin",
        attention_norm="sa_layer_norm",
        feed_forward_in="ffn.lin1",
        feed_forward_out="ffn.lin2",
        feed_forward_norm="output_layer_norm",
    ),
}
_MODERNBERT = {
    "tokens": "embeddings.tok_embeddings",
    "embedding_norm": "embeddings.norm",
    "norm": "final_norm",
    **_layers(
        "layers.#.",
        query=("attn.Wqkv", 0, 3),
        key=("attn.Wqkv", 1, 3),
        value=("attn.Wqkv", 2, 3),
        attention_out="attn.Wo",
        attention_norm="attn_norm",
        feed_forward_gate=("mlp.Wi", 0, 2),
        feed_forward_in=("mlp.Wi", 1, 2),
        feed_forward_out="mlp.Wo",
        feed_forward_norm="mlp_norm",
    ),
}
_DECODER = {
    "tokens": "embed_tokens",
    "norm": "norm",
    **_layers(
        "layers.#.",
        query="self_attn.q_proj",
        key="self_attn.k_proj",
        value="self_attn.v_proj",
        query_norm="self_attn.q_norm",
        key_norm="self_attn.k_norm",
        attention_out="self_attn.o_proj",
        attention_norm="input_layernorm",
        feed_forward_gate="mlp.gate_proj",
        feed_forward_in="mlp.up_proj",
        feed_forward_out="mlp.down_proj",
        feed_forward_norm="post_attention_layernorm",
    ),
}
_BY_CLASSIFIER = {"pooler": "classifier.dense", "score": "classifier.out_proj"}
ROBERTA = Names("roberta.", _BERT, **_BY_CLASSIFIER)
DECODER = Names("model.", _DECODER, score="score")
NAMES = {
    "bert": Names("bert.", _BERT, pooler=".pooler.dense", score="classifier"),
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "mpnet": Names("mpnet.", _MPNET, **_BY_CLASSIFIER),
    "distilbert": Names("distilbert.", _DISTILBERT, pooler="pre_classifier", score="classifier"),
    "modernbert": Names(
        "model.", _MODERNBERT, pooler="head.dense", pooler_norm="head.norm", score="classifier"
    ),
    "llama": DECODER,
    "mistral": DECODER,
    "qwen2": DECODER,
    "qwen3": DECODER,
}
BUFFERS = (".inv_freq", ".position_ids", ".masked_bias")  # what torch once saved and never reads
_FIELDS_OF_DISTILBERT = {
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
}
_OLD = {".gamma": ".weight", ".beta": ".bias"}  # of LayerNorms in the oldest files


def check_sizes(fields: Fields, module: Any, tensors: Mapping[str, Any]) -> str:
    """Checks the sizes of a config against the shapes of its tensors, before anything is built.

    Args:
      fields: config.json.
      module: the transformer that `families` made of it, which is sizes alone.
      tensors: {their name: what has a shape}.

    Returns: the prefix that the tensors' names have.
    Raises: ValueError naming the field that does not fit, and the tensor.
    """
    family = fields.text("model_type")
    names = NAMES[family]
    prefix = _prefix(family, tensors)
    field = _FIELDS_OF_DISTILBERT
    field = field if family == "distilbert" else {name: name for name in field}
    stem = prefix + _layer_stem(names)
    numbers = [name.removeprefix(stem).split(".")[0] for name in tensors if name.startswith(stem)]
    layers = 1 + max((int(n) for n in numbers if n.isdecimal()), default=-1)
    if layers != module.layers:
        wanted = f"{layers}, the number of layers that its tensors have"
        raise fields.wrong(field["num_hidden_layers"], wanted)
    each = module.head_dim or module.dim // module.heads
    key_heads = module.key_heads or module.heads
    sizes = [  # (our module, axis, size, the field that says it)
        ("tokens", 0, module.vocabulary, "vocab_size"),
        ("tokens", 1, module.dim, field["hidden_size"]),
        ("positions", 0, module.max_length + module.first_place, "max_position_embeddings"),
        ("segments", 0, module.segments, "type_vocab_size"),
        ("relative", 0, module.buckets, "relative_attention_num_buckets"),
        ("relative", 1, module.heads, field["num_attention_heads"]),
        ("layer_#/query", 0, module.heads * each, field["num_attention_heads"]),
        ("layer_#/key", 0, key_heads * each, "num_key_value_heads"),
        ("layer_#/feed_forward_in", 0, module.hidden, field["intermediate_size"]),
    ]
    for ours, axis, size, name in sizes:
        if ours not in names.body or (ours == "segments" and not module.segments):
            continue
        theirs, _, of = _entry(names, ours)
        theirs = f"{prefix}{theirs.replace('#', '0')}.weight"
        shape = tensors[theirs].shape if theirs in tensors else ()
        if len(shape) == 2 and shape[axis] != size * of:
            raise fields.wrong(name, f"what {theirs} of shape {tuple(shape)} has there")
    return prefix


def params_of(
    fields: Fields, prefix: str, tensors: Mapping[str, Any], shapes: Mapping[str, tuple]
) -> tuple:
    """Converts a file's tensors to parameters.

    Args:
      fields: config.json.
      prefix: as `check_sizes` gave it.
      tensors: {their name: `weights.Entry`}, by modern names.
      shapes: the parameters wanted, {our path: shape}; a path starts with "transformer/", or is of
        the classification head.

    Returns: ({our path: float32 array}, {name: array} of the tensors that nothing asked for).
    Raises: ValueError naming a tensor that is missing, has another shape or type, is not finite, or has no
    place in a model of this config.
    """
    family = fields.text("model_type")
    names = NAMES[family]
    places = {path: _theirs(names, prefix, path) for path in shapes}
    for path, (name, _, of) in places.items():
        if name not in tensors:
            raise ValueError(
                f"{_place(tensors)}: tensors must hold {name!r}, as a {family!r} of this config does"
            )
        shape, wanted = tensors[name].shape, list(shapes[path])
        if path.endswith("/kernel"):
            wanted[-2:] = wanted[-2:][::-1]
        wanted[_stacked(path)] *= of
        if tuple(shape) != tuple(wanted):
            raise ValueError(
                f"{tensors[name].path}: {name} must have shape {tuple(wanted)} in a "
                f"{family!r} of this config, got {tuple(shape)}"
            )
    used = {name for name, _, _ in places.values()}
    unused = {name: entry for name, entry in tensors.items() if name not in used}
    modules = {name.rpartition(".")[0] for name in used}
    stem = prefix + _layer_stem(names)
    for name, entry in unused.items():
        inside = name.startswith(stem) or name.rpartition(".")[0] in modules
        if inside and not name.endswith(BUFFERS):
            raise ValueError(
                f"{entry.path}: {name} has no place in a {family!r} of this config, which would leave it "
                "out: the config is of another model, or the tensor is of an adapter"
            )
    wanted = {}  # {their name: [(our path, place, of how many)]}
    for path, (name, place, of) in places.items():
        wanted.setdefault(name, []).append((path, place, of))
    params = {}
    for name, array in weights.parameters({name: tensors[name] for name in wanted}):
        for path, place, of in wanted[name]:
            part = np.split(array, of, axis=_stacked(path))[place] if of > 1 else array
            part = np.swapaxes(part, -1, -2) if path.endswith("/kernel") else part
            params[path] = np.ascontiguousarray(part, np.float32)
    return params, weights.read(unused)


def modern(tensors: Mapping[str, Any]) -> dict:
    """Tensors by their current names: LayerNorms of the oldest files have gamma and beta.

    Raises: ValueError for a tensor that comes under both.
    """
    result = {}
    for name, entry in tensors.items():
        new = _modern(name)
        if new in result:
            raise ValueError(f"{entry.path}: holds {new!r} twice, once as {_old(new)!r}")
        result[new] = entry
    return result


def tensors_of(family: str, params: Mapping[str, Any], prefix: str) -> dict:
    """Converts parameters to a file's tensors: the inverse of `params_of`.

    Args:
      family: a config's model_type.
      params: {our path: array}.
      prefix: as `params_of` returned it.
    """
    names, pieces, axes = NAMES[family], {}, {}
    for path, array in params.items():
        name, place, _ = _theirs(names, prefix, path)
        array = np.asarray(array, np.float32)
        array = np.swapaxes(array, -1, -2) if path.endswith("/kernel") else array
        pieces.setdefault(name, {})[place] = array
        axes[name] = _stacked(path)
    return {
        name: np.concatenate([parts[place] for place in sorted(parts)], axis=axes[name])
        if len(parts) > 1
        else parts[0]
        for name, parts in pieces.items()
    }


def module_of(family: str, prefix: str, path: str) -> tuple[str, int, int]:
    """(module, place in its tensor, of how many kernels) of a path of a kernel of ours, in a file of a family."""
    name, place, of = _theirs(NAMES[family], prefix, path)
    return name.removesuffix(".weight"), place, of


def _stacked(path):
    """The axis of a tensor along which several of ours are one above the other; experts come before it."""
    return -2 if path.endswith(("/kernel", "/embedding")) else -1


def _prefix(family, tensors):
    names = NAMES[family]
    start = names.body["tokens"] + ".weight"
    prefix = next((p for p in (names.prefix, "") if p + start in tensors), None)
    if prefix is None:
        raise ValueError(
            f"{_place(tensors)}: tensors must hold {start!r}, as a {family!r} does; got "
            f"{len(tensors)} others"
        )
    return prefix


def _place(tensors):
    """The folder of tensors."""
    return next((entry.path.parent for entry in tensors.values()), "model.safetensors")


def _layer_stem(names):
    """How the names of layers begin: "encoder.layer."."""
    return next(_entry(names, ours)[0] for ours in names.body if "#" in ours).split("#")[0]


def _entry(names, ours):
    """(their module, place, of how many) of one of our modules."""
    entry = names.body[ours]
    return (entry, 0, 1) if isinstance(entry, str) else entry


def _theirs(names, prefix, path):
    """(tensor name, place, of how many) of one of our paths."""
    *module, leaf = path.split("/")
    if module[0] == "transformer":
        ours = "/".join(module[1:])
        number = re.match(r"layer_(\d+)/", ours)
        if number and ours.endswith("/router"):
            name = f"{prefix}{_layer_stem(names)}{number[1]}.router"
            return f"{name}.weight", 0, 1
        name, place, of = _entry(names, re.sub(r"^layer_\d+/", "layer_#/", ours))
        name = prefix + (name.replace("#", number[1]) if number else name)
    else:
        name, place, of = getattr(names, module[0]), 0, 1
        name = prefix + name[1:] if name.startswith(".") else name
    return f"{name}.{'bias' if leaf == 'bias' else 'weight'}", place, of


def _modern(name):
    for old, new in _OLD.items():
        if name.endswith("LayerNorm" + old):
            return name.removesuffix(old) + new
    return name


def _old(name):
    return next(name.removesuffix(new) + old for old, new in _OLD.items() if name.endswith(new))
