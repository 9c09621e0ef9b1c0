"""Plots of what losses do; matplotlib is loaded only for drawing."""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import jax
import numpy as np

from jaxsim.analysis._weights import PairWeights, pair_weights
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Rule

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pair_weight_curves(
    losses: Mapping[str, Rule | PairWeights],
    scores: Array | None = None,
    positives: Array | None = None,
    where: Array | None = None,
    *,
    bins: int = 20,
) -> "Figure":
    """Plots pair weights against the score: a line per loss, positives left, negatives right.

    Each loss's weights are divided by their mean size over all pairs, so that 1 is its average pair
    and losses of any scale can be compared. A line is the mean over the pairs of each bin of scores;
    below 0 the loss moves such pairs the wrong way.

    Args:
      losses: {name: rule, lifted loss, partial of one, or tuple of them}, as `pair_weights` takes; or
        the `PairWeights` that `loss_pair_weights` gives, which are of scores of their own.
      scores: [rows, references], of the rules; needed where there is one.
      positives: bool [rows, references].
      where: bool [rows, references], False for what is not a pair; None keeps all.
      bins: of the scores, for positives and for negatives; those without a pair are left out.

    Returns: a matplotlib figure.
    Raises: ValueError for no losses, shapes that do not fit, scores that are not finite.
    """
    from matplotlib.figure import Figure  # no pyplot: no backend, no global state

    if not isinstance(losses, dict) or not losses:
        raise ValueError(f"losses must be {{name: loss}}, at least one, got {checks.shown(losses)}")
    checks.whole("bins", bins)
    rules = {n: loss for n, loss in losses.items() if not isinstance(loss, PairWeights)}
    for name, loss in rules.items():
        for one in loss if isinstance(loss, (tuple, list)) else (loss,):
            checks.function(f"losses[{name!r}]", one, "of jaxsim.losses, or a tuple of them")
    if rules:
        if scores is None or positives is None:
            raise ValueError(
                f"scores and positives must be given for {next(iter(rules))!r}, got None"
            )
        scores = checks.host_reals("scores", scores)
        checks.shaped("scores", scores, (None, None), "one row per anchor")
        positives = checks.given_mask("positives", positives, scores.shape, "one per score")
        where = checks.mask("where", where, scores.shape, "one per score")
    pairs = {
        name: PairWeights(
            jax.jit(functools.partial(pair_weights, loss))(scores, positives, where),
            scores,
            positives,
            where,
        )
        if name in rules
        else loss
        for name, loss in losses.items()
    }
    pairs = {name: PairWeights(*map(np.asarray, of_loss)) for name, of_loss in pairs.items()}
    for of_loss in pairs.values():
        if not np.isfinite(of_loss.scores[of_loss.where]).all():
            raise ValueError("scores must be finite where they count, got NaN or infinity")
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    sides = {"positives: pull": -1, "negatives: push": 1}
    for ax, (title, sign) in zip(panels, sides.items(), strict=True):
        for number, (name, of_loss) in enumerate(pairs.items()):
            weights = sign * relative(of_loss.weights, of_loss.where)
            side = of_loss.where & (of_loss.positives if sign < 0 else ~of_loss.positives)
            at, mean = binned(of_loss.scores[side], weights[side], bins)
            style = {"marker": "osD^vPX*"[number % 8], "color": f"C{number % 10}"}
            ax.plot(at, mean, label=name, markersize=4, linewidth=1.3, **style)
        ax.axhline(0, color="black", linewidth=0.6)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("score")
        ax.set_yscale("symlog", linthresh=0.1)
        ax.grid(alpha=0.3)
    panels[0].set_ylabel("weight, 1 = the loss's average")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=9)
    return figure


def relative(weights: Array, where: Array) -> np.ndarray:
    """Divides weights by their mean size among the pairs; zeros stay zeros."""
    weights = np.asarray(weights)
    size = np.abs(weights[where]).mean() if where.any() else 0.0
    return weights / size if size > 0 else weights


def binned(scores: Array, values: Array, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Bins values by score: (mean score, mean value) of each bin that is not empty."""
    if scores.size == 0:
        return np.zeros(0), np.zeros(0)
    edges = np.linspace(scores.min(), scores.max(), bins + 1)
    place = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    occupied = count > 0
    sums = [np.bincount(place, weights=a, minlength=bins)[occupied] for a in (scores, values)]
    return sums[0] / count[occupied], sums[1] / count[occupied]
