"""Reads tables of texts: JSON lines, CSV, TSV or parquet, as a list of dicts."""

import csv
import io
import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from jaxsim.storage._fields import DECODER, shown
from jaxsim.storage._texts import check_surrogates, json_lines, opened_text, reason

KINDS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")


class Records(list[dict]):
    """The rows of a table, a list of dicts; `lines` has the line of the file at which each begins, or is None."""

    def __init__(self, rows: Iterable[dict] = (), lines: Sequence[int] | None = None) -> None:
        super().__init__(rows)
        self.lines = lines

    def at(self, place: int) -> str:
        """Names a row in errors, counted from 1: "row 3", with its line where that is another number."""
        line = place + 1 if self.lines is None else self.lines[place]
        return f"row {place + 1}" + f" (line {line})" * (line != place + 1)


def read_records(path: str | os.PathLike) -> Records:
    """Reads a table of JSON lines, JSON, CSV, TSV or parquet.

    Args:
      path: .jsonl (an object in each line), .json (the same, or one array of objects), .csv or .tsv (the
        first line names the columns), each also with .gz appended; .parquet needs pyarrow. Text is UTF-8, or
        begins with the byte order mark of UTF-16 or UTF-32.

    Returns: `Records`, a list of dicts. In CSV and TSV all values are strings, and blank lines are left
    out. A cell of CSV may be quoted and then hold commas and lines; in TSV a quote is a character.
    Raises: FileNotFoundError; ModuleNotFoundError without pyarrow, for parquet; ValueError naming the file
    and the line that cannot be read, a kind that is not known, a table without rows.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    kind = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    if kind not in KINDS or (kind == ".parquet" and path.suffix == ".gz"):
        got = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
        raise ValueError(f"{path}: a table must be one of {', '.join(KINDS)}, got {got!r}")
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, wanted a file")
    if kind == ".parquet":
        rows = _parquet(path)
    else:
        with opened_text(path) as file:
            rows = {".jsonl": _lines, ".json": _json}.get(kind, _cells)(path, file)
    if not rows:
        raise ValueError(f"{path}: has no rows")
    return rows


def _lines(path, file):
    rows, lines = [], []
    for number, row in json_lines(path, file):
        if not isinstance(row, dict):
            remedy = "; an array of rows is read from a file that ends in .json"
            raise ValueError(
                f"{path}: line {number} must be an object, got {shown(row)}"
                f"{remedy * isinstance(row, list)}"
            )
        rows.append(row)
        lines.append(number)
    return Records(rows, lines)


def _json(path, file):
    """One array of objects, or an object in each line."""
    text = file.read()
    first = text.lstrip()[:1]
    if first == "{":
        try:
            return _lines(path, io.StringIO(text, newline=""))
        except ValueError as error:
            try:
                DECODER.decode(text)
            except (ValueError, RecursionError):
                raise error from None
            raise ValueError(
                f"{path}: must hold an array of objects, or an object in each line, got one object"
            ) from None
    try:
        tree = DECODER.decode(text) if first else []
    except (ValueError, RecursionError) as error:
        line = f"line {error.lineno} " if hasattr(error, "lineno") else ""
        raise ValueError(f"{path}: {line}is not JSON: {reason(text, error)}") from error
    if not isinstance(tree, list):
        raise ValueError(f"{path}: must hold an array of objects, got {shown(tree)}")
    for place, row in enumerate(tree, start=1):
        if not isinstance(row, dict):
            raise ValueError(f"{path}: row {place} must be an object, got {shown(row)}")
        if "\\u" in text:
            check_surrogates(f"{path}: row {place}", row)
    return Records(tree)


def _cells(path, file):
    csv.field_size_limit(2**30)
    tabs = ".tsv" in (suffix.lower() for suffix in path.suffixes[-2:])
    form = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tabs else {"strict": True}
    reader = csv.reader(_without_nul(path, file), **form)
    names, rows, lines, begin = None, [], [], 1
    try:
        for cells in reader:
            if cells and names is None:
                names = _header(path, begin, cells)
            elif cells:
                if len(cells) != len(names):
                    raise ValueError(
                        f"{path}: line {begin} must have {len(names)} cells, as the first, "
                        f"got {len(cells)}"
                    )
                rows.append(dict(zip(names, cells, strict=True)))
                lines.append(begin)
            begin = reader.line_num + 1
    except csv.Error as error:
        if tabs or "field limit" in str(error):
            raise ValueError(f"{path}: line {begin} cannot be read: {error}") from error
        raise ValueError(
            f"{path}: line {_open_quote(path, begin)} opens a quote that does not close at the end of "
            "its cell: close it; within quotes, write a quote twice"
        ) from error
    return Records(rows, lines)


def _header(path, line, names):
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{path}: line {line} names {names.count(name)} columns {name!r}")
    return names


def _without_nul(path, file):
    for number, line in enumerate(file, start=1):
        if "\0" in line:
            raise ValueError(
                f"{path}: line {number} holds the character NUL: save the file as UTF-8 text"
            )
        yield line


def _open_quote(path, begin):
    """The line where the quote opens that makes the row beginning at a line unreadable."""
    if not path.is_file():  # a pipe is read once
        return begin
    opened, quoted, place = begin, False, 0
    with opened_text(path) as file:
        for number, line in enumerate(itertools.islice(file, begin - 1, None), start=begin):
            place, cell = 0, True  # whether a cell begins here
            while place < len(line):
                letter, following = line[place], line[place + 1 : place + 2]
                if not quoted:
                    quoted = cell and letter == '"'
                    opened = number if quoted else opened
                    cell = letter == ","
                elif letter == '"' and following == '"':
                    place += 1
                elif letter == '"':
                    if following and following not in ",\r\n":
                        return opened
                    quoted = False
                place += 1
    return opened


def _parquet(path):
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ModuleNotFoundError(
            f'{path}: parquet needs pyarrow: pip install "jaxsim-similarity[parquet]"'
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            table = file.read()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{path}: not parquet, or damaged: {why:.200}") from error
    _header(path, 1, table.column_names)
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            columns.append(column.to_pylist())
        except (pyarrow.ArrowException, ValueError, OverflowError) as error:
            why = " ".join(str(error).split())
            raise ValueError(f"{path}: the column {name!r} cannot be read: {why:.200}") from error
    return Records(
        dict(zip(table.column_names, cells, strict=True)) for cells in zip(*columns, strict=True)
    )
