"""Fine-tuning on pictures with texts: queries are texts, documents are pictures, read as the batches need them."""

import functools
from typing import Any

import jax
import numpy as np

from jaxsim import data, search
from jaxsim.commands.fine_tuning.batches import padded_to, row_batches
from jaxsim.commands.fine_tuning.pairs import documents_of
from jaxsim.commands.fine_tuning.texts import Task
from jaxsim.numerics.types import ArrayTree, Objective


class ImageTask(Task):
    """A fine-tuning task on texts with pictures, of a model of both. Equal paths are one picture.

    Args: as of `Task`; documents are paths, and there are no negatives and no scores.
    """

    def batches(self, *, epochs: int, steps: int | None, seed: int) -> data.Planned:
        """Batches of token ids and pictures."""
        settings = {"batch_size": self.batch_size, "epochs": epochs, "steps": steps, "seed": seed}
        return row_batches(self.count, self.columns, **settings)

    def columns(self, rows: np.ndarray, step: int) -> dict[str, Any]:
        """The columns of a batch; every step has the same.

        Returns: "query" as `Task` has it, "documents" float32 [batch, height, width, 3] and "document_ids"
        int [batch], zeros and -1 for padding.
        """
        del step
        real = rows >= 0
        ids = np.where(real, self.ids[1][np.maximum(rows, 0)], -1).astype(np.int32)
        read = self.model.process([self.paths[number] for number in ids[real]])
        pixels = np.zeros((len(rows), *read.shape[1:]), np.float32)
        pixels[real] = read
        queries = [self.queries[row] if row >= 0 else [] for row in rows]
        query = padded_to(queries, self.ends["query"])
        return {"query": query, "documents": pixels, "document_ids": ids}

    def objective(self) -> Objective:
        """The loss of a batch. Equal texts and equal pictures have equal ids."""

        def objective(params, batch, *, key, axis_name):
            keys = jax.random.split(key)
            queries = self.encode(params, batch["query"], key=keys[0], axis_name=axis_name)
            documents = self.model.encode_image(
                params, batch["documents"], key=keys[1], axis_name=axis_name
            )
            return self._of_both(queries, documents, batch, axis_name, key)

        return objective

    @functools.cached_property
    def paths(self) -> list[str]:
        """The path of each different picture, by its id."""
        return documents_of(self.pairs)

    def _documents(self):
        """No document has tokens."""
        return [[]] * len(documents_of(self.pairs))

    def _vectors(self, params: ArrayTree, side, texts, label):
        if side == 0:
            return super()._vectors(params, side, texts, label)
        return search.encode_images(
            self.model.encode_image, params, self.model.process, texts, label=label
        )

    def _retrieval(self, queries, documents, ids=None):
        """Pictures found by texts, and texts found by pictures."""
        found = super()._retrieval(queries, documents, ids)
        back = super()._retrieval(documents, queries, self.held_ids[::-1])
        return found | {f"{name} by picture": value for name, value in back.items()}
