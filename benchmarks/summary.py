"""The table on top of README.md: each work, whom it is compared with, how many times as fast, and the limit.

    python -m benchmarks.summary

Reads what the other commands left in this folder (.json) and writes the table between its marks in README.md.
Nothing is measured here.
"""

import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
START, END = "<!-- summary: python -m benchmarks.summary -->", "<!-- summary ends -->"
HEADER = """| work | compared with | times as fast | limit | times the limit | measured | command |
| --- | --- | ---: | --- | ---: | --- | --- |"""
PRODUCTS = "its matrix products"
SIDES = {"faiss": "FAISS, flat", "torch": "torch", "numpy": "NumPy"}
SEARCHED = {
    "exact": "exact search",
    "query": "one query of a CUR index",
    "index": "building a CUR index",
}

Row = dict[str, Any]


class Line(NamedTuple):
    """One line of the table; above 1 we are faster, of a limit 1 is all there is."""

    work: str
    peer: str
    times_as_fast: str
    limit: str = ""
    times_limit: str = ""
    command: str = ""


def table(folder: Path = HERE) -> str:
    """The table of the files of a folder, as markdown."""
    lines, machines = [HEADER], []
    for name, lines_of in FILES.items():
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        stored = json.loads(path.read_text(encoding="utf-8"))
        date = stored["about"]["date"]
        machines.append(stored["about"])
        for line in lines_of(stored["rows"]):
            *cells, command = line
            lines.append(f"| {' | '.join(cells)} | {date} | `python -m benchmarks.{command}` |")
    return "\n".join([*lines, "", measured_on(machines)])


def measured_on(machines: list[Row]) -> str:
    """A sentence about the machines of some files: their processors, and how fast they multiply."""
    names = dict.fromkeys(f"{one['cores']} cores of {one['processor']}" for one in machines)
    rates = [one["product_gflops"] for one in machines if "product_gflops" in one]
    rate = f", a product of large matrices at {_span(rates)} GFLOP/s" if rates else ""
    return f"Measured on {' and '.join(names)}{rate}."


def losses(rows: list[Row]) -> Iterator[Line]:
    """A line for each loss, over all its sizes."""
    for work in dict.fromkeys(row["work"] for row in rows):
        sizes = [row for row in rows if row["work"] == work]
        faster = [1 / row["ratio"] for row in sizes if "ratio" in row]
        peers = dict.fromkeys(row["peer"] for row in sizes if "peer" in row)
        yield Line(
            f"`{work}`, value and gradient, {len(sizes)} sizes",
            ", ".join(peers),
            _span(faster),
            PRODUCTS,
            _span([row["times_floor"] for row in sizes]),
            f"losses --losses {work}",
        )


def catalog(rows: list[Row]) -> Iterator[Line]:
    """All losses that have a peer, and those that a peer is ahead of."""
    compared = [row for row in rows if "ratio" in row]
    yield Line(
        f"{len(compared)} losses that others have too, the median",
        ", ".join(sorted({row["peer"].split()[0] for row in compared})),
        _number(statistics.median(1 / row["ratio"] for row in compared)),
        command="losses --catalog",
    )
    behind = sorted((row for row in compared if row["ratio"] > 1.05), key=lambda row: row["ratio"])
    for row in reversed(behind):
        yield Line(
            f"`{row['work']}`, {row['shape']}",
            row["peer"],
            _number(1 / row["ratio"]),
            command=f"losses --losses {row['work']}",
        )


def encode(rows: list[Row]) -> Iterator[Line]:
    """Texts per second beside both backends."""
    for row in rows:
        for side, name in (("peer", "torch"), ("onnx", "ONNX")):
            if f"times as fast as {side}" in row:
                yield Line(
                    f"encoding {row['texts']:,} texts, MiniLM",
                    f"sentence-transformers, {name}",
                    _number(row[f"times as fast as {side}"]),
                    *_rate(row),
                    command="encode",
                )


def finetune(rows: list[Row]) -> Iterator[Line]:
    """Examples per second of a training step."""
    for row in rows:
        if "times as fast" in row:
            yield Line(
                f"fine-tuning, {row['work']}",
                "sentence-transformers' trainer",
                _number(row["times as fast"]),
                *_rate(row),
                command="finetune",
            )


def images(rows: list[Row]) -> Iterator[Line]:
    """Training image encoders, by the seconds of all cores."""
    for row in rows:
        yield Line(
            f"training {row['model']}, batch {row['batch']}",
            "torch, the faster layout",
            _number(row["times as fast, cores"]),
            command="images",
        )


def words(rows: list[Row]) -> Iterator[Line]:
    """Word and paragraph vectors, by the seconds of all cores."""
    names = {"words": "skip-gram", "documents": "PV-DBOW"}
    for row in rows:
        yield Line(
            names[row["work"]],
            "gensim",
            _number(row["times as fast, words/core s"]),
            command=f"words --work {row['work']}",
        )


def search(rows: list[Row]) -> Iterator[Line]:
    """Exact search and the CUR family, middles of turns; beside the published procedure the best of them."""
    for row in rows:
        if "ours / this" in row and row["work"] in SEARCHED:
            reading = row["work"] == "query"
            yield Line(
                f"{SEARCHED[row['work']]}, {row['shape']}",
                "reading the item matrix" if reading else SIDES[row["side"]],
                "" if reading else _number(1 / row["ours / this"]),
                "reading the item matrix" if reading else "",
                _number(row["ours / this"]) if reading else "",
                f"search --work {row['work']}",
            )
        method, _, side = row.get("side", "").partition(", ")
        if row["work"] == "published" and side in SIDES:
            yield Line(
                f"{method}, {row['shape']}",
                f"{SIDES[side]}, as published",
                _number(1 / row["ours / this"]),
                command="search --work published",
            )


def sparse(rows: list[Row]) -> Iterator[Line]:
    """Search of sparse vectors, by the seconds of all cores."""
    for row in rows:
        if row["side"] != "ours":
            faster = _number(1 / row["ours / this, cores"])
            yield Line(f"sparse search, {row['shape']}", "SciPy", faster, command="sparse")


def max_sim(rows: list[Row]) -> Iterator[Line]:
    """Exact search by MaxSim, by the seconds of all cores."""
    for row in rows:
        if row["side"] != "ours":
            faster = _number(1 / row["ours / this, cores"])
            yield Line(f"MaxSim search, {row['shape']}", "torch", faster, command="max_sim")


FILES: dict[str, Callable[[list[Row]], Iterator[Line]]] = {
    "encode": encode,
    "finetune": finetune,
    "losses": losses,
    "losses_catalog": catalog,
    "search": search,
    "sparse": sparse,
    "max_sim": max_sim,
    "images": images,
    "words": words,
}


def main() -> None:
    """The command line."""
    page = HERE / "README.md"
    text = page.read_text(encoding="utf-8")
    before, following = text.split(START)
    _, after = following.split(END)
    page.write_text(f"{before}{START}\n\n{table()}\n\n{END}{after}", encoding="utf-8")
    print(table())


def _span(values):
    if not values:
        return ""
    low, high = _number(min(values)), _number(max(values))
    return low if low == high else f"{low} to {high}"


def _number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _rate(row):
    """(limit, times it) of a row that says how much of the rate of a large matrix product it reached."""
    share = row.get("utilization")
    return (PRODUCTS, _number(1 / share)) if share else ("", "")


if __name__ == "__main__":
    main()
