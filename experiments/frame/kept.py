"""The results that are kept: results/EXPERIMENT-PRESET.json and the pictures of these runs.

They belong in the repository: what they name is all that a page needs, so that a fresh clone shows the
same verdicts and renders the same pages without a workdir, and without importing an experiment.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.frame import places
from experiments.frame.contract import NAME
from experiments.frame.identity import ROOT
from experiments.frame.places import RESULTS, RESULTS_JSON, RUNS
from experiments.frame.verdict import VERDICTS
from jaxsim import storage

LARGEST = 100_000  # bytes of a picture in the repository
Tree = dict[str, Any]  # as results.json holds it


def read(path: Path) -> Tree:
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
    about.texts("arms", {})
    about.strings("shown", [])
    if not all(map(NAME.fullmatch, about.strings("pictures", []))):
        raise about.wrong("pictures", "a list of names of letters, digits and _-.")
    claim, identity = about.object("claim"), about.object("identity")
    claim.text("verdict", choices=VERDICTS)
    claim.text("sentence")
    claim.text("question", "")
    for compared in claim.objects("comparisons", []):
        for name in ("arm", "over", "figure"):
            compared.text(name)
        compared.text("verdict", choices=VERDICTS)
        for name in ("mean", "low", "high", "by", "within"):
            compared.number(name, None)
        compared.flag("smaller", False)
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


def stored(folder: Path) -> list[Tree]:
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


def name_of(tree: Tree) -> str:
    """The name of the file that keeps some results."""
    return f"{tree['experiment']}-{tree['preset']}.json"


def picture_of(tree: Tree, name: str) -> str:
    """The name of the file that keeps a picture of some results."""
    return f"{tree['experiment']}-{tree['preset']}-{name}.png"


def keep(given: Sequence[Path | str], runs: Path, results: Path, pages: Path) -> list[str]:
    """Copies results of workdirs and their pictures, each over its own files alone.

    Args:
      given: workdirs; none takes all below `runs`, and of those only what is newer than the file kept.
      runs: a folder of workdirs.
      results: the folder of what is kept.
      pages: the folder of the pages, where the pictures go.

    Returns: sentences, one for each workdir and one for each picture that is not there.
    Raises: FileNotFoundError for a workdir without results; ValueError naming a damaged file, or two
    workdirs that hold the same experiment and preset.
    """
    found = {}
    for path in [Path(one) / RESULTS_JSON for one in given] or sorted(
        Path(runs).glob(f"*/{RESULTS_JSON}")
    ):
        if not path.exists():
            raise FileNotFoundError(f"{path}: there is no such file; the run has not ended yet")
        found[path] = read(path)
    said, takers = [], {}
    for path, tree in found.items():
        target = Path(results) / name_of(tree)
        why = _no_result(tree)
        if not (why or given) and target.exists() and read(target)["date"] > tree["date"]:
            why = f"{target} is newer; name the workdir to have it replaced"
        if why:
            said.append(f"{path}: not kept, {why}")
            continue
        if target in takers:
            raise ValueError(
                f"{takers[target]} and {path} both hold {tree['experiment']}, preset {tree['preset']}: "
                f"name the one to keep, python -m experiments report {path.parent}"
            )
        takers[target] = path
    drawn = {path: _pictures(path.parent, found[path]) for path in takers.values()}
    for target, path in takers.items():
        tree = found[path]
        before = read(target) if target.exists() else {}
        for name in before.get("pictures") or ():  # of the results that are replaced
            (Path(pages) / picture_of(tree, name)).unlink(missing_ok=True)
        for name, data in drawn[path].items():
            storage.write_bytes(Path(pages) / picture_of(tree, name), data)
        storage.write_json(target, tree)
        said.append(f"{path}: kept as {target}")
        for name in tree.get("pictures") or ():
            if name not in drawn[path]:
                said.append(f"{path.parent / name}.png: not kept, there is no such file")
    return said


def small_picture(path: Path) -> bytes:
    """A picture as a PNG of at most `LARGEST` bytes: a palette, and fewer pixels where that is not enough.

    Raises: FileNotFoundError; ValueError naming the file that is not a picture.
    """
    from PIL import Image

    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: must be a picture, {error}") from error
    while True:
        for colors in (256, 64, 32):
            data = io.BytesIO()
            palette = image.quantize(colors, dither=Image.Dither.NONE)
            palette.save(data, format="PNG", optimize=True)
            if data.tell() <= LARGEST:
                return data.getvalue()
        width, height = image.size
        image = image.resize((max(1, width * 4 // 5), max(1, height * 4 // 5)))


def measured(slug: str, preset: str) -> Tree | None:
    """The newest results of an experiment's preset, among those of this folder and of the repository.

    Returns: a tree as results.json holds it, or None.
    Raises: ValueError naming a damaged file.
    """
    return places.newest(slug, preset, read)


def verdicts() -> tuple[dict[str, list[str]], list[str]]:
    """The newest verdict of every preset, in this folder's runs and results and the repository's.

    Returns: ({experiment: such as ["cpu: held"]}, a sentence for every damaged file).
    """
    paths = [
        *sorted(RUNS.glob(f"*/{RESULTS_JSON}")),
        *sorted(RESULTS.glob("*.json")),
        *sorted((ROOT / RESULTS).glob("*.json")),
    ]
    newest, damaged = {}, []
    for path in paths:
        try:
            tree = read(path)
        except ValueError as error:
            damaged.append(str(error))
            continue
        name = tree["experiment"], tree["preset"]
        if not _no_result(tree) and tree["date"] >= newest.get(name, tree)["date"]:
            newest[name] = tree
    found = {}
    for (slug, preset), tree in sorted(newest.items()):
        found.setdefault(slug, []).append(f"{preset}: {tree['claim']['verdict']}")
    return found, damaged


def _pictures(workdir: Path, tree: Tree) -> dict[str, bytes]:
    """{name: its bytes} of the pictures that a run drew and that are there."""
    found = {}
    for name in tree.get("pictures") or ():
        path = workdir / f"{name}.png"
        if path.is_file():
            found[name] = small_picture(path)
    return found


def _no_result(tree: Tree) -> str:
    """Why results are not those of a preset; "" where they are."""
    if tree["preset"] == "smoke":
        return "smoke only shows that the program runs"
    if changed := tree.get("changed"):
        settings = ", ".join(
            f"{n} {now}, the preset's {before}" for n, (before, now) in changed.items()
        )
        return f"its settings are not those of preset {tree['preset']}: {settings}"
    return ""


def _check_value(row: storage.Fields, name: str) -> None:
    """A key is a string or a whole number, a figure a number or null, an interval two numbers."""
    value = row.raw(name)
    if name.endswith(" interval"):
        ends = value if isinstance(value, list) else []
        numbers = [end for end in ends if isinstance(end, (int, float)) and abs(end) < 1e300]
        if len(ends) != 2 or len(numbers) != 2:
            raise row.wrong(name, "a list of two numbers")
    elif isinstance(value, str):
        row.text(name)
    elif value is not None:
        row.number(name)
