"""Models as commands take them: loaded, of the right kind, with the prompts of each side."""

import argparse
import dataclasses
import functools
import hashlib
import json
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim import pretrained, storage
from jaxsim.numerics import compute_dtype
from jaxsim.pretrained._adapters import CONFIG
from jaxsim.pretrained._modules import SETTINGS
from jaxsim.pretrained._sparse_model import within

LOG = logging.getLogger("jaxsim")


def dtype_of(chosen: argparse.Namespace) -> str:
    """The name of the type that the models of a command compute in."""
    return chosen.dtype or jnp.dtype(compute_dtype()).name


def embedding_model(chosen: argparse.Namespace, *, texts: bool = True, images: bool = False) -> Any:
    """The embedding model of --model.

    Args:
      chosen: the options.
      texts: whether it must read texts.
      images: whether it must read pictures.

    Raises: ValueError for a cross-encoder, and for a model that does not read what it must.
    """
    model = _loaded(chosen.model, chosen, max_length=chosen.max_length)
    if chosen.dtype is None and dtype_of(chosen) != "float32":
        LOG.info("the model computes in %s; --dtype float32 is exact and slower", dtype_of(chosen))
    if hasattr(model, "score"):
        raise ValueError(
            f"--model must be an embedding model, got the cross-encoder {chosen.model}: "
            "search takes it with --reranker"
        )
    if images and not hasattr(model, "encode_image"):
        raise ValueError(
            f"--model must read pictures, such as CLIP or SigLIP, got the text model {chosen.model}"
        )
    if texts and not hasattr(model, "encode"):
        raise ValueError(
            f"--model must read texts, such as CLIP or SigLIP, got the image encoder {chosen.model}"
        )
    check_queries(model, chosen.model, "model")
    return of_chosen_domain(model, chosen)


def check_queries(model: Any, folder: str, role: str) -> None:
    """Refuses a sparse encoder whose queries are read otherwise than its documents."""
    if getattr(model, "queries", None) is not None:
        raise ValueError(
            f"--{role} must read queries as it reads documents, and {folder} has weights of words for them: "
            "pretrained.load reads it, for embed_sparse of documents and embed_queries"
        )


def text_model(chosen: argparse.Namespace) -> pretrained.TextModel:
    """The embedding model of --model, which must read texts.

    Raises: ValueError for a cross-encoder or an image encoder.
    """
    return embedding_model(chosen)


def of_chosen_domain(
    model: pretrained.TextModel, chosen: argparse.Namespace
) -> pretrained.TextModel:
    """The dense model of --domain, where the model has experts of domains; another one as it is.

    Raises: ValueError where only one of the two has domains, and for another domain.
    """
    if not getattr(model, "domains", ()) or model.module.transformer.experts is None:
        if chosen.domain is not None:
            raise ValueError(f"--domain has no effect: {chosen.model} has no experts of domains")
        return model
    if chosen.domain not in model.domains:
        raise ValueError(
            f"--domain must be one of {', '.join(model.domains)}, the experts of {chosen.model}, got "
            f"{chosen.domain!r:.60}"
        )
    return pretrained.take_domain(model, chosen.domain)


def within_domain(model: pretrained.TextModel, domain: str) -> pretrained.TextModel:
    """A model with experts, all of whose texts are of one domain."""
    place = model.domains.index(domain)

    def within(encode):
        @functools.wraps(encode)
        def encoded(params, texts, **settings):
            return encode(params, {**texts, "domain": jnp.int32(place)}, **settings)

        return encoded

    return model.replace(encode=within(model.encode), encode_layers=within(model.encode_layers))


def cross_encoder(
    chosen: argparse.Namespace, role: str = "model", *, why: str = "", late: bool = False
) -> Any:
    """The cross-encoder of --model, or of another role, with one score per pair.

    Args:
      chosen: the options.
      role: the name of the option.
      why: what needs it, for the error: " for the loss".
      late: whether a model of late interaction is taken too.

    Raises: ValueError for an embedding model, or one that gives several scores.
    """
    folder = getattr(chosen, role)
    settings = {"max_length": chosen.max_length} if role == "model" else {}
    model = _loaded(folder, chosen, **settings)
    if late and is_late(model):
        return model
    if not hasattr(model, "score"):
        other = " or of late interaction" * late
        raise ValueError(
            f"--{role} must be a cross-encoder{other}{why}, got {folder} (no classification head)"
        )
    if (labels := getattr(model.module, "labels", 1)) > 1:
        raise ValueError(
            f"--{role} must give one score per pair, got {folder}, which gives {labels}"
        )
    return model


def reranker(chosen: argparse.Namespace) -> pretrained.CrossEncoderModel:
    """The cross-encoder of --reranker.

    Raises: ValueError for an embedding model, or one that gives several scores per pair.
    """
    return cross_encoder(chosen, "reranker")


def teacher(chosen: argparse.Namespace, role: str = "teacher") -> pretrained.TextModel:
    """The embedding model of --teacher, or of another role.

    Raises: ValueError for a cross-encoder.
    """
    folder = getattr(chosen, role)
    model = _loaded(folder, chosen)
    if not hasattr(model, "encode"):
        what = "cross-encoder" if hasattr(model, "score") else "image encoder"
        raise ValueError(f"--{role} must be an embedding model of texts, got the {what} {folder}")
    check_queries(model, folder, role)
    return model


