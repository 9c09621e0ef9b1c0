"""RESULTS.md and a page per experiment, from the results that are kept: what was claimed, what came out.

results/ holds one file for each experiment and preset, results/EXPERIMENT-PRESET.json, and belongs in
the repository, with the pages and their pictures. `report` copies the results.json of workdirs into it,
each over its own file alone, with their pictures, and renders from all that is there

    RESULTS.md                a line for each file
    docs/results.md           a gallery, and the same table, for the site
    docs/results/             a page for each experiment: sentences, pictures, tables

On a fresh clone, without any workdir, the same pages come out. Not kept are the preset `smoke`, which
shows that a program runs, and runs whose settings are not the preset's.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.frame import kept
from experiments.frame.kept import Tree
from experiments.frame.places import PAGES, RESULTS, RUNS, minutes
from experiments.frame.tables import Grid, figures, grids, keys, titled
from jaxsim import storage

MADE = "Made by `python -m experiments report`"  # in every page; others are not replaced
HEAD = f"""# Results

What the experiments said, from the files of results/, which hold what each run left in its
`results.json`. {MADE}; not written by hand.

"""
COLUMNS = "experiment", "verdict", "preset", "seeds", "device", "date", "minutes", "command"


def write(
    path: Path,
    *,
    given: Sequence[Path | str] = (),
    runs: Path = RUNS,
    results: Path = RESULTS,
    pages: Path = PAGES,
) -> tuple[int, list[str]]:
    """Keeps the results of workdirs and writes the table and the pages of all that are kept.

    Args:
      path: of the table, such as RESULTS.md.
      given: the workdirs to take; none takes what is newer of `runs`.
      runs: a folder of workdirs.
      results: the folder of what is kept.
      pages: the folder of the pages; their table has its name with .md.

    Returns: (how many results there are, what was kept and what was not, as sentences).
    Raises: FileNotFoundError where there is nothing to report; ValueError naming a damaged file, or one
    that a page would replace and that is not one.
    """
    path, pages = Path(path), Path(pages)
    for name, folder in (("results", results), ("pages", pages)):
        if Path(folder).exists() and not Path(folder).is_dir():
            raise ValueError(f"{name} must be a folder, got the file {str(folder)!r}")
    for name, file in (("out", path), ("pages", pages.with_suffix(".md"))):
        storage.check_file(name, file)
        _check_made(file)
    # Refused before anything is written.
    for tree in kept.stored(results):
        _check_made(storage.check_file("pages", pages / f"{tree['experiment']}.md"))
    said = kept.keep(given, runs, results, pages)
    trees = kept.stored(results)
    if not trees:
        raise FileNotFoundError(
            f"no results to report in {results} or the folders of {runs}: run an experiment first, with "
            "another preset than smoke"
        )
    written = [path, pages.with_suffix(".md")]
    storage.write_text(path, table(trees, links=os.path.relpath(pages, path.parent)))
    storage.write_text(written[-1], gallery(trees, pages))
    for slug, members in itertools.groupby(trees, key=lambda tree: tree["experiment"]):
        written.append(pages / f"{slug}.md")
        storage.write_text(written[-1], page(list(members), pages))
    for other in sorted(set(pages.glob("*.md")) - set(written)):
        if other.is_file() and MADE in _text(other):
            said.append(f"{other}: {results} has no results of {other.stem} any more")
    return len(trees), said


def table(results: Sequence[Tree], *, links: str) -> str:
    """RESULTS.md as a string.

    Args:
      results: trees as results.json holds them.
      links: the path to the folder of the pages, from the place of the table.
    """
    return HEAD + _table(results, links)


def gallery(results: Sequence[Tree], pages: Path) -> str:
    """docs/results.md as a string: a picture and the verdicts of each experiment, then the table.

    Args:
      results: trees as results.json holds them, those of an experiment next to each other.
      pages: the folder of the pages; shown are the pictures that are there.
    """
    cards = []
    for slug, members in itertools.groupby(results, key=lambda tree: tree["experiment"]):
        cards.append(_card(slug, list(members), pages))
    # The class is the site's; elsewhere it is a list.
    shown = ['<div class="gallery" markdown>', "", *cards, "</div>", "", "## How they were run", ""]
    return HEAD + "\n".join(shown) + "\n" + _table(results, pages.name)


def _card(slug: str, members: list[Tree], pages: Path) -> str:
    """An experiment in the gallery: what came out, its name, its most telling picture."""
    place = f"{pages.name}/{slug}.md"
    verdicts = ", ".join(f"**{one['claim']['verdict']}** ({one['preset']})" for one in members)
    lines = [f"- [{_plain(members[0]['title'].rstrip('.'))}]({place}): {verdicts}", ""]
    files = [
        kept.picture_of(one, name)
        for one in members
        for name in sorted(
            one.get("pictures") or (), key="claim".__eq__
        )  # stable: claim is the last
    ]
    picture = next((file for file in files if (pages / file).is_file()), None)
    if picture:
        lines += [f"    [![{slug}]({pages.name}/{picture})]({place})", ""]
    return "\n".join(lines)


def _table(results: Sequence[Tree], links: str) -> str:
    """A line for each result.

    Args:
      results: trees as results.json holds them.
      links: the path to the folder of the pages, from the place of the table.
    """
    lines = [_line(*COLUMNS), "| --- | --- | --- | ---: | --- | --- | ---: | --- |"]
    for one in results:
        page = Path(links, f"{one['experiment']}.md").as_posix()
        cells = (
            f"[{one['experiment']}]({page})",
            one["claim"]["verdict"],
            one["preset"],
            str(one["seeds"]),
            one["identity"]["device"],
            one["date"][:10],
            f"{minutes(one):.1f}",
            f"`{_command(one)}`",
        )
        lines.append(_line(*cells))
    return "\n".join(lines) + "\n"


def page(results: Sequence[Tree], pages: Path) -> str:
    """The page of an experiment as a string.

    Args:
      results: of its presets.
      pages: the folder of the pages; shown are the pictures that are there.
    """
    files = ", ".join(f"results/{kept.name_of(one)}" for one in results)
    lines = [f"# {_plain(results[0]['title'].rstrip('.'))}\n", f"{MADE} from {files}.\n"]
    for one in results:
        lines += _section(one, pages)
    return "\n".join(lines)


def _section(one: Tree, pages: Path) -> Iterator[str]:
    """What a run of a preset claimed, how it was run, and what came out."""
    yield f"## {one['preset']}: {one['claim']['verdict']}\n"
    yield f"> {_plain(one['claim']['sentence'])}\n"
    for name in one.get("pictures") or ():
        file = kept.picture_of(one, name)
        if (pages / file).is_file():
            yield f"![{one['experiment']}, preset {one['preset']}: {name}]({file})\n"
    yield f"```sh\n{_command(one)}\n```\n"
    seeds = f"{one['seeds']} seed{'s' * (one['seeds'] != 1)}"
    versions = ", ".join(f"{n} {v}" for n, v in one["identity"]["versions"].items())
    yield (
        f"{seeds} on {one['identity']['device']}, {one['date'][:10]}, {minutes(one):.1f} minutes, "
        f"commit {one['commit']}, with {versions}.\n"
    )
    if "imported" in one:
        yield f"{one['imported']}\n"
    if arms := one.get("arms"):
        yield "\n".join(
            ["| arm | what it is |", "| --- | --- |", *itertools.starmap(_line, arms.items())]
        )
        yield ""
    yield from _comparisons(one["claim"].get("comparisons") or ())
    rows, left = _shown(one)
    yield "Means with half the width of their 95 % interval.\n"
    for grid in _grids(rows):
        if grid.title:
            yield f"**{_plain(grid.title)}**\n"
        yield _line(grid.corner, *grid.across)
        yield "| --- |" + " ---: |" * len(grid.across)
        yield from (_line(arm, *cells) for arm, cells in grid.lines.items())
        yield ""
    if left:
        yield f"Only in results/{kept.name_of(one)}: {_plain(', '.join(left))}.\n"


def _comparisons(compared: Sequence[dict]) -> Iterator[str]:
    """The table of the differences that decide a claim."""
    if not compared:
        return
    yield "| figure | arm | compared with | wanted | difference | 95 % interval | verdict |"
    yield "| --- | --- | --- | --- | ---: | ---: | --- |"
    for one in compared:
        mean, low, high = (one.get(name) for name in ("mean", "low", "high"))
        difference = "none" if mean is None else f"{mean:+.3f}"
        ends = "none" if low is None or high is None else f"{low:+.3f} to {high:+.3f}"
        sides = one["figure"], one["arm"], one["over"], _wanted(one)
        yield _line(*sides, difference, ends, one["verdict"])
    yield ""


def _wanted(one: dict) -> str:
    """What a comparison must be for its claim to hold."""
    if one.get("within") is not None:
        return f"within {one['within']:g}"
    if one.get("by") is not None:
        return f"no worse by {one['by']:g}"
    return "lower" if one.get("smaller") else "higher"


def _shown(one: Tree) -> tuple[list[dict], list[str]]:
    """The rows with the figures that the experiment shows, all where it names none; and the others' names."""
    names = dict.fromkeys(name for row in one["rows"] for name in figures(row))
    chosen = [name for name in one.get("shown") or () if name in names] or list(names)
    left = [name for name in names if name not in chosen]
    hidden = {*left, *(f"{name} interval" for name in left)}
    rows = []
    for row in one["rows"]:
        rows.append({name: value for name, value in row.items() if name not in hidden})
    return [row for row in rows if figures(row)], left


def _grids(rows: list[dict]) -> list[Grid]:
    """The tables of a summary; one, with the figures across, where every arm has one row."""
    tables = list(grids(rows))
    names = list(dict.fromkeys(name for row in rows for name in figures(row)))
    if len(tables) != len(names) or any(len(table.across) > 1 for table in tables):
        return tables
    lines = {}
    for arm in dict.fromkeys(row["arm"] for row in rows):
        lines[arm] = tuple(table.lines.get(arm, ("",))[0] for table in tables)
    return [Grid(titled(keys(rows[0])), "arm", tuple(names), lines)]


def _command(one: Tree) -> str:
    """What a person types to get these results."""
    command = one.get("command")
    return command or f"python -m experiments {one['experiment']} --preset {one['preset']}"


def _check_made(path: Path) -> None:
    """Refuses to replace what `report` did not make."""
    if path.exists() and MADE not in _text(path):
        raise ValueError(f"{path}: report did not make this file and does not replace it: move it")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _line(*cells: str) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: str) -> str:
    """Text whose signs are not read as a table's, as emphasis or as HTML."""
    return text.replace("|", r"\|").replace("*", r"\*").replace("<", "&lt;")
