"""The lifter of losses per example: a rule on an example's own numbers becomes a loss.

    rule(*arrays [batch, ...], [where,] *, ...) -> values [batch], or (values, weights)

The value of an example depends on nothing but the example. What no rule has to say: checks, float32 at
least, padding, weights, devices and the reduction. A rule that averages over candidates gives values and
weights of each, [batch, candidates]: they are then one sum, of a row only where the reduction needs rows.
"""

import functools
import inspect
import textwrap
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol, overload

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.losses._lift._documentation import OVER_EXAMPLES, documentation
from jaxsim.losses._lift._examples import (
    NONE,
    like,
    mask_of_lists,
    numbers_like,
    on_host,
    poisoned,
    real_numbers,
    reduced,
    with_weight,
)
from jaxsim.losses._lift._settings import check_settings
from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.masked import zeroed
from jaxsim.numerics.types import Array, ReduceFn, Rule

LISTS = "batch, candidates"


class ExampleLoss(Protocol):
    """What `over_examples` gives: a loss of arrays whose first axis is the batch."""

    rule: Rule

    def __call__(
        self,
        *arrays: Any,
        candidate_where: Array | None = None,
        where: Array | None = None,
        weights: Array | None = None,
        axis_name: str | None = None,
        reduce_fn: ReduceFn | None = mean,
        **hyperparameters: Any,
    ) -> jax.Array: ...


@overload
def over_examples(rule: Rule) -> ExampleLoss: ...


@overload
def over_examples(
    rule: None = None,
    *,
    axes: str | Mapping[str, str | None] | None = None,
    lists: bool = False,
    limits: Mapping[str, tuple[float, float]] = NONE,
    places: Mapping[str, str] = NONE,
    masks: Mapping[str, str] = NONE,
    constant: Collection[str] = (),
    reduce_fn: ReduceFn = mean,
) -> Callable[[Rule], ExampleLoss]: ...


