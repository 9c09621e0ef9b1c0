"""Whether a paper's claim held: paired differences with their intervals, and a word for them."""

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from experiments.frame.figures import (
    Row,
    check_layout,
    keys,
    middle,
    named,
    values,
    weighted_sum,
)
from experiments.frame.resampling import Terms, spread
from jaxsim.numerics import checks

VERDICTS = ("held", "not held", "not decided")
Where: TypeAlias = Callable[[Row], bool]


def _every(row: Row) -> bool:
    return True


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A paired difference: the mean over all shared rows, with its 95 % interval."""

    arm: str
    over: str
    figure: str
    mean: float | None  # None where a figure is not finite: such a difference decides nothing
    low: float | None  # no interval where there is one number
    high: float | None
    why: str = ""  # without a mean
    smaller: bool = False  # whether a smaller figure is the better one
    by: float | None = None  # how much worse is still no worse; None asks for better

    @property
    def verdict(self) -> str:
        """held: the interval is on the better side; not held: on the other; else not decided.

        The sides meet at 0, and at a difference that is worse by `by` where there is one.
        """
        if self.mean is None or self.low is None or self.high is None:
            return "not decided"
        low, high = (-self.high, -self.low) if self.smaller else (self.low, self.high)
        line = -(self.by or 0.0)
        return "held" if low > line else "not held" if high < line else "not decided"

    @property
    def words(self) -> str:
        """What came out, to follow "ARM is": higher than OVER (by how much), lower, or neither."""
        if self.mean is None:
            return f"not comparable with {self.over} ({self.why})"
        if self.low is None or self.high is None:
            return f"not decided against {self.over} ({self.mean:+.3f}, one number has no interval)"
        if self.by is not None:
            sides = {"held": "no worse than", "not held": "worse than"}
            side = sides.get(self.verdict, "not clearly no worse than")
            margin = f" by more than {self.by:g}"
        else:
            side = "higher than" if self.low > 0 else "lower than" if self.high < 0 else ""
            side, margin = side or "not clearly different from", ""
        ends = f"95 % interval {self.low:+.3f} to {self.high:+.3f}"
        return f"{side} {self.over}{margin} ({self.mean:+.3f}, {ends})"


@dataclasses.dataclass(frozen=True)
class Reproduction(Comparison):
    """Figures against the numbers that they should be; `mean` is the largest difference."""

    within: float = 0.0
    count: int = 0  # numbers that were compared
    off: int = 0  # of them those that differ by more than `within`
    at: str = ""  # the row of the largest difference

    @property
    def verdict(self) -> str:
        """held: every number is within reach; not held: one is not; not decided: one is missing."""
        if self.off:
            return "not held"
        return "not decided" if self.mean is None or self.why else "held"

    @property
    def words(self) -> str:
        """What came out, to follow "ARMS is"."""
        if self.mean is None:
            return f"not comparable with {self.over} ({self.why})"
        most = f"largest difference {self.mean:+.4g}, {self.at}"
        side = (
            f"off by more than {self.within:g} at {self.off} of {self.count} {self.over}"
            if self.off
            else f"within {self.within:g} of all {self.count} {self.over}"
        )
        return f"{side} ({most}{f'; {self.why}' if self.why else ''})"


@dataclasses.dataclass(frozen=True)
class Claim:
    """The verdict on a paper's claim, in a word and in a sentence."""

    verdict: str
    sentence: str
    comparisons: tuple[Comparison, ...]
    question: str = ""  # what was claimed, the title of its picture


def difference(
    rows: Sequence[Row],
    arm: str,
    *,
    over: str,
    on: str,
    where: Where = _every,
    smaller: bool = False,
) -> Comparison:
    """A paired comparison: by how much `arm` is above `over` on a figure, with its 95 % interval.

    Rows of both arms are paired by seed and keys; an arm that has one seed, where the other has several,
    pairs with each of them. Figures per example are resampled over examples and over what comes before
    them (draws, seeds), both arms equally; single figures over seeds; see
    experiments/frame/resampling.py.

    Args:
      rows: all rows of the run.
      arm, over: names of arms.
      on: the figure.
      where: which rows take part, by their keys.
      smaller: whether the smaller figure is the better one: held where `arm` is clearly lower.

    Returns: `Comparison`; without a mean where a figure is NaN or infinite.
    Raises: ValueError where no rows pair, or naming a row that lacks the figure or has it in another shape.
    """
    pairs = _pairs(rows, arm, over, on, where)
    if why := _not_finite(pairs, on):
        return Comparison(arm, over, on, None, None, None, why, smaller)
    by_seed = _differences(pairs, on)
    return _compared(arm, over, on, [_means(one) for one in by_seed.values()], smaller)


