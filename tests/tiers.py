"""Two tiers of parametrized tests: a few parameters in the quick one, the others in the thorough one."""

import pytest

# One loss of each kind: over pairs, over labels, a first pass, a walk, scores of lists, batch statistics.
OF_EACH_KIND = (
    "info_nce",
    "nca",
    "lifted_structure",
    "triplet",
    "list_softmax",
    "fast_ap",
    "vicreg",
)


def parameters(names, quick, group=None):
    """pytest.param of every name: thorough unless in `quick`; those of one name share a process, by `group`."""
    missing = set(quick) - set(names)
    assert not missing, f"the quick tier names what is not among the parameters: {missing}"
    return [pytest.param(name, marks=_marks(name, quick, group)) for name in names]


def _marks(name, quick, group):
    together = [pytest.mark.xdist_group(f"{group} {name}")] if group else []
    return together if name in quick else [*together, pytest.mark.thorough]
