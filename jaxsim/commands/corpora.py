"""A corpus of a user's file with its vectors beside it: what `index` builds and `search` reads."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxsim import data, pretrained, search, storage
from jaxsim.commands.columns import column_of
from jaxsim.numerics import unit

IDS = ("id", "_id", "doc_id", "docid", "name")
VERSION = 1


class Indexed(NamedTuple):
    """Texts, their ids, and their vectors of norm 1."""

    texts: list
    ids: list  # of strings
    vectors: np.ndarray  # float32 [texts, dim]
    model: object


def options(add):
    """What both commands take."""
    add("--model", required=True, help="folder of a model, or its name on the hub")
    add("--corpus", required=True, help=".jsonl, .csv, .tsv or .parquet")
    add(
        "--column",
        default="text",
        help="that holds the texts, or several to join: title,text (text)",
    )
    add("--id", help=f"column of the ids; {', '.join(IDS)} or the row's number unless told")
    add("--index", help="folder of the index; CORPUS.index unless told")
    add("--document-prompt", help="name of the model's prompt for documents")
    add("--max-length", type=int, help="tokens; the model's own unless told")
    add("--download", action="store_true", help="may fetch the model from the hub")


def indexed(chosen):
    """The corpus with its vectors: from the index where it is there, built or continued where not.

    Raises: ValueError for an index of another corpus, model or version, by name.
    """
    rows = data.read_records(chosen.corpus)
    texts = column_of(rows, chosen.corpus, chosen.column)
    names = [name for name in (chosen.id, *IDS) if name in rows[0]]
    if chosen.id and chosen.id not in rows[0]:
        raise ValueError(
            f"{chosen.corpus}: has no column {chosen.id!r}, it has {', '.join(rows[0])}"
        )
    ids = [str(row[names[0]]) for row in rows] if names else [str(i) for i in range(len(rows))]
    model = pretrained.load(chosen.model, download=chosen.download, max_length=chosen.max_length)
    folder = Path(chosen.index or f"{chosen.corpus}.index")
    about = {
        "version": VERSION,
        "model": storage.checksum(model.params),
        "corpus": hashlib.sha256(json.dumps([ids, texts]).encode()).hexdigest()[:16],
        "prompt": chosen.document_prompt,
        "max_length": model.max_length,
    }
    told = folder / "index.json"
    if told.exists():
        known = json.loads(told.read_text())
        for name, value in about.items():
            if known.get(name) != value:
                raise ValueError(
                    f"{told}: is of another {name}, {known.get(name)!r}, wanted {value!r}: "
                    "remove the folder or choose another with --index"
                )
    else:
        storage.write_json(told, about)
    vectors = search.encode_corpus(
        model.encode,
        model.params,
        lambda some: model.tokens(some, prompt_name=chosen.document_prompt),
        texts,
        path=folder / "vectors.npy",
        fingerprint=about["corpus"],
        label=f"indexing {chosen.corpus}",
    )
    return Indexed(texts, ids, np.asarray(unit(vectors)), model)
