"""Settings of a run as a flat dict of plain values, so that a changed one can be named."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

UNSET = "not set"


def plain_settings(name: str, settings: Any) -> dict[str, Any]:
    """Flattens settings to {name: plain value}: what a JSON file holds, and reads back unchanged.

        plain_settings("fingerprint", {"model": "a", "optimizer": {"rate": 0.1}})
        # {"model": "a", "optimizer.rate": 0.1}

    Args:
      name: of the argument, for the error.
      settings: a dict (or dataclass) of numbers, strings, booleans, None, paths, and of lists and dicts of
        these.

    Raises: ValueError for anything else, by name.
    """
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        settings = dataclasses.asdict(settings)
    flat = {}
    for key, value in settings.items():
        if not isinstance(key, str):
            raise ValueError(f"{name} must have strings as names of settings, got {key!r}")
        if isinstance(value, dict) or (
            dataclasses.is_dataclass(value) and not isinstance(value, type)
        ):
            inner = plain_settings(f"{name}[{key!r}]", value)
            flat |= {f"{key}.{part}": one for part, one in inner.items()}
        else:
            flat[key] = _plain(f"{name}[{key!r}]", value)
    return flat


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Describes what differs between two flat dicts of settings; "" where nothing does.

    Examples:
      >>> from jaxsim import storage
      >>> print(storage.changed_settings({"steps": 60, "seed": 0}, {"steps": 80, "seed": 0}))
      steps 60, now 80
    """
    differing = []
    for name in sorted({*before, *now}):
        old, new = before.get(name, UNSET), now.get(name, UNSET)
        if old != new or isinstance(old, bool) != isinstance(new, bool):
            differing.append(f"{name} {_shown(old)}, now {_shown(new)}")
    return "; ".join(differing)


def _plain(name, value):
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple)):
        return [_plain(name, one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(name, one) for key, one in value.items()}
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueError(
        f"{name} must be a finite number, a string, a boolean, None, or lists of these, got {type(value).__name__} {' '.join(repr(value).split()):.60}"
    )


def _shown(value):
    text = value if value is UNSET else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
