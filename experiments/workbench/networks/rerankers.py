"""A cross-encoder that ranks short lists anew, trained on pairs, on lists, or on both.

A scoring cross-encoder reads one candidate at a time: where a positive is in its list cannot be learned from it, so the
positive comes first in training. A model that writes its answer would need the place drawn anew for each list.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.workbench.networks import judges, sentences
from experiments.workbench.training import fits
from jaxsim import data, losses
from jaxsim.numerics.types import Objective

# A loss: (scores [b, 1 + n] with the positive first, candidate_where, *, where, axis_name) -> scalar.
Loss = Callable[..., jax.Array]


def pairwise(scores, candidate_where, *, where, axis_name=None):
    """Yes to the positive and no to the first negative: binary cross-entropy of two logits per list."""
    pairs = scores[:, :2]
    return losses.binary_cross_entropy(
        pairs.ravel(),
        jnp.tile(jnp.array([1.0, 0.0], pairs.dtype), len(pairs)),
        where=jnp.repeat(where & candidate_where[:, 1], 2),
        axis_name=axis_name,
    )


def listwise(scores, candidate_where, *, where, axis_name=None):
    """Cross-entropy of the positive among its list."""
    return losses.list_softmax(
        scores,
        candidate_where=candidate_where,
        where=where & candidate_where[:, 1],
        axis_name=axis_name,
    )


def both(scores, candidate_where, *, where, axis_name=None):
    """UniME-V2's reranker: a yes, a no and the positive's place, with equal weights."""
    return losses.unime_v2_rerank(
        scores[:, :2],
        scores,
        jnp.zeros(len(scores), jnp.int32),
        candidate_where=candidate_where,
        where=where & candidate_where[:, 1],
        axis_name=axis_name,
    )


LOSSES: dict[str, Loss] = {"pair": pairwise, "list": listwise, "both": both}


def trained(
    queries: Sequence[np.ndarray],
    candidates: Sequence[Sequence[np.ndarray]],
    candidate_where: np.ndarray,
    *,
    loss: Loss,
    words: Any,
    sizes: sentences.Sizes,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    workdir: Path,
    label: str,
) -> judges.Judge:
    """A cross-encoder from scratch, trained on short lists; a finished run returns at once.

    Args:
      queries: token ids [lists].
      candidates: token ids [lists][1 + negatives], the positive first.
      candidate_where: bool [lists, 1 + negatives], which exist; a list without its first negative does not count.
      loss: one of `LOSSES`.
      words: the tokenizer.
      sizes: of the transformer; `length` is that of each text.
      steps, batch, rate, seed, workdir, label: of the training, as in `sentences.trained`.
    """
    module = judges.network(sizes, dropout=0.1)
    lengths = (sizes.length,)
    batches = sentences.batches(
        {"query": list(queries), "candidates": list(candidates), "exists": candidate_where},
        batch=batch,
        steps=steps,
        seed=seed,
        buckets={"query": lengths, "candidates": lengths},
    )
    example = data.padded([np.ones(2, np.int32)], sizes.length)
    params = sentences.trained(
        module,
        objective_of(module, loss),
        batches,
        rate=rate,
        seed=seed,
        workdir=workdir,
        label=label,
        params=fits.initial(module, seed, example, example),
    )
    return judges.Judge(module, params, words, sizes.length, symmetric=False)


@functools.lru_cache(maxsize=8)
def objective_of(module: Any, loss: Loss) -> Objective:
    """The loss of a cross-encoder on a batch of lists."""
    score = sentences.function_of(module)

    def objective(params, batch, *, key, axis_name):
        texts = batch["candidates"]
        rows, count, _ = texts["tokens"].shape
        queries = jax.tree.map(lambda leaf: jnp.repeat(leaf, count, axis=0), batch["query"])
        flat = jax.tree.map(lambda leaf: leaf.reshape(rows * count, *leaf.shape[2:]), texts)
        scores = score(params, queries, flat, key=key, axis_name=axis_name).reshape(rows, count)
        return loss(scores, batch["exists"], where=batch["where"], axis_name=axis_name)

    return objective


def reranked(scores: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Scores [queries, items] in which the items with a logit come first, by it, and the others keep their order.

    Args:
      scores: float [queries, items], of the first stage.
      logits: float [queries, items], NaN where the reranker was not asked.
    """
    lift = np.nanmax(scores) - np.nanmin(logits) + 1
    return np.where(np.isnan(logits), scores, logits + lift)
