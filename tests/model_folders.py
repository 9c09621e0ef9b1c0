"""Small folders of models for tests: random weights, words as tokens, the files that a user's folder has."""

import json
from pathlib import Path

import jax
import numpy as np
import tokenizers
from safetensors.numpy import save_file
from tokenizers import models, normalizers, pre_tokenizers, processors

from jaxsim import encoders
from jaxsim.pretrained import _families as families, _names as names
from jaxsim.pretrained._model import flat

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["red", "green", "blue", "round", "square", "large", "small", "old", "query", ":"]
SIZES = {
    "vocab_size": len(SPECIAL) + len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
}
DECODER = SIZES | {"num_key_value_heads": 1, "head_dim": 8, "rope_theta": 10_000.0}
CONFIGS = {
    "bert": SIZES | {"type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu"},
    "roberta": SIZES | {"type_vocab_size": 1, "pad_token_id": 1},
    "mpnet": SIZES | {"pad_token_id": 1, "relative_attention_num_buckets": 8},
    "distilbert": {
        "vocab_size": SIZES["vocab_size"],
        "dim": 16,
        "n_layers": 2,
        "n_heads": 2,
        "hidden_dim": 24,
        "max_position_embeddings": 32,
    },
    "modernbert": SIZES | {"local_attention": 6, "global_attn_every_n_layers": 2},
    "llama": DECODER,
    "qwen2": DECODER,
}


def word_tokenizer(*, lower=True):
    """A token per word, [CLS] before and [SEP] behind."""
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = tokenizers.Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def make(folder, family="bert", *, tokenizer=None, parts=True, **files):
    """A folder of a model.

    Args:
      folder: where.
      family: of CONFIGS.
      tokenizer: tokenizers.Tokenizer; None is `word_tokenizer()`.
      parts: modules.json, with a mean and a normalization.
      files: fields that are added to files of settings, by the key of FILES.

    Returns: the folder, a `Path`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = CONFIGS[family] | {"model_type": family}
    (tokenizer or word_tokenizer()).save(str(folder / "tokenizer.json"))
    write(folder / "config.json", config | files.get("config", {}))
    settings = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    write(folder / "tokenizer_config.json", settings | files.get("tokenizer_config", {}))
    if parts:
        kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
        entries = [
            {"path": path, "type": f"sentence_transformers.models.{k}"} for path, k in kinds.items()
        ]
        write(folder / "modules.json", entries)
        pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
        write(folder / "1_Pooling" / "config.json", pooling | files.get("pooling", {}))
        write(folder / "config_sentence_transformers.json", files.get("sentence", {}))
        write(
            folder / "sentence_bert_config.json", {"max_seq_length": 20} | files.get("lengths", {})
        )
    save_file(tensors(config), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def tensors(config):
    """Random weights by the names of the family's files, large enough that every input matters."""
    module = encoders.TextEncoder(families.transformer(config))
    text = {"tokens": np.zeros((1, 1), np.int32), "where": np.ones((1, 1), bool)}
    shapes = flat(jax.eval_shape(module.init, jax.random.key(0), text)["params"])
    random = np.random.default_rng(0)
    params = {
        path: 0.5 * random.normal(size=leaf.shape) + path.endswith("scale")
        for path, leaf in shapes.items()
    }
    return names.tensors_of(config["model_type"], params, "")


def write(path, tree):
    """Writes JSON."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(tree), encoding="utf-8")


def change(path, **fields):
    """Changes fields of a JSON file; ... removes one."""
    tree = json.loads(path.read_text(encoding="utf-8")) | fields
    write(path, {name: value for name, value in tree.items() if value is not ...})
