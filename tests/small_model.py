"""Fixtures: a small BERT folder of random weights, made without torch, and pairs in its words."""

import json

import numpy as np
import pytest

WORDS = [
    "red",
    "green",
    "blue",
    "round",
    "square",
    "large",
    "small",
    "old",
    "new",
    "bright",
    "dark",
    "heavy",
    "light",
    "soft",
    "hard",
]
DIM, HIDDEN, HEADS = 16, 32, 2


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The folder of a BERT of one layer over a few words."""
    from safetensors.numpy import save_file
    from tokenizers import processors

    from jaxsim import data

    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = data.train_wordpiece(WORDS, size=120)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    data.save_tokenizer(folder / "tokenizer.json", tokenizer)
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": DIM,
        "num_hidden_layers": 1,
        "num_attention_heads": HEADS,
        "intermediate_size": HIDDEN,
        "max_position_embeddings": 32,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
    }
    (folder / "config.json").write_text(json.dumps(config))
    special = {
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "mask_token": "[MASK]",
        "tokenizer_class": "BertTokenizer",
        "model_max_length": 32,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(special))
    save_file(weights(config), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="session")
def tiny_cross(tiny, tmp_path_factory):
    """The same as a cross-encoder: a pooler and a head of one label."""
    from safetensors.numpy import save_file

    folder = tmp_path_factory.mktemp("tiny_cross")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((tiny / name).read_bytes())
    config = json.loads((tiny / "config.json").read_text())
    config |= {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    (folder / "config.json").write_text(json.dumps(config))
    random = np.random.default_rng(2)
    tensors = {f"bert.{name}": array for name, array in weights(config).items()}
    for name, rows in (("bert.pooler.dense", DIM), ("classifier", 1)):
        tensors[f"{name}.weight"] = np.float32(random.normal(size=(rows, DIM)))
        tensors[f"{name}.bias"] = np.zeros(rows, np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def weights(config):
    """Random tensors by their names in BERT's files."""
    random = np.random.default_rng(0)

    def dense(name, inputs, outputs):
        return {
            f"{name}.weight": random.normal(size=(outputs, inputs)) / np.sqrt(inputs),
            f"{name}.bias": np.zeros(outputs),
        }

    def norm(name):
        return {f"{name}.weight": np.ones(DIM), f"{name}.bias": np.zeros(DIM)}

    tensors = norm("embeddings.LayerNorm")
    for name, rows in (
        ("word", config["vocab_size"]),
        ("position", config["max_position_embeddings"]),
        ("token_type", 2),
    ):
        tensors[f"embeddings.{name}_embeddings.weight"] = random.normal(size=(rows, DIM))
    layer = "encoder.layer.0"
    for name in ("query", "key", "value"):
        tensors |= dense(f"{layer}.attention.self.{name}", DIM, DIM)
    tensors |= dense(f"{layer}.attention.output.dense", DIM, DIM)
    tensors |= norm(f"{layer}.attention.output.LayerNorm")
    tensors |= dense(f"{layer}.intermediate.dense", DIM, HIDDEN)
    tensors |= dense(f"{layer}.output.dense", HIDDEN, DIM)
    tensors |= norm(f"{layer}.output.LayerNorm")
    return {name: np.float32(array) for name, array in tensors.items()}


@pytest.fixture(scope="session")
def rows():
    """Queries and documents of the same words, one of them left out, and a negative."""
    random = np.random.default_rng(1)
    found = []
    for _ in range(80):
        some = random.permutation(WORDS)
        found.append(
            {
                "anchor": " ".join(some[:3]),
                "positive": " ".join([*some[1:3], some[4]]),
                "negative": " ".join(some[6:9]),
                "score": round(float(random.random()), 3),
            }
        )
    return found
