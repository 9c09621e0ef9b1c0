"""Batches of rows: their columns, and the lengths that texts are padded to."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxsim import data

MULTIPLE = 16  # what lengths are rounded up to
RAMP = 3  # the weight of a regularizer is whole after one of so many parts of a run


def row_batches(
    count: int,
    columns: Callable[[np.ndarray, int], dict[str, Any]],
    *,
    batch_size: int,
    epochs: int,
    steps: int | None,
    seed: int,
) -> data.Planned:
    """Shuffled batches of rows, as `with_columns` has them.

    Args:
      count: of the rows.
      columns: as of `with_columns`.
      batch_size, epochs, steps, seed: as of `data.array_batches`.
    """
    planned = data.array_batches(
        {"row": np.arange(count)}, batch_size=batch_size, seed=seed, epochs=epochs, steps=steps
    )
    return with_columns(planned, columns)


def with_columns(
    planned: data.Planned, columns: Callable[[np.ndarray, int], dict[str, Any]]
) -> data.Planned:
    """Batches of rows as batches of what the rows hold: their columns, "where" and "ids".

    Args:
      planned: batches with "ids", int [batch], -1 for padding, and "where".
      columns: (ids, step) -> the columns of a batch.
    """

    def of_step(step):
        batch = planned[step]
        return columns(batch["ids"], step) | {name: batch[name] for name in ("where", "ids")}

    return data.Planned(len(planned), of_step)


def with_ramp(planned: data.Planned) -> data.Planned:
    """Batches with "ramp", float32 [rows]: the share of a regularizer's weight, (step / third)^2 up to a third of them.

    Source: SPLADE (Formal et al. 2021, 2107.05720), section 3.2.
    """
    third = max(len(planned) / RAMP, 1)

    def of_step(step):
        batch = planned[step]
        share = min((step + 1) / third, 1.0) ** 2
        return {**batch, "ramp": np.full(len(batch["where"]), share, np.float32)}

    return data.Planned(len(planned), of_step)


def padded_to(texts: Sequence[Any], ends: Sequence[int]) -> dict[str, np.ndarray]:
    """Token ids padded to the first length that holds them all; to the last where processes share a batch."""
    longest = max(map(len, texts), default=0)
    fits = [end for end in ends if end >= longest] if jax.process_count() == 1 else ends[-1:]
    return data.padded(texts, fits[0])


def ends_of(lengths: Sequence[int]) -> tuple[int, ...]:
    """Two lengths to pad to: one that holds three quarters of the texts, and the longest."""
    ends = {int(np.quantile(lengths, part, method="higher")) for part in (0.75, 1.0)}
    return tuple(sorted({-(-end // MULTIPLE) * MULTIPLE for end in ends}))
