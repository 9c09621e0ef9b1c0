"""What of a model is trained to be used by itself: first coordinates, and layers before the last."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxsim import losses, training
from jaxsim.numerics.types import Loss


class Cuts(NamedTuple):
    """What of a model is trained to be used by itself."""

    dims: tuple[int, ...] = ()  # sizes of first coordinates below the whole
    layers: bool = False  # every cut of the transformer too


WHOLE = Cuts()


def encoder_of(model: Any, cuts: Cuts, chunk: int | None) -> Callable[..., Any]:
    """A model's encoder as it is trained: (params, texts, *, key, axis_name) -> vectors, or those of all layers."""
    if chunk is not None:
        return training.chunked(
            lambda params, texts, key=None: model.encode(params, texts, key=key), chunk
        )
    return model.encode_layers if cuts.layers else model.encode


def over_dims(loss: Loss, cuts: Cuts, dim: int) -> Loss:
    """A loss of embeddings of a size, summed over the whole and the cuts."""
    return losses.matryoshka(loss, dims=(dim, *cuts.dims)) if cuts.dims else loss
