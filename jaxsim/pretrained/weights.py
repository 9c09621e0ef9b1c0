"""Tensors in and out of safetensors files, in one piece or sharded. No pickle."""

import json
from pathlib import Path

import numpy as np

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth")


def read(folder):
    """All tensors of a folder: {name: array}, in the types of the file.

    Args:
      folder: with model.safetensors, or the shards that model.safetensors.index.json names.

    Raises: FileNotFoundError where there are none, or a shard is missing; ValueError for pickled
    weights, and for a damaged file, by name.
    """
    folder = Path(folder)
    if (folder / SINGLE).exists():
        return read_file(folder / SINGLE)
    if (folder / INDEX).exists():
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        tensors = {}
        for shard in sorted(set(index.values())):
            if Path(shard).name != shard or not (folder / shard).exists():
                raise FileNotFoundError(f"{folder / shard}: named by {INDEX}, but not there")
            tensors |= read_file(folder / shard)
        if missing := sorted(set(index) - set(tensors)):
            raise ValueError(f"{folder}: the shards lack {missing[0]!r}, which {INDEX} names")
        return tensors
    for name in PICKLES:
        if (folder / name).exists():
            raise ValueError(
                f"{folder / name}: pickled weights run code when they are read, and are refused; "
                "where torch and transformers are installed, load the folder and save it with "
                "save_pretrained(), which writes model.safetensors"
            )
    raise FileNotFoundError(f"{folder}: no {SINGLE} and no {INDEX}")


def read_file(path):
    """The tensors of one safetensors file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    _known_types()
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file, or damaged: {error}") from error


def write_file(path, tensors):
    """Writes tensors to one safetensors file, which transformers reads."""
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    save_file(arrays, path, metadata={"format": "pt"})


def _known_types():
    """bfloat16 and its kin become NumPy types once ml_dtypes, which comes with jax, is imported."""
    import ml_dtypes  # noqa: F401
