"""Whether a paper's claim held: paired differences with their intervals, and a word for them."""

import dataclasses

import numpy as np

from experiments.frame.tables import figure, interval, keys, named

VERDICTS = ("held", "not held", "not decided")


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

    @property
    def verdict(self):
        """held: the interval is above 0; not held: it is below; else not decided."""
        if self.mean is None or self.low is None:
            return "not decided"
        return "held" if self.low > 0 else "not held" if self.high < 0 else "not decided"

    @property
    def words(self):
        """What came out, to follow "ARM is": higher than OVER (by how much), lower, or neither."""
        if self.mean is None:
            return f"not comparable with {self.over} ({self.why})"
        if self.low is None:
            return f"not decided against {self.over} ({self.mean:+.3f}, one number has no interval)"
        side = {"held": "higher than", "not held": "lower than"}.get(
            self.verdict, "not clearly different from"
        )
        ends = f"95 % interval {self.low:+.3f} to {self.high:+.3f}"
        return f"{side} {self.over} ({self.mean:+.3f}, {ends})"


@dataclasses.dataclass(frozen=True)
class Claim:
    """The verdict on a paper's claim, in a word and in a sentence."""

    verdict: str
    sentence: str
    comparisons: tuple[Comparison, ...]


def difference(rows, arm, *, over, on, where=lambda row: True):
    """A paired comparison: by how much `arm` is above `over` on a figure, with its 95 % interval.

    Rows of both arms are paired by seed and keys. Figures per example are resampled over examples
    and over what comes before them (draws, seeds), both arms equally; single figures over seeds.

    Args:
      rows: all rows of the run.
      arm, over: names of arms.
      on: the figure.
      where: which rows take part, by their keys.

    Returns: `Comparison`; without a mean where a figure is NaN or infinite.
    Raises: ValueError where no rows pair, or naming a row that lacks the figure or has it in another shape.
    """
    sides = []
    for name in (arm, over):
        chosen = {}
        for row in rows:
            if row["arm"] == name and where(row):
                key = tuple(sorted(keys(row).items()))
                if key in chosen:
                    raise ValueError(f"two rows of {named(row)} have the same keys")
                chosen[key] = row
        sides.append(chosen)
    shared = [key for key in sides[0] if key in sides[1]]
    if not shared:
        raise ValueError(f"no rows of {arm!r} and {over!r} have {on!r} for the same seed and keys")
    first = sides[0][shared[0]]
    values = []
    for side in sides:
        values.append({key: np.atleast_1d(figure(side[key], on, like=first)) for key in shared})
    for side, by_key in zip(sides, values, strict=True):
        for key, value in by_key.items():
            if not np.isfinite(value).all():
                kind = "NaN" if np.isnan(value).any() else "infinity"
                why = f"{kind} in {on!r} of {named(side[key])}"
                return Comparison(arm, over, on, None, None, None, why)
    seeds = sorted({dict(key)["seed"] for key in shared})
    # [seeds * draws, examples]: the mean over the keys comes first, so that budgets are not "samples".
    each = [_means_over_keys(by_key, shared, seeds) for by_key in values]
    differences = each[0] - each[1]
    if differences.size == 1:
        return Comparison(arm, over, on, float(differences.item()), None, None)
    low, high = interval(differences)
    return Comparison(arm, over, on, float(differences.mean()), low, high)


def all_of(verdicts):
    """The verdict on several sentences at once: held where all are, not held where one is not."""
    verdicts = set(verdicts)
    if verdicts == {"held"}:
        return "held"
    return "not held" if "not held" in verdicts else "not decided"


def judged(question, comparisons, *, needed=None):
    """A claim that holds where the method beats each of the baselines that it names.

    Args:
      question: the claim, as words that "held here" can follow.
      comparisons: of the method with every baseline.
      needed: the baselines that the claim is about: they decide, the others are only reported. None: all
        decide.

    Returns: `Claim`, whose sentence says which comparisons decide.
    """
    needed = [c.over for c in comparisons] if needed is None else needed
    decisive = [c for c in comparisons if c.over in needed]
    verdict = all_of(c.verdict for c in decisive)
    others = [c for c in comparisons if c.over not in needed]
    parts = [f"{question}: {verdict} here."]
    for heading, group in (("Decisive", decisive), ("Reported only", others)):
        if group:
            parts.append(f"{heading}: {'; '.join(_clauses(group))}.")
    compared = {c.over for c in decisive}
    if missing := [name for name in needed if name not in compared]:
        parts.append(f"Not run: {', '.join(missing)}.")
    if not comparisons:
        parts.append("Nothing was compared.")
    return Claim(verdict, " ".join(parts), tuple(comparisons))


def _clauses(comparisons):
    """A clause for every comparison; arm and figure are named where they change."""
    before, clauses = None, []
    for one in comparisons:
        about = (one.arm, one.figure)
        clauses.append(
            one.words if about == before else f"in {one.figure}, {one.arm} is {one.words}"
        )
        before = about
    return clauses


def _means_over_keys(by_key, shared, seeds):
    """Figures of one arm, averaged over the keys of a seed: [seeds * draws, examples]."""
    blocks = []
    for seed in seeds:
        of_seed = [by_key[key] for key in shared if dict(key)["seed"] == seed]
        blocks.append(np.atleast_2d(np.mean(of_seed, axis=0)))
    return np.concatenate(blocks)
