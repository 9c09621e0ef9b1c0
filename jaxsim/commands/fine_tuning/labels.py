"""Fine-tuning on texts with classes: batches of several examples of each class, and figures by class."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import data, evaluation
from jaxsim.commands.fine_tuning.batches import (
    Packer,
    ends_of,
    filled_up,
    packer,
    padded_to,
    with_columns,
)
from jaxsim.commands.fine_tuning.cuts import WHOLE, Cuts, encoder_of, over_dims
from jaxsim.numerics.types import ArrayTree, Loss, Objective
from jaxsim.search._corpus import encode_corpus

NOTHING = np.zeros(0, np.int32)  # the token ids of no text


class LabelTask:
    """A fine-tuning task on classes: a model, a loss, and the texts to train and to validate on.

    Args:
      model: of `pretrained.load`.
      loss: (embeddings, labels, *, where, axis_name) -> loss.
      rows, held: `Labeled`, to train and to validate on.
      batch_size: rows, a multiple of `per_class`.
      per_class: examples of each class in a batch.
      prompt: what goes before texts; None is the model's default.
      chunk: rows encoded at once, or None for all.
      cuts: what is trained to be used by itself.
    """

    mined, left_out, seen, figure = None, 0, 0, "MAP@R"

    def __init__(
        self,
        model: Any,
        loss: Loss,
        rows: Any,
        held: Any,
        batch_size: int,
        *,
        per_class: int,
        prompt: str | None,
        chunk: int | None = None,
        cuts: Cuts = WHOLE,
    ) -> None:
        self.model, self.loss, self.held, self.cuts = model, loss, held, cuts
        self.batch_size, self.per_class, self.prompts = batch_size, per_class, (prompt, prompt)
        numbers = {label: number for number, label in enumerate(dict.fromkeys(rows.labels))}
        self.labels = np.array([numbers[label] for label in rows.labels], np.int32)
        of_held = {label: number for number, label in enumerate(dict.fromkeys(held.labels))}
        self.held_labels = np.array([of_held[label] for label in held.labels], np.int32)
        self.texts = self._ids(rows.texts)
        self.ends = ends_of(list(map(len, self.texts)))
        self.encode = encoder_of(model, cuts, chunk)
        self.held_loss = jax.jit(loss)

    @property
    def count(self) -> int:
        """How many rows are trained on."""
        return len(self.texts)

    def batches(self, *, epochs: int, steps: int | None, seed: int) -> data.Planned:
        """Batches of several examples of each class (PK sampling), of token ids."""
        planned = data.class_batches(
            {"row": np.arange(len(self.texts))},
            self.labels,
            classes=self.batch_size // self.per_class,
            per_class=self.per_class,
            seed=seed,
            epochs=epochs,
            steps=steps,
        )
        return with_columns(planned, self.columns)

    def columns(self, rows: np.ndarray, step: int) -> dict[str, Any]:
        """The texts of a batch, {"text": ...}; every step has the same."""
        del step
        if self.packer is not None:
            return {"text": self.packer(self._texts(rows))}
        return {"text": padded_to(self._texts(rows), self.ends)}

    @functools.cached_property
    def packer(self) -> Packer | None:
        """What packs the texts of a batch; None where they are padded."""
        return packer(
            self.encode,
            lambda rows: self._texts(filled_up(rows)),
            longest=max(map(len, self.texts)),
            count=self.count,
            size=self.batch_size,
        )

    def _texts(self, rows):
        return [self.texts[row] if row >= 0 else NOTHING for row in rows]

    def objective(self) -> Objective:
        """The loss of a batch."""

        def objective(params, batch, *, key, axis_name):
            vectors = self.encode(params, batch["text"], key=key, axis_name=axis_name)
            labels = jnp.asarray(self.labels)[batch["ids"]]
            named = {"where": batch["where"], "axis_name": axis_name}

            def loss(vectors):
                return self.loss(vectors, labels, **named)

            return over_dims(loss, self.cuts, vectors.shape[-1])(vectors)

        return objective

    def validate(self, params: ArrayTree) -> dict[str, float]:
        """Figures on the held-out texts: {name: float}."""
        vectors = encode_corpus(
            self.model.encode,
            params,
            self._ids,
            self.held.texts,
            label="encoding what is held out",
        )
        found = {"loss": self._loss(vectors)} | self._classes(vectors)
        for dim in self.cuts.dims:
            found[f"MAP@R of {dim}"] = self._classes(vectors[:, :dim])["MAP@R"]
        return found

    def _loss(self, vectors):
        """The mean loss of batches of the training's size, in an order that does not depend on the rows'."""
        order = np.random.default_rng(0).permutation(len(vectors))
        size = min(self.batch_size, len(order))
        parts = [order[start : start + size] for start in range(0, len(order) - size + 1, size)]
        each = [float(self.held_loss(vectors[part], self.held_labels[part])) for part in parts]
        return float(np.mean(each))

    def _classes(self, vectors):
        """How well a text finds those of its class among all that are held out."""
        of_class = {"similarity": self.model.similarity}
        return {
            "precision@1": float(evaluation.class_recall(vectors, self.held_labels, **of_class)),
            "MAP@R": float(evaluation.map_at_r(vectors, self.held_labels, **of_class)),
        }

    def _ids(self, texts):
        return functools.partial(self.model.tokens, prompt=self.prompts[0])(texts)
