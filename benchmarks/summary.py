"""The tables of README.md: on top each work, whom it is compared with, how many times as fast, and the limit.

    python -m benchmarks.summary

Reads what the other commands left in this folder (.json) and writes each table between its marks in README.md, the
others as benchmarks/tables.py says. Nothing is measured here.
"""

import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.command import Row
from benchmarks.tables import TABLES, markdown, number

HERE = Path(__file__).parent
HEADER = """| work | compared with | times as fast | limit | times the limit | measured | command |
| --- | --- | ---: | --- | ---: | --- | --- |"""
PRODUCTS = "its matrix products"
SIDES = {"faiss": "FAISS, flat", "torch": "torch", "numpy": "NumPy"}
SEARCHED = {
    "exact": "exact search",
    "query": "one query of a CUR index",
    "index": "building a CUR index",
}


class Line(NamedTuple):
    """One line of the table; above 1 we are faster, of a limit 1 is all there is."""

    work: str
    peer: str
    times_as_fast: str
    limit: str = ""
    times_limit: str = ""
    command: str = ""
    of: Sequence[Row] = ()  # the rows that it is of


def table(folder: Path = HERE) -> str:
    """The table of the files of a folder, as markdown."""
    lines, machines, rates = [HEADER], [], []
    for name, lines_of in FILES.items():
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        stored = json.loads(path.read_text(encoding="utf-8"))
        rates.append(stored["about"]["product_gflops"])
        for line in lines_of(stored["rows"]):
            *cells, command, of = line
            machines += [row["machine"] for row in of]
            days = sorted({row["date"] for row in of})
            days = " to ".join(dict.fromkeys((days[0], days[-1])))
            lines.append(f"| {' | '.join(cells)} | {days} | `python -m benchmarks.{command}` |")
    return "\n".join([*lines, "", measured_on(machines, rates)])


def measured_on(machines: Sequence[str], rates: Sequence[float]) -> str:
    """A sentence about the machines of all lines, and how fast large matrices were multiplied after the latest runs."""
    names = " and ".join(dict.fromkeys(machines))
    return f"Measured on {names}, a product of large matrices at {_span(rates)} GFLOP/s."


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
            of=sizes,
        )


def catalog(rows: list[Row]) -> Iterator[Line]:
    """All losses that have a peer, and those that a peer is ahead of."""
    compared = [row for row in rows if "ratio" in row]
    yield Line(
        f"{len(compared)} losses that others have too, the median",
        ", ".join(sorted({row["peer"].split()[0] for row in compared})),
        number(statistics.median(1 / row["ratio"] for row in compared)),
        command="losses --catalog",
        of=compared,
    )
    behind = sorted((row for row in compared if row["ratio"] > 1.05), key=lambda row: row["ratio"])
    for row in reversed(behind):
        yield Line(
            f"`{row['work']}`, {row['shape']}",
            row["peer"],
            number(1 / row["ratio"]),
            command=f"losses --catalog --losses {row['work']}",
            of=(row,),
        )


def encode(rows: list[Row]) -> Iterator[Line]:
    """Texts per second beside both backends."""
    for row in rows:
        for side, name in (("peer", "torch"), ("onnx", "ONNX")):
            if f"times as fast as {side}" in row:
                yield Line(
                    f"encoding {row['texts']:,} texts, MiniLM",
                    f"sentence-transformers, {name}",
                    number(row[f"times as fast as {side}"]),
                    *_rate(row),
                    command=f"encode --texts {row['texts']}",
                    of=(row,),
                )


def finetune(rows: list[Row]) -> Iterator[Line]:
    """Examples per second of a training step."""
    for row in rows:
        if "times as fast" in row:
            yield Line(
                f"fine-tuning, {row['work']}",
                "sentence-transformers' trainer",
                number(row["times as fast"]),
                *_rate(row),
                command="finetune",
                of=(row,),
            )


def images(rows: list[Row]) -> Iterator[Line]:
    """Training image encoders, by the seconds of all cores."""
    for row in rows:
        yield Line(
            f"training {row['model']}, batch {row['batch']}",
            "torch, the faster layout",
            number(row["times as fast, cores"]),
            command="images",
            of=(row,),
        )


def words(rows: list[Row]) -> Iterator[Line]:
    """Word and paragraph vectors, by the seconds of all cores."""
    names = {"words": "skip-gram", "documents": "PV-DBOW"}
    for row in rows:
        yield Line(
            names[row["work"]],
            "gensim",
            number(row["times as fast, words/core s"]),
            command=f"words --work {row['work']}",
            of=(row,),
        )


def search(rows: list[Row]) -> Iterator[Line]:
    """Exact search and the CUR family, middles of turns; beside the published procedure the best of them."""
    for row in rows:
        if "ours / this" in row and row["work"] in SEARCHED and row["side"] in SIDES:
            reading = row["work"] == "query"
            yield Line(
                f"{SEARCHED[row['work']]}, {row['shape']}",
                "reading the item matrix" if reading else SIDES[row["side"]],
                "" if reading else number(1 / row["ours / this"]),
                "reading the item matrix" if reading else "",
                number(row["ours / this"]) if reading else "",
                f"search --work {row['work']}{_sizes(row)}",
                of=(row,),
            )
        method, _, side = row.get("side", "").partition(", ")
        if row["work"] == "published" and side in SIDES:
            yield Line(
                f"{method}, {row['shape']}",
                f"{SIDES[side]}, as published",
                number(1 / row["ours / this"]),
                command="search --work published",
                of=(row,),
            )


def sparse(rows: list[Row]) -> Iterator[Line]:
    """Search of sparse vectors, by the seconds of all cores."""
    for row in rows:
        if row["side"] != "ours":
            faster = number(1 / row["ours / this, cores"])
            yield Line(
                f"sparse search, {row['shape']}", "SciPy", faster, command="sparse", of=(row,)
            )


def max_sim(rows: list[Row]) -> Iterator[Line]:
    """Exact search by MaxSim, by the seconds of all cores."""
    for row in rows:
        if row["side"] == "torch":
            faster = number(1 / row["ours / this, cores"])
            yield Line(
                f"MaxSim search, {row['shape']}", "torch", faster, command="max_sim", of=(row,)
            )


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


def filled(text: str, folder: Path = HERE) -> str:
    """A page with its tables as the files of a folder say; one whose file is not there stays."""
    text = between("summary", table(folder), text)
    for name, one in TABLES.items():
        path = folder / f"{one.file}.json"
        if path.exists():
            rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
            text = between(name, markdown(one, rows), text)
    return text


def between(name: str, inside: str, text: str) -> str:
    """A page with what is between the marks of a table replaced."""
    start, end = f"<!-- {name}: python -m benchmarks.summary -->", f"<!-- {name} ends -->"
    before, following = text.split(start)
    _, after = following.split(end)
    return f"{before}{start}\n\n{inside}\n\n{end}{after}"


def main() -> None:
    """The command line."""
    page = HERE / "README.md"
    page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    print(table())


def _span(values):
    if not values:
        return ""
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"


def _sizes(row):
    """The options of a search over other sizes than a command's own."""
    if row["work"] != "exact":
        return ""
    items, dim = row["shape"].split(",")[0].split(" x ")
    return f" --items {items} --dim {dim}"


def _rate(row):
    """(limit, times it) of a row that says how much of the rate of a large matrix product it reached."""
    share = row.get("utilization")
    return (PRODUCTS, number(1 / share)) if share else ("", "")


if __name__ == "__main__":
    main()
