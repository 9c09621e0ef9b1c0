"""Examples against classes: a rule on rows of scores, whose columns are classes, becomes a loss.

    rule(scores [rows, classes], positives, where, *, ...) -> (values [rows], weights [rows])

`positives` marks each row's class, nothing in a row without one. Class vectors are parameters like any
others, the same on every device.
"""

import functools
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, Protocol, overload

import jax
import jax.numpy as jnp

from jaxsim.losses._lift._blocks import (
    Rows,
    block_of,
    keyed,
    lift,
    lift_and_reduce,
    reduced,
    without_weight,
)
from jaxsim.losses._lift._documentation import OVER_CLASSES, documentation
from jaxsim.losses._lift._labeled import labeled, matrix, of_classes
from jaxsim.losses._lift._lifters import _EVERY, only_known
from jaxsim.losses._lift._one_pass import varying_numbers
from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, ReduceFn, Rule, Similarity
from jaxsim.similarity import cosine


class ClassLoss(Protocol):
    """A loss of embeddings, labels and class vectors, and what every one of them takes."""

    rule: Rule
    lift: Callable[..., Any]

    def __call__(
        self,
        *arrays: Array,
        similarity: Similarity = ...,
        where: Array | None = None,
        weights: Array | None = None,
        axis_name: str | None = None,
        block: int | None = None,
        reduce_fn: ReduceFn | None = ...,
        **arrays_and_hyperparameters: Any,
    ) -> Any: ...


@overload
def over_classes(rule: Rule) -> ClassLoss: ...


@overload
def over_classes(
    *,
    classes: str = ...,
    centers: bool = ...,
    sides: tuple[str, ...] = ...,
    similarity: Similarity = ...,
    of_similarity: tuple[str, ...] = ...,
    inputs: dict[str, Callable[[Any, Any], Any]] | None = ...,
) -> Callable[[Rule], ClassLoss]: ...


def over_classes(
    rule: Rule | None = None,
    *,
    classes: str = "class_weights",
    centers: bool = False,
    sides: tuple[str, ...] = ("embeddings",),
    similarity: Similarity = cosine,
    of_similarity: tuple[str, ...] = (),
    inputs: dict[str, Callable[[Any, Any], Any]] | None = None,
) -> Any:
    """Makes `loss(embeddings, labels, class_weights, *, ...)` of a rule: a label is the place of its class.

        @over_classes
        def normalized_softmax(scores, positives, where, *, temperature=0.05): ...

    Args:
      rule: the rule; its keyword-only arguments become the loss's hyperparameters.
      classes: what the loss calls its class vectors [classes, dim].
      centers: whether a class has several of them, [classes, centers, dim]; `similarity` takes these.
      sides: what the loss calls its embeddings; of several the rule's values are of each, and added.
      similarity: the loss's default similarity, (x [n, dim], class vectors) -> scores [n, classes].
      of_similarity: hyperparameters that the default similarity takes, by its keyword-only arguments.
      inputs: {name: (embeddings of the rows, class vectors) -> [rows, classes]}, what the rule takes
        after `where`, in this order.

    Returns: the loss, with the rule at `loss.rule`; without `rule`, a decorator.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import losses
      >>> from jaxsim.numerics import masked
      >>> @losses.over_classes
      ... def one_minus_cosine(scores, positives, where):
      ...     return 1 - masked.sum(scores, positives), positives.any(axis=1)
      >>> class_weights = np.array([[1.0, 0.0], [0.0, 1.0]])
      >>> float(one_minus_cosine(np.array([[0.0, 2.0], [0.0, 3.0]]), np.array([0, 1]), class_weights))
      0.5

    Data: labels.
    Kind: part; memory block x classes.
    """
    again = functools.partial(
        over_classes,
        classes=classes,
        centers=centers,
        sides=sides,
        similarity=similarity,
        of_similarity=of_similarity,
        inputs=inputs,
    )
    if rule is None:
        return again
    default, builders = similarity, tuple((inputs or {}).values())
    names = (*sides, "labels", classes)
    hyperparameters = _keyword_only(rule)
    of_default = {name: _keyword_only(default)[name] for name in of_similarity}
    shared = _keyword_only(_shared) | {"similarity": _shared_parameter("similarity", default)}
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    arrays = [inspect.Parameter(name, kind, annotation=Array) for name in names]
    signature = inspect.Signature(
        [*arrays, *(hyperparameters | of_default).values(), *shared.values()],
        return_annotation=jax.Array,
    )

    def loss(*arrays, **settings):
        only_known(loss, settings, hyperparameters | of_default)
        try:
            bound = signature.bind(*arrays, **settings)
        except TypeError as error:
            raise TypeError(f"{loss.__name__}: {error}") from None
        similarity = settings.get("similarity", default)
        if similarity is not default and (unused := sorted(of_default.keys() & settings.keys())):
            raise ValueError(
                f"{unused[0]} is of {loss.__name__}'s own similarity, got another similarity too"
            )
        bound.apply_defaults()
        take = bound.arguments
        vectors = _checked(take, sides, classes, centers)
        if similarity is default and of_default:
            similarity = functools.partial(default, **{n: take[n] for n in of_default})
        numbers = {name: take[name] for name in hyperparameters}
        values_of = keyed(rule, varying_numbers(numbers, take["axis_name"]))
        shared = {name: take[name] for name in ("where", "weights", "axis_name", "block")}
        shared |= {"similarity": similarity, "builders": builders}

        def over_sides(lifter, **reduction):
            lifted = functools.partial(lifter, values_of, **reduction)
            of_side = functools.partial(_of_side, lifted)
            return [
                of_side(take[side], take["labels"], vectors, classes=classes, **shared)
                for side in sides
            ]

        if (reduce_fn := take["reduce_fn"]) is None:
            parts = [part for parts in over_sides(lift) for part in parts]
            return reduced(parts, take["weights"], take["axis_name"], None)
        how = {"weights": take["weights"], "reduce_fn": reduce_fn}
        return functools.reduce(jnp.add, over_sides(lift_and_reduce, **how))

    functools.update_wrapper(loss, rule)
    del loss.__wrapped__  # inspect would show the rule's signature
    loss.__signature__ = signature
    class_axes = "classes, centers, dim" if centers else "classes, dim"
    shared_doc = _OVER_CLASSES.format(sides=", ".join(sides), classes=classes, axes=class_axes)
    loss.rule, loss.lift, loss.kind = rule, again, OVER_CLASSES
    loss.shared = list(shared.values())
    loss.shared_doc = textwrap.dedent(shared_doc + _EVERY[1:]).strip()
    loss.__doc__ = documentation(rule.__doc__, loss.shared_doc, loss.kind)
    return loss


