"""Whether a paper's claim held: paired differences with their intervals, and a word for them."""

import dataclasses

import numpy as np

from experiments.tables import interval, keys


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A paired difference: the mean over all shared rows, with its 95 % interval."""

    arm: str
    over: str
    figure: str
    mean: float
    low: float | None  # no interval where there is one number
    high: float | None

    @property
    def verdict(self):
        """held: the interval is above 0; not held: it is below; else not decided."""
        if self.low is None:
            return "not decided"
        return "held" if self.low > 0 else "not held" if self.high < 0 else "not decided"


@dataclasses.dataclass(frozen=True)
class Claim:
    """The verdict on a paper's claim, in a word and in a sentence."""

    verdict: str
    sentence: str
    comparisons: tuple[Comparison, ...]


def difference(rows, arm, *, over, on, where=lambda row: True):
    """A paired comparison: by how much `arm` is above `over` on a figure, with its 95 % interval.

    Rows of both arms are paired by seed and keys. Figures per example are resampled over examples
    and over what stands before them (draws, seeds), both arms alike; single figures over seeds.

    Args:
      rows: all rows of the run.
      arm, over: names of arms.
      on: the figure.
      where: which rows take part, by their keys.

    Returns: `Comparison`.
    """
    sides = []
    for name in (arm, over):
        chosen = {
            tuple(sorted(keys(r).items())): np.atleast_1d(r[on])
            for r in rows
            if r["arm"] == name and where(r)
        }
        sides.append(chosen)
    shared = sorted(set(sides[0]) & set(sides[1]))
    if not shared:
        raise ValueError(f"no rows of {arm!r} and {over!r} have {on!r} for the same seed and keys")
    seeds = sorted({dict(key)["seed"] for key in shared})
    # [seeds * draws, examples]: the mean over the keys comes first, so that budgets are not "samples".
    each = [
        np.concatenate(
            [
                np.atleast_2d(np.mean([s[k] for k in shared if dict(k)["seed"] == seed], axis=0))
                for seed in seeds
            ]
        )
        for s in sides
    ]
    apart = each[0] - each[1]
    if apart.size == 1:
        return Comparison(arm, over, on, float(apart.item()), None, None)
    low, high = interval(apart)
    return Comparison(arm, over, on, float(apart.mean()), low, high)


def all_of(verdicts):
    """The verdict on several sentences at once: held where all are, not held where one is not."""
    verdicts = set(verdicts)
    if verdicts == {"held"}:
        return "held"
    return "not held" if "not held" in verdicts else "not decided"


def judged(question, comparisons, *, needed):
    """A claim that holds where the method beats each of the baselines that it names.

    Args:
      question: the claim, as words that "held here" can follow.
      comparisons: of the method with every baseline.
      needed: the baselines that the claim is about; the others are only told of.

    Returns: `Claim`.
    """
    verdict = all_of(c.verdict for c in comparisons if c.over in needed)
    parts = [
        f"{c.verdict} against {c.over} ({c.mean:+.3f}"
        + (")" if c.low is None else f", 95 % interval {c.low:+.3f} to {c.high:+.3f})")
        for c in comparisons
    ]
    return Claim(verdict, f"{question}: {verdict} here. {'; '.join(parts)}.", tuple(comparisons))
