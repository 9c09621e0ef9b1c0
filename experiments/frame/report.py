"""RESULTS.md from the results that are kept: what was claimed, what came out, and how to repeat it.

results/ holds one file for each experiment and preset, results/EXPERIMENT-PRESET.json, and belongs in
the repository. `report` copies the results.json of workdirs into it, each over its own file alone, and
renders RESULTS.md from all that is there: on a fresh clone, without any workdir, the same page comes out.

Not kept are the preset `smoke`, which shows that a program runs, and runs whose settings are not the
preset's.
"""

import logging
from pathlib import Path

from experiments.frame import workdirs
from experiments.frame.contract import NAME
from experiments.frame.identity import ROOT
from experiments.frame.tables import grids
from experiments.frame.verdict import VERDICTS
from jaxsim import storage

LOG = logging.getLogger("jaxsim.experiments")
PIPE = r"\|"  # inside a cell
RUNS, RESULTS = Path("runs"), Path("results")
HEAD = """# Results

What the experiments said, from the files of results/, which hold what each run left in its
`results.json`. Made by `python -m experiments report`; not written by hand.

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
        cells = (
            f"[{one['experiment']}](#{title.replace(' ', '-')})",
            one["claim"]["verdict"],
            one["preset"],
            str(one["seeds"]),
            one["identity"]["device"],
            one["date"][:10],
            f"{minutes(one):.1f}",
        )
        lines.append(_line(*cells))
    sections = map(_section, results, titles)
    return HEAD + "\n".join(lines) + "\n" + "".join(sections)


def minutes(one):
    """What all parts of a run took, over all its sittings."""
    return sum(v for n, v in one["seconds"].items() if n != "this run") / 60


def read(path):
    """The tree of a results.json.

    Raises: FileNotFoundError; ValueError naming the file and the field that is not as a run leaves it.
    """
    about = storage.read_object(path)
    for name in ("title", "date", "commit"):
        about.text(name)
    for name in ("experiment", "preset"):
        if not NAME.fullmatch(about.text(name)):
            raise about.wrong(name, "letters, digits and _-.")
    about.text("command", "")
    about.whole("seeds", least=1)
    changed = about.object("changed", None)
    for name in changed or ():
        if not isinstance(changed.raw(name), list) or len(changed.raw(name)) != 2:
            raise changed.wrong(name, "a list of the preset's value and the run's")
    claim, identity = about.object("claim"), about.object("identity")
    claim.text("verdict", choices=VERDICTS)
    claim.text("sentence")
    identity.text("device")
    identity.texts("versions")
    seconds = about.object("seconds")
    for name in seconds:
        seconds.number(name, least=0)
    rows = about.objects("rows")
    if not rows:
        raise about.wrong("rows", "a list of rows, one at least")
    for row in rows:
        row.text("arm")
        for name in row:
            _check_value(row, name)
    return about.tree


def stored(folder):
    """All results of a folder such as results/, in the order of the experiments' names.

    Raises: ValueError naming a file that is damaged or not named for what it holds.
    """
    trees = []
    for path in sorted(Path(folder).glob("*.json")):
        tree = read(path)
        if path.name != name_of(tree):
            raise ValueError(
                f"{path}: holds results of {tree['experiment']}, preset {tree['preset']}, and must be "
                f"named {name_of(tree)}"
            )
        trees.append(tree)
    return sorted(trees, key=lambda tree: (tree["experiment"], tree["preset"]))


def name_of(tree):
    """The name of the file that keeps some results."""
    return f"{tree['experiment']}-{tree['preset']}.json"


def keep(given, runs, folder):
    """Copies results of workdirs into a folder, each over its own file alone.

    Args:
      given: workdirs; none takes all below `runs`, and of those only what is newer than the file kept.
      runs: a folder of workdirs.
      folder: such as results/.

    Returns: sentences, one for each workdir.
    Raises: FileNotFoundError for a workdir without results; ValueError naming a damaged file, or two
    workdirs that hold the same experiment and preset.
    """
    found = {}
    for path in [Path(one) / workdirs.RESULTS for one in given] or sorted(
        Path(runs).glob(f"*/{workdirs.RESULTS}")
    ):
        if not path.exists():
            raise FileNotFoundError(f"{path}: there is no such file; the run has not ended yet")
        found[path] = read(path)
    said, takers = [], {}
    for path, tree in found.items():
        target = Path(folder) / name_of(tree)
        if why := _not_kept(tree, target, newer_only=not given):
            said.append(f"{path}: not kept, {why}")
            continue
        if target in takers:
            raise ValueError(
                f"{takers[target]} and {path} both hold {tree['experiment']}, preset {tree['preset']}: "
                f"name the one to keep, python -m experiments report {path.parent}"
            )
        takers[target] = path
    for target, path in takers.items():
        storage.write_json(target, found[path])
        said.append(f"{path}: kept as {target}")
    return said


def write(path, *, given=(), runs=RUNS, results=RESULTS):
    """Keeps the results of workdirs and writes RESULTS.md of all that are kept.

    Returns: (how many there are, what was kept, as sentences).
    Raises: FileNotFoundError where there is nothing to report; ValueError naming a damaged file.
    """
    storage.check_file("out", path)
    if Path(results).exists() and not Path(results).is_dir():
        raise ValueError(f"results must be a folder, got the file {str(results)!r}")
    stored(results)  # refused before anything is written
    said = keep(given, runs, results)
    trees = stored(results)
    if not trees:
        raise FileNotFoundError(
            f"no results to report in {results} or the folders of {runs}: run an experiment first, with "
            "another preset than smoke"
        )
    storage.write_text(path, render(trees))
    return len(trees), said


def measured(slug, preset):
    """The newest results of an experiment's preset, among those of this folder and of the repository.

    Returns: a tree as results.json holds it, or None.
    Raises: ValueError naming a damaged file.
    """
    name = name_of({"experiment": slug, "preset": preset})
    places = (
        workdirs.default(slug, preset) / workdirs.RESULTS,
        RESULTS / name,
        ROOT / RESULTS / name,
    )
    trees = [read(place) for place in dict.fromkeys(places) if place.exists()]
    return max(trees, key=lambda tree: tree["date"], default=None)


def verdicts(slug):
    """The verdicts of an experiment's presets by their newest results: "cpu: held".

    Those of this folder's runs and results, and of the repository's.

    Raises: ValueError naming a damaged file.
    """
    paths = [
        *RUNS.glob(f"*/{workdirs.RESULTS}"),
        *RESULTS.glob("*.json"),
        *(ROOT / RESULTS).glob("*.json"),
    ]
    newest = {}
    for path in paths:
        tree = read(path)
        if tree["experiment"] == slug:
            before = newest.setdefault(tree["preset"], tree)
            newest[tree["preset"]] = max(before, tree, key=lambda one: one["date"])
    return [f"{preset}: {newest[preset]['claim']['verdict']}" for preset in sorted(newest)]


def _not_kept(tree, target, *, newer_only):
    if tree["preset"] == "smoke":
        return "smoke only shows that the program runs"
    if changed := tree.get("changed"):
        settings = ", ".join(
            f"{n} {now}, the preset's {before}" for n, (before, now) in changed.items()
        )
        return f"its settings are not those of preset {tree['preset']}: {settings}"
    if newer_only and target.exists() and read(target)["date"] > tree["date"]:
        return f"{target} is newer; name the workdir to have it replaced"
    return ""


def _check_value(row, name):
    """A key is a string or a whole number, a figure a number or null, an interval two numbers."""
    value = row.raw(name)
    if name.endswith(" interval"):
        ends = value if isinstance(value, list) else []
        if len(ends) != 2 or not all(isinstance(end, (int, float)) for end in ends):
            raise row.wrong(name, "a list of two numbers")
    elif value is not None and not isinstance(value, str):
        row.number(name)


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
    if "imported" in one:
        lines.append(f"{one['imported']}\n")
    for grid in grids(one["rows"]):
        lines += [
            f"**{grid.title}**\n",
            _line(grid.corner, *grid.across),
            "| --- |" + " ---: |" * len(grid.across),
            *(_line(arm, *cells) for arm, cells in grid.lines.items()),
            "",
        ]
    return "\n".join(lines)


def _line(*cells):
    """A line of a table in Markdown."""
    return f"| {' | '.join(cell.replace('|', PIPE) for cell in cells)} |"
