"""What a file must hold to be an experiment, and its rows to count: checked before they are used.

Every error is one sentence: the file, what is wrong there, what was wanted.
"""

import dataclasses
import inspect
import io
import json
import math
import re
import traceback
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import experiments
import jaxsim
from experiments import pictures
from experiments.frame import fingerprints
from experiments.frame.figures import Grouped, Key, Resampled, Row, check_kind, figures, keys, named
from experiments.frame.presets import slug
from experiments.frame.tables import summary
from experiments.frame.verdict import VERDICTS, Claim

# The functions of an experiment and what they are called with.
FUNCTIONS = {
    "fingerprint": ("config",),
    "prepare_all": ("config", "workdir"),
    "prepare": ("config", "workdir"),
    "run": ("config", "arm", "shared", "workdir"),
    "run_seeds": ("config", "arm", "seeds", "shared", "workdir"),
    "claim": ("rows",),
    "pictures": ("rows",),
}
# Functions that may be left out, where one of these is there.
INSTEAD = {"run": ("run_seeds",), "prepare": ("prepare_all",)}
OPTIONAL = ("prepare_all", "run_seeds", "pictures")
NAME = re.compile(r"\w[\w.-]*")  # of an arm, a preset or a picture: a part of a file's name
PANELS = 6  # of the picture of an experiment that draws none
COMMON = "common"  # the folder of `prepare_all`
TAKEN = ("shared", "facts", COMMON)  # files and folders that an arm must not replace


def check_module(module: ModuleType) -> None:
    """Refuses a module that is not an experiment: each part must be there and of its kind.

    Raises: ValueError naming the file, the part and what was wanted.
    """
    file = file_of(module)
    if not (module.__doc__ or "").strip():
        raise ValueError(
            f"{file} lacks a docstring: the paper, its claim, the data, what it predicts"
        )
    config = _part(module, "Config", "a frozen dataclass of the settings")
    if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
        raise ValueError(f"{file}: Config must be a frozen dataclass, got {config!r:.80}")
    if not vars(config)["__dataclass_params__"].frozen:
        raise ValueError(f"{file}: Config must be frozen: @dataclasses.dataclass(frozen=True)")
    try:
        typing.get_type_hints(config)
    except Exception as error:
        raise ValueError(f"{file}: the types of Config cannot be read: {error}") from error
    fields = {field.name for field in dataclasses.fields(config)}
    for name, example in (("seed", "seed: int = 0"), ("arms", "arms: tuple[str, ...] = ()")):
        if name not in fields:
            raise ValueError(f"{file}: Config lacks the field {name}, such as {example}")
    if clash := fields & {"preset", "seeds", "workdir", "help"}:
        raise ValueError(
            f"{file}: Config must not have the field {min(clash)}, which is an option of the command"
        )
    arms = _names(module, "ARMS", "{arm: what it is}", str)
    if clash := [n for n in arms if n in TAKEN or n.startswith(("seed-", "seeds-"))]:
        raise ValueError(f"{file}: an arm must not be named {clash[0]!r}: the runner's files are")
    for preset, one in _names(module, "PRESETS", "{name: Config(...)}", config).items():
        _check_preset(file, preset, one, arms)
    for preset, count in _names(module, "SEEDS", "{preset: a number}", int, needed=False).items():
        if preset not in module.PRESETS:
            raise ValueError(
                f"{file}: SEEDS names {preset!r}, the presets are {', '.join(module.PRESETS)}"
            )
        if isinstance(count, bool) or count < 1:
            raise ValueError(f"{file}: SEEDS[{preset!r}] must be at least 1, got {count!r}")
    for name in ("KEYS", "SHOWN", "ONCE"):
        listed(module, name)
    if unknown := [arm for arm in listed(module, "ONCE") if arm not in arms]:
        raise ValueError(f"{file}: ONCE names {unknown[0]!r}, the arms are {', '.join(arms)}")
    _check_reads(module, arms)
    for name, arguments in FUNCTIONS.items():
        if hasattr(module, name):
            if name == "prepare" and hasattr(module, "prepare_all"):
                arguments = (*arguments, "common")
            _check_function(module, name, arguments)
        elif name not in OPTIONAL and not any(hasattr(module, n) for n in INSTEAD.get(name, ())):
            _check_function(module, name, arguments)


