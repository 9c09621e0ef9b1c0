"""Maps of words with several senses: each sense with the words that are nearest to it, on two axes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import pictures
from jaxsim import analysis
from jaxsim.numerics import masked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEAR = 4  # words beside a sense


def points(
    table: np.ndarray,
    priors: np.ndarray,
    names: Sequence[str],
    words: Iterable[int],
    *,
    threshold: float,
) -> Iterator[dict[str, Any]]:
    """A row for every live sense of some words, and for each of its nearest words: word, point, x, y and share.

    Args:
      table: float [words, senses, dim].
      priors: float [words, senses], the senses' shares.
      names: of all words.
      words: numbers of those to draw.
      threshold: prior below which a sense is pruned.
    """
    alive = np.asarray(analysis.prune_senses(priors, threshold=threshold))
    means = _unit(np.asarray(masked.mean(table, alive[:, :, None], axis=1)))
    table = _unit(np.asarray(table))
    for word in words:
        labels, vectors, shares = [], [], []
        for sense in np.flatnonzero(alive[word]):
            cosines = means @ table[word, sense]
            cosines[[0, word]] = -np.inf
            near = np.argsort(-cosines)[:NEAR]
            labels += [f"sense {sense}", *(f"{sense}: {names[n]}" for n in near)]
            vectors += [table[word, sense], *means[near]]
            shares += [priors[word, sense], *[0.0] * len(near)]
        centered = np.array(vectors) - np.mean(vectors, axis=0)
        axes = np.linalg.svd(centered, full_matrices=False)[2][:2]
        for label, (x, y), share in zip(labels, centered @ axes.T, shares, strict=True):
            place = {"x": float(x), "y": float(y), "share": float(share)}
            yield {"word": names[word], "point": label, **place}


def picture(rows: Sequence[dict[str, Any]]) -> "Figure":
    """Senses (large, by their share) and their nearest words on the two leading axes, a panel per word.

    Args:
      rows: as `points` gives them.
    """
    from matplotlib.figure import Figure

    words = list(dict.fromkeys(row["word"] for row in rows))
    down = -(-len(words) // 2)
    figure = Figure(figsize=(8.5, 3.6 * down), layout="constrained")
    panels = figure.subplots(down, 2, squeeze=False).ravel()
    for word, ax in zip(words, panels, strict=False):
        for row in rows:
            if row["word"] == word:
                _mark(ax, row)
        ax.set_title(word, fontsize=10)
        ax.margins(0.15)
        ax.grid(alpha=0.3)
    for ax in panels[len(words) :]:
        ax.set_axis_off()
    figure.suptitle(
        "Senses with their share of occurrences, and the nearest words; PCA", fontsize=10
    )
    return figure


def _mark(ax: Any, row: dict[str, Any]) -> None:
    """A sense with its share, or a word near one, in the sense's color."""
    sense, _, near = row["point"].removeprefix("sense ").partition(": ")
    color, place = pictures.COLORS[int(sense) % len(pictures.COLORS)], (row["x"], row["y"])
    share = float(row["share"])
    ax.scatter(*place, s=12 if near else 60 + 400 * share, color=color, alpha=0.8)
    look = {"color": color} if near else {"color": "black", "ha": "center", "va": "center"}
    label, offset = (near, (4, 2)) if near else (f"{share:.0%}", (0, 0))
    ax.annotate(label, place, offset, textcoords="offset points", fontsize=7, **look)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
