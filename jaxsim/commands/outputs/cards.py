"""Model cards: README.md with metadata that the Hugging Face hub reads, as YAML between two lines of dashes."""

import dataclasses
import importlib.metadata
import json
import platform
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

import jaxsim

FILE = "README.md"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")  # whose versions a card names
LICENSES = ("license", "license_name", "license_link")  # what is taken from a base's card
PLAIN = re.compile(r"[A-Za-z][\w/@.+-]*")  # a string that YAML reads without quotes
WORDS = (
    "yes",
    "no",
    "true",
    "false",
    "on",
    "off",
    "null",
    "y",
    "n",
    "nan",
)  # which are no strings there
# Of a name on the hub, such as "org/model".
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
CACHED = re.compile(r"models--(.+)--(.+)")  # a folder of the hub's cache


def with_card(model: Any, card: str) -> Any:
    """A loaded model whose folder has this card."""
    files = {**model.kept.files, FILE: card.encode()}
    return model.replace(kept=dataclasses.replace(model.kept, files=files))


def base_of(name: str) -> str | None:
    """The name on the hub of a model that a command was given, None for a folder without one."""
    folder = Path(name)
    if not folder.exists():
        return name if HUB_NAME.fullmatch(name) else None
    for part in folder.resolve().parts:
        if match := CACHED.fullmatch(part):
            return "/".join(match.groups())
    return None


def licensed(model: Any) -> dict[str, str]:
    """What the card of a loaded model says of its license: {field of metadata: text}."""
    card = model.kept.files.get(FILE, b"").decode(errors="replace")
    lines = card.lstrip("\ufeff").splitlines()
    if not lines or lines[0].rstrip() != "---":
        return {}
    found = {}
    for line in lines[1:]:
        if line.rstrip() == "---":
            return found
        name, _, value = line.partition(":")
        value = value.split(" #")[0].strip().strip("'\"")
        if name in LICENSES and value and value[0] not in "[{|>&":
            found[name] = value
    return {}  # metadata that does not end


def written(metadata: Mapping[str, Any], body: Iterable[str]) -> str:
    """A card as text: the metadata, and paragraphs with an empty line between them.

    Args:
      metadata: {name: a string, a number, a list or such a mapping}; what is None or empty is left out.
      body: Markdown.
    """
    there = {name: value for name, value in metadata.items() if value not in (None, [], {}, "")}
    return "\n".join(["---", *_yaml(there), "---", "", "\n\n".join(body), ""])


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of Markdown; numbers are on the right."""
    rows = [list(row) for row in rows]
    sides = [
        "---:" if all(isinstance(row[place], (int, float)) for row in rows) else "---"
        for place in range(len(head))
    ]
    lines = [
        [cell(name) for name in head],
        sides,
        *([cell(value) for value in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(value: Any) -> str:
    """A value in a table: figures with four digits, and no line or bar that would end it."""
    if isinstance(value, float):
        return f"{value:.4f}"
    return " ".join(str(value).split()).replace("|", "\\|")


def code(value: Any) -> str:
    """A value as code in a line of Markdown."""
    text = " ".join(str(value).split())
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def block(language: str, *lines: str) -> str:
    """A block of code."""
    return "\n".join([f"```{language}", *lines, "```"])


def shown_base(name: str) -> str:
    """The base in the text of a card: a link to the hub, or the name of a folder."""
    base = base_of(name)
    return (
        code(Path(name).resolve().name)
        if base is None
        else f"[{base}](https://huggingface.co/{base})"
    )


def shortened(value: Any) -> Any:
    """A path by its last part: a card names no folder of a machine."""
    if isinstance(value, str) and (Path(value).is_absolute() or value.startswith(("~", ".."))):
        return Path(value).name
    return value


def command(name: str, command_line: Sequence[str]) -> str:
    """The command, its paths by their last parts."""
    words = []
    for word in command_line:
        option, sign, path = word.partition("=")
        if word.startswith("--") and sign:
            words.append(f"{option}={shortened(path)}")
            continue
        file, colon, rest = word.partition(":")
        words.append(f"{shortened(file)}{colon}{rest}")
    return shlex.join(["python", "-m", "jaxsim", name, *words])


def versions() -> list[str]:
    """Packages with their versions, and the devices."""
    found = [f"Python {platform.python_version()}", f"jaxsim {jaxsim.__version__}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    devices = jax.devices()
    return [
        *found,
        f"{len(devices)} {devices[0].device_kind} {'device' + 's' * (len(devices) > 1)}",
    ]


def _yaml(value: Any, indent: str = "") -> list[str]:
    """The lines of a mapping or a list."""
    lines = []
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, (Mapping, list, tuple)):
                lines += [f"{indent}{name}:", *_yaml(inner, indent + "  ")]
            else:
                lines.append(f"{indent}{name}: {_scalar(inner)}")
        return lines
    for inner in value:
        if isinstance(inner, Mapping):
            first, *rest = _yaml(inner, indent + "  ")
            lines += [f"{indent}- {first.strip()}", *rest]
        else:
            lines.append(f"{indent}- {_scalar(inner)}")
    return lines


def _scalar(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:.6f}" if isinstance(value, float) else str(value)
    text = str(value)
    if PLAIN.fullmatch(text) and text.lower() not in WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)
