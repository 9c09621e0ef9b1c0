"""Every loss of `jaxsim.losses` as the benchmarks see it, in the groups that are run together."""

import inspect

from benchmarks.catalog.classes import CLASSES
from benchmarks.catalog.labels import LABELS
from benchmarks.catalog.lists import LISTS
from benchmarks.catalog.pairs import PAIRS
from benchmarks.catalog.teachers import TEACHERS

GROUPS = {
    "labels": LABELS,
    "classes": CLASSES,
    "pairs": PAIRS,
    "teachers": TEACHERS,
    "lists": LISTS,
}
CATALOG = {name: entry for group in GROUPS.values() for name, entry in group.items()}

# Whose docstring calls them losses, and which are not timed: why.
NOT_TIMED = {
    "both_ways": "twice its loss: `ranking_hinge` is one",
    "mined": "what it is of: a rule with a miner is timed as `multi_similarity`",
    "mix_list": "gives vectors, not a number: it is timed in `kalm`",
    "mix_pairs": "gives vectors, not a number: it is timed in `kalm`",
    "of_views": "the time of its loss on two views",
    "preset": "the time of its loss: `expanded_info_nce` is one",
    "weighted_sum": "the sum of its losses' times",
}


def kind(loss):
    """What its docstring says that a public function is: pairwise, per example, ..."""
    lines = inspect.getdoc(loss).splitlines()
    (line,) = (line for line in lines if line.startswith("Kind: "))
    return line.removeprefix("Kind: ").split(";")[0].rstrip(".")
