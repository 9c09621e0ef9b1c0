"""Every loss of `jaxsim.losses` as the benchmarks see it, in the groups that are run together."""

import inspect

from benchmarks.catalogue.classes import CLASSES
from benchmarks.catalogue.labels import LABELS
from benchmarks.catalogue.lists import LISTS
from benchmarks.catalogue.pairs import PAIRS
from benchmarks.catalogue.teachers import TEACHERS
from jaxsim import losses

GROUPS = {
    "labels": LABELS,
    "classes": CLASSES,
    "pairs": PAIRS,
    "teachers": TEACHERS,
    "lists": LISTS,
}
CATALOGUE = {name: entry for group in GROUPS.values() for name, entry in group.items()}

# Whose docstring calls them losses, and which are not timed: why.
NOT_TIMED = {
    "mined": "what it is of: a rule with a miner is timed as `multi_similarity`",
    "mix_list": "gives vectors, not a number: it is timed in `kalm`",
    "mix_pairs": "gives vectors, not a number: it is timed in `kalm`",
    "weighted_sum": "the sum of its losses' times",
}


def kind(name):
    """What the docstring says that a public name is: pairwise, per example, ..."""
    lines = inspect.getdoc(getattr(losses, name)).splitlines()
    (line,) = (line for line in lines if line.startswith("Kind: "))
    return line.removeprefix("Kind: ").split(";")[0].rstrip(".")
