"""Model families: builds the transformer that a config.json describes.

Families: bert, roberta, xlm-roberta, camembert, distilbert, mpnet, modernbert, llama, mistral, qwen2, qwen3.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim import encoders
from jaxsim.storage._fields import Fields

ACTIVATIONS = {
    "gelu": encoders.gelu,
    "gelu_new": jax.nn.gelu,
    "gelu_pytorch_tanh": jax.nn.gelu,
    "quick_gelu": encoders.quick_gelu,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
    "tanh": jnp.tanh,
}
BERT_LIKE = ("bert", "roberta", "xlm-roberta", "camembert", "mpnet")
DECODERS = ("llama", "mistral", "qwen2", "qwen3")
FAMILIES = (*BERT_LIKE, "distilbert", "modernbert", *DECODERS)


# The model_type of a folder whose layers have experts, which no other library reads; what it would be without
# them, and what the experts are, is in an object of this name.
EXPERTS = "jaxsim_experts"
# The most that a config may say: sizes are made before they are held against the tensors'.
LAYERS = 2**12
WIDTH = 2**24
CLASSES = {  # how the architectures of a family begin
    "bert": "Bert",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
    "camembert": "Camembert",
    "mpnet": "MPNet",
    "distilbert": "DistilBert",
    "modernbert": "ModernBert",
    "llama": "Llama",
    "mistral": "Mistral",
    "qwen2": "Qwen2",
    "qwen3": "Qwen3",
}
ROBERTAS = ("roberta", "xlm-roberta", "camembert")  # one model under three names


def transformer(
    config: dict | Fields, *, causal: bool | None = None, dtype: Any = None, cudnn: bool = True
) -> encoders.Transformer:
    """Builds the Linen transformer of a config.

    Args:
      config: config.json, as a dict or as `storage.read_object` gives it.
      causal: None follows the config: decoders are causal unless it says "is_causal": false. False
        lets a decoder see both ways, as models trained so want it; True the other way round.
      dtype: of the arithmetic; None is `numerics.compute_dtype()`.
      cudnn: whether attention may run through cuDNN.

    Raises: ValueError for families and settings that are not here, and for values out of range, by name.
    """
    if causal is not None and not isinstance(causal, bool):
        raise ValueError(f"causal must be True, False or None, got {causal!r}")
    if dtype is not None and not jnp.issubdtype(dtype_of(dtype), jnp.floating):
        raise ValueError(f"dtype must be a type of floats, such as jnp.bfloat16, got {dtype!r}")
    fields = fields_of(config)
    family = family_of(fields)
    sizes = _SIZES[family](fields, family)
    if causal is not None and causal != sizes.get("causal", False):
        if family not in DECODERS:
            raise ValueError(f"causal is for decoders, got {causal} for a {family!r}")
        sizes["causal"] = causal
    experts = _experts(fields, sizes["layers"])
    return encoders.Transformer(**sizes, dtype=dtype, cudnn=cudnn, experts=experts)


def without_experts(fields: Fields) -> Fields:
    """A config as that of the dense model, with its experts under `EXPERTS`; another one as it is.

    Raises: ValueError where only one of the two names experts.
    """
    if fields.raw("model_type") != EXPERTS:
        if EXPERTS in fields:
            raise fields.wrong("model_type", f"{EXPERTS!r} where there is an object of this name")
        return fields
    family = fields.object(EXPERTS).text("model_type", choices=FAMILIES)
    return Fields(fields.path, {**fields.tree, "model_type": family})


def _experts(fields, layers):
    """The experts of a config, or None."""
    about = fields.object(EXPERTS, None)
    if about is None:
        return None
    count = about.whole("count", least=1, most=WIDTH)
    names = about.strings("domains", [])
    router = about.text("router", choices=encoders.ROUTERS)
    if router == "enforced" and (len(names) != count or len(set(names)) != count):
        raise about.wrong("domains", f"{count} different names, one for each expert")
    k = about.whole("k", 1, least=1, most=count)
    chosen = about.wholes("layers", None)
    if chosen is not None and (not chosen or max(chosen) >= layers):
        raise about.wrong("layers", f"numbers of its {layers} layers")
    return encoders.Experts(count, router, k, None if chosen is None else tuple(chosen))


def dtype_of(dtype: Any) -> Any:
    """A type of NumPy; object for what is none."""
    try:
        return jnp.dtype(dtype)
    except TypeError:
        return jnp.dtype(object)


def fields_of(config: dict | Fields) -> Fields:
    """Wraps a config as `Fields`."""
    return config if isinstance(config, Fields) else Fields("config.json", config)


def family_of(config: dict | Fields) -> str:
    """The config's model_type, which must be one of ours, as its architectures must be.

    Raises: ValueError for another family, and for weights that are quantized.
    """
    fields = fields_of(config)
    family = fields.text("model_type", choices=FAMILIES)
    if "quantization_config" in fields:
        raise fields.wrong("quantization_config", "missing: quantized weights are not supported")
    architecture = architecture_of(fields)
    # The longest name that fits: XLMRoberta is not Roberta.
    others = [one for one, start in CLASSES.items() if architecture.startswith(start)]
    if others and family not in others and not {family, *others} <= set(ROBERTAS):
        raise fields.wrong(
            "model_type", f"{others[0]!r}, as the architecture {architecture!r} says"
        )
    return family


def architecture_of(config: dict | Fields) -> str:
    """The first of a config's architectures, "" where it names none."""
    names = fields_of(config).strings("architectures", [])
    return names[0] if names else ""


