"""Data sets by name: what an experiment's setting `data` may say, and what each name loads.

Each table is {name: function}. `settings.one_of(self, data=sources.BASKETS)` in a Config's `__post_init__`
refuses other names before any work.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from jaxsim import data
from jaxsim.numerics import checks

Loader = TypeVar("Loader", bound=Callable[..., Any])


def chosen(table: Mapping[str, Loader], name: str) -> Loader:
    """The loader of a name.

    Raises: ValueError "data must be one of ...".
    """
    checks.one_of("data", name, tuple(table))
    return table[name]


def text_pairs(split: str, *, size: str) -> list[tuple[str, str]]:
    """(query, document) of docstrings: summary lines and the bodies below them, `size` as in `data.docstrings`."""
    source = data.docstrings(split, config=size)
    rows = [source[place] for place in range(len(source))]
    return [(row["query"], row["document"]) for row in rows]


def _small_digits(split: str) -> data.Images:
    """Every eighth image."""
    images = data.digits(split)
    return images.of(np.arange(0, len(images.labels), 8))


# (split) -> (query, document) pairs; the test packages are unseen in training. They need no data.
DOCSTRINGS = {
    "docstrings": functools.partial(text_pairs, size="all"),
    "docstrings-small": functools.partial(text_pairs, size="small"),
}
# () -> data.Collection: documents with judged queries.
COLLECTIONS = {
    name: functools.partial(data.retrieval, name)
    for name in ("cranfield", "cacm", "cisi", "npl", "time", "adi")
}
# ("train" or "test") -> data.Images.
IMAGES = {"digits": data.digits, "digits-small": _small_digits, "cifar10": data.cifar10_subset}
# (side of the images) -> one data.Images to hold classes out of, or (known, unseen) alphabets.
CLASSES = {
    "digits": lambda size: (data.digits(),),
    "glyphs": lambda size: (data.glyphs(size=size),),
    "omniglot": lambda size: tuple(data.omniglot(split, size=size) for split in ("train", "test")),
}
# () -> data.Baskets.
BASKETS = {"groceries": data.groceries, "retail": data.retail, "imports": data.imports}
