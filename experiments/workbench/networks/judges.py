"""Judges of pairs of texts: cross-encoders that are trained once and asked once, and their logits by id.

judge = judges.cross_encoder(first, second, scores / 5, words=words, sizes=sizes, ..., workdir=folder)   # in prepare
logits = judge.remembered(first, second, ids, folder)     # a file: made once, by the content of judge and texts
batch_targets = logits.of(ids_of_the_batch)               # joined by id, never by position

A judge's logits of what it learned from are too sure: `cross_fitted` asks judges that have not seen a pair. Before a
student learns from a judge, the judge's row must be above the student's: give it an arm.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.workbench.networks import sentences
from experiments.workbench.training import fits
from jaxsim import data, encoders, losses, search, storage
from jaxsim.numerics import checks
from jaxsim.numerics.types import ArrayTree, Loss

KIND, VERSION = "logits by id", 1


@dataclasses.dataclass(frozen=True, eq=False)
class Logits:
    """A judge's logits of examples, by the examples' ids."""

    ids: np.ndarray  # int [n], distinct
    values: np.ndarray  # float32 [n]

    def __post_init__(self) -> None:
        checks.shaped("ids", self.ids, (None,), "one per example")
        checks.integers("ids", self.ids)
        checks.shaped("values", self.values, self.ids.shape, "one per id")
        if len(np.unique(self.ids)) < len(self.ids):
            raise ValueError("ids must be distinct: an example has one logit")

    def of(self, ids: Any) -> np.ndarray:
        """The logits of some ids, float32, in their order and shape; NaN for -1, which is padding.

        Raises: ValueError naming an id without a logit.
        """
        ids = np.asarray(ids)
        order = np.argsort(self.ids)
        places = order[np.minimum(np.searchsorted(self.ids, ids, sorter=order), len(order) - 1)]
        unknown = (self.ids[places] != ids) & (ids != -1)
        if unknown.any():
            raise ValueError(f"ids must be among those judged, got {ids[unknown].ravel()[0]}")
        return np.where(ids == -1, np.float32(np.nan), self.values[places])

    def standardized(self) -> "Logits":
        """The same with mean 0 and standard deviation 1: a judge's scale grows as it overfits."""
        spread = max(float(self.values.std()), 1e-12)
        return Logits(self.ids, (self.values - self.values.mean()) / spread)

    def save(self, path: Path) -> None:
        """Writes them to a file."""
        arrays = {"ids": self.ids, "values": self.values}
        storage.save_arrays(path, arrays, kind=KIND, version=VERSION)


def load_logits(path: Path) -> Logits:
    """Reads what `Logits.save` wrote."""
    arrays, _ = storage.load_arrays(path, kind=KIND, version=VERSION)
    return Logits(arrays["ids"], arrays["values"])


