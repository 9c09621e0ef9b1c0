"""One experiment from the command line: its explanation, its options, its run."""

import shlex

import jax
from rich.console import Console

from experiments import runner
from experiments.frame import contract, explain, kept, options, places, presets, workdirs
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
        times = explain.times(module, kept.measured)
        explain.show(module, Console(), name=name, times=times)
        if not arguments:
            return 0
    slug, preset = presets.slug(module), options.preset_of(module, arguments)
    chosen = options.parse(module, preset, arguments)
    contract.check_config(module, chosen.config, chosen.seeds)
    workdir = places.workdir(slug, preset) if chosen.workdir is None else chosen.workdir
    workdir = workdirs.checked(workdir, slug, preset)
    training.connect()  # several hosts: docs/clusters.md
    keep_compiled()
    if jax.process_index() == 0:
        size = explain.size(module, chosen.config, chosen.seeds)
        took = explain.took(kept.measured(slug, preset), preset)
        line = f"{slug}, preset {preset}: {size}, in {workdir}; {took}"
        Console().print(line, highlight=False, markup=False, soft_wrap=True)
    runner.run(
        module,
        chosen.config,
        preset=preset,
        seeds=chosen.seeds,
        workdir=workdir,
        command=shlex.join(["python", "-m", "experiments", name, *arguments]),
    )
    return 0


def keep_compiled() -> None:
    """Keeps compiled programs: arms and seeds that differ in numbers alone then compile once."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
