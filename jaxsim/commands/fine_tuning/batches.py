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
      planned: batches with "ids", int [batch], -1 for padding.
      columns: (ids, step) -> the columns of a batch.
    """

    def of_step(step):
        ids = filled_up(planned[step]["ids"])
        return columns(ids, step) | {"where": ids >= 0, "ids": ids}

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


class Packer:
    """Packs the texts of batches into rows of one length, in one of two numbers of rows, so that two shapes are compiled.

    Args:
      longest: tokens of the longest text.
      sample: lengths of the texts of some batches, a list of [texts] each: what most batches need is taken from it.
      devices: that share a batch.
      most: tokens of a row that the encoder reads.
    """

    def __init__(
        self, longest: int, sample: Sequence[np.ndarray], devices: int, most: int | None = None
    ) -> None:
        self.length = -(-longest // MULTIPLE) * MULTIPLE
        if most is not None:
            self.length = min(self.length, most)
        self.devices = devices
        needs = [data.rows_to_pack(lengths, self.length, devices=devices) for lengths in sample]
        self.ends = sorted({int(np.quantile(needs, part, method="higher")) for part in (0.75, 1)})

    def __call__(self, texts: Sequence[Any]) -> dict[str, np.ndarray]:
        """Texts in the order of the devices, as `data.packed` gives them; a batch beyond the sample gets an eighth more rows."""
        lengths = list(map(len, texts))
        needed = data.rows_to_pack(lengths, self.length, devices=self.devices)
        step = -(-self.ends[-1] // 8)
        rows = next((end for end in self.ends if end >= needed), -(-needed // step) * step)
        return data.packed(texts, self.length, rows=rows, devices=self.devices)


def packer(
    encode: Callable[..., Any],
    texts_of: Callable[[np.ndarray], Sequence[Any]],
    *,
    longest: int,
    count: int,
    size: int,
) -> Packer | None:
    """A `Packer` for batches of rows; None where they must be padded.

    They are where the encoder does not take packed texts (`encode.packs`), and where several processes share a
    batch: these must agree on its shape, which depends on the texts of all.

    Args:
      encode: as it is trained.
      texts_of: int [rows] -> their texts' token ids, in the order of the devices.
      longest: tokens of the longest text.
      count: rows that are trained on.
      size: rows of a batch.
    """
    if not getattr(encode, "packs", False) or jax.process_count() > 1:
        return None
    random = np.random.default_rng(0)
    sample, seen = [], 0
    while len(sample) < 4 or (len(sample) < 100 and seen < 50_000):
        rows = random.choice(count, size, replace=size > count)
        sample.append(np.array(list(map(len, texts_of(rows)))))
        seen += len(sample[-1])
    most = getattr(encode, "max_length", None)
    return Packer(longest, sample, len(jax.local_devices()), most)


def filled_up(rows: np.ndarray) -> np.ndarray:
    """Rows of a batch, int [batch], with -1 behind them up to a multiple of the devices: packed texts need equal parts."""
    return np.pad(rows, (0, -len(rows) % len(jax.local_devices())), constant_values=-1)


def padded_to(texts: Sequence[Any], ends: Sequence[int]) -> dict[str, np.ndarray]:
    """Token ids padded to the first length that holds them all; to the last where processes share a batch."""
    longest = max(map(len, texts), default=0)
    fits = [end for end in ends if end >= longest] if jax.process_count() == 1 else ends[-1:]
    return data.padded(texts, fits[0])


def ends_of(lengths: Sequence[int]) -> tuple[int, ...]:
    """Two lengths to pad to: one that holds three quarters of the texts, and the longest."""
    ends = {int(np.quantile(lengths, part, method="higher")) for part in (0.75, 1.0)}
    return tuple(sorted({-(-end // MULTIPLE) * MULTIPLE for end in ends}))