def activation(fields: Fields, name: str, default: str) -> Callable:
    """Activation function that a field names."""
    return ACTIVATIONS[fields.text(name, default, choices=ACTIVATIONS)]


def _shared(
    fields,
    *,
    dim="hidden_size",
    layers="num_hidden_layers",
    heads="num_attention_heads",
    hidden="intermediate_size",
):
    """The sizes that all families have, and some under other names."""
    vocabulary = fields.whole("vocab_size", least=1)
    if not -vocabulary <= fields.whole("pad_token_id", 0, least=-vocabulary) < vocabulary:
        raise fields.wrong("pad_token_id", f"a token below vocab_size={vocabulary}")
    for name in ("attention_probs_dropout_prob", "attention_dropout", "classifier_dropout"):
        fields.number(name, None, least=0, most=1)
    for name in ("dtype", "torch_dtype"):
        fields.text(name, None)
    return {
        "vocabulary": vocabulary,
        "dim": fields.whole(dim, least=1, most=WIDTH),
        "layers": fields.whole(layers, least=1, most=LAYERS),
        "heads": fields.whole(heads, least=1, most=WIDTH),
        "hidden": fields.whole(hidden, least=1, most=WIDTH),
        "initial": fields.number("initializer_range", 0.02, least=0),
    }


def _divided(fields, sizes, heads="num_attention_heads"):
    """The dimensions of a head; heads must divide the width."""
    if sizes["dim"] % sizes["heads"]:
        raise fields.wrong(heads, f"a divisor of the width, {sizes['dim']}")
    return sizes["dim"] // sizes["heads"]


def _even(fields, dim, name="num_attention_heads"):
    if dim % 2:
        raise fields.wrong(name, f"such that heads have an even width for rotary places, not {dim}")


