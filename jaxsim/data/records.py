"""Tables of a user's own texts: JSON lines, CSV, TSV or parquet, as a list of dicts."""

import csv
import gzip
import json
from pathlib import Path

KINDS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")


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
    rows = []
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
    return rows


def _cells(path, file, kind):
    csv.field_size_limit(2**30)
    rows = []
    reader = csv.DictReader(file, delimiter="\t" if kind == ".tsv" else ",")
    for row in reader:
        if None in row or None in row.values():
            raise ValueError(
                f"{path}: line {reader.line_num} must have {len(reader.fieldnames)} cells, as the first"
            )
        rows.append(row)
    return rows


def _parquet(path):
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ModuleNotFoundError(
            f'{path}: parquet needs pyarrow: pip install "jaxsim[parquet]"'
        ) from error
    return parquet.read_table(path).to_pylist()
