"""Kinds of models, and what the metadata of a card says of each."""

from typing import Any, NamedTuple

from jaxsim import pretrained
from jaxsim.commands.inputs import models


class Kind(NamedTuple):
    """What a card says of a kind of model."""

    about: str  # the beginning of its first sentence
    library: str  # that reads its folder
    pipeline: str  # the hub's name of its task
    tags: tuple[str, ...]


PEER = "sentence-transformers"
KINDS = {
    "text": Kind(
        "A sentence embedding model",
        PEER,
        "sentence-similarity",
        (PEER, "sentence-similarity", "feature-extraction"),
    ),
    "experts": Kind(
        "A sentence embedding model with experts of domains",
        "jaxsim",
        "feature-extraction",
        ("sentence-similarity", "feature-extraction", "mixture-of-experts"),
    ),
    "sparse": Kind(
        "A sparse text encoder (SPLADE)",
        PEER,
        "feature-extraction",
        (PEER, "sparse-encoder", "sparse", "splade"),
    ),
    "late": Kind(
        "A text encoder for late interaction (ColBERT)",
        PEER,
        "sentence-similarity",
        (PEER, "multi-vector", "late-interaction", "ColBERT"),
    ),
    "cross-encoder": Kind(
        "A cross-encoder, which scores pairs of texts",
        PEER,
        "text-ranking",
        (PEER, "cross-encoder", "reranker"),
    ),
    "images": Kind(
        "An embedding model of pictures and texts",
        "transformers",
        "zero-shot-image-classification",
        ("image-feature-extraction", "feature-extraction"),
    ),
    "pictures": Kind(
        "An embedding model of pictures",
        "transformers",
        "image-feature-extraction",
        ("image-feature-extraction", "feature-extraction"),
    ),
}


def name_of(model: Any) -> str:
    """The kind of a loaded model, of the keys of KINDS."""
    if isinstance(model, pretrained.CrossEncoderModel):
        return "cross-encoder"
    if hasattr(model, "encode_image"):
        return "images" if hasattr(model, "encode") else "pictures"
    if isinstance(model, pretrained.MultiVectorModel):
        return "late"
    if models.is_sparse(model):
        return "sparse"
    return "experts" if model.domains else "text"


def kind_of(model: Any) -> Kind:
    """What a card says of a loaded model."""
    kind = KINDS[name_of(model)]
    if kind.library == "transformers" and "modules.json" in model.kept.files:
        return kind._replace(library=PEER)  # which a folder of parts is for
    return kind