def _shared(
    *,
    similarity: Similarity,
    where: Array | None = None,
    weights: Array | None = None,
    axis_name: str | None = None,
    block: int | None = None,
    reduce_fn: ReduceFn | None = mean,
) -> jax.Array:
    """What every loss over classes takes: read for its signature."""


def _keyword_only(function):
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}


def _shared_parameter(name, default):
    return _keyword_only(_shared)[name].replace(default=default)


def _checked(take, sides, classes, centers):
    """The class vectors, after the checks of what `of_classes` does not see."""
    first, *others = (matrix(side, take[side], "one row per example") for side in sides)
    for side, rows in zip(sides[1:], others, strict=True):
        checks.shaped(side, rows, first.shape, f"the shape of {sides[0]}")
    if centers:
        return matrix(classes, take[classes], "some per class", axes=3)
    return matrix(classes, take[classes], "one row per class")


def _of_side(
    lifter,
    embeddings,
    labels,
    vectors,
    *,
    classes,
    similarity,
    builders,
    where,
    weights,
    axis_name,
    block,
):
    """What a lifter makes of a rule and the rows of one side."""
    count = len(vectors)
    embeddings, labels = of_classes(embeddings, labels, count, classes, where)
    anchors = labeled(embeddings, labels, where, axis_name, lambda x: (x,) * len(builders))
    if block is None:  # what it holds are scores of every center
        dim = vectors.shape[-1]
        block = block_of(len(anchors.keys), vectors.size // max(dim, 1), dim)
    inputs = (at_least_float32(vectors),) * len(builders)
    references = Rows(vectors, jnp.arange(count), None, jnp.ones(count, bool), inputs)
    return lifter(
        without_weight(anchors, weights, references, similarity),
        references,
        similarity=similarity,
        same=lambda mine, theirs: mine[:, None] == theirs,
        builders=builders,
        block=block,
        axis_name=axis_name,
    )


_OVER_CLASSES = """
What every loss over classes takes:
  {sides}: [batch, dim].
  labels: int [batch], places in `{classes}`. One beyond them is refused; of labels on a device, or
    traced, the loss is then NaN. `where` leaves rows without a class out.
  {classes}: [{axes}], parameters, the same on every device.
"""
