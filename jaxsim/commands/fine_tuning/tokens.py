"""Fine-tuning of late interaction (ColBERT) on pairs, or on another model's scores of them.

Texts are vectors of their tokens, compared by MaxSim.

Batches hold whole numbers: what is said of a token in addition to its number is in two high bits of it.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import similarity
from jaxsim.commands.fine_tuning.texts import Task
from jaxsim.numerics.types import Array, ArrayTree
from jaxsim.pretrained._late_folders import SIDES, TokenRow

SEEN, SCORED = 1 << 29, 1 << 30  # of a token: whether others attend to it, whether it counts


class TokenTask(Task):
    """A fine-tuning task of a `MultiVectorModel`. Queries and documents are read as the model reads each.

    Args: as of `Task`, without scores, cuts and teachers.
    """

    def __init__(self, model: Any, *args: Any, **settings: Any) -> None:
        self.reader = model
        super().__init__(model.replace(encode=of_marked(model.encode)), *args, **settings)

    def _of_both(self, queries, documents, batch, axis_name, key):
        both = {"queries": queries, "documents": documents}
        return self._of_embeddings(batch, axis_name, key, both)

    def _vectors(self, params: ArrayTree, side: int, texts: Sequence[str], label: str) -> Any:
        del label
        model, prompt = self.reader.replace(params=params), self.prompts[side]
        return model.embed(texts, side=SIDES[side], prompt=prompt)

    def _ids(self, side: int, texts: Sequence[str]) -> list[np.ndarray]:
        prompt = self.prompts[side]
        return list(map(marked, self.reader.rows(texts, side=SIDES[side], prompt=prompt)))


class ScoredTokenTask(TokenTask):
    """A fine-tuning task of a `MultiVectorModel` on a cross-encoder's scores of each query with its row's documents.

    What is held out is searched, as of pairs.

    Args: as of `TokenTask`, and
      scores: of the rows that are trained on [rows, documents].
      loss: (scores, targets, *, candidate_where, where, axis_name) -> loss, both [rows, documents].
    """

    def __init__(self, *args: Any, scores: np.ndarray, **settings: Any) -> None:
        self.targets = np.asarray(scores, np.float32)
        super().__init__(*args, graded=False, alone=False, **settings)

    def _of_embeddings(self, batch, axis_name, key, both):
        del key
        rows = batch["ids"]
        scores = similarity.list_scores(
            both["queries"], both["documents"], similarity=self.model.similarity
        )
        return self.loss(
            scores,
            jnp.asarray(self.targets)[rows],
            candidate_where=jnp.asarray(self.document_where)[rows],
            where=batch["where"],
            axis_name=axis_name,
        )


def marked(row: TokenRow) -> np.ndarray:
    """A row's tokens with what is said of them in high bits: int32 [length]."""
    return (row.tokens + SEEN * row.seen + SCORED * row.scored).astype(np.int32)


def of_marked(encode: Callable[..., Any]) -> Callable[..., Any]:
    """A model's encode function of texts whose tokens are marked."""

    @functools.wraps(encode)
    def encoded(params, texts, **settings):
        return encode(params, unmarked(texts), **settings)

    return encoded


def unmarked(texts: Mapping[str, Array]) -> dict[str, jax.Array]:
    """Marked texts {"tokens", "where"} as `MultiVectorModel.tokenize` gives them."""
    tokens, where = texts["tokens"], texts["where"]
    return {
        "tokens": tokens & (SEEN - 1),
        "where": where,
        "seen": where & (tokens & SEEN > 0),
        "scored": where & (tokens & SCORED > 0),
    }
