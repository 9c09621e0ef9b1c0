"""Models as commands take them: loaded, of the right kind, with the prompts of each side."""

import hashlib
import json
import logging

from jaxsim import pretrained, storage
from jaxsim.commands import arguments

LOG = logging.getLogger("jaxsim")
# What sentence-transformers' encode_query and encode_document take where no prompt is named.
QUERY_PROMPTS, DOCUMENT_PROMPTS = ("query",), ("document", "passage", "corpus")


def options(add):
    """The options of every command that loads an embedding model."""
    add(
        "--model",
        required=True,
        type=arguments.path,
        help="folder of a model, or its name on the hub",
    )
    add(
        "--max-length",
        type=arguments.whole(),
        help="tokens of a text at most; default: the model's own",
    )
    add("--download", action="store_true", help="may fetch the model from the hub")


def text_model(chosen):
    """The embedding model of --model.

    Raises: ValueError for a cross-encoder.
    """
    model = pretrained.load(chosen.model, download=chosen.download, max_length=chosen.max_length)
    if not hasattr(model, "encode"):
        raise ValueError(
            f"--model must be an embedding model, got the cross-encoder {chosen.model}: "
            "search takes it with --reranker"
        )
    return model


def reranker(folder):
    """The cross-encoder of --reranker.

    Raises: ValueError for an embedding model, or one that gives several scores per pair.
    """
    model = pretrained.load(folder)
    if not hasattr(model, "score"):
        raise ValueError(
            f"--reranker must be a cross-encoder, got {folder}, which has no classification head"
        )
    if (labels := getattr(model.module, "labels", 1)) > 1:
        raise ValueError(
            f"--reranker must give one score per pair, got {folder}, which gives {labels}"
        )
    return model


def identity(model):
    """What the vectors of a model depend on, as a short string: its weights and its settings."""
    digest = hashlib.sha256(storage.checksum(model.params).encode())
    digest.update(json.dumps(model.config, sort_keys=True).encode())
    for name, data in sorted(model.kept.files.items()):
        if not name.endswith(".md"):
            digest.update(f"\0{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]


def prompt_of(model, name, *, option, usual=()):
    """The text that goes before each text of a side; None is the model's default.

    Args:
      model: the model.
      name: of one of its prompts, as the user gave it; "" is no prompt at all; None takes the first of
        `usual` that the model has.
      option: what names a prompt, for errors.
      usual: names of prompts.

    Raises: ValueError for a name that the model does not have.
    """
    if name == "":
        return ""
    if name is None:
        name = next((one for one in usual if one in model.prompts), None)
        if name and model.prompts[name]:
            LOG.info(
                "texts begin with the model's prompt %r, %r; %s '' leaves it out",
                name, model.prompts[name], option,
            )  # fmt: skip
        return None if name is None else model.prompts[name]
    if name not in model.prompts:
        there = ", ".join(map(repr, model.prompts)) or "which has none"
        raise ValueError(f"{option} must name a prompt of the model ({there}), got {name!r}")
    return model.prompts[name]
