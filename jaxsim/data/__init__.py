"""Text and images for training and search: sources, tokens, views, batches. Loads tfds, grain and
tokenizers when asked.
"""

from jaxsim.data import augment, negatives
from jaxsim.data.baskets import Baskets, groceries, imports, retail
from jaxsim.data.deletion import deleted
from jaxsim.data.images import Images, cifar10_subset, digits, glyphs, omniglot
from jaxsim.data.judged import Collection, GradedPairs, retrieval, sts_benchmark
from jaxsim.data.mixtures import distinct_batches, negative_batches, task_batches
from jaxsim.data.pipelines import batches
from jaxsim.data.planned import Planned
from jaxsim.data.records import read_records
from jaxsim.data.samplers import array_batches, class_batches
from jaxsim.data.sessions import (
    holds_pair,
    item_counts,
    pmi,
    pmi_filter,
    session_pairs,
    synthetic_pairs,
    without_outliers,
)
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
from jaxsim.data.words import keep_probability, word2vec_keep_probability

__all__ = [
    "SPECIAL",
    "Baskets",
    "Collection",
    "GradedPairs",
    "Images",
    "Planned",
    "array_batches",
    "augment",
    "batches",
    "cifar10_subset",
    "class_batches",
    "deleted",
    "digits",
    "distinct_batches",
    "docstrings",
    "entity_mentions",
    "entity_tokens",
    "fingerprint",
    "glosses",
    "glyphs",
    "groceries",
    "holds_pair",
    "imports",
    "item_counts",
    "keep_probability",
    "load_tokenizer",
    "mention_tokens",
    "negative_batches",
    "negatives",
    "omniglot",
    "padded",
    "pmi",
    "pmi_filter",
    "read_records",
    "retail",
    "retrieval",
    "save_tokenizer",
    "session_pairs",
    "sts_benchmark",
    "synthetic_pairs",
    "task_batches",
    "text_tokens",
    "train_wordpiece",
    "without_outliers",
    "word2vec_keep_probability",
]
