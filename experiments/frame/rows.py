"""Rows as JSON: figures of every kind come back exactly as they were."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.frame.figures import Grouped, Key, Resampled, Row
from jaxsim import storage


def read(path: Path) -> list[dict[str, Any]]:
    """Rows from their file.

    Raises: ValueError naming the file and the field.
    """
    try:
        rows = storage.read_json(path)
        if not (isinstance(rows, list) and rows):
            raise ValueError(f"{path}: must be a list of rows, got {rows!r:.60}")
        return [_restored(storage.Fields(path, row, f"[{n}]")) for n, row in enumerate(rows)]
    except ValueError as error:
        raise ValueError(f"{error}; remove the file to have it made again") from error


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes rows into their file, whole or not at all."""
    storage.write_json(path, [_stored(row) for row in rows])


def json_of(tree: Any) -> Any:
    """A tree with null for the numbers that JSON has not.

    Keys with a fraction are text: a page reads no KEYS, and would take a number for a figure.
    """
    if isinstance(tree, dict):
        return {name: json_of(value) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [json_of(value) for value in tree]
    if isinstance(tree, Key):
        return str(float(tree))
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def _stored(row: Row) -> dict[str, Any]:
    """A row as JSON: keys and finite numbers as they are, the others as objects that name their kind."""
    return {name: _stored_value(value) for name, value in row.items()}


def _stored_value(value: Any) -> Any:
    if isinstance(value, Key):
        return {"key": float(value)}
    if isinstance(value, Resampled):
        return {"value": _texts(value.value), "repeats": _texts(value.repeats.tolist())}
    if isinstance(value, Grouped):
        return {"samples": _texts(value.values.tolist()), "groups": value.groups.tolist()}
    if isinstance(value, np.ndarray):
        return {"samples": _texts(value.tolist())}
    if isinstance(value, float) and not math.isfinite(value):
        return {"samples": _texts(value)}
    return value


def _texts(samples: Any) -> Any:
    """Numbers, those that JSON has not as "nan", "inf" and "-inf"."""
    if isinstance(samples, list):
        return [_texts(one) for one in samples]
    return samples if math.isfinite(samples) else repr(samples)


def _restored(fields: storage.Fields) -> dict[str, Any]:
    """A row of a file.

    Raises: ValueError naming the file and the field.
    """
    row = {}
    for name in fields:
        value = fields.raw(name)
        if isinstance(value, dict):
            try:
                value = _restored_value(value)
            except (KeyError, ValueError, TypeError):
                raise fields.wrong(name, 'an object {"samples": numbers}') from None
        elif isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise fields.wrong(name, "a number, a string or an object of samples")
        row[name] = value
    return row


def _restored_value(tree: Mapping[str, Any]) -> Any:
    if "key" in tree:
        return Key(tree["key"])
    if "repeats" in tree:
        return Resampled(float(tree["value"]), np.asarray(tree["repeats"], dtype=float))
    samples = np.asarray(tree["samples"], dtype=float)
    if "groups" in tree:
        return Grouped(samples, np.asarray(tree["groups"]))
    return samples if samples.ndim else samples.item()
