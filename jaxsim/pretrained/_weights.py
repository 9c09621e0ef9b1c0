"""safetensors files: tensors in and out, in one file or sharded. No pickle.

Headers are read first (`entries`): shapes are checked before any tensor is read.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxsim.storage._fields import read_object

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth")
# What parameters may be: others are quantized, or not weights.
FLOATS = (
    "F64",
    "F32",
    "F16",
    "BF16",
)


class Entry(NamedTuple):
    """A tensor in a file."""

    path: Path
    name: str  # in the file
    shape: tuple[int, ...]
    dtype: str  # as safetensors names it


def entries(folder: str | Path) -> dict[str, Entry]:
    """What the tensors of a folder are, without reading them.

    Args:
      folder: with model.safetensors, or the shards that model.safetensors.index.json names.

    Raises: FileNotFoundError where there are none, or a shard is missing; ValueError for pickled
    weights, for a damaged file, and for shards and an index that do not fit, by name.
    """
    folder = Path(folder)
    if (folder / SINGLE).exists():
        return entries_of_file(folder / SINGLE)
    if (folder / INDEX).exists():
        return _sharded(folder)
    for name in PICKLES:
        if (folder / name).exists():
            raise ValueError(
                f"{folder / name}: pickled weights run code when they are read, and are refused; "
                "where torch and transformers are installed, load the folder and save it with "
                "save_pretrained(), which writes model.safetensors"
            )
    raise FileNotFoundError(f"{folder}: no {SINGLE} and no {INDEX}")


def entries_of_file(path: str | Path) -> dict[str, Entry]:
    """What the tensors of one safetensors file are."""
    path = Path(path)
    with _opened(path) as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        return {
            name: Entry(path, name, tuple(part.get_shape()), part.get_dtype())
            for name, part in slices.items()
        }


def read(tensors: Mapping[str, Entry]) -> dict[str, np.ndarray]:
    """The arrays of entries, in the types of their files: {name: array}.

    Raises: ValueError naming a tensor that cannot be read, such as one of a type that NumPy lacks.
    """
    return dict(_read(tensors))


def parameters(tensors: Mapping[str, Entry]) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of entries as float32, each of which must be finite: (name, array), read one by one.

    Raises: ValueError naming the file and the tensor that holds other types, NaN or infinity.
    """
    for name, entry in tensors.items():
        if entry.dtype not in FLOATS:
            raise ValueError(
                f"{entry.path}: {name} must be one of {', '.join(FLOATS)}, got {entry.dtype}: quantized "
                "weights and weights that are not real numbers are not supported"
            )
    for name, array in _read(tensors):
        with np.errstate(over="ignore"):
            array = np.asarray(array, np.float32)
        if bad := not_finite(array):
            raise ValueError(
                f"{tensors[name].path}: {name} must be finite in float32, got NaN or infinity at {bad} of "
                f"{array.size} places: the weights are damaged, or of a training that diverged"
            )
        yield name, array


def not_finite(array: np.ndarray) -> int:
    """How many numbers of an array are NaN or infinite; a sum shows at once that there are none."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(array, dtype=array.dtype)):
            return 0
    return int(array.size - np.isfinite(array).sum())


def write_file(path: str | Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes tensors to one safetensors file, which transformers reads, with the umask's permissions."""
    from safetensors.numpy import save_file

    arrays = {name: np.asarray(tensors[name], order="C") for name in sorted(tensors)}
    save_file(arrays, path, metadata={"format": "pt"})
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(path, 0o666 & ~mask)  # safetensors leaves it to its owner alone


def file_bytes(tensors: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a safetensors file of tensors, as `write_file` writes it."""
    from safetensors.numpy import save

    arrays = {name: np.asarray(tensors[name], order="C") for name in sorted(tensors)}
    return save(arrays, metadata={"format": "pt"})


def _sharded(folder: Path) -> dict[str, Entry]:
    index = read_object(folder / INDEX).texts("weight_map")
    result = {}
    for shard in sorted(set(index.values())):
        if os.path.basename(shard) != shard or "\0" in shard or shard in ("", ".", ".."):
            raise ValueError(
                f"{folder / INDEX}: weight_map must name files of its folder, got {shard!r}"
            )
        if not (folder / shard).exists():
            raise FileNotFoundError(f"{folder / shard}: named by {INDEX}, but not there")
        tensors = entries_of_file(folder / shard)
        if twice := sorted(set(tensors) & set(result)):
            raise ValueError(
                f"{folder / shard}: holds {twice[0]!r}, and so does {result[twice[0]].path.name}"
            )
        result |= tensors
    for name, shard in index.items():
        if name not in result:
            raise ValueError(f"{folder}: the shards lack {name!r}, which {INDEX} names")
        if result[name].path.name != shard:
            raise ValueError(
                f"{folder / INDEX}: says that {name!r} is in {shard}, and it is in "
                f"{result[name].path.name}"
            )
    return result


def _opened(path: Path):
    import ml_dtypes  # noqa: F401  bfloat16 becomes a type of NumPy; it comes with jax
    from safetensors import SafetensorError, safe_open

    if path.is_dir():
        raise ValueError(f"{path}: must be a file, and is a folder")
    path.open("rb").close()  # safe_open calls a file that may not be read missing
    try:
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file, or damaged: {error}") from error


def _read(tensors: Mapping[str, Entry]) -> Iterator[tuple[str, np.ndarray]]:
    for path in sorted({entry.path for entry in tensors.values()}):
        with _opened(path) as file:
            for name, entry in tensors.items():
                if entry.path == path:
                    yield name, _array(file, entry)


def _array(file, entry: Entry) -> np.ndarray:
    from safetensors import SafetensorError

    try:
        return file.get_tensor(entry.name)
    except (SafetensorError, AttributeError, TypeError) as error:
        # AttributeError: a type that NumPy lacks.
        raise ValueError(
            f"{entry.path}: {entry.name} of type {entry.dtype} cannot be read: {error}"
        ) from error