def check_config(module: ModuleType, config: Any, seeds: int) -> None:
    """Refuses a choice of arms or seeds that cannot be run.

    Raises: ValueError naming the setting and the choices.
    """
    name = slug(module)
    if unknown := [arm for arm in config.arms if arm not in module.ARMS]:
        raise ValueError(f"no arm {unknown[0]!r} of {name}: there are {', '.join(module.ARMS)}")
    if twice := [arm for arm in config.arms if config.arms.count(arm) > 1]:
        raise ValueError(f"arms must differ, got {twice[0]!r} more than once")
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"seeds must be a whole number of at least 1, got {seeds!r}")
    if isinstance(config.seed, bool) or not isinstance(config.seed, int) or config.seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, got {config.seed!r}")
    if config.seed + seeds > 2**31:
        raise ValueError(f"seed must be below 2**31 with all that follow, got {config.seed}")


def running_order(module: ModuleType, arms: Sequence[str]) -> list[str]:
    """Arms, each after those that it reads.

    Raises: ValueError naming the file, for arms that wait for each other.
    """
    reads, order, waiting = getattr(module, "READS", {}), [], list(arms)
    while waiting:
        ready = [arm for arm in waiting if set(waiting).isdisjoint(reads.get(arm, ()))]
        if not ready:
            raise ValueError(f"{file_of(module)}: READS: {', '.join(waiting)} wait for each other")
        # One at a time, so that arms that read nothing keep their order.
        order.append(ready[0])
        waiting.remove(ready[0])
    return order


def checked_rows(module: ModuleType, arm: str, seed: int, rows: Any) -> list[dict[str, Any]]:
    """The rows of one arm and seed, as plain values: keys int or str, figures float or float arrays.

    Raises: ValueError naming the file, the arm, the seed, the row and the value.
    """
    at = f"{file_of(module)}: rows of arm {arm!r}, seed {seed}"
    keyed, key_names = hasattr(module, "KEYS"), listed(module, "KEYS")
    if isinstance(rows, dict) or not isinstance(rows, (list, tuple)):
        raise ValueError(f"{at}: must be a list of dicts, got {type(rows).__name__}")
    if not rows:
        raise ValueError(f"{at}: there are none, wanted one at least")
    plain = []
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ValueError(f"{at}: row {number} must be a dict, got {type(row).__name__}")
        if missing := [name for name in key_names if name not in row]:
            raise ValueError(f"{at}: row {number} lacks the key {missing[0]!r}, which KEYS names")
        checked = {}
        for name, value in row.items():
            name = _row_name(at, number, name)
            value = _row_value(at, number, name, value)
            checked[name] = _sorted_by_kind(at, number, name, value, key_names) if keyed else value
        plain.append(checked)
        if all(isinstance(value, (int, str, Key)) for value in checked.values()):
            raise ValueError(
                f"{at}: row {number} has no figure, wanted a float or an array of them; "
                f"{'KEYS' if keyed else 'integers'} and strings are keys, got {row!r:.80}"
            )
    return plain


def rows_by_seed(
    module: ModuleType, arm: str, seeds: Sequence[int], rows: Any
) -> dict[int, list[Any]]:
    """{seed: its rows} of what `run_seeds` gave, without their "seed".

    Raises: ValueError naming the file, the arm and the row.
    """
    at = f"{file_of(module)}: rows of arm {arm!r}"
    if not isinstance(rows, (list, tuple)):
        raise ValueError(f"{at}: must be a list of dicts, got {type(rows).__name__}")
    found = {seed: [] for seed in seeds}
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or row.get("seed") not in found:
            wanted = ", ".join(map(str, seeds))
            raise ValueError(
                f"{at}: row {number} must name its seed, one of {wanted}, got {row!r:.60}"
            )
        found[int(row["seed"])].append({n: v for n, v in row.items() if n != "seed"})
    return found


def checked_fingerprint(module: ModuleType, config: Any) -> str | dict[str, str]:
    """What names the data: a string as it is, a tree by its hash, a dict by those of its parts.

    Raises: ValueError naming the file.
    """
    data = called(module, "fingerprint", config)
    try:
        if data is None:
            raise TypeError("None")
        if isinstance(data, str):
            return data
        if isinstance(data, dict) and data and all(isinstance(name, str) for name in data):
            return {name: fingerprints.of_tree(part) for name, part in data.items()}
        return fingerprints.of_tree(data)
    except TypeError as error:
        raise ValueError(
            f"{file_of(module)}: fingerprint must return a string that names the data, or a tree of "
            f"dicts, lists, strings, numbers and arrays, got {error}"
        ) from None


