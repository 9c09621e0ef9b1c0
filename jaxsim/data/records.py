"""Tables of a user's own texts: JSON lines, CSV, TSV or parquet, as a list of dicts."""

import csv
import gzip
import json
from pathlib import Path

KINDS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")


class Records(list):
    """The rows of a table, dicts; `lines` has the line of the file at which each begins, or is None."""

    def __init__(self, rows=(), lines=None):
        super().__init__(rows)
        self.lines = lines

    def at(self, place):
        """A row for errors, counted from 1: "row 3", with its line where that is another number."""
        line = place + 1 if self.lines is None else self.lines[place]
        return f"row {place + 1}" + f" (line {line})" * (line != place + 1)


def read_records(path):
    """The rows of a table.

    Args:
      path: .jsonl (an object in each line), .csv or .tsv (the first line names the columns), also with
        .gz behind; .parquet needs pyarrow.

    Returns: a list of dicts. In CSV and TSV all values are strings.
    Raises: FileNotFoundError; ValueError naming the file and line that cannot be read, a kind that is
    not known, a table without rows.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if kind not in KINDS:
        raise ValueError(f"{path}: a table must be one of {', '.join(KINDS)}, got {kind!r}")
    if kind == ".parquet":
        rows = _parquet(path)
    else:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8", newline="") as file:
            rows = _lines(path, file) if kind.startswith(".json") else _cells(path, file, kind)
    if not rows:
        raise ValueError(f"{path}: has no rows")
    return rows


def _lines(path, file):
    rows, lines = [], []
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}: line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"{path}: line {number} must be an object, got {line.strip():.60}")
        rows.append(row)
        lines.append(number)
    return Records(rows, lines)


def _cells(path, file, kind):
    csv.field_size_limit(2**30)
    rows, lines, following = [], [], 2
    reader = csv.DictReader(file, delimiter="\t" if kind == ".tsv" else ",")
    for row in reader:
        if None in row or None in row.values():
            raise ValueError(
                f"{path}: line {reader.line_num} must have {len(reader.fieldnames)} cells, as the first"
            )
        rows.append(row)
        lines.append(following)
        following = reader.line_num + 1
    return Records(rows, lines)


def _parquet(path):
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ModuleNotFoundError(
            f'{path}: parquet needs pyarrow: pip install "jaxsim[parquet]"'
        ) from error
    return parquet.read_table(path).to_pylist()
