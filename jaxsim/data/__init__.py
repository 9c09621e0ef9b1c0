"""Text for training and search: sources, tokens, batches. Loads tfds, grain and tokenizers when asked."""

from jaxsim.data.pipelines import batches
from jaxsim.data.sources import (
    docstrings,
    entity_mentions,
    fingerprint,
    glosses,
)
from jaxsim.data.tokens import (
    SPECIAL,
    entity_tokens,
    load_tokenizer,
    mention_tokens,
    padded,
    save_tokenizer,
    text_tokens,
    train_wordpiece,
)

__all__ = [
    "SPECIAL",
    "batches",
    "docstrings",
    "entity_mentions",
    "entity_tokens",
    "fingerprint",
    "glosses",
    "load_tokenizer",
    "mention_tokens",
    "padded",
    "save_tokenizer",
    "text_tokens",
    "train_wordpiece",
]
