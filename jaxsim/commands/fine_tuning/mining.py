"""Hard negatives that are mined again as a training continues, and kept in its folder by step."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxsim import search, storage
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, ArrayTree, Similarity
from jaxsim.search._mining import Candidates

KIND, VERSION = "mined negatives", 1
DEPTH = 100  # candidates of a query


class Mining(NamedTuple):
    """How negatives are mined: `search.mine_negatives`."""

    count: int  # of each query
    every: int | None = None  # steps; None mines once, before the first
    margin: float | None = None
    share: float | None = None
    ranks: tuple[int, int] | None = None

    def rules(self) -> list[Callable[[Candidates], Array]]:
        """The rules that say which candidates stay."""
        rules = [] if self.margin is None else [search.mining.margin(self.margin)]
        rules += [] if self.share is None else [search.mining.relative_margin(self.share)]
        return rules + ([] if self.ranks is None else [search.mining.ranks(*self.ranks)])

    def depth(self) -> int:
        """How many of the closest documents are candidates."""
        return max(DEPTH, self.count, 0 if self.ranks is None else self.ranks[1])


class Mined:
    """Mined negatives of a table of pairs, from a file for every time that they were mined.

    Args:
      folder: of the files.
      name: that they begin with.
      mining: how they are mined.
    """

    def __init__(self, folder: Path, name: str, mining: Mining) -> None:
        self.folder, self.name, self.mining = Path(folder), name, mining
        self.read = functools.lru_cache(maxsize=2)(self._read)

    def at(self, step: int) -> np.ndarray:
        """The negatives of the batch of a step: int32 [rows, count], ids of documents, -1 where there are fewer.

        Raises: FileNotFoundError for what was not mined yet; ValueError for a file that is damaged.
        """
        return self.read(self.first_of(step))

    def first_of(self, step: int) -> int:
        """The step before which the negatives of a step are mined."""
        every = self.mining.every
        return 0 if every is None else step // every * every

    def stops(self, steps: int) -> list[int]:
        """The steps after which there is mining, and the last."""
        every = self.mining.every or steps
        return [*range(every, steps, every), steps]

    def known(self, step: int) -> bool:
        """Whether the negatives of the steps from `step` are on the disk."""
        return self._path(self.first_of(step)).exists()

    def mine(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        query_ids: np.ndarray,
        positives: np.ndarray,
        own: np.ndarray,
        similarity: Similarity,
        step: int,
    ) -> None:
        """Mines negatives with a model's vectors, and writes them.

        Args:
          queries: [rows, dim], of the rows' queries, or what else the similarity takes: vectors of tokens.
          documents: [documents, dim], of the different documents, likewise.
          query_ids: int [rows], equal for equal queries, from 0.
          positives: int [rows], the document of each row.
          own: int [rows, c], documents that are no negatives of a row although no row has them as its
            query's document; -1 for padding.
          similarity: the model's.
          step: that the negatives are for.
        """
        wanted = self.mining.count
        first = np.unique(query_ids, return_index=True)[1]  # one row of each query
        count = min(wanted + own.shape[1], checks.rows_of("documents", documents))
        mined = search.mine_negatives(
            jax.tree.map(lambda a: a[first], queries),
            documents,
            positives_of(query_ids, positives),
            count,
            rules=self.mining.rules(),
            depth=max(count, self.mining.depth()),
            similarity=similarity,
        )
        negatives = np.asarray(mined.ids)[query_ids]
        negatives = np.where((negatives[:, :, None] == own[:, None]).any(axis=-1), -1, negatives)
        order = np.argsort(negatives < 0, axis=1, kind="stable")
        negatives = np.take_along_axis(negatives, order, axis=1)[:, :wanted]
        missing = wanted - negatives.shape[1]
        negatives = np.pad(negatives, ((0, 0), (0, missing)), constant_values=-1).astype(np.int32)
        self.folder.mkdir(parents=True, exist_ok=True)
        counts = {name: int(number) for name, number in mined.table.items()}
        storage.save_arrays(
            self._path(step), {"negatives": negatives}, kind=KIND, version=VERSION, meta=counts
        )
        short = int((negatives < 0).any(axis=1).sum())
        print(
            f"before step {step + 1}: mined {int((negatives >= 0).sum())} negatives of "
            f"{len(negatives)} rows"
            + (f", {short} of which have fewer than {wanted}" * (short > 0))
        )

    def _path(self, step):
        return self.folder / f"{self.name}-{step:08d}.arrays"

    def _read(self, step):
        arrays, _ = storage.load_arrays(self._path(step), kind=KIND, version=VERSION)
        return arrays["negatives"]


def positives_of(query_ids: np.ndarray, document_ids: np.ndarray) -> np.ndarray:
    """All documents of each query: int32 [queries, most], -1 for padding."""
    right = [{} for _ in range(int(query_ids.max()) + 1)]
    for query, document in zip(query_ids.tolist(), document_ids.tolist(), strict=True):
        right[query][document] = None
    table = np.full((len(right), max(map(len, right))), -1, np.int32)
    for row, documents in enumerate(right):
        table[row, : len(documents)] = list(documents)
    return table
