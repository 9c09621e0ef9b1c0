"""Types of lifted losses for editors: the arguments that all losses of a lifter share.

At run time a loss's signature has its rule's hyperparameters too.
"""

from collections.abc import Callable
from typing import Any, Protocol

import jax

from jaxsim.numerics.types import Array, ArrayTree, ReduceFn, Rule, Same, Similarity


class LabelLoss(Protocol):
    """A loss on embeddings and labels; `reduce_fn=None` gives (values, weights) instead of a number."""

    __name__: str
    rule: Rule
    lift: Callable[..., "LabelLoss"]

    def __call__(
        self,
        embeddings: ArrayTree,
        labels: Array,
        *,
        similarity: Similarity = ...,
        same: Same = ...,
        references: ArrayTree | None = None,
        reference_labels: Array | None = None,
        reference_where: Array | None = None,
        reference_ids: Array | None = None,
        ids: Array | None = None,
        where: Array | None = None,
        weights: Array | None = None,
        axis_name: str | None = None,
        block: int | None = None,
        ring: bool = ...,
        reduce_fn: ReduceFn | None = ...,
        **hyperparameters: Any,
    ) -> jax.Array: ...


class PairLoss(Protocol):
    """A loss on queries and documents; `reduce_fn=None` gives (values, weights) instead of a number."""

    __name__: str
    rule: Rule
    lift: Callable[..., "PairLoss"]

    def __call__(
        self,
        queries: ArrayTree,
        documents: ArrayTree,
        *,
        similarity: Similarity = ...,
        query_ids: Array | None = None,
        document_ids: Array | None = None,
        document_where: Array | None = None,
        references: ArrayTree | None = None,
        reference_where: Array | None = None,
        reference_ids: Array | None = None,
        where: Array | None = None,
        weights: Array | None = None,
        axis_name: str | None = None,
        block: int | None = None,
        ring: bool = ...,
        reduce_fn: ReduceFn | None = ...,
        **hyperparameters: Any,
    ) -> jax.Array: ...