def no_worse(
    rows: Sequence[Row],
    arm: str,
    *,
    over: str,
    on: str,
    by: float,
    where: Where = _every,
    smaller: bool = False,
) -> Comparison:
    """A paired comparison that holds where `arm` is not worse than `over` by more than `by`.

    Held where the 95 % interval of the difference excludes being worse by more than `by`, not held where
    all of it is beyond.

    Args:
      rows, arm, over, on, where, smaller: as in `difference`.
      by: the margin, in units of the figure, at least 0.

    Returns, raises: as `difference`; ValueError for a margin that is not a finite number from 0.
    """
    checks.finite("by", by)
    if by < 0:
        raise ValueError(f"by must be at least 0, got {by!r}")
    plain = difference(rows, arm, over=over, on=on, where=where, smaller=smaller)
    return dataclasses.replace(plain, by=float(by))


def above(
    rows: Sequence[Row],
    arm: str,
    *others: str,
    on: str,
    where: Where = _every,
    smaller: bool = False,
) -> list[Comparison]:
    """The difference of an arm over each of some others that were run; none where the arm was not.

    Args:
      rows, arm, on, where, smaller: as in `difference`.
      others: names of arms.
    """
    return [
        difference(rows, arm, over=other, on=on, where=where, smaller=smaller)
        for other in _there(rows, arm, others)
    ]


def close(
    rows: Sequence[Row],
    arm: str,
    *others: str,
    on: str,
    by: float,
    where: Where = _every,
    smaller: bool = False,
) -> list[Comparison]:
    """Whether an arm is no worse by more than `by` than each of some others that were run; none where it was not.

    Args:
      rows, arm, on, by, where, smaller: as in `no_worse`.
      others: names of arms.
    """
    return [
        no_worse(rows, arm, over=other, on=on, by=by, where=where, smaller=smaller)
        for other in _there(rows, arm, others)
    ]


def interaction(
    rows: Sequence[Row],
    first: tuple[str, str],
    second: tuple[str, str],
    *,
    on: str | tuple[str, str],
    where: Where | tuple[Where, Where] = _every,
    smaller: bool = False,
) -> Comparison:
    """A difference of differences: by how much a - b is above c - d, with its 95 % interval.

    Both differences are paired by seed. Where they are of the same examples these are paired too, else
    the examples of each are resampled by themselves.

    Args:
      rows: all rows of the run.
      first: the arms (a, b).
      second: the arms (c, d); the same arms where `on` or `where` differ.
      on: the figure, or those of (a, b) and of (c, d).
      where: which rows take part, or those of (a, b) and of (c, d).
      smaller: whether it holds where a - b is clearly lower.

    Returns, raises: as `difference`; ValueError where the two share no seed.
    """
    names = (on, on) if isinstance(on, str) else tuple(on)
    wheres = (where, where) if callable(where) else tuple(where)
    arm, over = (f"({' - '.join(pair)})" for pair in (first, second))
    about = names[0]
    if names[0] != names[1]:
        about, over = f"{names[0]} and {names[1]}", f"{over} in {names[1]}"
    elif first == second:
        over += " of the other rows"
    sides = []
    for pair, name, chosen in zip((first, second), names, wheres, strict=True):
        pairs = _pairs(rows, *pair, name, chosen)
        if why := _not_finite(pairs, name):
            return Comparison(arm, over, about, None, None, None, why, smaller)
        sides.append(_differences(pairs, name))
    seeds = []
    for one, other in _both(sides[0], sides[1]):
        terms: dict[Hashable, tuple[float, Any]] = {}
        terms |= {("first", key): term for key, term in _means(one).items()}
        terms |= {("second", key): (-w, figure) for key, (w, figure) in _means(other).items()}
        seeds.append(terms)
    if not seeds:
        raise ValueError(f"{arm} and {over} have no seed in common")
    return _compared(arm, over, about, seeds, smaller)


