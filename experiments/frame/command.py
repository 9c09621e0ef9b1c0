"""python -m experiments                      lists the papers, a line each, and their last verdict
python -m experiments PAPER                explains one: its presets, how long they take; runs nothing
python -m experiments PAPER --preset cpu   runs one
python -m experiments PAPER --help         explains every setting with its default
python -m experiments report               writes RESULTS.md from results/, after copying those of runs/

PAPER is a name from the list, or the file of an experiment of your own: path/to/mine.py
"""

import argparse
import dataclasses
import logging
import shlex
from pathlib import Path

import jax
import tyro
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from experiments import runner
from experiments.frame import contract, explain, report, workdirs
from experiments.frame.files import load, slugs, title
from jaxsim import training
from jaxsim.__main__ import fail
from jaxsim.data._sources import cache_folder


def run(arguments):
    """The command line; returns the exit code.

    Raises: what `jaxsim.__main__.guarded` turns into one sentence.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        return list_papers(Console(), usage=bool(arguments))
    name, *rest = arguments
    if name == "report":
        return write_report(rest)
    module = load(name)
    if not rest or "--help" in rest or "-h" in rest:
        explain.show(module, Console(), name=name)
        if not rest:
            return 0
    # The preset comes first: it gives the defaults that --help shows and the other options change.
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--preset", default=explain.default_preset(module))
    try:
        preset = first.parse_known_args(rest)[0].preset
    except argparse.ArgumentError as error:
        raise ValueError(f"--preset must name one of {', '.join(module.PRESETS)}") from error
    slug = runner.slug(module)
    if preset not in module.PRESETS:
        raise ValueError(f"no preset {preset!r} of {slug}: there are {', '.join(module.PRESETS)}")
    options = parse(module, preset, rest)
    contract.check_config(module, options.config, options.seeds)
    workdir = workdirs.default(slug, preset) if options.workdir is None else options.workdir
    workdir = workdirs.checked(workdir, slug, preset)
    training.connect()  # several hosts: docs/clusters.md
    keep_compiled()
    logging.basicConfig(level=logging.WARNING, handlers=[RichHandler(show_path=False)])
    logging.getLogger("jaxsim").setLevel(logging.INFO)
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
        command=shlex.join(["python", "-m", "experiments", *arguments]),
    )
    return 0


def keep_compiled():
    """Keeps compiled programs: arms and seeds that differ in numbers alone then compile once."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))


def parse(module, preset, arguments):
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


def write_report(arguments):
    """The command `report`."""
    options = argparse.ArgumentParser(
        prog="python -m experiments report",
        description=report.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = options.add_argument
    add("workdirs", nargs="*", type=Path, help="whose results to keep; all newer ones of --runs")
    add("--runs", type=Path, default=report.RUNS, help="folder of workdirs (runs)")
    add("--results", type=Path, default=report.RESULTS, help="folder of what is kept (results)")
    add("--out", type=Path, default=Path("RESULTS.md"), help="file (RESULTS.md)")
    options = options.parse_args(arguments)
    if options.runs != report.RUNS and not options.runs.is_dir():
        raise FileNotFoundError(f"no folder {options.runs}")
    count, said = report.write(
        options.out, given=options.workdirs, runs=options.runs, results=options.results
    )
    console = Console()
    for line in (*said, f"{options.out}: {count} results"):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def list_papers(console, *, usage):
    """A table of what there is, with the newest verdicts of runs/ and results/."""
    if usage:
        console.print(__doc__, highlight=False, markup=False)
    table = Table("experiment", "paper", "last verdict")
    damaged = {}
    for slug in slugs():
        try:
            verdicts = report.verdicts(slug)
        except ValueError as error:
            verdicts = ["?"]
            damaged[str(error)] = None
        table.add_row(slug, title(slug), "\n".join(verdicts))
    console.print(table)
    return fail("; ".join(damaged)) if damaged else 0
