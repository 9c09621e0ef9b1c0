"""Reads text files line by line: UTF-8, UTF-16 or gzip, with errors that name the file and line."""

import codecs
import contextlib
import gzip
import io
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from jaxsim.storage._fields import DECODER

GZIP = b"\x1f\x8b"
# Longer marks first: UTF-32's begins as UTF-16's does.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LINE_END = re.compile("\r\n|\r|\n")


@contextlib.contextmanager
def opened_text(path: str | os.PathLike) -> Iterator[TextIO]:
    """Opens a text file to read, gzipped if its name ends in .gz: lines end as they do in the file.

        with opened_text("docs.jsonl.gz") as file:
            ...

    The text is UTF-8 unless it begins with the byte order mark of UTF-16 or UTF-32; no mark is part of it.

    Raises: FileNotFoundError; ValueError naming a folder, a damaged gzip file, and, when it is read, the
    line of what cannot be decoded.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, wanted a file")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    encoding = "utf-8"
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as data:
            begin = data.peek(4)[:4]
            if begin.startswith(GZIP):
                raise ValueError(f"{path}: is gzipped: let its name end in one .gz")
            encoding = next((name for mark, name in MARKS if begin.startswith(mark)), encoding)
            if encoding == "utf-8-sig":  # a slow codec: past the mark it is UTF-8
                data.read(len(codecs.BOM_UTF8))
                encoding = "utf-8"
            with io.TextIOWrapper(data, encoding=encoding, newline="") as file:
                yield file
    except UnicodeDecodeError as error:
        raise ValueError(_undecodable(path, encoding, error)) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not gzip, or damaged: {error}") from error


def json_lines(path: str | os.PathLike, file: Iterable[str]) -> Iterator[tuple[int, Any]]:
    """Yields the JSON of each line that is not blank: pairs of its number and its tree.

    Args:
      path: of the file, for errors.
      file: lines, as `opened_text` gives them.

    Raises: ValueError naming the file and the line of what is not JSON, is nested beyond reading, or has
    half of a surrogate pair in a string.
    """
    for number, line in enumerate(file, start=1):
        try:
            tree, end = DECODER.raw_decode(line)
        except (ValueError, RecursionError):
            end = 0
        if line[end:].strip(" \t\r\n"):  # white space before it, something after it, or not JSON
            try:
                tree = DECODER.decode(line.rstrip(" \t\r\n"))
            except (ValueError, RecursionError) as error:
                why = reason(line, error)
                raise ValueError(f"{path}: line {number} is not JSON: {why}") from error
        elif end == 0:
            continue
        if "\\" in line and "\\u" in line:
            check_surrogates(f"{path}: line {number}", tree)
        yield number, tree


def reason(text: str, error: Exception) -> str:
    """Why a line is not JSON, from what the decoder raised."""
    if "\0" in text:
        return "it holds the character NUL: UTF-16 without its mark is saved as UTF-8 first"
    if text.startswith("\ufeff"):
        return "it begins with a byte order mark, which only a file may"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')} at column {error.colno}"
    return str(error)


def check_surrogates(what: str, tree: Any) -> None:
    """Refuses strings with half of a surrogate pair, such as of "\\ud800", which no file can hold.

    Args:
      what: names the tree in errors, such as a file and a line.
      tree: JSON.
    """
    parts = tree.items() if isinstance(tree, dict) else [("it", tree)]
    for name, value in parts:
        try:
            name.encode()
            if isinstance(value, str):
                value.encode()
            elif isinstance(value, (dict, list)):
                json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = error.object[error.start]
            raise ValueError(
                f"{what}: {name!a} holds {half!a}, half of a surrogate pair: write the whole "
                "character"
            ) from error
        except RecursionError:
            raise ValueError(f"{what}: JSON that is nested too deeply") from None


def _undecodable(path, encoding, error):
    """The sentence about the first bytes that cannot be decoded, with their line if it can be found."""
    where, bad = "a line", error.object[error.start : error.end]
    try:
        if path.is_file():  # a pipe is read once
            with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
                file.read().decode(encoding)
    except UnicodeDecodeError as error:
        bad = error.object[error.start : error.end]
        before = error.object[: error.start].decode(encoding, errors="replace")
        where = f"line {len(LINE_END.findall(before)) + 1}"
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        return f"{path}: not gzip, or damaged: {error}"
    what = f"the byte{'s' * (len(bad) > 1)} 0x{bad.hex()}"
    return f"{path}: {where} holds {what}, not {encoding.upper()}: save the file as UTF-8"