def checked_facts(module: ModuleType, function: str, shared: Any) -> dict[str, Any]:
    """What `prepare` or `prepare_all` reports: {name: number}.

    Raises: ValueError naming the file and the fact.
    """
    facts, at = getattr(shared, "facts", {}), f"{file_of(module)}: facts of what {function} gives"
    if not isinstance(facts, dict):
        raise ValueError(f"{at}: must be a dict {{name: number}}, got {type(facts).__name__}")
    plain = {}
    for name, value in facts.items():
        value = value.item() if hasattr(value, "item") and np.ndim(value) == 0 else value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{at}: {name!r} must be a number, got {value!r:.60}")
        plain[str(name)] = value
    return plain


def checked_claim(module: ModuleType, rows: list[dict[str, Any]]) -> Claim:
    """What `claim` says of the rows.

    Raises: ValueError naming the file for what is not a `Claim`.
    """
    claim = called(module, "claim", rows)
    if not isinstance(claim, Claim) or claim.verdict not in VERDICTS:
        raise ValueError(
            f"{file_of(module)}: claim must return a runner.Claim, such as runner.judged gives, with a "
            f"verdict of {', '.join(map(repr, VERDICTS))}, got {claim!r:.80}"
        )
    return claim


def checked_pictures(
    module: ModuleType, rows: list[dict[str, Any]], claim: Claim
) -> dict[str, Any]:
    """{name: figure}: what the claim compares, and what the experiment draws.

    Of an experiment without `pictures`, the bars of its claim's figure.

    Raises: ValueError naming the file for what cannot be saved as a picture.
    """
    compared = {}
    if any(one.mean is not None for one in claim.comparisons):
        compared["claim"] = pictures.differences(claim.comparisons, question=claim.question)
    if not hasattr(module, "pictures"):
        return compared | default_pictures(rows, claim)
    drawn, file = called(module, "pictures", rows), file_of(module)
    if not isinstance(drawn, dict):
        raise ValueError(
            f"{file}: pictures must return a dict {{name: matplotlib figure}}, got {drawn!r:.60}"
        )
    for name, figure in drawn.items():
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise ValueError(
                f"{file}: a picture's name must be letters, digits and _-. got {name!r}"
            )
        if not callable(getattr(figure, "savefig", None)):
            raise ValueError(
                f"{file}: picture {name!r} must be a matplotlib figure, got {figure!r:.60}"
            )
    return compared | drawn


def default_pictures(rows: Sequence[Row], claim: Claim) -> dict[str, Any]:
    """{"means": bars of the first figure that the claim compares, a panel for each value of the keys}."""
    means = summary(rows)
    names = [name for row in means for name in figures(row)]
    figure = next((c.figure for c in claim.comparisons if c.figure in names), names[0])
    chosen = [row for row in means if figure in row]
    keyed = list(dict.fromkeys(name for row in chosen for name in keys(row)))
    panel, panels = ", ".join(keyed), {}
    for row in chosen:
        panels.setdefault(", ".join(str(row.get(name, "none")) for name in keyed), []).append(row)
    shown = list(panels)[:PANELS]
    drawn = [{**row, panel: value} for value in shown for row in panels[value]]
    title = f"{figure}: the first {PANELS} of {len(panels)}" if len(panels) > PANELS else figure
    heading = {"title": title, "question": claim.question}
    return {"means": pictures.bars(drawn, y=figure, panel=panel, **heading)}


