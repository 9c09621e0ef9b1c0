"""From a Linen module to the plain function that the rest of the library works with."""

import jax


def as_function(module):
    """module.apply as a function of parameters and inputs.

        encode = as_function(TextEncoder(...))       # encode(params, texts) -> [rows, dim]
        score = as_function(EmbCrossEncoder(...))    # score(params, queries, candidates) -> [rows]

    Args:
      module: a Linen module whose call takes `deterministic=`.

    Returns: function (params, *inputs, key=None, axis_name=None). With a key, dropout is on; the
    device's place on `axis_name` is folded in, so that devices drop different units.
    """

    def function(params, *inputs, key=None, axis_name=None):
        if key is None:
            return module.apply(params, *inputs, deterministic=True)
        if axis_name is not None:
            key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
        return module.apply(params, *inputs, deterministic=False, rngs={"dropout": key})

    return function