def over_examples(
    rule: Rule | None = None,
    *,
    axes: str | Mapping[str, str | None] | None = None,
    lists: bool = False,
    limits: Mapping[str, tuple[float, float]] = NONE,
    places: Mapping[str, str] = NONE,
    masks: Mapping[str, str] = NONE,
    constant: Collection[str] = (),
    reduce_fn: ReduceFn = mean,
) -> Any:
    """Lifts a rule per example: makes `loss(*arrays, *, where, weights, axis_name, ...)` of it.

        @over_examples(axes="batch, dim", constant=["teacher"])
        def embedding_distillation(student, teacher):
            return jnp.sum(jnp.square(student - teacher), axis=1)

    Args:
      rule: (*arrays, **hyperparameters) -> values [batch], or (values, weights [batch]), or both
        [batch, candidates] for a mean over candidates. Its positional arguments are the loss's arrays,
        its keyword-only ones the hyperparameters. It gets the arrays checked, in float32 at least, with
        zeros in padding. One that also takes `where`, as every rule over lists does, gets the mask of
        what counts. An array whose default is None may be left out.
      axes: the names of the arrays' axes, "batch, dim" say, of all or {array: axes}; a number is the
        axis's length, "..." any further axes. Arrays of equal axes have equal shapes. None leaves an
        array to the rule's checks. The default is "batch", or "batch, candidates" for lists.
      lists: the loss takes `candidate_where` [batch, candidates], and the rule both masks in one as
        `where` [batch, candidates]. Rows without candidates do not count.
      limits: {array: (low, high)}; numbers beyond are refused, on a device they give NaN.
      places: {array: another}: integers, places in the other array's last axis, with the same care.
      masks: {array: another}: bool, of the other array's shape.
      constant: arrays that no gradient flows to, such as a teacher's.
      reduce_fn: the loss's default reduction.

    Returns: the loss, with the rule at `loss.rule`; without `rule`, a decorator.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import losses
      >>> @losses.over_examples
      ... def absolute_error(predictions, labels):
      ...     return abs(predictions - labels)
      >>> predictions, labels = np.array([1.0, 2.0, 9.0]), np.array([0.0, 2.0, 2.0])
      >>> float(absolute_error(predictions, labels, where=np.array([True, True, False])))
      0.5

    Data: lists, graded pairs, teacher scores, teacher embeddings, numbers.
    Kind: part; memory that of its arguments.
    """
    options = {"lists": lists, "limits": limits, "places": places, "masks": masks}
    options |= {"axes": axes, "constant": constant}
    if rule is None:
        return functools.partial(over_examples, **options, reduce_fn=reduce_fn)
    signature, names, settings = _signature(rule, lists, reduce_fn)
    takes_where = "where" in inspect.signature(rule).parameters

    def loss(*arrays, **keywords):
        try:
            bound = signature.bind(*arrays, **keywords)
        except TypeError as error:
            raise TypeError(f"{rule.__name__}: {error}") from None
        check_settings(
            signature.parameters, {k: bound.arguments[k] for k in keywords.keys() - names}
        )
        bound.apply_defaults()
        chosen = bound.arguments
        for name in names:
            if chosen[name] is None and signature.parameters[name].default is not None:
                raise ValueError(f"{name} must be an array, got None")
        arrays, where, counts, outside = _checked(
            {name: chosen[name] for name in names},
            chosen.get("candidate_where"),
            *(chosen[name] for name in ("where", "weights", "axis_name")),
            **options,
        )
        extra = [where] if takes_where else []
        result = rule(*arrays, *extra, **{name: chosen[name] for name in settings})
        if isinstance(result, tuple):
            values, weights = result
            if values.shape != weights.shape:
                raise ValueError(
                    f"{rule.__name__} must give values and weights of one shape, [batch] or "
                    f"[batch, candidates], got {values.shape} and {weights.shape}"
                )
            if outside is not None:  # such a row counts, whatever the rule makes of it
                weights = jnp.where(like(outside, weights), jnp.ones((), weights.dtype), weights)
            counts = jnp.where(like(counts, weights), weights, 0)
        else:
            values = result
        if outside is not None:  # a product, and no choice: the gradient is NaN too
            nan = jnp.where(outside, jnp.nan, jnp.ones((), values.dtype))
            values = values * like(nan, values)
        return reduced(values, counts, *(chosen[n] for n in ("weights", "axis_name", "reduce_fn")))

    functools.update_wrapper(loss, rule)
    del loss.__wrapped__  # inspect would show the rule's signature
    loss.__signature__, loss.rule = signature, rule
    loss.shared = [p for n, p in signature.parameters.items() if n not in (*names, *settings)]
    loss.shared_doc = textwrap.dedent((_OVER_LISTS if lists else _OVER_EXAMPLES) + _EVERY).strip()
    form = next((a for a in axes.values() if a), None) if isinstance(axes, Mapping) else axes
    form = form or (LISTS if lists else "batch")
    loss.kind = OVER_EXAMPLES, form.replace(", ", " x ")
    loss.__doc__ = documentation(rule.__doc__, loss.shared_doc, loss.kind)
    return loss


