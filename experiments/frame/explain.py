"""What an experiment does before it is run: its presets, their sizes, how long they took."""

import dataclasses
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.frame import places, presets


def show(module: ModuleType, console: Console, *, name: str, times: Mapping[str, str]) -> None:
    """The paper, the presets and the arms, and the command that runs each preset.

    Args:
      module: the experiment.
      console: rich's.
      name: what the user called it.
      times: how long each preset took, in words.
    """
    console.print(f"{module.__doc__.strip()}\n", highlight=False, markup=False, soft_wrap=True)
    table = Table(
        "preset", "what it runs", "took", "settings that are not the default", title_justify="left"
    )
    for preset, config in module.PRESETS.items():
        table.add_row(
            preset,
            size(module, config, presets.default_seeds(module, preset)),
            times[preset],
            Text(settings(module, config)),
        )
    console.print(table)
    arms = Table("arm", "what it is")
    for arm, about in module.ARMS.items():
        arms.add_row(arm, Text(about))
    console.print(arms)
    chosen = presets.default_preset(module)
    console.print(
        f"This runs it:              python -m experiments {name} --preset {chosen}\n"
        f"This shows every setting:  python -m experiments {name} --help",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def size(module: ModuleType, config: Any, seeds: int) -> str:
    """How many arms and seeds a run has, in words."""
    arms = len(presets.arms_of(module, config))
    return f"{arms} arm{'s' * (arms != 1)} x {seeds} seed{'s' * (seeds != 1)}"


def times(
    module: ModuleType, measured: Callable[[str, str], dict[str, Any] | None]
) -> dict[str, str]:
    """How long each preset took, in words.

    Args:
      module: the experiment.
      measured: from its name and a preset's to the newest results; None without any.
    """
    name = presets.slug(module)
    return {preset: took(measured(name, preset), preset) for preset in module.PRESETS}


def took(one: dict[str, Any] | None, preset: str) -> str:
    """How long a preset took, in words, by its newest results; None where it was not measured."""
    if one is None:
        return "seconds to a minute" if preset == "smoke" else "not measured"
    return f"{places.minutes(one):.1f} minutes for {one['seeds']} seed{'s' * (one['seeds'] != 1)} on {one['identity']['device']}"


def settings(module: ModuleType, config: Any) -> str:
    """The settings of a preset that are not the default's, in a line."""
    parts = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        default = (
            field.default
            if field.default_factory is dataclasses.MISSING
            else field.default_factory()
        )
        if field.name != "arms" and value != default:
            shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
            parts.append(f"{field.name} {shown}")
    return ", ".join(parts)
