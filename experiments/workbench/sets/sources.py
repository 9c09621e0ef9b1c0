"""Data sets by name: what an experiment's setting `data` may say, and what each name loads.

Each table is {name: function}. `settings.one_of(self, data=sources.BASKETS)` in a Config's `__post_init__`
refuses other names before any work.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
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


def collection(pairs: Iterable[tuple[str, str]]) -> data.Collection:
    """Pairs (query, document) as a collection, each document once, with one right document for each query."""
    queries, documents = zip(*pairs, strict=True)
    distinct = list(dict.fromkeys(documents))
    place = {document: number for number, document in enumerate(distinct)}
    truth = np.array([[place[document]] for document in documents])
    titles = [""] * len(distinct)
    return data.Collection(distinct, titles, list(queries), truth, np.ones(truth.shape, np.float32))


def asked(collection: data.Collection, most: int) -> data.Collection:
    """A collection of whose queries so many are drawn, equally for all seeds."""
    places = np.random.default_rng(0).permutation(len(collection.queries))[:most]
    return collection._replace(
        queries=[collection.queries[place] for place in places],
        truth=collection.truth[places],
        grades=collection.grades[places],
    )


def labeled_docstrings(*, size: str) -> data.LabeledTexts:
    """Docstrings whose class is the folder of their function, `size` as in `data.docstrings`."""
    sources = [data.docstrings(split, config=size) for split in ("train", "validation", "test")]
    rows = [source[place] for source in sources for place in range(len(source))]
    names = list(FOLDERS)
    classes = [folder_of(row["path"]) for row in rows]
    known = [(row, name) for row, name in zip(rows, classes, strict=True) if name is not None]
    return data.LabeledTexts(
        [row["query"].rstrip(".") for row, _ in known],
        [row["document"] for row, _ in known],
        np.array([names.index(name) for _, name in known], np.int32),
        names,
        [words.split() for words in FOLDERS.values()],
    )


def docstring_sentences(*, size: str) -> list[list[str]]:
    """Sentences of words of docstrings, as `data.running_text` gives them, `size` as in `data.docstrings`."""
    documents = [
        document
        for split in ("train", "validation", "test")
        for _, document in text_pairs(split, size=size)
    ]
    texts = [sentence for document in documents for sentence in data.sentences(document)]
    return [words for text in texts if (words := data.words(text))]


def folder_of(path: str) -> str | None:
    """The folder of `FOLDERS` in a function's path; None where there is none."""
    return next((part for part in path.split(".") if part in FOLDERS), None)


def labeled_glosses() -> data.LabeledTexts:
    """Definitions of WordNet's nouns, whose class is their lexicographer's file; its keyword is the file's name."""
    rows = [row for row in data.synsets() if row["lexname"].startswith("noun.")]
    rows = [row for row in rows if row["lexname"] != "noun.Tops"]  # the beginners of all others
    names = sorted({row["lexname"].removeprefix("noun.") for row in rows})
    place = {f"noun.{name}": number for number, name in enumerate(names)}
    return data.LabeledTexts(
        [""] * len(rows),
        [row["definition"] for row in rows],
        np.array([place[row["lexname"]] for row in rows], np.int32),
        names,
        [[name] for name in names],
    )


def _small_digits(split: str) -> data.Images:
    """Every eighth image."""
    images = data.digits(split)
    return images.of(np.arange(0, len(images.labels), 8))


# (split) -> (query, document) pairs; the test packages are unseen in training. They need no data.
DOCSTRINGS = {
    "docstrings": functools.partial(text_pairs, size="all"),
    "docstrings-small": functools.partial(text_pairs, size="small"),
}
# Folders of the packages of docstrings, with keywords that a reader of their manuals would give.
FOLDERS = {
    "asyncio": "coroutine event loop task future transport",
    "email": "email message header address charset",
    "linalg": "matrix eigenvalue decomposition inverse linear",
    "cluster": "clusters clustering centroid dendrogram linkage",
}
# () -> sentences of lower-case words.
TEXTS: dict[str, Callable[[], list[list[str]]]] = {
    "docstrings-small": functools.partial(docstring_sentences, size="small"),
    **{
        name: functools.partial(data.running_text, name)
        for name in ("masc", "wikitext2_valid", "wikitext2_test", "reuters", "glosses", "semcor")
    },
}
# () -> data.LabeledTexts: documents with one class each, and keywords of the classes.
LABELED = {
    "docstrings-small": functools.partial(labeled_docstrings, size="small"),
    "ag_news": data.ag_news,
    "medical_abstracts": data.medical_abstracts,
    "glosses": labeled_glosses,
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
    "caltech101": lambda size: tuple(
        data.caltech101(split, disjoint=True, size=size) for split in ("train", "test")
    ),
}
# () -> data.Baskets.
BASKETS = {"groceries": data.groceries, "retail": data.retail, "imports": data.imports}