def _signature(rule, lists, reduce_fn):
    """The loss's signature, the names of its arrays and those of the rule's hyperparameters."""
    parameters = inspect.signature(rule).parameters
    arrays = [
        p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "where"
    ]
    settings = [p for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
    shared = [
        p.replace(default=reduce_fn) if p.name == "reduce_fn" else p
        for p in inspect.signature(ExampleLoss.__call__).parameters.values()
        if p.kind is p.KEYWORD_ONLY and (lists or p.name != "candidate_where")
    ]
    signature = inspect.Signature(arrays + settings + shared, return_annotation=jax.Array)
    return signature, [p.name for p in arrays], [p.name for p in settings]


def _checked(
    inputs,
    candidate_where,
    where,
    weights,
    axis_name,
    *,
    axes,
    lists,
    limits,
    places,
    masks,
    constant,
):
    """The arrays as the rule takes them, its `where`, which rows count by default, and which have a place
    outside, or None.
    """
    of_each = {
        name: axes[name] if isinstance(axes, Mapping) else axes or (LISTS if lists else "batch")
        for name, array in inputs.items()
        if name not in (*places, *masks) and array is not None
    }
    arrays = _numbers({name: (inputs[name], form) for name, form in of_each.items() if form})
    batch = len(next(iter(arrays.values())))
    if axis_name is not None:
        checks.bound(axis_name)
    rows = counted = checks.mask("where", where, (batch,))
    if lists:
        shape = next(arrays[name].shape for name, form in of_each.items() if form == LISTS)
        counted = mask_of_lists(shape, "candidate_where", candidate_where, where)
    for name, (low, high) in limits.items():
        if name in arrays:
            listed = lists and of_each[name] == LISTS
            limited = on_host(candidate_where, where, counted) if listed else where
            beyond = checks.within(name, inputs[name], low, high, where=limited)
            arrays[name] = poisoned(arrays[name], beyond)
    with_weights = with_weight(rows, weights)
    for name, array in arrays.items():
        listed = lists and of_each[name] == LISTS
        arrays[name] = zeroed(array, counted & with_weights[:, None] if listed else with_weights)
    columns, of_rows = {}, None
    for name, other in masks.items():
        if inputs[name] is not None:
            shape = arrays[other].shape if other in arrays else np.shape(inputs[other])
            columns[name] = checks.mask(name, inputs[name], shape, f"as {other}")
    for name, other in places.items():
        columns[name], outside = _places(name, other, inputs, arrays, masks, where)
        bad = outside & with_weights.reshape(-1, *[1] * (outside.ndim - 1))
        for mask, of in masks.items():
            bad = bad & columns[mask] if of == name and mask in columns else bad
        bad = bad.any(axis=tuple(range(1, bad.ndim)))
        of_rows = bad if of_rows is None else of_rows | bad
    arrays |= {name: jax.lax.stop_gradient(arrays[name]) for name in constant}
    taken = {**inputs, **arrays, **columns}
    return (
        [taken[name] for name in inputs],
        counted if lists else with_weights,
        counted.any(axis=1) if lists else rows,
        of_rows,
    )


def _places(name, other, inputs, arrays, masks, where):
    """Places in another array's last axis, and which are outside of it: refused on the host."""
    logits = arrays[other]
    labels = checks.numbers_of(name, inputs[name])
    checks.shaped(name, labels, logits.shape[:-1], f"one per row of {other}")
    checks.integers(name, labels)
    there, remedy = where, ""
    for mask, of in masks.items():
        if of == name:
            remedy = f"{mask}=False leaves one out"
            if checks.host(inputs[mask], where):
                there = np.ones(labels.shape, bool) if inputs[mask] is None else inputs[mask]
                if where is not None:
                    there = there & np.reshape(where, (-1, *[1] * (labels.ndim - 1)))
    last = logits.shape[-1] - 1
    return labels, checks.within(name, inputs[name], 0, last, where=there, remedy=remedy)


def _numbers(arrays):
    """Arrays {name: (array, axes)} in float32 at least, those of equal axes of equal shape."""
    leaders, result = {}, {}
    for name, (array, axes) in arrays.items():
        if result:
            leader, first = next(iter(result.items()))
            array, batch = numbers_like(first.dtype, name, array), len(first)
            why = f"one row per row of {leader}"
        else:
            array, why = at_least_float32(real_numbers(name, array)), ""
            batch = len(array) if array.ndim else None
        if axes in leaders:
            leader = leaders[axes]
            checks.shaped(name, array, result[leader].shape, f"the shape of {leader}")
        else:
            checks.shaped(name, array, (batch, *_lengths(name, array, axes)), why)
            leaders[axes] = name
        result[name] = array
    return result


def _lengths(name, array, axes):
    """The lengths of the axes after the first, None where any will do."""
    sizes = axes.split(", ")
    if "..." in sizes:  # any number of axes
        place = sizes.index("...")
        sizes[place : place + 1] = [""] * max(array.ndim - len(sizes) + 1, 0)
    if array.ndim != len(sizes):
        raise ValueError(f"{name} must be [{axes}], got shape {array.shape}")
    return [int(size) if size.isdigit() else None for size in sizes[1:]]


_OVER_EXAMPLES = """
What every loss over examples takes:
"""

_OVER_LISTS = """
What every loss over lists takes:
  candidate_where: bool [batch, candidates], False where a row has fewer candidates.
"""

_EVERY = """\
  where: bool [batch], False for padding. What is there has no influence, NaN included. NaN in a row that
    counts makes the loss NaN.
  weights: [batch], how much each row counts, in addition to what the loss says; >= 0.
  axis_name: the named axis over which the batch is split, in pmap, shard_map or vmap. The result is
    then the loss of the whole batch, the same on every device; differentiate inside, then pmean the
    gradient of the parameters.
  reduce_fn: (values, weights, axis_name) -> loss; None returns this device's (values, weights).

Returns: a float32 scalar (float64 for float64 input); 0 with gradient 0 where nothing counts.
Raises: ValueError for shapes that do not fit, numbers that cannot be meant, an axis that is not bound.
"""