def drawn(module: ModuleType, name: str, figure: Any) -> bytes:
    """A figure as the bytes of a PNG file.

    Raises: ValueError naming the file and the picture that matplotlib cannot draw.
    """
    data = io.BytesIO()
    try:
        figure.savefig(data, format="png", dpi=120)
    except (OSError, ImportError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(
            f"{file_of(module)}: picture {name!r} cannot be drawn: {type(error).__name__}: {error}"
        ) from error
    return data.getvalue()


def called(module: ModuleType, name: str, *arguments: Any) -> Any:
    """What `fingerprint`, `claim` or `pictures` returns; other errors than a user's name their line.

    Raises: ValueError.
    """
    try:
        return getattr(module, name)(*arguments)
    except (OSError, ImportError, MemoryError, FloatingPointError):
        raise
    except Exception as error:
        if isinstance(error, ValueError) and name == "fingerprint":
            raise
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(
            f"{file_of(module)}{line_of(error, path_of(module))}, in {name}: {kind}{error}"
        ) from error


def worked(module: ModuleType, name: str, *arguments: Any) -> Any:
    """What `prepare` or `run` returns.

    Raises: RuntimeError in the place of a ValueError that neither jaxsim nor the experiment raised: only
    what these refuse is a sentence for users, the rest is a bug, whose traceback is needed.
    """
    try:
        return getattr(module, name)(*arguments)
    except ValueError as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        path = Path(last.filename)
        ours = {path_of(module), *(Path(p.__path__[0]) for p in (jaxsim, experiments))}
        refused = bool(ours & {path, *path.parents}) and last.line.startswith("raise")
        if refused or type(error) is not ValueError:
            raise
        where = f"{file_of(module)}{line_of(error, path_of(module))}"
        raise RuntimeError(f"{where}: {name} raised ValueError: {error}") from error


def line_of(error: BaseException, file: str | Path) -> str:
    """ ", line 12": the last line of a file that an error passed through; "" where it did not."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == Path(file)
    ]
    return f", line {lines[-1]}" if lines else ""


def file_of(module: ModuleType) -> str:
    """The name of an experiment's file, for errors."""
    return path_of(module).name


def path_of(module: ModuleType) -> Path:
    """An experiment's file."""
    return Path(module.__file__ or module.__name__)


def _part(module: ModuleType, name: str, wanted: str) -> Any:
    if not hasattr(module, name):
        raise ValueError(f"{file_of(module)} lacks {name}, which must be {wanted}")
    return getattr(module, name)


def _names(
    module: ModuleType, name: str, wanted: str, kind: type, *, needed: bool = True
) -> dict[str, Any]:
    """A dict of the module whose names can be parts of file names; {} where it may be missing."""
    if not needed and not hasattr(module, name):
        return {}
    tree, file = _part(module, name, f"a dict {wanted}"), file_of(module)
    if not isinstance(tree, dict) or (needed and not tree):
        raise ValueError(f"{file}: {name} must be a dict {wanted}, got {tree!r:.60}")
    for key, value in tree.items():
        if not (isinstance(key, str) and NAME.fullmatch(key)):
            raise ValueError(f"{file}: {name} must be named by letters, digits and _-. got {key!r}")
        if not isinstance(value, kind):
            raise ValueError(
                f"{file}: {name}[{key!r}] must be of {kind.__name__}, got {value!r:.60}"
            )
    return tree


def _check_reads(module: ModuleType, arms: Mapping[str, str]) -> None:
    """Refuses READS that name no arms, or arms that wait for each other."""
    file, reads = file_of(module), getattr(module, "READS", {})
    if not isinstance(reads, dict):
        raise ValueError(
            f"{file}: READS must be a dict {{arm: (arms that it reads)}}, got {reads!r:.60}"
        )
    for arm, read in reads.items():
        if not (isinstance(read, (tuple, list)) and read):
            raise ValueError(
                f"{file}: READS[{arm!r}] must be a tuple of arms, one at least, got {read!r:.60}"
            )
        if unknown := [name for name in (arm, *read) if name not in arms]:
            raise ValueError(f"{file}: READS names {unknown[0]!r}, the arms are {', '.join(arms)}")
    if reads:
        if not hasattr(module, "run"):
            raise ValueError(f"{file}: READS needs run, which gets the folders of other arms")
        _check_function(module, "run", (*FUNCTIONS["run"], "others"))
    running_order(module, tuple(arms))


def listed(module: ModuleType, name: str) -> tuple[str, ...]:
    """Names that a module may list; () where it does not.

    Raises: ValueError naming the file, for what is not a tuple of different strings.
    """
    names = getattr(module, name, ())
    words = isinstance(names, (tuple, list)) and all(isinstance(one, str) for one in names)
    if not words or len(set(names)) < len(names):
        raise ValueError(
            f"{file_of(module)}: {name} must be a tuple of different names, got {names!r:.60}"
        )
    return tuple(names)


def _check_preset(file: str, preset: str, config: Any, arms: Mapping[str, str]) -> None:
    if not isinstance(config.arms, tuple):
        raise ValueError(f"{file}: PRESETS[{preset!r}].arms must be a tuple, got {config.arms!r}")
    if unknown := [arm for arm in config.arms if arm not in arms]:
        raise ValueError(
            f"{file}: PRESETS[{preset!r}] has the arm {unknown[0]!r}: ARMS has {', '.join(arms)}"
        )
    for name, value in dataclasses.asdict(config).items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError(
                f"{file}: PRESETS[{preset!r}].{name} must be a number, a string or a tuple of them, "
                f"got {value!r:.60}"
            ) from None


def _check_function(module: ModuleType, name: str, arguments: Sequence[str]) -> None:
    wanted = f"a function ({', '.join(arguments)})"
    function = _part(module, name, wanted)
    if not callable(function):
        raise ValueError(f"{file_of(module)}: {name} must be {wanted}, got {function!r:.60}")
    try:
        signature = inspect.signature(function)
        signature.bind(*arguments)
    except TypeError:
        raise ValueError(
            f"{file_of(module)}: {name} must take ({', '.join(arguments)}), it takes {signature}"
        ) from None


def _row_name(at: str, number: int, name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"{at}: row {number}: names must be strings, got {name!r}")
    if name in ("arm", "seed") or name.endswith(" interval"):
        raise ValueError(f"{at}: row {number} must not have {name!r}, which is the runner's")
    return name


def _sorted_by_kind(at: str, number: int, name: str, value: Any, key_names: Sequence[str]) -> Any:
    """A value of a module with KEYS: a number is a key where its name is among them, else a figure."""
    if isinstance(value, (str, np.ndarray, Grouped, Resampled)):
        if name in key_names and not isinstance(value, str):
            raise ValueError(
                f"{at}: row {number}: {name!r} is among KEYS and must be a number or a string, got "
                f"{type(value).__name__}"
            )
        return value
    if name not in key_names:
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(
            f"{at}: row {number}: {name!r} is among KEYS and must be finite, got {value}"
        )
    return int(value) if value == int(value) else Key(value)  # 1.0 and 1 are one key


def _row_value(at: str, number: int, name: str, value: Any) -> Any:
    wanted = (
        "an integer or a string (a key), or a float, an array of numbers, a runner.Resampled or a "
        "runner.Grouped (a figure)"
    )
    if isinstance(value, (Resampled, Grouped)):
        return value
    if hasattr(value, "item") and np.ndim(value) == 0:
        value = value.item()
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        return value
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{at}: row {number}: {name!r} must be {wanted}, got a ragged list"
        ) from None
    if array.ndim == 0 or array.dtype.kind not in "fiub":
        raise ValueError(f"{at}: row {number}: {name!r} must be {wanted}, got {value!r:.60}")
    if array.size == 0:
        raise ValueError(f"{at}: row {number}: {name!r} must hold numbers, got shape {array.shape}")
    return array.astype(float)


