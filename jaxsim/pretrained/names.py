"""The names of parameters: ours, which are the same for all families, and those of each family's files.

Ours are paths in the parameters, such as "layer_0/query/kernel"; theirs are tensors, such as
"encoder.layer.0.attention.self.query.weight". Kernels are transposed on the way. A tensor that holds
several of ours one above the other (ModernBERT's Wqkv) names each with its place among them.
"""

import dataclasses
import re

import numpy as np


@dataclasses.dataclass(frozen=True)
class Names:
    """Module names of a family: {ours: theirs}, or {ours: (theirs, place, of how many)}."""

    prefix: str  # of the transformer's tensors in a file that has heads too
    body: dict
    pooler: object = None  # of a classification head; a leading "." stands for the prefix
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
_OLD = {".gamma": ".weight", ".beta": ".bias"}  # of LayerNorms in the oldest files


def taken(family, tensors, shapes):
    """A file's tensors as parameters.

    Args:
      family: a config's model_type.
      tensors: {their name: array}.
      shapes: the parameters wanted, {our path: shape}; a path starts with "transformer/", or is of
        the classification head.

    Returns: ({our path: float32 array}, the prefix that the file uses, {name: array} of the tensors
    that nothing asked for).
    Raises: ValueError naming a tensor that is missing or has another shape.
    """
    names = NAMES[family]
    tensors = {_modern(name): array for name, array in tensors.items()}
    start = names.body["tokens"] + ".weight"
    prefix = next((p for p in (names.prefix, "") if p + start in tensors), None)
    if prefix is None:
        raise ValueError(
            f"tensors must hold {start!r}, as a {family!r} does; got {len(tensors)} others"
        )
    found, used = {}, set()
    for path, shape in shapes.items():
        name, place, of = _theirs(names, prefix, path)
        if name not in tensors:
            raise ValueError(f"tensors must hold {name!r}, as a {family!r} of this config does")
        array = tensors[name]
        if of > 1:
            array = np.split(array, of)[place]
        array = array.T if path.endswith("/kernel") else array
        if array.shape != tuple(shape):
            raise ValueError(f"{name} must give {path} of shape {tuple(shape)}, got {array.shape}")
        found[path] = np.ascontiguousarray(array, np.float32)
        used.add(name)
    return found, prefix, {name: a for name, a in tensors.items() if name not in used}


def given(family, params, prefix):
    """Parameters as a file's tensors: the way back of `taken`.

    Args:
      family: a config's model_type.
      params: {our path: array}.
      prefix: as `taken` returned it.
    """
    names, pieces = NAMES[family], {}
    for path, array in params.items():
        name, place, _ = _theirs(names, prefix, path)
        array = np.asarray(array, np.float32)
        pieces.setdefault(name, {})[place] = array.T if path.endswith("/kernel") else array
    return {
        name: np.concatenate([parts[place] for place in sorted(parts)])
        for name, parts in pieces.items()
    }


def _theirs(names, prefix, path):
    """(tensor name, place, of how many) of one of our paths."""
    *module, leaf = path.split("/")
    if module[0] == "transformer":
        ours = "/".join(module[1:])
        number = re.match(r"layer_(\d+)/", ours)
        entry = names.body[re.sub(r"^layer_\d+/", "layer_#/", ours)]
        name, place, of = (entry, 0, 1) if isinstance(entry, str) else entry
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
