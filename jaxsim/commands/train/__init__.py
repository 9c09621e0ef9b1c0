"""`train`: reads the tables, checks all that can be checked before the model is loaded, and runs."""

import argparse

from jaxsim.commands.outputs import hub
from jaxsim.commands.train import judged, runs, tables, tasks


def main(options: argparse.Namespace) -> None:
    """Runs the command."""
    runs.check_targets(options)
    tables.read(options)
    options.collection = options.judged and judged.Judged(*options.judged)
    tasks.check(options)
    settings = runs.settings_of(options)
    runs.check_settings(options, settings)
    if options.push is not None:
        options.push = hub.checked(options.push, public=bool(options.public))
    with runs.claimed(options.out):
        options.workdir.mkdir(parents=True, exist_ok=True)
        model = tasks.model_of(options)
        task = tasks.task_of(options, model)
        settings |= runs.settings_of_model(options, model, task)
        runs.check_settings(options, settings)
        runs.train(options, model, task, tasks.tuned_of(options, model), settings)