def reproduced(
    rows: Sequence[Row],
    expected: Mapping[Any, float],
    *,
    on: str,
    within: float,
) -> Reproduction:
    """Whether figures are the numbers that were published, each within a distance.

    Args:
      rows: all rows of the run.
      expected: {arm: number}, of the mean over its keys; or {(arm, value of the first key, ...): number},
        with a value for each key in the order of the rows.
      on: the figure; its mean over seeds and examples counts.
      within: the largest distance that counts as the same, in units of the figure.

    Returns: `Reproduction`: held where all numbers are within reach; not decided where a row is missing or
    its figure is NaN or infinite.
    Raises: ValueError for no expected numbers, or a distance that is not a finite number from 0.
    """
    checks.finite("within", within)
    if within < 0:
        raise ValueError(f"within must be at least 0, got {within!r}")
    if not expected:
        raise ValueError("expected must hold one number at least, got none")
    differences, missing = {}, []
    for key, number in expected.items():
        arm, *chosen = key if isinstance(key, tuple) else (key,)
        name = ", ".join(map(str, (f"arm {arm!r}", *chosen)))
        members = [
            row
            for row in rows
            if row["arm"] == arm and on in row and (not chosen or _key_values(row) == chosen)
        ]
        if not members:
            missing.append(f"no row of {name} has {on!r}")
            continue
        mean = np.mean([middle(row[on]) for row in members])
        if np.isfinite(mean):
            differences[name] = float(mean - number)
        else:
            missing.append(f"{'NaN' if np.isnan(mean) else 'infinity'} in {on!r} of {name}")
    arms = list(dict.fromkeys(key[0] if isinstance(key, tuple) else key for key in expected))
    at = max(differences, key=lambda name: abs(differences[name]), default="")
    return Reproduction(
        arms[0] if len(arms) == 1 else f"the run of {len(arms)} arms",
        "expected numbers",
        on,
        differences.get(at),
        None,
        None,
        "; ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else ""),
        within=float(within),
        count=len(differences),
        off=sum(abs(one) > within for one in differences.values()),
        at=at,
    )


def all_of(verdicts: Iterable[str]) -> str:
    """The verdict on several sentences at once: held where all are, not held where one is not."""
    verdicts = set(verdicts)
    if verdicts == {"held"}:
        return "held"
    return "not held" if "not held" in verdicts else "not decided"


def judged(
    question: str, comparisons: Sequence[Comparison], *, needed: Iterable[str] | None = None
) -> Claim:
    """A claim that holds where the method beats each of the baselines that it names.

    Args:
      question: the claim, as words that "held here" can follow.
      comparisons: of the method with every baseline.
      needed: the baselines that the claim is about: they decide, the others are only reported. None: all
        decide.

    Returns: `Claim`, whose sentence says which comparisons decide.
    """
    needed = [c.over for c in comparisons] if needed is None else list(needed)
    decisive = [c for c in comparisons if c.over in needed]
    verdict = all_of(c.verdict for c in decisive)
    others = [c for c in comparisons if c.over not in needed]
    parts = [f"{question}: {verdict} here."]
    for heading, group in (("Decisive", decisive), ("Reported only", others)):
        if group:
            parts.append(f"{heading}: {'; '.join(_clauses(group))}.")
    compared = {c.over for c in decisive}
    missing = [name for name in needed if name not in compared]
    if missing:
        parts.append(f"Not run: {', '.join(missing)}.")
    if not comparisons:
        parts.append("Nothing was compared.")
    return Claim(verdict, " ".join(parts), tuple(comparisons), question)


def against(
    rows: Sequence[Row],
    arm: str,
    *,
    on: str,
    needed: Iterable[str] | None = None,
    question: str,
    where: Where = _every,
    smaller: bool = False,
) -> Claim:
    """A claim of one arm against every other arm that has the figure.

    Args:
      rows: all rows of the run.
      arm: the method's.
      on: the figure.
      needed: the arms that decide, the others are only reported; None: all decide.
      question: the claim, as words that "held here" can follow.
      where, smaller: as in `difference`.

    Returns: `Claim`, not decided where the arm did not run.
    Raises: as `difference`.
    """
    there = dict.fromkeys(row["arm"] for row in rows if on in row and where(row))
    compared = [
        difference(rows, arm, over=other, on=on, where=where, smaller=smaller)
        for other in there
        if arm in there and other != arm
    ]
    return judged(question, compared, needed=needed)


def sentences(asked: Iterable[tuple[str, Sequence[Comparison]]]) -> Claim:
    """A claim of several sentences, all of which must hold.

    Args:
      asked: (question, comparisons) of each: the question as words that "held here" can follow, held where
        all of its comparisons are.

    Returns: `Claim`, whose sentence says each.
    Raises: ValueError for no sentences.
    """
    claims = [judged(question, comparisons) for question, comparisons in asked]
    if not claims:
        raise ValueError("sentences must have one question at least, got none")
    claim = joined(claims)
    if len(claims) == 1:
        return claim
    heading = f"All {len(claims)} sentences: {claim.verdict} here."
    return dataclasses.replace(claim, sentence=f"{heading} {claim.sentence}")


