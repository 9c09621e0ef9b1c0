"""From a model's config.json to the transformer that it describes.

Families: bert, roberta, xlm-roberta, camembert, distilbert, mpnet, modernbert, llama, mistral, qwen2, qwen3.
"""

import functools

import jax
import jax.numpy as jnp

from jaxsim import encoders

ACTIVATIONS = {
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_new": jax.nn.gelu,
    "gelu_pytorch_tanh": jax.nn.gelu,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
    "tanh": jnp.tanh,
}
BERT_LIKE = ("bert", "roberta", "xlm-roberta", "camembert", "mpnet")
DECODERS = ("llama", "mistral", "qwen2", "qwen3")
FAMILIES = (*BERT_LIKE, "distilbert", "modernbert", *DECODERS)


def transformer(config, *, causal=None, dtype=jnp.float32):
    """The Linen transformer of a config.

    Args:
      config: config.json as a dict.
      causal: None follows the config: decoders are causal unless it says "is_causal": false. False
        lets a decoder see both ways, as models trained so want it; True the other way round.
      dtype: of the arithmetic.

    Raises: ValueError for families and settings that are not here, by name.
    """
    family = family_of(config)
    if family in BERT_LIKE:
        sizes = _bert(config, family)
    elif family == "distilbert":
        sizes = _distilbert(config)
    elif family == "modernbert":
        sizes = _modernbert(config)
    else:
        sizes = _decoder(config, family)
    if causal is not None and causal != sizes.get("causal", False):
        if family not in DECODERS:
            raise ValueError(f"causal is for decoders, got {causal} for a {family!r}")
        sizes["causal"] = causal
    return encoders.Transformer(**sizes, dtype=dtype)


def family_of(config):
    """The config's model_type, which must be one of ours."""
    family = config.get("model_type")
    if family not in FAMILIES:
        raise ValueError(f"model_type must be one of {', '.join(FAMILIES)}, got {family!r}")
    return family