def _bert(fields, family):
    sizes = _shared(fields)
    _divided(fields, sizes)
    fields.text("position_embedding_type", "absolute", choices=("absolute",))
    for name in ("is_decoder", "add_cross_attention"):
        if fields.flag(name, False):
            raise fields.wrong(name, "false: this family is read as an encoder")
    padding = 0 if family == "bert" else fields.whole("pad_token_id", 1)
    first = {"bert": 0, "mpnet": 2}.get(family, padding + 1)
    relative = family == "mpnet"
    if family in ROBERTAS and fields.raw("pad_token_id", 1) is None:
        raise fields.wrong("pad_token_id", "a token: places are counted from it")
    buckets = fields.whole("relative_attention_num_buckets", 32, least=4) if relative else 0
    return sizes | {
        "max_length": fields.whole("max_position_embeddings", least=first + 1) - first,
        "first_place": first,
        "segments": 0 if relative else fields.whole("type_vocab_size", 2, least=1),
        "buckets": buckets,
        "dropout": fields.number("hidden_dropout_prob", 0.1, least=0, most=1),
        "style": encoders.Style(
            normalize=encoders.layer_norm(fields.number("layer_norm_eps", 1e-12, least=0, most=1)),
            activation=activation(fields, "hidden_act", "gelu"),
        ),
    }


def _distilbert(fields, _):
    sizes = _shared(fields, dim="dim", layers="n_layers", heads="n_heads", hidden="hidden_dim")
    _divided(fields, sizes, "n_heads")
    return sizes | {
        "max_length": fields.whole("max_position_embeddings", least=1),
        "segments": 0,
        "dropout": fields.number("dropout", 0.1, least=0, most=1),
        "style": encoders.Style(activation=activation(fields, "activation", "gelu")),
    }


def _modernbert(fields, _):
    sizes = _shared(fields)
    _even(fields, _divided(fields, sizes))
    local = tuple(n for n, kind in enumerate(_kinds(fields, sizes)) if kind == "sliding_attention")
    rotary = _modernbert_rotary(fields)
    biased = ["query", "key", "value", "attention_out"] * fields.flag("attention_bias", False)
    biased += ["feed_forward_in", "feed_forward_out"] * fields.flag("mlp_bias", False)
    return sizes | {
        "max_length": fields.whole("max_position_embeddings", least=1),
        "segments": 0,
        "norm": "pre",
        "start_norm": True,
        "dropout": fields.number("embedding_dropout", 0.0, least=0, most=1),
        "local": local,
        "window": fields.whole("local_attention", 128, least=2) // 2,
        "rotary": rotary["full_attention"],
        "local_rotary": rotary["sliding_attention"],
        "style": encoders.Style(
            normalize=encoders.layer_norm(
                fields.number("norm_eps", 1e-5, least=0, most=1),
                biased=fields.flag("norm_bias", False),
            ),
            activation=activation(fields, "hidden_activation", "gelu"),
            gated=True,
            biases=tuple(biased),
        ),
    }


def _modernbert_rotary(fields):
    """{kind of layer: Rotary}: in the old spelling by a field each, in the new one by an object each."""
    thetas = {"full_attention": fields.number("global_rope_theta", 160_000.0, least=1)}
    thetas["sliding_attention"] = (
        thetas["full_attention"]
        if fields.raw("local_rope_theta", 10_000.0) is None
        else fields.number("local_rope_theta", 10_000.0, least=1)
    )
    if "rope_scaling" in fields:
        raise fields.wrong("rope_scaling", "missing for a 'modernbert'")
    both = _object(fields, "rope_parameters")
    return {kind: _rotary(_object(both, kind), theta, fields) for kind, theta in thetas.items()}


def _kinds(fields, sizes):
    """What each layer sees: "full_attention" or "sliding_attention"."""
    kinds = fields.strings("layer_types", None)
    if kinds is None:
        every = fields.whole("global_attn_every_n_layers", 3, least=1)
        return [
            "sliding_attention" if n % every else "full_attention" for n in range(sizes["layers"])
        ]
    if len(kinds) != sizes["layers"] or not set(kinds) <= {"full_attention", "sliding_attention"}:
        raise fields.wrong(
            "layer_types", f"{sizes['layers']} of 'full_attention' and 'sliding_attention'"
        )
    return kinds


