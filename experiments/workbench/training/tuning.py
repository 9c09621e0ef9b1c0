"""Tuning: every arm tries the same number of settings, judged on validation data, and remembers them."""

import itertools
import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments import runner
from jaxsim import storage

LOG = logging.getLogger("jaxsim.experiments")
FILE = "search.json"


def grid(**choices: Sequence[Any]) -> list[dict[str, Any]]:
    """All combinations of choices, as settings by name: grid(rate=(1e-3, 1e-2)) -> [{"rate": 1e-3}, ...]."""
    return [
        dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())
    ]


def tuned(
    options: Sequence[Mapping[str, Any]],
    attempt: Callable[..., float],
    *,
    workdir: Path,
    smaller: bool = False,
) -> dict[str, Any]:
    """The best of some settings by a figure on validation data; the first of equal ones.

        best = tuned(grid(rate=config.rates), attempt, workdir=workdir)
        model = trained(**best)  # in the workdir of that attempt: returns at once

    What was tried is kept in search.json of the workdir, with its figure, and not tried again by a call
    that resumes or that asks for more settings.

    Args:
      options: settings by name, plain values; `grid` makes them.
      attempt: (**setting) -> figure on validation data, never on test data.
      workdir: of one arm and seed.
      smaller: the best figure is the smallest.

    Returns: one of the options.
    Raises: ValueError where there is no option, or all figures are NaN.
    """
    options = [dict(option) for option in options]
    if not options:
        raise ValueError("options must have one setting at least, got none")
    sign = -1 if smaller else 1
    figures = _remembered(workdir / FILE)
    for option in options:
        if (name := _name(option)) not in figures:
            figures[name] = float(attempt(**option))
            LOG.info("%s: %.4f on validation data", name, figures[name])
            _write(workdir / FILE, figures, None)
    best = runner.best(options, lambda option: sign * figures[_name(option)])
    _write(workdir / FILE, figures, best)
    return best


def tuned_rate(rates: Sequence[float], attempt: Callable[..., float], *, workdir: Path) -> float:
    """The best of some rates as `tuned` finds it; where there is one alone, nothing is tried.

    Args:
      rates: one at least.
      attempt: (rate=) -> figure on validation data.
      workdir: of one arm and seed.
    """
    if len(rates) == 1:
        return rates[0]
    return tuned(grid(rate=rates), attempt, workdir=workdir)["rate"]


def tuned_in_turn(
    choices: Mapping[str, Sequence[Any]],
    attempt: Callable[..., float],
    *,
    workdir: Path,
    smaller: bool = False,
) -> dict[str, Any]:
    """As `tuned`, one setting after another: the others are at their best so far, or in the middle of theirs.

    Args:
      choices: {name: values to try, in order}, the first name is tuned first.
      attempt, workdir, smaller: as for `tuned`.

    Returns: {name: value}.
    """
    best = {name: values[len(values) // 2] for name, values in choices.items()}
    for name, values in choices.items():
        options = [{**best, name: value} for value in values]
        best = tuned(options, attempt, workdir=workdir, smaller=smaller)
    return best


def figure_of(setting: Mapping[str, Any], workdir: Path) -> float:
    """The figure on validation data of a setting that was tried in a workdir."""
    return _remembered(workdir / FILE)[_name(dict(setting))]


def _name(option: dict[str, Any]) -> str:
    return json.dumps(option, sort_keys=True)


def _write(path: Path, figures: dict[str, float], best: dict[str, Any] | None) -> None:
    tried = [
        {"setting": json.loads(name), "figure": None if math.isnan(figure) else figure}
        for name, figure in figures.items()
    ]
    storage.write_json(path, {"chosen": best, "tried": tried})


def _remembered(path: Path) -> dict[str, float]:
    """{name of a setting: its figure} of what was tried before.

    Raises: ValueError naming a file that is damaged.
    """
    if not path.exists():
        return {}
    return {
        _name(fields.object("setting").tree): fields.number("figure", math.nan)
        for fields in storage.read_object(path).objects("tried")
    }
