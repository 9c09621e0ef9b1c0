"""Small folders of models for tests: random weights, words as tokens, the files that a user's folder has."""

import json
from pathlib import Path

import jax
import numpy as np
import tokenizers
from safetensors.numpy import load_file, save_file
from tokenizers import models, normalizers, pre_tokenizers, processors

from jaxsim import encoders
from jaxsim.pretrained import (
    _families as families,
    _names as names,
    _tower_names as tower_names,
    _towers as towers,
)
from jaxsim.pretrained._model import flat
from jaxsim.storage._fields import Fields

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


def byte_tokenizer():
    """A token per byte as Qwen2 has them, of a few letters (others are left out), space and colon, [SEP] behind."""
    letters = [*"redbluog:", "\u0120"]
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *letters])}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.normalizer = normalizers.NFC()
    words = pre_tokenizers.Split(tokenizers.Regex(r" ?[a-z]+| ?[^\sa-z]+|\s+"), "isolated")
    bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, bytes_of])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A [SEP]", pair="$A [SEP] $B:1 [SEP]:1", special_tokens=[("[SEP]", 3)]
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
            {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for n, (path, kind) in enumerate(kinds.items())
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


def make_sparse(folder, family="bert", *, parts=True, head=True, **files):
    """A folder of a sparse encoder (SPLADE), or without parts of its masked language model.

    Args:
      folder: where.
      family: of CONFIGS, one with BERT's names.
      parts: modules.json, with a SpladePooling.
      head: the masked language model's head.
      files: fields that are added to files of settings: config, pooling, sentence, lengths.

    Returns: the folder, a `Path`.
    """
    folder = make(folder, family, parts=False, config=files.get("config", {}))
    if parts:
        kinds = {
            "": "base.modules.transformer.Transformer",
            "1_SpladePooling": "sparse_encoder.modules.splade_pooling.SpladePooling",
        }
        entries = [
            {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.{kind}"}
            for n, (path, kind) in enumerate(kinds.items())
        ]
        write(folder / "modules.json", entries)
        pooling = {"pooling_strategy": "max", "activation_function": "relu"}
        write(folder / "1_SpladePooling" / "config.json", pooling | files.get("pooling", {}))
        settings = {"model_type": "SparseEncoder", "similarity_fn_name": None}
        write(folder / "config_sentence_transformers.json", settings | files.get("sentence", {}))
        lengths = {"max_seq_length": 20, "transformer_task": "fill-mask"}
        write(folder / "sentence_bert_config.json", lengths | files.get("lengths", {}))
    if head:
        random, count = np.random.default_rng(1), SIZES["vocab_size"]
        shapes = {
            "transform.dense.weight": (16, 16),
            "transform.dense.bias": (16,),
            "transform.LayerNorm.weight": (16,),
            "transform.LayerNorm.bias": (16,),
            "bias": (count,),
        }
        tensors = load_file(folder / "model.safetensors")
        for name, shape in shapes.items():
            array = 0.5 * random.normal(size=shape) + name.endswith("LayerNorm.weight")
            tensors[f"cls.predictions.{name}"] = np.asarray(array, np.float32)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


LATE_PARTS = {
    "": "base.modules.transformer.Transformer",
    "1_Dense": "base.modules.dense.Dense",
    "2_MultiVectorMask": "multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask",
    "3_Normalize": "base.modules.normalize.Normalize",
}


def make_late(folder, family="bert", *, tokenizer=None, layout="native", dim=6, **files):
    """A folder of late interaction (ColBERT).

    Args:
      folder: where.
      family: of CONFIGS.
      tokenizer: as for `make`.
      layout: "native" is sentence-transformers', "pylate" or "stanford" the older ones.
      dim: of the vectors.
      files: fields that are added to files of settings: config, tokenizer_config, sentence, lengths, mask, metadata.

    Returns: the folder, a `Path`.
    """
    config = files.get("config", {})
    if layout == "stanford":
        config = config | {"architectures": ["HF_ColBERT"]}
    settings = {"mask_token": "[MASK]", "unk_token": "[UNK]"}
    if family != "bert":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    settings |= files.get("tokenizer_config", {})
    parts = {"tokenizer": tokenizer, "parts": False}
    folder = make(folder, family, **parts, config=config, tokenizer_config=settings)
    weight = {"linear.weight": np.float32(np.random.default_rng(1).normal(size=(dim, 16)))}
    if layout == "stanford":
        tensors = load_file(folder / "model.safetensors")
        tensors = {f"bert.{name}": array for name, array in tensors.items()} | weight
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        write(folder / "artifact.metadata", files.get("metadata", {}))
        return folder
    native = layout == "native"
    kinds = {place: f"sentence_transformers.{kind}" for place, kind in LATE_PARTS.items()}
    if not native:
        kinds = {
            "": "sentence_transformers.models.Transformer",
            "1_Dense": "pylate.models.Dense.Dense",
        }
    entries = [
        {"idx": n, "name": str(n), "path": path, "type": kind}
        for n, (path, kind) in enumerate(kinds.items())
    ]
    write(folder / "modules.json", entries)
    states = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
    dense = {
        "in_features": 16,
        "out_features": dim,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    write(folder / "1_Dense" / "config.json", dense | (states if native else {}))
    save_file(weight, folder / "1_Dense" / "model.safetensors", metadata={"format": "pt"})
    if native:
        mask = {"skiplist_words": [], "skiplist_tasks": ["document"], "keep_only_token_ids": None}
        write(folder / "2_MultiVectorMask" / "config.json", mask | files.get("mask", {}))
        write(folder / "3_Normalize" / "config.json", states)
    kind = {"model_type": "MultiVectorEncoder" if native else "ColBERT"}
    write(folder / "config_sentence_transformers.json", kind | files.get("sentence", {}))
    write(folder / "sentence_bert_config.json", {"max_seq_length": 24} | files.get("lengths", {}))
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


TOWER = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
VISION = TOWER | {"image_size": 16, "patch_size": 8}
TEXT = TOWER | {"vocab_size": SIZES["vocab_size"], "max_position_embeddings": 20}
IMAGE_CONFIGS = {
    "clip": {
        "text_config": TEXT | {"eos_token_id": 3},
        "vision_config": VISION,
        "projection_dim": 12,
    },
    "siglip": {"text_config": TEXT | {"pad_token_id": 0}, "vision_config": VISION},
    "vit": VISION,
    "dinov2": {name: size for name, size in VISION.items() if name != "intermediate_size"},
}
PROCESSORS = {  # pictures of 16 x 16 pixels
    "clip": {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}},
    "siglip": {"size": {"height": 16, "width": 16}},
    "vit": {"size": {"height": 16, "width": 16}},
    "dinov2": {"size": {"shortest_edge": 16}, "crop_size": 16},
}


def make_images(folder, family="clip", *, inner="", **files):
    """A folder of a model with an image side.

    Args:
      folder: where.
      family: of IMAGE_CONFIGS.
      inner: the folder of the model inside it, named by modules.json.
      files: fields that are added to files of settings: config, processor, tokenizer_config.

    Returns: the folder, a `Path`.
    """
    folder = Path(folder)
    place = folder / inner
    place.mkdir(parents=True, exist_ok=True)
    config = IMAGE_CONFIGS[family] | {"model_type": family}
    write(place / "config.json", config | files.get("config", {}))
    write(place / "preprocessor_config.json", PROCESSORS[family] | files.get("processor", {}))
    if inner:
        kind = "sentence_transformers.models.CLIPModel"
        write(folder / "modules.json", [{"idx": 0, "name": "0", "path": inner, "type": kind}])
    if family in tower_names.IMAGE_TEXT:
        word_tokenizer().save(str(place / "tokenizer.json"))
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]"}
        write(place / "tokenizer_config.json", settings | files.get("tokenizer_config", {}))
    tensors = image_tensors(config)
    save_file(tensors, place / "model.safetensors", metadata={"format": "pt"})
    return folder


def image_tensors(config):
    """Random weights by the names of the family's files."""
    family = config["model_type"]
    fields = Fields("config.json", config)
    layers = {f"{stem}.0.": None for stem in ("vision_model.encoder.layers", "encoder.layer")}
    layers["text_model.encoder.layers.0."] = None
    image = towers.image_tower(fields, layers, "", image=None, dtype=None, cudnn=False)
    pictures = np.zeros((1, *image.image, 3), np.float32)
    shapes = flat(jax.eval_shape(image.init, jax.random.key(0), pictures)["params"])
    shapes = {path: leaf.shape for path, leaf in shapes.items()}
    if family in tower_names.IMAGE_TEXT:
        text, _ = towers.text_tower(fields, layers, dtype=None, cudnn=False)
        words = {"tokens": np.zeros((1, 1), np.int32), "where": np.ones((1, 1), bool)}
        inner = flat(jax.eval_shape(text.init, jax.random.key(0), words)["params"])
        shapes = {f"image/{path}": shape for path, shape in shapes.items()}
        shapes |= {f"text/{path}": leaf.shape for path, leaf in inner.items()}
        shapes |= {"logit_scale": ()} | ({"logit_bias": ()} if family == "siglip" else {})
    random = np.random.default_rng(0)
    names_of = tower_names.NAMES[family]
    places = {path: tower_names._theirs(names_of, "", path) for path in shapes}
    arrays = {
        path: np.float32(0.3 * random.normal(size=shape) + path.endswith("scale"))
        for path, shape in shapes.items()
    }
    theirs = {}
    for path, (name, _, of) in places.items():
        shape = tower_names._turned(path, shapes[path])
        theirs[name] = (shape[0] * of, *shape[1:]) if of > 1 else shape
    tensors = tower_names.theirs_of(places, theirs, arrays)
    return {name: np.asarray(array, order="C") for name, array in tensors.items()}