def _decoder(fields, family):
    sizes = _shared(fields)
    head_dim = fields.whole("head_dim", None, least=1, most=WIDTH)
    _even(
        fields,
        head_dim or _divided(fields, sizes),
        "head_dim" if head_dim else "num_attention_heads",
    )
    key_heads = fields.whole("num_key_value_heads", None, least=1, most=WIDTH)
    if key_heads and sizes["heads"] % key_heads:
        raise fields.wrong(
            "num_key_value_heads", f"a divisor of num_attention_heads={sizes['heads']}"
        )
    length = fields.whole("max_position_embeddings", least=1)
    _refuse_windows(fields, family, sizes["layers"], length)
    # Qwen2 has these biases and no field for them.
    attention = fields.flag("attention_bias", family == "qwen2")
    biases = ["query", "key", "value"] * attention
    biases += ["attention_out"] * (attention and family != "qwen2")
    biases += ["feed_forward_in", "feed_forward_out"] * fields.flag("mlp_bias", False)
    theta = fields.number("rope_theta", 10_000.0, least=1)
    rope = _object(fields, "rope_scaling" if fields.raw("rope_scaling") else "rope_parameters")
    rope = _object(rope, "full_attention") if "full_attention" in rope else rope
    return sizes | {
        "key_heads": key_heads,
        "head_dim": head_dim,
        "max_length": length,
        "segments": 0,
        "norm": "pre",
        "dropout": 0.0,
        "rotary": _rotary(rope, theta, fields),
        "causal": fields.flag("is_causal", True),
        "style": encoders.Style(
            normalize=encoders.rms_norm(fields.number("rms_norm_eps", 1e-6, least=0, most=1)),
            activation=activation(fields, "hidden_act", "silu"),
            gated=True,
            biases=tuple(biases),
            head_norm=family == "qwen3",
        ),
    }


def _refuse_windows(fields, family, layers, length):
    """Attention of decoders is full: a window that is shorter than their texts is refused."""
    window = fields.whole("sliding_window", length, least=1)
    used = fields.flag("use_sliding_window", False) and family in ("qwen2", "qwen3")
    used = used and fields.whole("max_window_layers", 28) < layers
    kinds = fields.strings("layer_types", ["sliding_attention"] * (used or family == "mistral"))
    if "sliding_attention" in kinds and window < length:
        raise fields.wrong(
            "sliding_window",
            f"at least max_position_embeddings={length}: only full attention is here",
        )


def _object(fields, name):
    """An object inside, empty where there is none."""
    inner = fields.object(name, None)
    return Fields(fields.path, {}, name) if inner is None else inner


def _rotary(rope, theta, fields):
    """Rotary of an object of rope parameters, in their old and new spellings."""
    name = "rope_type" if "rope_type" in rope else "type"
    kind = rope.text(name, "default", choices=("default", "linear", "llama3"))
    theta = rope.number("rope_theta", theta, least=1)
    for where in (rope, fields):
        if where.number("partial_rotary_factor", 1.0) != 1:
            raise where.wrong("partial_rotary_factor", "1")
    if kind == "default":
        return encoders.Rotary(theta)
    factor = rope.number("factor", least=1)
    if kind == "linear":
        return encoders.Rotary(theta, factor=factor)
    low, high = rope.number("low_freq_factor", above=0), rope.number("high_freq_factor", above=0)
    if not low < high:
        raise rope.wrong("high_freq_factor", f"above low_freq_factor={low}")
    original = fields.whole("max_position_embeddings", least=1)
    original = rope.whole("original_max_position_embeddings", original, least=1)
    return encoders.Rotary(theta, factor=factor, low=low, high=high, original=original)


_SIZES = {
    **dict.fromkeys(BERT_LIKE, _bert),
    "distilbert": _distilbert,
    "modernbert": _modernbert,
    **dict.fromkeys(DECODERS, _decoder),
}