def check_rows_fit(module: ModuleType, rows: Sequence[Row]) -> None:
    """Refuses rows of all arms and seeds that do not add up to one table.

    Raises: ValueError naming the file, the rows and what differs.
    """
    file, seen, first = file_of(module), set(), {}
    kinds = _kinds(rows[0])
    for row in rows:
        if _kinds(row) != kinds:
            raise ValueError(
                f"{file}: all rows must have the same keys, the row of {named(rows[0])} has "
                f"{_listed(kinds)}, the row of {named(row)} has {_listed(_kinds(row))}"
            )
        key = tuple((name, row[name]) for name in sorted(kinds))
        if key in seen:
            raise ValueError(f"{file}: two rows of {named(row)} have the same keys")
        seen.add(key)
        other = first.setdefault(tuple(pair for pair in key if pair[0] != "seed"), row)
        for name in dict.fromkeys([*figures(other), *figures(row)]):
            try:
                check_kind(name, other, row)
            except ValueError as error:
                raise ValueError(f"{file}: {error}") from None


def _kinds(row: Row) -> dict[str, str]:
    """{key: its kind} of a row."""
    names = {int: "number", str: "string", Key: "number"}
    return {name: names[type(value)] for name, value in row.items() if type(value) in names}


def _listed(kinds: Mapping[str, str]) -> str:
    shown = (f"{n} ({kind})" for n, kind in kinds.items() if n not in ("arm", "seed"))
    return ", ".join(shown) or "none"