def activation(name):
    """The function that a config names."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]


def _bert(config, family):
    kind = config.get("position_embedding_type", "absolute")
    if kind != "absolute":
        raise ValueError(f"position_embedding_type must be 'absolute', got {kind!r}")
    if config.get("is_decoder"):
        raise ValueError("is_decoder must be false: this family is read as an encoder")
    first = {"bert": 0, "mpnet": 2}.get(family, (config.get("pad_token_id") or 0) + 1)
    return {
        "vocabulary": config["vocab_size"],
        "dim": config["hidden_size"],
        "layers": config["num_hidden_layers"],
        "heads": config["num_attention_heads"],
        "hidden": config["intermediate_size"],
        "max_length": config["max_position_embeddings"] - first,
        "first_place": first,
        "segments": 0 if family == "mpnet" else config.get("type_vocab_size", 2),
        "buckets": config.get("relative_attention_num_buckets", 32) if family == "mpnet" else 0,
        "dropout": config.get("hidden_dropout_prob", 0.1),
        "initial": config.get("initializer_range", 0.02),
        "style": encoders.Style(
            normalise=encoders.layer_norm(config.get("layer_norm_eps", 1e-12)),
            activation=activation(config.get("hidden_act", "gelu")),
        ),
    }


def _distilbert(config):
    return {
        "vocabulary": config["vocab_size"],
        "dim": config["dim"],
        "layers": config["n_layers"],
        "heads": config["n_heads"],
        "hidden": config["hidden_dim"],
        "max_length": config["max_position_embeddings"],
        "segments": 0,
        "dropout": config.get("dropout", 0.1),
        "initial": config.get("initializer_range", 0.02),
        "style": encoders.Style(activation=activation(config.get("activation", "gelu"))),
    }


def _modernbert(config):
    layers = config["num_hidden_layers"]
    every = config.get("global_attn_every_n_layers", 3)
    kinds = config.get("layer_types") or [
        "sliding_attention" if n % every else "full_attention" for n in range(layers)
    ]
    places = config.get("rope_parameters") or {}
    thetas = [
        places.get(kind) or {"rope_theta": config.get(old) or default}
        for kind, old, default in (
            ("full_attention", "global_rope_theta", 160_000.0),
            ("sliding_attention", "local_rope_theta", 10_000.0),
        )
    ]
    biased = (
        ["query", "key", "value", "attention_out"] if config.get("attention_bias") else []
    ) + (["feed_forward_in", "feed_forward_out"] if config.get("mlp_bias") else [])
    return {
        "vocabulary": config["vocab_size"],
        "dim": config["hidden_size"],
        "layers": layers,
        "heads": config["num_attention_heads"],
        "hidden": config["intermediate_size"],
        "max_length": config["max_position_embeddings"],
        "segments": 0,
        "norm": "pre",
        "start_norm": True,
        "dropout": config.get("embedding_dropout", 0.0),
        "initial": config.get("initializer_range", 0.02),
        "local": tuple(n for n, kind in enumerate(kinds) if kind == "sliding_attention"),
        "window": config.get("local_attention", 128) // 2,
        "rotary": _rotary(thetas[0]),
        "local_rotary": _rotary(thetas[1]),
        "style": encoders.Style(
            normalise=encoders.layer_norm(
                config.get("norm_eps", 1e-5), biased=config.get("norm_bias", False)
            ),
            activation=activation(config.get("hidden_activation", "gelu")),
            gated=True,
            biases=tuple(biased),
        ),
    }


def _decoder(config, family):
    length = config["max_position_embeddings"]
    window = config.get("sliding_window") or length
    kinds = config.get("layer_types") or (
        ["sliding_attention"]
        if family == "mistral" or (config.get("use_sliding_window") and family != "llama")
        else []
    )
    if "sliding_attention" in kinds and window < length:
        raise ValueError(
            f"sliding_window={window} of a {family!r} is not supported: only full attention is"
        )
    default = family == "qwen2"  # whose config does not say it
    biases = ["query", "key", "value"] if config.get("attention_bias", default) else []
    if biases and family != "qwen2":
        biases.append("attention_out")
    if config.get("mlp_bias"):
        biases += ["feed_forward_in", "feed_forward_out"]
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = {"rope_theta": config.get("rope_theta", 10_000.0)}
    return {
        "vocabulary": config["vocab_size"],
        "dim": config["hidden_size"],
        "layers": config["num_hidden_layers"],
        "heads": config["num_attention_heads"],
        "key_heads": config.get("num_key_value_heads"),
        "head_dim": config.get("head_dim"),
        "hidden": config["intermediate_size"],
        "max_length": length,
        "segments": 0,
        "norm": "pre",
        "dropout": 0.0,
        "initial": config.get("initializer_range", 0.02),
        "rotary": _rotary(theta | scaling),
        "causal": config.get("is_causal", True),
        "style": encoders.Style(
            normalise=encoders.rms_norm(config.get("rms_norm_eps", 1e-6)),
            activation=activation(config.get("hidden_act", "silu")),
            gated=True,
            biases=tuple(biases),
            head_norm=family == "qwen3",
        ),
    }


def _rotary(settings):
    """Rotary of a config's rope parameters, in their old and new spellings."""
    kind = settings.get("rope_type") or settings.get("type") or "default"
    theta = float(settings["rope_theta"])
    if settings.get("partial_rotary_factor", 1.0) != 1.0:
        raise ValueError(
            f"partial_rotary_factor must be 1, got {settings['partial_rotary_factor']}"
        )
    if kind == "default":
        return encoders.Rotary(theta)
    if kind == "linear":
        return encoders.Rotary(theta, factor=float(settings["factor"]))
    if kind == "llama3":
        return encoders.Rotary(
            theta,
            factor=float(settings["factor"]),
            low=float(settings["low_freq_factor"]),
            high=float(settings["high_freq_factor"]),
            original=int(settings["original_max_position_embeddings"]),
        )
    raise ValueError(f"rope_type must be one of default, linear, llama3, got {kind!r}")
