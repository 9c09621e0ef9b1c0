"""Tables of pairs as files."""

import json

import pytest


@pytest.fixture
def table(tmp_path, rows):
    """A function that writes some columns as a file and gives its path."""

    def written(*columns, name="pairs.jsonl"):
        path = tmp_path / name
        lines = (json.dumps({column: row[column] for column in columns}) for row in rows)
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    return written
