"""What of a model is trained: all its parameters, or low-rank changes of some (LoRA)."""

from typing import Any

import jax

from jaxsim import pretrained
from jaxsim.numerics.types import ArrayTree, Objective


class Whole:
    """All parameters of a model."""

    def __init__(self, model: Any) -> None:
        self.start = model.params

    def whole(self, trained: ArrayTree) -> ArrayTree:
        """The model's parameters of what is trained."""
        return trained

    def objective(self, objective: Objective) -> Objective:
        """An objective of the model's parameters as one of what is trained."""
        return objective


class LowRank:
    """LoRA: low-rank changes of kernels; the model itself stays as it is.

    Args:
      model: of `pretrained.load`.
      adapter: as `pretrained.lora` gives it.
      scale: of the changes.
    """

    def __init__(self, model: Any, adapter: ArrayTree, scale: float) -> None:
        self.model, self.start, self.scale = model, adapter, scale
        self.whole = jax.jit(self._changed)

    def objective(self, objective: Objective) -> Objective:
        """An objective of the model's parameters as one of the adapter."""

        def of_adapter(params, *rest, **named):
            return objective(self._changed(params), *rest, **named)

        return of_adapter

    def _changed(self, adapter):
        return pretrained.with_lora(self.model.params, adapter, scale=self.scale)
