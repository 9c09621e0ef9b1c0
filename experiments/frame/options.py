"""The options of an experiment's command: how to run, and every field of its config."""

import argparse
import dataclasses
from types import ModuleType
from typing import Any

import tyro

from experiments.frame import presets


def preset_of(module: ModuleType, arguments: list[str]) -> str:
    """The preset that arguments name: it gives the defaults that --help shows and the other options change.

    Raises: ValueError for one that is not there.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--preset", default=presets.default_preset(module))
    there = ", ".join(module.PRESETS)
    try:
        preset = first.parse_known_args(arguments)[0].preset
    except argparse.ArgumentError as error:
        raise ValueError(f"--preset must name one of {there}") from error
    if preset not in module.PRESETS:
        raise ValueError(f"no preset {preset!r} of {presets.slug(module)}: there are {there}")
    return preset


def parse(module: ModuleType, preset: str, arguments: list[str]) -> Any:
    """The options that arguments give; --help explains them and ends the process."""
    chosen = preset

    @dataclasses.dataclass(frozen=True)
    class Options:
        preset: str = chosen
        """which defaults: see the list above"""
        seeds: int = presets.default_seeds(module, chosen)
        """how many, from the config's seed upwards; more reuse those that are there"""
        workdir: str | None = None
        """where everything goes; runs/PAPER-PRESET by default"""
        config: tyro.conf.OmitArgPrefixes[module.Config] = module.PRESETS[chosen]

    return tyro.cli(
        Options,
        prog=f"python -m experiments {presets.slug(module)}",
        description=f"The settings of preset {preset}:",
        args=arguments,
        config=(tyro.conf.FlagConversionOff,),
    )
