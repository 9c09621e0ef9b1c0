"""Successors of a model: how each searches the gallery that an earlier one embedded."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import pictures, runner
from jaxsim import evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def halves(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of (the gallery, the queries): every second image of the classes, one after the other."""
    order = np.argsort(labels, kind="stable")
    return order[::2], order[1::2]


def accuracies(vectors: list[np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Accuracy of the nearest class mean: of queries by a model, in the gallery of an earlier one.

    Args:
      vectors: float [n, dim] of each model in their order, of the same images.
      labels: int [n], classes; `halves` splits them.

    Returns: float [models, models, classes], the model of the queries first; NaN in the gallery of a later one.
    """
    gallery, queries = halves(labels)
    asked, theirs = labels[queries], labels[gallery]
    by_class = asked == np.unique(asked)[:, None]
    matrix = np.full((len(vectors), len(vectors), len(by_class)), np.nan)
    for new, old in zip(*np.tril_indices(len(vectors)), strict=True):
        hits, _ = evaluation.template_accuracy(
            vectors[new][queries], asked, vectors[old][gallery], theirs, reduce_fn=None
        )
        matrix[new, old] = by_class @ np.asarray(hits) / by_class.sum(axis=1)
    return matrix


def compatibility(matrix: np.ndarray, *, strict: bool) -> runner.Resampled:
    """Average compatibility of the matrix of means, and of classes drawn again: the same draws for every arm.

    Args:
      matrix: as `accuracies` gives it.
      strict: as for `evaluation.average_compatibility`.
    """
    count = matrix.shape[2]
    draws = np.random.default_rng(0).integers(count, size=(100, count))

    def of(classes):
        means = matrix[..., classes].mean(axis=2)
        return float(evaluation.average_compatibility(means, strict=strict))

    return runner.Resampled(of(np.arange(count)), [of(draw) for draw in draws])


def cells(matrix: np.ndarray) -> dict[str, float]:
    """The matrix of means as figures of a row: "C 2 1" is the second model in the first one's gallery."""
    new, old = np.tril_indices(len(matrix))
    return {f"C {i + 1} {j + 1}": float(matrix[i, j].mean()) for i, j in zip(new, old, strict=True)}


def heat_maps(rows: Iterable[Mapping[str, Any]]) -> "Figure":
    """The figures of `cells` as a matrix for each arm.

    Args:
      rows: dicts as `runner.summary` gives them, one for each arm.
    """
    entries = []
    for row in rows:
        for name, value in row.items():
            if name.startswith("C ") and "interval" not in name:
                _, new, old = name.split()
                place = {"queries after task": int(new), "gallery after task": int(old)}
                entries.append({"arm": row["arm"], **place, "accuracy": value})
    return pictures.heat_maps(
        entries,
        x="gallery after task",
        y="queries after task",
        of="accuracy",
        title="new models in old galleries",
    )
