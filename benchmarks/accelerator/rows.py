"""What every part reports: rows on the disk as soon as they are known, and the table of them."""

import dataclasses
import json
import os
import time
from pathlib import Path

FILE = "rows.jsonl"  # of a part's process
COLUMNS = ("work", "unit", "ours", "peer", "ratio", "limit", "share", "note")


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table. Times and rates of both sides, and how near ours comes to what the card can."""

    work: str
    unit: str = ""  # of ours, peer and limit
    ours: float | None = None
    peer: float | None = None
    limit: float | None = None  # the least time, or the highest rate, that the card allows
    higher: bool = False  # whether more is better, as for a rate
    note: str = ""

    @property
    def ratio(self):
        """How many times as fast as the peer; None without one."""
        if not self.ours or not self.peer:
            return None
        return self.ours / self.peer if self.higher else self.peer / self.ours

    @property
    def share(self):
        """The part of the limit that is reached, from 0 to 1; None without a limit, or of an error's bound."""
        if not self.ours or not self.limit or self.unit == "error":
            return None
        return self.ours / self.limit if self.higher else self.limit / self.ours

    def tree(self):
        """As JSON has it, with what follows from the fields."""
        fields = dataclasses.asdict(self) | {"ratio": self.ratio, "share": self.share}
        return {name: value for name, value in fields.items() if value not in (None, "")}


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a part is given."""

    out: Path  # the folder of all results
    seconds: float  # until the process is ended
    toy: bool  # sizes for a machine without a card
    pack: Path | None  # the folder that --pack made
    begun: float = dataclasses.field(default_factory=time.monotonic)

    def left(self):
        """Seconds that are left."""
        return self.seconds - (time.monotonic() - self.begun)

    def card(self):
        """The rates that the part `card` measured: {name: number}; empty where it did not run."""
        path = self.out / "card.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def put(setting, part, row):
    """Appends a row to the file of all rows, on the disk before this returns, and prints it."""
    tree = {"part": part} | (row if isinstance(row, dict) else row.tree())
    with (setting.out / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(tree) + "\n")
        file.flush()
        os.fsync(file.fileno())
    print(line(tree), flush=True)


def read(out):
    """All rows that are there; a last line that a kill cut short is left out."""
    path, rows = Path(out) / FILE, []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(text))
        except ValueError:
            continue
    return rows


def line(tree):
    """A row of the table in Markdown."""
    return "| " + " | ".join(cell(tree.get(name)) for name in COLUMNS) + " |"


def table(rows):
    """The table in Markdown, with a heading."""
    rule = ("---", "---", "---:", "---:", "---:", "---:", "---:", "---")
    heads = ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join(rule) + " |"]
    return "\n".join([*heads, *map(line, rows)])


def cell(value):
    """A cell: three digits of a number."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value).replace("|", "/")