@dataclasses.dataclass(frozen=True, eq=False)
class Judge:
    """A cross-encoder with its tokenizer: pairs of texts to logits."""

    module: Any
    params: ArrayTree
    words: Any
    length: int  # tokens of each text, at most
    symmetric: bool  # the mean of both orders

    def __call__(self, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
        """The logit of each pair, float32 [pairs]."""
        sides = [self._padded(side) for side in (first, second)]
        places = np.arange(len(first))
        score = sentences.function_of(self.module)
        buckets = (-(-self.length // 2), self.length)
        settings = {"query_buckets": buckets, "item_buckets": buckets, "batch": 256}
        logits = search.scorer(score, self.params, *sides, **settings)(places, places)
        if self.symmetric:
            turned = search.scorer(score, self.params, *sides[::-1], **settings)
            logits = (logits + turned(places, places)) / 2
        return logits

    def remembered(
        self, first: Sequence[str], second: Sequence[str], ids: Any, folder: Path
    ) -> Logits:
        """The logits of pairs by their ids, from a file that is named by the content of the judge and the pairs.

        Args:
          first, second: texts.
          ids: int [pairs], distinct.
          folder: for the file, such as `prepare_all`'s.
        """
        ids = np.asarray(ids)
        what = [storage.checksum(self.params), self.length, self.symmetric]
        name = data.fingerprint([*what, list(first), list(second), ids.tolist()])
        path = folder / f"logits-{name}.jaxsim"
        if not path.exists():
            Logits(ids, self(first, second)).save(path)
        return load_logits(path)

    def _padded(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        return data.padded(data.text_tokens(self.words, texts, max_length=self.length), self.length)


def network(sizes: sentences.Sizes, *, dropout: float) -> Any:
    """A cross-encoder of two texts of `sizes.length` tokens each, whose equal words attend to each other at first."""
    body = sentences.transformer(
        dataclasses.replace(sizes, length=2 * sizes.length),
        norm="pre",
        dropout=dropout,
        initial=sizes.dim**-0.5,
        matching=1.0,
    )
    return encoders.ClsCrossEncoder(body, dropout=dropout)


def cross_encoder(
    first: Sequence[str],
    second: Sequence[str],
    targets: Any,
    *,
    words: Any,
    sizes: sentences.Sizes,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    workdir: Path,
    loss: Loss = losses.binary_cross_entropy,
    dropout: float = 0.1,
    symmetric: bool = False,
    label: str = "judge",
) -> Judge:
    """A cross-encoder from scratch, trained on graded or labeled pairs; a finished run returns at once.

    Equal words of the two texts attend to each other at the start, without which it learns nothing from some
    thousand pairs.

    Args:
      first, second: texts.
      targets: float [pairs], from 0 to 1 for the default loss.
      words: the tokenizer.
      sizes: of the transformer; `length` is that of each text.
      steps, batch, rate, seed, workdir, label: of the training, as in `sentences.trained`.
      loss: of (logits [batch], targets [batch], *, where, axis_name), such as `losses.dse_regression` with the
        targets for its teacher.
      dropout: of the transformer and before the logit.
      symmetric: a pair counts in either order, and its logit is the mean of both.
    """
    module = network(sizes, dropout=dropout)
    score = sentences.function_of(module)
    targets = np.asarray(targets, np.float32)
    columns: dict[str, Any] = {
        name: data.text_tokens(words, side, max_length=sizes.length)
        for name, side in (("first", first), ("second", second))
    }

    def objective(params, batch, *, key, axis_name):
        sides = batch["first"], batch["second"]
        if symmetric:
            there, back = (
                score(params, *pair, key=k, axis_name=axis_name)
                for pair, k in zip((sides, sides[::-1]), jax.random.split(key), strict=True)
            )
            return sum(of_logits(one, batch, axis_name) for one in (there, back)) / 2
        return of_logits(score(params, *sides, key=key, axis_name=axis_name), batch, axis_name)

    def of_logits(logits, batch, axis_name):
        return loss(logits, batch["target"], where=batch["where"], axis_name=axis_name)

    buckets = {name: (-(-sizes.length // 2), sizes.length) for name in columns}
    example = data.padded([np.ones(2, np.int32)], sizes.length)
    params = sentences.trained(
        module,
        objective,
        sentences.batches(
            {**columns, "target": targets}, batch=batch, steps=steps, seed=seed, buckets=buckets
        ),
        rate=rate,
        seed=seed,
        workdir=workdir,
        label=label,
        params=fits.initial(module, seed, example, example),
        about={"dropout": dropout, "symmetric": int(symmetric)},
    )
    return Judge(module, params, words, sizes.length, symmetric)


def cross_fitted(
    ids: Any,
    fit: Callable[[np.ndarray, Path], Callable[[np.ndarray], np.ndarray]],
    *,
    folds: int,
    seed: int,
    workdir: Path,
    groups: Any = None,
) -> Logits:
    """Logits of each example by a judge that has not learned from it: one judge for each fold of the others.

    Args:
      ids: int [n], distinct.
      fit: (places of examples to learn from, folder of the fold) -> function of places to their logits.
      folds: how many judges, 2 at least.
      seed: of the folds.
      workdir: of the judges and the logits, which are made once.
      groups: int [n], examples that must not be split, such as those that share a text; None is none.
    """
    checks.whole("folds", folds, 2)
    ids = np.asarray(ids)
    numbers = np.unique(ids if groups is None else np.asarray(groups), return_inverse=True)[1]
    if numbers.max() + 1 < folds:
        raise ValueError(f"folds must be at most the {numbers.max() + 1} groups, got {folds}")
    fold_of = (np.random.default_rng(seed).permutation(numbers.max() + 1) % folds)[numbers]
    name = data.fingerprint([ids.tolist(), fold_of.tolist()])
    path = workdir / f"cross-fitted-{name}.jaxsim"
    if not path.exists():
        values = np.empty(len(ids), np.float32)
        for fold in range(folds):
            judge = fit(np.flatnonzero(fold_of != fold), workdir / f"fold-{fold}")
            unseen = np.flatnonzero(fold_of == fold)
            values[unseen] = judge(unseen)
        Logits(ids, values).save(path)
    return load_logits(path)
