"""The table of a card in benchmarks/README.md, under the card's name, next to earlier cards'."""

import json
from pathlib import Path

from benchmarks.accelerator import rows as rows_

README = Path(__file__).resolve().parents[1] / "README.md"
RESULT = "accelerator.json"
HEADING = "## Accelerators\n"


def write(out, about, rows):
    """accelerator.json: what it ran on, and all rows."""
    from jaxsim import storage

    storage.write_json(Path(out) / RESULT, {"about": about, "rows": rows})


def report(out, readme=README):
    """Puts the table of a folder's results into the README; returns the card's name.

    Raises: FileNotFoundError or ValueError for a folder without results.
    """
    from jaxsim import storage

    tree = storage.read_object(Path(out) / RESULT)
    about, rows = tree.object("about"), [row.tree for row in tree.objects("rows")]
    card = about.text("card")
    put(card, f"{about.text('line')}\n\n{rows_.table(rows)}", readme)
    return card


def put(name, text, readme=README):
    """Puts a section into the README's part on accelerators, in place of an earlier one of the same name."""
    from jaxsim import storage

    section = f"{name}\n\n{text}\n"
    before, _, after = Path(readme).read_text(encoding="utf-8").partition(HEADING)
    if not after:
        before, after = before.rstrip("\n") + "\n\n", "\nBy `python -m benchmarks.accelerator`.\n"
    inside, mark, others = after.partition("\n## ")  # up to the next section of the page
    head, *cards = inside.split("\n### ")
    cards = [c for c in cards if not c.startswith(f"{name}\n")]
    cards.append(section)
    inside = "\n### ".join([head.rstrip("\n") + "\n", *(c.rstrip("\n") + "\n" for c in cards)])
    storage.write_text(readme, before + HEADING + inside + mark + others)


def about(out, minutes):
    """What a run ran on: the card, versions, date; and all of that in a line."""
    import importlib.metadata
    import time

    path = Path(out) / "card.json"
    card = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    name = f"{card['name']} ({card['platform']})" if card else "an unknown card"
    versions = {}
    for package in ("jax", "jaxlib", "flax", "torch", "sentence-transformers"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "none"
    date = time.strftime("%Y-%m-%d")
    words = ", ".join(f"{n} {v}" for n, v in versions.items() if v != "none")
    return {
        "card": name,
        "versions": versions,
        "date": date,
        "minutes": minutes,
        "line": f"{date}, {words}; at most {minutes:g} minutes.",
    }
