"""The tables of README.md below the first: the figures of each command's file, row by row."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from benchmarks.command import Row

Column = str | Callable[[Row], Any]  # a row's field, or what is made of a row


class Table(NamedTuple):
    """What a table shows of one file."""

    file: str  # without .json
    columns: dict[str, Column]
    works: tuple[str, ...] = ()  # those of the file's rows that are shown; () is all
    once: bool = True  # what the first column repeats is left out
    sides: Callable[[Row], Iterable[Row]] = lambda row: (row,)  # the lines of one row


def markdown(table: Table, rows: Iterable[Row]) -> str:
    """A table of a file's rows."""
    shown = [row for row in rows if not table.works or row["work"] in table.works]
    shown = [line for row in shown for line in table.sides(row)]
    lines = [list(table.columns), ["---:" if _counts(shown, c) else "---" for c in _of(table)]]
    before = None
    for row in shown:
        first, *others = (number(_cell(row, column)) for column in _of(table))
        lines.append(["" if table.once and first == before else first, *others])
        before = first
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: Any) -> str:
    """Three digits of a number, or all of a whole one; words as they are, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def _of(table):
    return table.columns.values()


def _cell(row, column):
    return row.get(column) if isinstance(column, str) else column(row)


def _counts(rows, column):
    return all(isinstance(_cell(row, column), int | float | None) for row in rows)


def _named(names):
    """A side's name in words."""
    return lambda row: names.get((row["work"], row["side"]), names.get(row["side"], row["side"]))


def _beside(field):
    """A ratio to ours, nothing for ours."""
    return lambda row: None if row["side"] == "ours" else row[field]


def _error(field):
    return lambda row: f"{row[field]:.1e}"


def _encoding(row):
    """Ours, and each backend of sentence-transformers."""
    work = f"{row['texts']:,} texts, {row['tokens']:,} tokens"
    yield {"work": work, "side": "ours", "rate": row["texts/s"], "share": row["utilization"]}
    for side, name in (("peer", "torch"), ("onnx", "ONNX")):
        if f"{side} texts/s" in row:
            yield {
                "work": work,
                "side": f"sentence-transformers, {name}",
                "rate": row[f"{side} texts/s"],
                "faster": row[f"times as fast as {side}"],
                "off": f"{row[f'largest difference to {side}']:.1e}",
            }


def _training(row):
    """Ours, and sentence-transformers' trainer."""
    for side, start in (("ours", ""), ("sentence-transformers' trainer", "peer ")):
        if f"{start}step_s" in row:
            line = {name: row[f"{start}{name}"] for name in ("examples/s", "core_s", "start_s")}
            yield {"work": row["work"], "side": side, **line}
    yield {
        "work": row["work"],
        "side": "times as fast",
        "examples/s": row.get("times as fast"),
        "core_s": row.get("times as fast, cores"),
    }


def _words(row):
    """Ours, gensim, and how many times as fast."""
    judged = {"men": "MEN", "simlex999": "SimLex", "wordsim353": "WordSim", "accuracy": "accuracy"}
    work = {"words": "skip-gram", "documents": "PV-DBOW"}[row["work"]]
    for side in ("ours", "gensim", "times as fast,"):
        worth = [f"{judged[n]} {row[f'{side} {n}']:.3f}" for n in judged if f"{side} {n}" in row]
        speeds = {name: row[f"{side} {name}"] for name in ("words/core s", "words/s")}
        yield {"work": work, "side": side.rstrip(","), "worth": ", ".join(worth), **speeds}


