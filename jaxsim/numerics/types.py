"""Types of signatures: arrays as chex names them, and the functions that packages pass to each other."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from chex import (
    Array as Array,
    ArrayTree as ArrayTree,
    Numeric as Numeric,
    PRNGKey as PRNGKey,
    Shape as Shape,
)

# (x [n, dim], y [m, dim]) -> scores [n, m], larger is closer; pytrees of other shapes where both agree.
Similarity = Callable[[Any, Any], jax.Array]
# (labels of rows [n, ...], labels of references [m, ...]) -> bool [n, m].
Same = Callable[[Any, Any], jax.Array]
# values [rows] and weights [rows]; of several divisors a list of them.
RuleResult = tuple[jax.Array, jax.Array] | list[tuple[jax.Array, jax.Array]]
# (scores [rows, references], positives, where, *inputs, **hyperparameters) -> RuleResult.
Rule = Callable[..., Any]
# (values [rows], weights [rows], axis_name) -> a scalar, the same on every device.
ReduceFn = Callable[..., jax.Array]
# A loss: arrays in, a scalar out (values and weights with `reduce_fn=None`).
Loss = Callable[..., Any]
# (query number or queries, item numbers) -> scores, at a price per call.
Scorer = Callable[..., Any]
# (params, batch) -> vectors [rows, dim].
Encode = Callable[..., Any]
# (params, batch, *, key, axis_name) -> loss, or (loss, metrics); with a state, (params, state, batch, *, key,
# axis_name) -> (loss, (state, metrics)); either may have a parameter `step`: the steps taken before, int32.
Objective = Callable[..., Any]
# (epoch or step) -> a mapping of arrays.
Batch = Any
# (anchor queries' scores [k_q, n]) -> what is subtracted from each item's scores, [n].
Center = Callable[[Any], Any]
# Where to compute: one device, several, or None for all of this process.
Devices = jax.Device | Sequence[jax.Device] | None
