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

from experiments.frame import places
from jaxsim.__main__ import fail


def run(arguments: list[str]) -> int:
    """The command line; returns the exit code.

    Raises: what `jaxsim.__main__.guarded` turns into one sentence.
    """
    if not arguments:
        return list_papers(Console())
    name, *rest = arguments
    if name in ("-h", "--help"):
        return show_usage(Console())
    if name == "report":
        return write_report(rest)
    if (not rest or "--help" in rest or "-h" in rest) and explained(name, rest):
        return 0
    # What help and the list do without is loaded where it is needed, here and below.
    from experiments.frame.launch import launch

    return launch(name, rest)


def explained(name: str, arguments: list[str]) -> bool:
    """Explains a paper by what its file says, without loading it; False where the file does not say it all."""
    from experiments.frame import explain, static

    module = static.read(name)
    if module is None:
        return False
    try:
        times = explain.times(module, static.measured)
    except (ValueError, LookupError, TypeError, AttributeError):
        return False  # results are damaged: what checks them says where
    explain.show(module, Console(), name=name, times=times)
    if arguments:  # with --help among them, at which the process ends
        from experiments.frame import options

        options.parse(module, options.preset_of(module, arguments), arguments)
    return True


def write_report(arguments: list[str]) -> int:
    """The command `report`; returns the exit code."""
    options = argparse.ArgumentParser(
        prog="python -m experiments report",
        description=places.docstring(Path(__file__).with_name("report.py")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = options.add_argument
    add("workdirs", nargs="*", type=Path, help="whose results to keep; all newer ones of --runs")
    add("--runs", type=Path, default=places.RUNS, help="folder of workdirs (runs)")
    add("--results", type=Path, default=places.RESULTS, help="folder of what is kept (results)")
    add("--out", type=Path, default=Path("RESULTS.md"), help="file of the table (RESULTS.md)")
    add("--pages", type=Path, default=places.PAGES, help="folder of the pages (docs/results)")
    chosen = options.parse_args(arguments)
    if chosen.runs != places.RUNS and not chosen.runs.is_dir():
        raise FileNotFoundError(f"no folder {chosen.runs}")
    from experiments.frame import report

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


def show_usage(console: Console) -> int:
    """What may be typed, and a table of the papers; returns the exit code."""
    console.print(__doc__, highlight=False, markup=False)
    table = Table("experiment", "paper")
    for slug in places.slugs():
        table.add_row(slug, places.title(slug))
    console.print(table)
    return 0


def list_papers(console: Console) -> int:
    """A table of the papers with the newest verdicts of runs/ and results/; returns the exit code."""
    from experiments.frame import kept

    table = Table("experiment", "paper", "last verdict")
    verdicts, damaged = kept.verdicts()
    for slug in places.slugs():
        table.add_row(slug, places.title(slug), "\n".join(verdicts.get(slug, ())))
    console.print(table)
    return fail("; ".join(damaged)) if damaged else 0
