"""Plain functions of Linen modules, which the rest of the library works with."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from jaxsim.encoders._text import TextEncoder


def as_function(
    module: nn.Module, *, all_layers: bool = False, router_logits: bool = False
) -> Callable[..., Any]:
    """Turns a Linen module into a plain function of parameters and inputs.

        encode = as_function(TextEncoder(...))       # encode(params, texts) -> [rows, dim]
        score = as_function(EmbCrossEncoder(...))    # score(params, queries, candidates) -> [rows]

    Args:
      module: a Linen module whose call takes `deterministic=`.
      all_layers: of a `TextEncoder` or a `Transformer`, a list with one result per cut.
      router_logits: of these with experts, (result, logits of the routers).

    Returns: function (params, *inputs, key=None, axis_name=None). With a key, dropout is on; the
    device's place on `axis_name` is folded in, so that devices drop different units. Of a module that chooses
    its arithmetic it has the attribute `dtype`, as the module has it: parameters stay float32; of a transformer also
    `max_length`, the most tokens of a row. `packs` says whether it takes `data.packed` texts.
    """
    settings: Any = {"all_layers": True} if all_layers else {}
    if router_logits:
        settings["router_logits"] = True

    def function(params, *inputs, key=None, axis_name=None):
        if key is None:
            return module.apply(params, *inputs, deterministic=True, **settings)
        if axis_name is not None:
            key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
        return module.apply(params, *inputs, deterministic=False, rngs={"dropout": key}, **settings)

    computing = getattr(module, "transformer", module)
    for name in ("dtype", "max_length"):
        if hasattr(computing, name):
            setattr(function, name, getattr(computing, name))
    function.packs = isinstance(module, TextEncoder) and module.packs and not router_logits
    return function
