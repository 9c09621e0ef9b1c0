"""Market baskets from JAXSIM_DATA, and import sessions of the standard library, which need no data."""

import functools
import re
import sysconfig
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxsim.data._sources import lines_of, prepared_path

# The first name of "import a.b, c" and "from a.b import c", at the start of a line.
IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)


class Baskets(NamedTuple):
    """Market baskets: sessions in the order of time, and the items' names."""

    sessions: list  # int32 arrays of item numbers
    names: list  # strings, one per item


def groceries() -> Baskets:
    """Groceries: 9,835 baskets of 169 named items, from JAXSIM_DATA.

    Raises: FileNotFoundError that says what is missing and where to put it; ValueError naming a file that
    is damaged.
    """
    return _read("groceries.csv.gz", ",")


def retail() -> Baskets:
    """Retail: 79,345 baskets of a Belgian retailer, 15,983 items without names, from JAXSIM_DATA.

    Raises: as `groceries`.
    Source: Brijs et al. 1999.
    """
    return _read("retail_first90.dat.gz", None)


@functools.cache
def imports() -> Baskets:
    """Import sessions: the modules that each file of the standard library imports, some thousand, no data needed."""
    root = Path(sysconfig.get_paths()["stdlib"])
    sessions = []
    for file in sorted([*root.glob("*.py"), *root.glob("*/*.py")]):
        if not {"site-packages", "dist-packages", "test"} & set(file.parts):
            named = set(IMPORT.findall(file.read_text(encoding="utf-8", errors="replace")))
            if len(named) > 1:
                sessions.append(sorted(named))
    # Files of one folder are adjacent in the walk; in order of time they would not be.
    order = np.random.default_rng(0).permutation(len(sessions))
    return _numbered(sessions[place] for place in order)


def _read(name, separator):
    """The baskets of a file of JAXSIM_DATA, one in each line."""
    sessions = [line.split(separator) for line in lines_of("baskets", name)]
    for number, session in enumerate(sessions, start=1):
        if not all(session) or not session:
            path = prepared_path("baskets", name)
            raise ValueError(f"{path}: line {number} must name items, got {session}")
    return _numbered(sessions)


def _numbered(sessions):
    numbers, baskets = {}, []
    for session in sessions:
        baskets.append(np.array([numbers.setdefault(n, len(numbers)) for n in session], np.int32))
    return Baskets(baskets, list(numbers))