def joined(claims: Sequence[Claim]) -> Claim:
    """One claim of several, held where all of them are, with their sentences one after the other."""
    compared = [comparison for one in claims for comparison in one.comparisons]
    return Claim(
        all_of(one.verdict for one in claims),
        " ".join(one.sentence for one in claims),
        tuple(compared),
        "; ".join(one.question for one in claims),
    )


def _there(rows: Sequence[Row], arm: str, others: Sequence[str]) -> list[str]:
    """The others that were run, none where the arm was not."""
    arms = {row["arm"] for row in rows}
    return [other for other in others if {arm, other} <= arms]


def _clauses(comparisons: Sequence[Comparison]) -> list[str]:
    """A clause for every comparison; arm and figure are named where they change."""
    before, clauses = None, []
    for one in comparisons:
        about = (one.arm, one.figure)
        clauses.append(
            one.words if about == before else f"in {one.figure}, {one.arm} is {one.words}"
        )
        before = about
    return clauses


def _key_values(row: Row) -> list[Any]:
    return [value for name, value in keys(row).items() if name != "seed"]


def _pairs(
    rows: Sequence[Row], arm: str, over: str, on: str, where: Where
) -> dict[Any, dict[Hashable, tuple[Row, Row]]]:
    """{seed: {keys: (row of arm, row of over)}} of rows that pair and have the figure.

    Raises: ValueError where there are none, or naming the rows that are not a pair.
    """
    sides = [_by_seed(rows, name, where) for name in (arm, over)]
    pairs: dict[Any, dict[Hashable, tuple[Row, Row]]] = {}
    for seed, (one, other) in _seeds_of_both(*sides):
        for key in one:
            # Rows of another kind have other figures; of a pair both have it, or neither.
            if key in other and (on in one[key] or on in other[key]):
                check_layout(on, one[key], other[key])
                pairs.setdefault(seed, {})[key] = one[key], other[key]
    if not pairs:
        raise ValueError(f"no rows of {arm!r} and {over!r} have {on!r} for the same seed and keys")
    return dict(sorted(pairs.items()))


def _by_seed(rows: Sequence[Row], arm: str, where: Where) -> dict[Any, dict[Hashable, Row]]:
    chosen: dict[Any, dict[Hashable, Row]] = {}
    for row in rows:
        if row["arm"] == arm and where(row):
            of_seed = chosen.setdefault(row["seed"], {})
            key = tuple(sorted((n, v) for n, v in keys(row).items() if n != "seed"))
            if key in of_seed:
                raise ValueError(f"two rows of {named(row)} have the same keys")
            of_seed[key] = row
    return chosen


def _seeds_of_both(one: Mapping, other: Mapping) -> list[tuple[Any, tuple[Any, Any]]]:
    """(seed, (what one has, what the other has)): what has a single seed goes with every seed."""
    if len(one) == 1 < len(other):
        one = dict.fromkeys(other, next(iter(one.values())))
    elif len(other) == 1 < len(one):
        other = dict.fromkeys(one, next(iter(other.values())))
    return [(seed, (one[seed], other[seed])) for seed in one if seed in other]


def _both(one: Mapping, other: Mapping) -> list[tuple[Any, Any]]:
    return [both for _, both in _seeds_of_both(one, other)]


def _not_finite(pairs: Mapping[Any, Mapping[Hashable, tuple[Row, Row]]], on: str) -> str:
    """Which figure is NaN or infinite, in words; "" where none is."""
    for side in (0, 1):
        for by_key in pairs.values():
            for pair in by_key.values():
                numbers = values(pair[side][on])
                if not np.isfinite(numbers).all():
                    kind = "NaN" if np.isnan(numbers).any() else "infinity"
                    return f"{kind} in {on!r} of {named(pair[side])}"
    return ""


def _differences(
    pairs: Mapping[Any, Mapping[Hashable, tuple[Row, Row]]], on: str
) -> dict[Any, dict[Hashable, Any]]:
    """{seed: {keys: difference of the figures}}."""
    by_seed: dict[Any, dict[Hashable, Any]] = {}
    for seed, by_key in pairs.items():
        by_seed[seed] = {
            key: weighted_sum([(1.0, one[on]), (-1.0, other[on])])
            for key, (one, other) in by_key.items()
        }
    return by_seed


def _means(by_key: Mapping[Hashable, Any]) -> Terms:
    """The mean over the keys comes first, so that budgets are not "samples"."""
    return {key: (1.0 / len(by_key), figure) for key, figure in by_key.items()}


def _compared(arm: str, over: str, on: str, seeds: Sequence[Terms], smaller: bool) -> Comparison:
    mean, ends = spread(seeds)
    low, high = ends or (None, None)
    return Comparison(arm, over, on, mean, low, high, smaller=smaller)
