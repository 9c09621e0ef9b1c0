"""python -m experiments                      lists the papers, a line each, and their last verdict
python -m experiments PAPER --preset cpu   runs one
python -m experiments PAPER --help         explains one: every setting with its default
python -m experiments report               writes RESULTS.md from the results in runs/

PAPER is a name from the list, or the file of an experiment of your own: path/to/mine.py
"""

import argparse
import dataclasses
import importlib
import importlib.util
import json
import logging
import shlex
import sys
from pathlib import Path

import jax
import tyro
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from experiments import report, runner
from jaxsim import training
from jaxsim.data.sources import cache_folder


def main(arguments=None):
    """The command line; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        list_papers(Console(), usage=bool(arguments))
        return 0
    name, *rest = arguments
    if name == "report":
        return write_report(rest)
    if name not in slugs() and not name.endswith(".py"):
        return fail(f"no experiment {name!r}: there are {', '.join(slugs())}")
    try:
        module = load(name)
    except FileNotFoundError as error:
        return fail(str(error))
    slug = runner.slug(module)
    # The preset comes first: it gives the defaults that --help shows and the other options change.
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", default="cpu")
    preset = first.parse_known_args(rest)[0].preset
    if preset not in module.PRESETS:
        return fail(f"no preset {preset!r} of {slug}: there are {', '.join(module.PRESETS)}")
    options = parse(module, preset, rest)
    arms = options.config.arms or tuple(module.ARMS)
    if unknown := set(arms) - set(module.ARMS):
        return fail(f"no arm {sorted(unknown)[0]!r} of {slug}: there are {', '.join(module.ARMS)}")
    training.connect()  # several hosts: docs/clusters.md
    keep_compiled()
    logging.basicConfig(level=logging.WARNING, handlers=[RichHandler(show_path=False)])
    logging.getLogger("jaxsim").setLevel(logging.INFO)
    try:
        runner.run(
            module,
            options.config,
            preset=preset,
            seeds=options.seeds,
            workdir=options.workdir or Path("runs") / slug,
            command=shlex.join(["python", "-m", "experiments", *arguments]),
        )
    except KeyboardInterrupt:
        return fail("interrupted: the same command goes on where this stood", code=130)
    except (ValueError, FileNotFoundError) as error:
        return fail(str(error))
    return 0


def keep_compiled():
    """Keeps compiled programs: arms and seeds that differ in numbers alone then compile once."""
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))


def parse(module, preset, arguments):
    """The command's options: how to run, and every field of the experiment's config."""
    chosen = preset

    @dataclasses.dataclass(frozen=True)
    class Options:
        preset: str = chosen  # which defaults: see the list above
        seeds: int = runner.default_seeds(
            module, chosen
        )  # how many, from the config's seed upwards
        workdir: Path | None = None  # where everything goes; runs/PAPER unless told
        config: tyro.conf.OmitArgPrefixes[module.Config] = module.PRESETS[chosen]

    return tyro.cli(
        Options,
        prog=f"python -m experiments {runner.slug(module)}",
        description=f"{module.__doc__}\nPresets: {', '.join(module.PRESETS)}.",
        args=arguments,
        config=(tyro.conf.FlagConversionOff,),
    )


def write_report(arguments):
    """The command `report`."""
    options = argparse.ArgumentParser(
        prog="python -m experiments report", description=report.__doc__
    )
    options.add_argument(
        "--runs", type=Path, default=Path("runs"), help="folder of workdirs (runs)"
    )
    options.add_argument("--out", type=Path, default=Path("RESULTS.md"), help="file (RESULTS.md)")
    options = options.parse_args(arguments)
    try:
        count = report.write(options.runs, options.out)
    except (FileNotFoundError, ValueError) as error:
        return fail(str(error))
    Console().print(f"{options.out}: {count} experiments", highlight=False)
    return 0


def load(name):
    """The module of an experiment: one beside this file, or any file.

    Raises: FileNotFoundError.
    """
    if not name.endswith(".py"):
        return importlib.import_module(f"experiments.{name}")
    path = Path(name).resolve()
    if not path.exists():
        raise FileNotFoundError(f"no file {name}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def list_papers(console, *, usage):
    """A table of what there is, with the verdict of the last run in runs/."""
    if usage:
        console.print(__doc__, highlight=False)
    table = Table("experiment", "paper", "last verdict")
    for slug in slugs():
        stored = Path("runs") / slug / "results.json"
        verdict = json.loads(stored.read_text())["claim"]["verdict"] if stored.exists() else ""
        table.add_row(slug, runner.title(importlib.import_module(f"experiments.{slug}")), verdict)
    console.print(table)


def slugs():
    """The experiments' names: the modules beside this one that make a claim."""
    return sorted(
        path.stem
        for path in Path(__file__).parent.glob("*.py")
        if "\ndef claim(" in path.read_text(encoding="utf-8")
    )


def fail(message, code=2):
    """Says in one line why nothing was done."""
    Console(stderr=True).print(f"[red]error:[/red] {message}", highlight=False, soft_wrap=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
