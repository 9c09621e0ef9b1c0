"""The masked language model's head of a folder: the tensors that `load` keeps unused, as our parameters."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxsim import encoders
from jaxsim.pretrained._weights import not_finite


class _Head(NamedTuple):
    """Names of a family's head, and what it always is."""

    dense: str
    norm: str
    bias: str  # of the words
    decoder: str  # whose weight is the table of words where the two are tied
    activation: Callable | None = None  # None is the transformer's


_KERNEL = "dense/kernel"  # which files have transposed
_ROBERTA = _Head(
    "lm_head.dense", "lm_head.layer_norm", "lm_head.bias", "lm_head.decoder", encoders.gelu
)
_HEADS = {
    "bert": _Head(
        "cls.predictions.transform.dense",
        "cls.predictions.transform.LayerNorm",
        "cls.predictions.bias",
        "cls.predictions.decoder",
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "mpnet": _ROBERTA,
    "distilbert": _Head(
        "vocab_transform", "vocab_layer_norm", "vocab_projector.bias", "vocab_projector"
    ),
}


def masked_lm(
    config: Mapping[str, Any], transformer: Any, params: Mapping[str, Any], rest: Mapping[str, Any]
) -> tuple[encoders.MaskedLanguageModel, dict]:
    """A folder's masked language model.

    Args:
      config: config.json.
      transformer: the module.
      params: {"params": {"transformer": ...}}.
      rest: {tensor name: array} that the embedding model does not use.

    Returns: the module, and {"params": {"transformer", "head"}}.
    Raises: ValueError for a family without such a head here, a folder without one, a decoder that is not tied to
    the embeddings, and tensors of another shape or not finite, by name.
    """
    family = config["model_type"]
    if family not in _HEADS:
        raise ValueError(f"masked_lm needs a family of {', '.join(_HEADS)}, got {family!r}")
    names = _HEADS[family]
    words = np.asarray(params["params"]["transformer"]["tokens"]["embedding"])
    count, dim = words.shape
    shapes = {
        _KERNEL: (dim, dim),
        **dict.fromkeys(("dense/bias", "norm/scale", "norm/bias"), (dim,)),
        "bias": (count,),
    }
    arrays = {}
    for path, name in _tensor_names(names, rest).items():
        shape = shapes[path]
        if name not in rest:
            raise ValueError(
                f"masked_lm needs a folder with a masked language model's head, and this one lacks {name}"
            )
        array = np.asarray(rest[name], np.float32)
        if array.shape != shape:
            raise ValueError(f"masked_lm needs {name} of shape {shape}, got {array.shape}")
        if bad := not_finite(array):
            raise ValueError(f"masked_lm needs finite numbers, got {bad} others in {name}")
        arrays[path] = jnp.asarray(array.T)
    decoder = rest.get(f"{names.decoder}.weight")
    if config.get("tie_word_embeddings", True) is False and decoder is None:
        raise ValueError(f"masked_lm needs {names.decoder}.weight, as config.json unties it")
    if decoder is not None and not np.array_equal(np.asarray(decoder, np.float32), words):
        raise ValueError(
            f"masked_lm needs a decoder tied to the embeddings, and {names.decoder}.weight is another table"
        )
    head = encoders.MaskedLmHead(
        names.activation or transformer.style.activation,
        transformer.style.normalize,
        transformer.initial,
    )
    tree = {
        "dense": {"kernel": arrays[_KERNEL], "bias": arrays["dense/bias"]},
        "norm": {"scale": arrays["norm/scale"], "bias": arrays["norm/bias"]},
        "bias": arrays["bias"],
    }
    module = encoders.MaskedLanguageModel(transformer, head)
    return module, {"params": {"transformer": params["params"]["transformer"], "head": tree}}


def head_tensors(
    family: str, params: Mapping[str, Any], rest: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """A head's parameters as tensors of a family's file, and the copies of words and biases that it had.

    Args:
      family: a config's model_type.
      params: {our path: array} of the whole, as `pretrained._model.flat` gives those of `masked_lm`.
      rest: {tensor name: array} that the file had beyond the transformer's.
    """
    names = _HEADS[family]
    head = {path: np.asarray(params[f"head/{path}"]) for path in _tensor_names(names, rest)}
    tensors = {
        name: head[path].T if path == _KERNEL else head[path]
        for path, name in _tensor_names(names, rest).items()
    }
    for name in (names.bias, f"{names.decoder}.bias"):
        if name in rest:
            tensors[name] = head["bias"]
    if f"{names.decoder}.weight" in rest:
        tensors[f"{names.decoder}.weight"] = np.asarray(params["transformer/tokens/embedding"])
    return tensors


def _tensor_names(names, rest):
    """{our path: tensor name} of a head; the bias of words has two names."""
    return {
        _KERNEL: f"{names.dense}.weight",
        "dense/bias": f"{names.dense}.bias",
        "norm/scale": f"{names.norm}.weight",
        "norm/bias": f"{names.norm}.bias",
        "bias": names.bias if names.bias in rest else f"{names.decoder}.bias",
    }