def is_sparse(model: Any) -> bool:
    """Whether a model is a sparse encoder, such as SPLADE."""
    return isinstance(model, pretrained.SparseTextModel)


def is_late(model: Any) -> bool:
    """Whether a model is one of late interaction, such as ColBERT: a vector for each token."""
    return isinstance(model, pretrained.MultiVectorModel)


def encode_of(model: Any) -> Callable[..., jax.Array]:
    """The function that gives a model's vectors: of a sparse encoder the largest numbers of each, as it limits them."""
    limited = is_sparse(model) and model.max_active_dims is not None
    return within(model.encode, model.max_active_dims) if limited else model.encode


def dim_of(model: pretrained.TextModel) -> int:
    """The size of a model's vectors."""
    if is_late(model):
        return jax.eval_shape(model.encode, model.params, model.tokenize(["a"]))["vectors"].shape[2]
    texts = model.tokenize(["a"], domain=model.domains[0] if model.domains else None)
    return jax.eval_shape(model.encode, model.params, texts).shape[1]


def with_cuts(
    model: pretrained.TextModel, *, dims: Sequence[int], layers: Sequence[int]
) -> pretrained.TextModel:
    """A model whose settings say which cuts of it were trained, for whoever reads its folder.

    Args:
      model: the model.
      dims: sizes of first coordinates, the whole among them.
      layers: numbers of layers, all of them among them; none where only the last is trained.
    """
    files = dict(model.kept.files)
    settings = json.loads(files.get(SETTINGS, b"{}")) | {"matryoshka_dims": list(dims)}
    settings |= {"matryoshka_layers": list(layers)} if layers else {}
    files[SETTINGS] = (json.dumps(settings, indent=2) + "\n").encode()
    return model.replace(kept=dataclasses.replace(model.kept, files=files))


def any_model(folder: str, chosen: argparse.Namespace, *, max_length: int | None = None) -> Any:
    """The model of a folder, of whichever kind.

    Args:
      folder: of the model.
      chosen: the options.
      max_length: the most tokens of a text; None is what the folder says.
    """
    return _loaded(folder, chosen, **({} if max_length is None else {"max_length": max_length}))


def _loaded(folder, chosen, **settings):
    """A model, or the one that a folder of an adapter changes; errors name the options of a command."""
    if (adapter := adapter_config(folder)) is not None:
        model = _loaded(adapter.text("base_model_name_or_path"), chosen, **settings)
        changes, scale = pretrained.load_lora(model, folder)
        return model.replace(params=pretrained.with_lora(model.params, changes, scale=scale))
    try:
        return pretrained.load(folder, download=chosen.download, dtype=chosen.dtype, **settings)
    except (ValueError, FileNotFoundError) as error:
        if getattr(error, "errno", None) is not None:  # of the system, which names the file
            raise
        message = str(error).replace("pass download=True", "give --download")
        raise ValueError(re.sub("^max_length ", "--max-length ", message)) from error


def adapter_config(folder: str) -> storage.Fields | None:
    """The config of a folder of an adapter, None where the folder is none."""
    for path in (Path(folder) / CONFIG, Path(folder) / "0_Transformer" / CONFIG):
        if path.exists():
            return storage.read_object(path)
    return None


def identity(model: Any) -> str:
    """What the vectors of a model depend on, as a short string: its weights and its settings."""
    digest = hashlib.sha256(storage.checksum(model.params).encode())
    digest.update(json.dumps(model.config, sort_keys=True).encode())
    for name, data in sorted(model.kept.files.items()):
        if not name.endswith(".md"):
            digest.update(f"\0{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]


def prompt_of(
    model: pretrained.TextModel, name: str | None, *, option: str, usual: Sequence[str] = ()
) -> str | None:
    """The text that goes before each text of a side; None is the model's default.

    Args:
      model: the model.
      name: of one of its prompts, as the user gave it; "" means without a prompt; None takes the first of
        `usual` that the model has.
      option: what names a prompt, for errors.
      usual: names of prompts.

    Raises: ValueError for a name that the model does not have, and for a prompt that it does not pool.
    """
    if name is None:
        name = next((one for one in usual if one in model.prompts), None)
        prompt = None if name is None else model.prompts[name]
        if prompt:
            LOG.info(
                "texts begin with the model's prompt %r, %r; %s '' leaves it out",
                name,
                prompt,
                option,
            )
    elif name == "":
        prompt = ""
    elif name in model.prompts:
        prompt = model.prompts[name]
    else:
        there = ", ".join(map(repr, model.prompts)) or "which has none"
        raise ValueError(f"{option} must name a prompt of the model ({there}), got {name!r}")
    text = model.default_prompt if prompt is None else prompt
    if text and not model.pool_prompt:
        raise ValueError(
            f"the model reads its prompt {text!r:.60} without pooling it, which commands cannot do: leave it "
            f"out with {option} ''"
        )
    return prompt
