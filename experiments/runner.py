"""Runs an experiment: seeds, arms, resume, the table, results.json, pictures and the verdict.

An experiment is a module with

    Config, PRESETS, ARMS         what there is to run
    fingerprint(config)           of the data that it reads: a string, or a tree of dicts, lists, strings,
                                  numbers and arrays, which is hashed; `folder_fingerprint` of a model's
    prepare(config, workdir)      what the arms of one seed share; its `facts`, a dict, are reported
    run(config, arm, shared, workdir) -> rows of one arm and one seed
    claim(rows) -> Claim          the paper's sentence as a question to the rows
    pictures(rows) -> {name: figure}

where one seed is too few, SEEDS, {preset: how many by default}; and where the model is small enough
to train all seeds at once

    run_seeds(config, arm, seeds, shared, workdir) -> rows that name their seed; `shared` is a tuple,
                                  one for each seed

What is made once, for all seeds:

    prepare_all(config, workdir) -> common       before any seed, with seed 0 in the config; `prepare` gets
                                  it as a third argument, or is left out: then it is what arms share
    ONCE = ("arm",)               arms without randomness: they run for the first seed, and their rows pair
                                  with those of every seed
    READS = {"arm": ("other",)}   arms that need others: run(config, arm, shared, workdir, others) gets
                                  {other: (workdir, ...)}, the folder of the same seed, or of every seed
                                  where "arm" is in ONCE
    Stages(folder)(name, make)    work that several arms need, made by whichever comes first

`run_seeds` may return None: then `run` does that arm, seed by seed.

On several hosts each process runs the same arms, and training is spread over all of them.

A row is a dict of keys and figures; the runner adds the arm and the seed. Integers and strings are keys
(k, budget); floats are figures. Where the module has KEYS, a tuple of names, the numbers named there are
keys and all others figures. All rows have the same keys; figures may differ. A figure is

    a float                       one number; several seeds give its interval
    an array [..., examples]      figures per example, which give paired intervals; seeds and keys may
                                  have other numbers of examples
    Grouped(values, groups)       figures per example whose groups (images, users) are drawn as a whole
    Resampled(value, repeats)     a statistic that is not a mean (AUC, Spearman), with bootstrap repeats

SHOWN names the figures that the pages show. What the claim compares is drawn as the
picture `claim`; without `pictures` its figure is drawn too, as the bars `means`.
"""

from experiments.frame.figures import Grouped as Grouped, Resampled as Resampled
from experiments.frame.fingerprints import folder_fingerprint as folder_fingerprint
from experiments.frame.parts import Stages as Stages
from experiments.frame.presets import default_seeds as default_seeds, slug as slug
from experiments.frame.sweep import run as run, title as title
from experiments.frame.tables import best as best, summary as summary
from experiments.frame.verdict import (
    Claim as Claim,
    Comparison as Comparison,
    above as above,
    against as against,
    all_of as all_of,
    close as close,
    difference as difference,
    interaction as interaction,
    joined as joined,
    judged as judged,
    no_worse as no_worse,
    reproduced as reproduced,
    sentences as sentences,
)
