"""python -m experiments                      lists the papers, a line each, and their last verdict
python -m experiments PAPER                explains one: its presets, how long they take; runs nothing
python -m experiments PAPER --preset cpu   runs one
python -m experiments PAPER --help         explains every setting with its default
python -m experiments report               keeps results of runs/ in results/, writes RESULTS.md and docs/results/

PAPER is a name from the list, or the file of an experiment of your own: path/to/mine.py
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.frame import kept, report
from experiments.frame.files import slugs, title
from jaxsim.__main__ import fail


def run(arguments: list[str]) -> int:
    """The command line; returns the exit code.

    Raises: what `jaxsim.__main__.guarded` turns into one sentence.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        return list_papers(Console(), usage=bool(arguments))
    name, *rest = arguments
    if name == "report":
        return write_report(rest)
    from experiments.frame.launch import launch  # loads what the list does without

    return launch(name, rest)


def write_report(arguments: list[str]) -> int:
    """The command `report`; returns the exit code."""
    options = argparse.ArgumentParser(
        prog="python -m experiments report",
        description=report.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = options.add_argument
    add("workdirs", nargs="*", type=Path, help="whose results to keep; all newer ones of --runs")
    add("--runs", type=Path, default=kept.RUNS, help="folder of workdirs (runs)")
    add("--results", type=Path, default=kept.RESULTS, help="folder of what is kept (results)")
    add("--out", type=Path, default=Path("RESULTS.md"), help="file of the table (RESULTS.md)")
    add("--pages", type=Path, default=report.PAGES, help="folder of the pages (docs/results)")
    chosen = options.parse_args(arguments)
    if chosen.runs != kept.RUNS and not chosen.runs.is_dir():
        raise FileNotFoundError(f"no folder {chosen.runs}")
    count, said = report.write(
        chosen.out,
        given=chosen.workdirs,
        runs=chosen.runs,
        results=chosen.results,
        pages=chosen.pages,
    )
    console = Console()
    written = f"{chosen.out}: {count} result{'s' * (count != 1)}, with pages in {chosen.pages}"
    for line in (*said, written):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def list_papers(console: Console, *, usage: bool) -> int:
    """A table of what there is, with the newest verdicts of runs/ and results/; returns the exit code."""
    if usage:
        console.print(__doc__, highlight=False, markup=False)
    table = Table("experiment", "paper", "last verdict")
    verdicts, damaged = kept.verdicts()
    for slug in slugs():
        table.add_row(slug, title(slug), "\n".join(verdicts.get(slug, ())))
    console.print(table)
    return fail("; ".join(damaged)) if damaged else 0
