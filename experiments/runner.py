"""Runs an experiment: seeds, arms, resume, the table, results.json, pictures and the verdict.

An experiment is a module with

    Config, PRESETS, ARMS         what there is to run
    fingerprint(config) -> str    of the data that it reads
    prepare(config, workdir)      what the arms of one seed share; its `facts`, a dict, are reported
    run(config, arm, shared, workdir) -> rows of one arm and one seed
    claim(rows) -> Claim          the paper's sentence as a question to the rows
    pictures(rows) -> {name: figure}

where one seed is too few, SEEDS, {preset: how many by default}; and where the model is small enough
to train all seeds at once

    run_seeds(config, arm, seeds, shared, workdir) -> rows that name their seed; `shared` is a tuple,
                                  one for each seed

On several hosts each process runs the same arms, and training is spread over all of them.

A row is a dict: integers and strings are keys (k, budget), floats are figures, arrays
[..., examples] are figures per example, of which the row's figure is the mean and which give paired
intervals. The runner adds the arm and the seed. All rows of an experiment have the same keys.
"""

from experiments.frame.contract import slug as slug
from experiments.frame.sweep import default_seeds as default_seeds, run as run, title as title
from experiments.frame.tables import best as best, summary as summary
from experiments.frame.verdict import (
    Claim as Claim,
    Comparison as Comparison,
    all_of as all_of,
    difference as difference,
    judged as judged,
)
