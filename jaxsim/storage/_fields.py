"""Checked reading of JSON files: each error names the file, the field, what came and what was wanted.

about = read_object("model/config.json")
layers = about.whole("num_hidden_layers", least=1)
name = about.text("hidden_act", "gelu")
"""

import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_REQUIRED = object()


class Fields:
    """A JSON object of a file. Each method returns a field's value, checked, or `default` where it is
    missing or null; a field without a default must be there."""

    def __init__(self, path: str | os.PathLike, tree: Any, at: str = "") -> None:
        if not isinstance(tree, dict):
            raise ValueError(f"{path}: {at or 'the file'} must be an object, got {shown(tree)}")
        self.path, self.tree, self.at = path, tree, at

    def __contains__(self, name: object) -> bool:
        return self.tree.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.tree)

    def raw(self, name: str, default: Any = None) -> Any:
        """The value as it is."""
        return self.tree.get(name, default)

    def whole(
        self, name: str, default: Any = _REQUIRED, *, least: int = 0, most: int = 2**31 - 1
    ) -> Any:
        """A whole number from `least` to `most`."""
        wanted = f"a whole number from {least} to {most}"
        return self._value(name, default, wanted, lambda v: _is_whole(v) and least <= v <= most)

    def number(
        self,
        name: str,
        default: Any = _REQUIRED,
        *,
        least: float = -math.inf,
        above: float = -math.inf,
        most: float = math.inf,
    ) -> Any:
        """A finite number, as a float."""
        bounds = [f">= {least}"] * (least > -math.inf) + [f"> {above}"] * (above > -math.inf)
        bounds += [f"<= {most}"] * (most < math.inf)
        wanted = " ".join(["a finite number", " and ".join(bounds)]).strip()

        def fits(value):
            return _is_number(value) and value >= least and value > above and value <= most

        value = self._value(name, default, wanted, fits)
        return float(value) if _is_number(value) else value

    def text(
        self, name: str, default: Any = _REQUIRED, *, choices: Iterable[str] | None = None
    ) -> Any:
        """A string, one of `choices` if given."""
        wanted = "a string" if choices is None else f"one of {', '.join(map(repr, choices))}"
        return self._value(
            name,
            default,
            wanted,
            lambda v: _is_text(v) and (choices is None or v in choices),
        )

    def flag(self, name: str, default: Any = _REQUIRED) -> Any:
        """A boolean."""
        return self._value(name, default, "true or false", lambda v: isinstance(v, bool))

    def strings(self, name: str, default: Any = _REQUIRED) -> Any:
        """A list of strings."""
        return self._value(name, default, "a list of strings", _are_strings)

    def wholes(self, name: str, default: Any = _REQUIRED, *, least: int = 0) -> Any:
        """A list of whole numbers of at least `least`."""
        return self._value(
            name,
            default,
            f"a list of whole numbers of at least {least}",
            lambda v: isinstance(v, list) and all(_is_whole(n) and n >= least for n in v),
        )

    def texts(self, name: str, default: Any = _REQUIRED) -> Any:
        """An object whose values are strings, as a dict."""
        return self._value(
            name,
            default,
            "an object of strings",
            lambda v: isinstance(v, dict) and _are_strings(list(v.values())),
        )

    def object(self, name: str, default: Any = _REQUIRED) -> Any:
        """An object, as `Fields`."""
        value = self._value(name, default, "an object", lambda v: isinstance(v, dict))
        return Fields(self.path, value, self._at(name)) if isinstance(value, dict) else value

    def objects(self, name: str, default: Any = _REQUIRED) -> Any:
        """A list of objects, as a list of `Fields`."""
        value = self._value(
            name,
            default,
            "a list of objects",
            lambda v: isinstance(v, list) and all(isinstance(one, dict) for one in v),
        )
        if not isinstance(value, list):
            return value
        return [Fields(self.path, one, f"{self._at(name)}[{n}]") for n, one in enumerate(value)]

    def wrong(self, name: str, wanted: str) -> ValueError:
        """The error for a field of the right type that does not fit the rest."""
        return ValueError(
            f"{self.path}: {self._at(name)} must be {wanted}, got {shown(self.tree.get(name))}"
        )

    def _value(self, name, default, wanted, fits):
        value = self.tree.get(name)
        if value is None and default is not _REQUIRED:
            return default
        if name not in self.tree:
            raise ValueError(f"{self.path}: lacks {self._at(name)}, which must be {wanted}")
        if value is None or not fits(value):
            raise self.wrong(name, wanted)
        return value

    def _at(self, name):
        return f"{self.at}.{name}" if self.at else name


def read_object(path: str | os.PathLike, *, missing: Any = _REQUIRED) -> Any:
    """Reads the object in a JSON file, as `Fields`.

    Args:
      path: the file.
      missing: returned where there is no such file; without it that is an error. A dict becomes `Fields`.

    Raises: FileNotFoundError; ValueError naming a file that is not JSON or not an object.
    """
    tree = read_json(path, missing=missing)
    return Fields(path, tree) if isinstance(tree, dict) or tree is not missing else tree


def read_json(path: str | os.PathLike, *, missing: Any = _REQUIRED) -> Any:
    """Reads a JSON file; NaN and Infinity, which are not JSON, are refused.

    Args:
      path: the file.
      missing: returned where there is no such file; without it that is an error.

    Raises: FileNotFoundError; ValueError naming a file that is not JSON, or nested beyond reading.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: must be a file, and is a folder")
    if not path.exists():
        if path.is_symlink():
            raise FileNotFoundError(f"{path}: is a link to a file that is not there")
        if missing is _REQUIRED:
            raise FileNotFoundError(f"{path}: there is no such file")
        return missing
    return parsed_json(path, path.read_bytes())


def parsed_json(what: object, data: bytes | str, *, constants: bool = False) -> Any:
    """Parses JSON from bytes or a string; `what` names it in errors, such as a file and a line.

    Args:
      what: the name, for errors.
      data: bytes or a string.
      constants: read NaN and Infinity, which are not JSON but which Python writes.
    """
    try:
        if isinstance(data, bytes):
            data = data.decode("utf-8-sig")
        return (json.JSONDecoder() if constants else DECODER).decode(data)
    except RecursionError:
        raise ValueError(f"{what}: JSON that is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{what}: not JSON, or damaged: {error}") from error


def _refused_constant(name):
    raise ValueError(f"{name} is not a number of JSON")


DECODER = json.JSONDecoder(parse_constant=_refused_constant)  # refuses NaN and Infinity


def _is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond float64
        return False


def _is_text(value):
    """Whether a value is a string that can be written: JSON has names for halves of surrogate pairs."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _are_strings(value):
    return isinstance(value, list) and all(map(_is_text, value))


def shown(value: object) -> str:
    """A value for errors, cut to 60 characters."""
    try:
        return f"{value!r:.60}"
    except (RecursionError, ValueError):  # nested too deeply, or a whole number of too many digits
        return f"a {type(value).__name__} too large to show"