SIDES = {
    "from_numpy": "ours, from NumPy",
    "faiss": "FAISS flat",
    "scipy": "SciPy and NumPy",
    ("query", "numpy"): "reading the item matrix once",
    ("index", "numpy"): "NumPy's float32 pseudo-inverse",
}
SEARCHED = {"exact": "exact", "query": "one query of a CUR index", "index": "building a CUR index"}
LOSSES: dict[str, Column] = {
    "loss": "work",
    "batch x dim": "shape",
    "ours ms": "ours_ms",
    "peer": "peer",
    "peer ms": "peer_ms",
    "ours / peer": "ratio",
}
TURNS: dict[str, Column] = {
    "work": "shape",
    "side": _named(SIDES),
    "ms": "ms",
    "core ms": "cpu_ms",
    "ours / this": _beside("ours / this"),
    "cores": _beside("ours / this, cores"),
}
TABLES = {
    "encode": Table(
        "encode",
        {
            "encoding": "work",
            "side": "side",
            "texts/s": "rate",
            "times as fast": "faster",
            "of a large product's rate": "share",
            "vectors differ by": "off",
        },
        sides=_encoding,
    ),
    "finetune": Table(
        "finetune",
        {
            "fine-tuning": "work",
            "side": "side",
            "examples/s": "examples/s",
            "core s of a step": "core_s",
            "started in, s": "start_s",
        },
        sides=_training,
    ),
    "words": Table(
        "words",
        {
            "work": "work",
            "side": "side",
            "words per core second": "words/core s",
            "words per second": "words/s",
            "what the vectors are worth": "worth",
        },
        sides=_words,
    ),
    "losses": Table(
        "losses",
        LOSSES
        | {
            "times floor": "times_floor",
            "ours MiB": "ours_mib",
            "temporaries": "temporaries_mib",
            "peer MiB": "peer_mib",
            "compile s": "compile_s",
        },
    ),
    "catalog": Table(
        "losses_catalog",
        LOSSES
        | {
            "floor ms": "floor_ms",
            "times floor": "times_floor",
            "times own floor": "times_own_floor",
            "temporaries MiB": "temporaries_mib",
        },
    ),
    "images": Table(
        "images",
        {
            "model": "model",
            "batch": "batch",
            "ours images/s": "ours images/s",
            "torch": "torch images/s",
            "torch, channels last": "channels last images/s",
            "times as fast": "times as fast",
            "ours core ms": "ours core ms",
            "torch core ms": "torch core ms",
            "channels last core ms": "channels last core ms",
            "times as fast, cores": "times as fast, cores",
        },
    ),
    "pages": Table(
        "pages",
        {
            "a training step": "work",
            "4 KiB: ms": "4 KiB: ms",
            "4 KiB: core ms": "4 KiB: core ms",
            "4 KiB: page faults": "4 KiB: page faults",
            "2 MiB: ms": "2 MiB: ms",
            "2 MiB: core ms": "2 MiB: core ms",
            "2 MiB: page faults": "2 MiB: page faults",
            "times as fast": "times as fast",
            "cores": "times as fast, cores",
        },
    ),
    "search": Table(
        "search",
        {
            "work": lambda row: f"{SEARCHED[row['work']]}, {row['shape']}",
            "side": _named(SIDES),
            "fastest ms": "fastest_ms",
            "middle ms": "ms",
            "core ms": "cpu_ms",
            "ours / this, middles": "ours / this",
            "fastest": "of the fastest",
            "cores": "cores",
        },
        works=("exact", "query", "index"),
    ),
    "precision": Table(
        "search",
        {
            "condition": "condition",
            "index: scores rounded to float32": _error("scores not rounded"),
            "ours": _error("ours"),
            "NumPy in float32": _error("numpy"),
            "estimates: ours": _error("ours, estimates"),
            "NumPy": _error("numpy, estimates"),
            "estimates off the scores": "estimates, of the scores",
        },
        works=("precision",),
    ),
    "published": Table(
        "search",
        {
            "side": "side",
            "recall@10": "recall@10",
            "recall@50": "recall@50",
            "ms": "ms",
            "core ms": "cpu_ms",
            "ours / this": "ours / this",
            "cores": "cores",
            "MiB": "mib",
        },
        works=("published",),
    ),
    "memory": Table(
        "search", {"method": "method", "MiB": "mib", "ms": "ms"}, works=("memory",), once=False
    ),
    "mining": Table(
        "search",
        {
            "method, vectors": "method",
            "MiB": "mib",
            "s": "s",
            "core s": "core s",
            "floor, core s": "floor, core s",
            "times floor": "times floor",
        },
        works=("mining",),
    ),
    "sparse": Table("sparse", TURNS),
    "max_sim": Table("max_sim", TURNS),
}
