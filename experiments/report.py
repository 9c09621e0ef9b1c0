"""RESULTS.md from the results that are stored: what was claimed, what came out, and how to repeat it."""

import json
from pathlib import Path

from experiments.tables import grids
from jaxsim import storage

HEAD = """# Results

What the experiments said, from the `results.json` that each run leaves. Made by
`python -m experiments report`; not written by hand.

"""


def render(results):
    """RESULTS.md as a string.

    Args:
      results: trees as results.json holds them.
    """
    lines = [
        "| experiment | verdict | preset | seeds | device | date | minutes |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    titles = _titles(results)
    for one, title in zip(results, titles, strict=True):
        minutes = sum(v for n, v in one["seconds"].items() if n != "this run") / 60
        cells = (
            f"[{one['experiment']}](#{title.replace(' ', '-')})",
            one["claim"]["verdict"],
            one["preset"],
            str(one["seeds"]),
            one["identity"]["device"],
            one["date"][:10],
            f"{minutes:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    sections = map(_section, results, titles)
    return HEAD + "\n".join(lines) + "\n" + "".join(sections)


def stored(folder):
    """All results.json below a folder of runs, in the order of the experiments' names.

    Raises: FileNotFoundError where there is none; ValueError naming a file that is none of ours.
    """
    found = sorted(Path(folder).glob("*/results.json"))
    if not found:
        raise FileNotFoundError(
            f"no results.json in the folders of {folder}: run an experiment first"
        )
    trees = []
    for path in found:
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
            tree["experiment"], tree["claim"]["verdict"], tree["identity"]["device"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: not the results of an experiment ({error!r})") from error
        trees.append(tree)
    return sorted(trees, key=lambda tree: (tree["experiment"], tree["preset"]))


def write(runs, path):
    """Writes RESULTS.md of all runs; returns how many there are."""
    results = stored(runs)
    storage.write_text(path, render(results))
    return len(results)


def _titles(results):
    """Names of experiments, with the preset where one has several."""
    names = [one["experiment"] for one in results]
    return [
        n if names.count(n) == 1 else f"{n} {r['preset']}"
        for n, r in zip(names, results, strict=True)
    ]


def _section(one, title):
    versions = ", ".join(f"{n} {v}" for n, v in one["identity"]["versions"].items())
    lines = [
        f"\n## {title}\n",
        f"{one['title']}\n",
        f"{one['claim']['sentence']}\n",
        "```",
        one["command"] or f"python -m experiments {one['experiment']} --preset {one['preset']}",
        "```\n",
        f"On {one['identity']['device']}, {one['date'][:10]}, commit {one['commit']}, with {versions}.",
        "Means with half the width of their 95 % interval.\n",
    ]
    for grid in grids(one["rows"]):
        lines += [
            f"**{grid.title}**\n",
            f"| {grid.corner} | {' | '.join(grid.across)} |",
            "| --- |" + " ---: |" * len(grid.across),
            *(f"| {arm} | {' | '.join(cells)} |" for arm, cells in grid.lines.items()),
            "",
        ]
    return "\n".join(lines)
