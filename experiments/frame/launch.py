"""One experiment from the command line: its explanation, its options, its run."""

import argparse
import dataclasses
import shlex
from types import ModuleType
from typing import Any

import jax
import tyro
from rich.console import Console

from experiments import runner
from experiments.frame import contract, explain, workdirs
from experiments.frame.files import load
from jaxsim import training
from jaxsim.data._sources import cache_folder


def launch(name: str, arguments: list[str]) -> int:
    """Explains an experiment, or runs it where there are options; returns the exit code.

    Args:
      name: of the experiment, or its file.
      arguments: the options after it.
    """
    module = load(name)
    if not arguments or "--help" in arguments or "-h" in arguments:
        explain.show(module, Console(), name=name)
        if not arguments:
            return 0
    # The preset comes first: it gives the defaults that --help shows and the other options change.
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--preset", default=explain.default_preset(module))
    try:
        preset = first.parse_known_args(arguments)[0].preset
    except argparse.ArgumentError as error:
        raise ValueError(f"--preset must name one of {', '.join(module.PRESETS)}") from error
    slug = runner.slug(module)
    if preset not in module.PRESETS:
        raise ValueError(f"no preset {preset!r} of {slug}: there are {', '.join(module.PRESETS)}")
    options = parse(module, preset, arguments)
    contract.check_config(module, options.config, options.seeds)
    workdir = workdirs.default(slug, preset) if options.workdir is None else options.workdir
    workdir = workdirs.checked(workdir, slug, preset)
    training.connect()  # several hosts: docs/clusters.md
    keep_compiled()
    if jax.process_index() == 0:
        size = explain.size(module, options.config, options.seeds)
        took = explain.took(slug, preset)
        line = f"{slug}, preset {preset}: {size}, in {workdir}; {took}"
        Console().print(line, highlight=False, markup=False, soft_wrap=True)
    runner.run(
        module,
        options.config,
        preset=preset,
        seeds=options.seeds,
        workdir=workdir,
        command=shlex.join(["python", "-m", "experiments", name, *arguments]),
    )
    return 0


def keep_compiled() -> None:
    """Keeps compiled programs: arms and seeds that differ in numbers alone then compile once."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))


def parse(module: ModuleType, preset: str, arguments: list[str]) -> Any:
    """The command's options: how to run, and every field of the experiment's config."""
    chosen = preset

    @dataclasses.dataclass(frozen=True)
    class Options:
        preset: str = chosen
        """which defaults: see the list above"""
        seeds: int = runner.default_seeds(module, chosen)
        """how many, from the config's seed upwards; more reuse those that are there"""
        workdir: str | None = None
        """where everything goes; runs/PAPER-PRESET by default"""
        config: tyro.conf.OmitArgPrefixes[module.Config] = module.PRESETS[chosen]

    return tyro.cli(
        Options,
        prog=f"python -m experiments {runner.slug(module)}",
        description=f"The settings of preset {preset}:",
        args=arguments,
        config=(tyro.conf.FlagConversionOff,),
    )
