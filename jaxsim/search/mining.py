"""Rules of `search.mine_negatives`: which candidates are too similar, too far or too many."""

from jaxsim.search._mining import (
    cap as cap,
    margin as margin,
    ranks as ranks,
    relative_margin as relative_margin,
    same_threshold as same_threshold,
    veto as veto,
)
