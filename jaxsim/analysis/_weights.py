"""Pair weights of a loss: its gradient by the score of every pair (general pair weighting).

scores [rows, references], positives bool [rows, references] -> weights [rows, references]
"""

import functools
import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxsim.losses._lift._blocks import reduced
from jaxsim.losses._lift._lifters import keywords_of
from jaxsim.numerics import checks
from jaxsim.numerics._norms import at_least_float32
from jaxsim.numerics._reductions import mean
from jaxsim.numerics.types import Array, Loss, Rule


class PairWeights(NamedTuple):
    """Pair weights of a loss on its own inputs, and the pairs that they are of.

    weights, scores float, positives, where bool, all [rows, references]
    """

    weights: jax.Array
    scores: jax.Array
    positives: jax.Array
    where: jax.Array


def pair_weights(
    rule: Rule | Sequence[Rule],
    scores: Array,
    positives: Array,
    where: Array | None = None,
    *,
    inputs: Sequence[Array] = (),
    weights: Array | None = None,
) -> jax.Array:
    """Pair weights: the derivative of a loss by each of its scores, dL/dS.

        pair_weights(losses.multi_similarity, scores, positives, where)
        pair_weights(functools.partial(losses.info_nce, temperature=0.1), scores, positives)

    Below 0 a pair is pulled together, above 0 it is pushed away. Two losses on the same scores are
    compared by these numbers and nothing else: the gradient of any parameter is their sum over the
    pairs, each times the gradient of its score.

    `loss_pair_weights` makes scores, masks and inputs itself, from what the loss is called on.

    Args:
      rule: a rule, a lifted loss (its rule is taken, with its first pass where it has one), one of
        them in functools.partial with hyperparameters, or a tuple or list of them, which are added. A `key`
        among these becomes one key per row. What only the loss's similarity takes has no influence, for
        the scores are given.
      scores: [rows, references].
      positives: bool [rows, references].
      where: bool [rows, references], False for what is not a pair: padding, and each anchor with itself
        where a batch meets itself (`~jnp.eye(n, dtype=bool)`). None keeps all.
      inputs: what the rule takes after `where`, arrays [rows, references].
      weights: [rows], how much each anchor counts, 0 for padding; None counts every one.

    Returns: float32 at least, [rows, references]; 0 outside `where`.
    Raises: ValueError for shapes that do not fit, a loss that is not of a rule, inputs that the rule lacks.

    Examples:
      >>> import functools
      >>> import numpy as np
      >>> from jaxsim import analysis, losses
      >>> rule = functools.partial(losses.info_nce, temperature=1.0)
      >>> scores, positives = np.array([[1.0, 0.0]]), np.array([[True, False]])
      >>> print(np.round(analysis.pair_weights(rule, scores, positives), 4))
      [[-0.2689  0.2689]]

    Source: Wang et al. 2019 (1904.06627), section 3, general pair weighting.
    """
    scores = at_least_float32(checks.reals("scores", scores))
    checks.shaped("scores", scores, (None, None), "one row per anchor")
    positives, where = _masks(scores, positives, where)
    if weights is not None:
        weights = checks.reals("weights", weights)
        checks.shaped("weights", weights, scores.shape[:1], "one per anchor")
        checks.not_negative("weights", weights)
    several = rule if isinstance(rule, (tuple, list)) else (rule,)
    for one in several:
        checks.function("rule", one, "of jaxsim.losses, or a tuple of them")
    rules = [_with_first_pass(one) for one in several]
    for one in rules:
        _takes_inputs(one, len(inputs))

    return _slopes(rules, scores, positives, where, inputs, weights, mean)


def _slopes(rules, scores, positives, where, inputs, weights, reduce_fn):
    """The derivative of the sum of the rules' reductions by every score."""

    def value(scores):
        parts = []
        for one in rules:
            result = one(scores, positives, where, *inputs)
            parts += result if isinstance(result, list) else [result]
        parts = [(values, counts.astype(values.dtype)) for values, counts in parts]
        return reduced(parts, weights, None, reduce_fn)

    return jnp.where(where, jax.grad(value)(scores), 0)


def on_cosines(loss: Rule) -> Rule:
    """Turns a loss on distances into a rule on cosines, so that pair weights of both kinds compare.

        s -> -D = -sqrt(2 - 2 s), the distance of rows of norm 1;   dL/ds = dL/d(-D) / D

    Args:
      loss: a rule or lifted loss whose scores are minus Euclidean distances between rows of norm 1,
        such as `losses.triplet`, or a partial of one.

    Returns: a rule (scores, positives, where) -> (values, weights). At s = 1 it has slope 0.
    """
    rule = _with_first_pass(loss)

    def of_cosines(scores, positives, where, *inputs):
        square = 2 - 2 * scores
        distances = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
        return rule(-distances, positives, where, *inputs)

    return of_cosines


def gpw_surrogate(weights: Array, scores: Array, positives: Array) -> jax.Array:
    """General pair weighting (GPW): a weighted sum of similarities with the gradient of the original loss.

        F = sum over negatives of |w| s - sum over positives of |w| s,    |w| held constant

    Its gradient is the loss's wherever the loss pulls every positive and pushes every negative, which
    `wrong_way` checks. When the scores are of one batch with itself, pass them as the function of the
    embeddings that they are: a pair then moves by both of its places.

    Args:
      weights: [rows, references], as `pair_weights` gives them; 0 for what is not a pair.
      scores: [rows, references].
      positives: bool [rows, references].

    Returns: a scalar.
    Raises: ValueError for shapes that do not fit.
    Source: Wang et al. 2019 (1904.06627), equations 4 and 5.
    """
    scores, weights = checks.reals("scores", scores), checks.reals("weights", weights)
    checks.shaped("scores", scores, (None, None), "one row per anchor")
    positives, _ = _masks(scores, positives, None)
    checks.shaped("weights", weights, scores.shape, "one per score")
    pull = jax.lax.stop_gradient(jnp.abs(weights))
    return jnp.sum(jnp.where(positives, -pull, pull) * scores)


def wrong_way(weights: Array, positives: Array) -> jax.Array:
    """Finds pairs that a loss moves the wrong way: pushed positives and pulled negatives.

    Supervised contrastive does so with an easy positive among several, tuplet margin within its
    angle, intra-pair variance by design; the others of the family never.

    Args:
      weights: [rows, references], as `pair_weights` gives them.
      positives: bool [rows, references].

    Returns: bool [rows, references].
    """
    weights = checks.reals("weights", weights)
    positives, _ = _masks(weights, positives, None)
    return jnp.where(positives, weights > 0, weights < 0)


def loss_pair_weights(
    loss: Loss,
    *arrays: Array,
    positives: Array | None = None,
    **arguments: Any,
) -> PairWeights:
    """Pair weights of any loss on its own inputs: proxies, further inputs and queues included.

        loss_pair_weights(losses.soft_triple, embeddings, labels, centers)
        loss_pair_weights(losses.rank_n_contrast, embeddings, labels, where=where, temperature=1.0)

    Of a lifted loss scores, positives, what takes part and inputs are those that its rule gets: a row for
    each anchor, a column for each reference, class or document. Of several sides, as `instance` has, the
    rows follow one another. A loss without a rule is differentiated by the scores of its `similarity=`;
    several matrices of scores, as `symmetric_info_nce` has, are joined by rows.

    Args:
      loss: a loss that is lifted, or one that takes `similarity=`; either in functools.partial.
      arrays: its arrays, as the loss takes them.
      positives: bool [rows, references], for a loss without a rule: which pairs are positives. None takes
        equal labels (embeddings, labels), a class and its rows, or a query and its document.
      arguments: the loss's keyword arguments, such as `where`, `references` and hyperparameters; not
        `axis_name`, `block` or `reduce_fn`.

    Returns: `PairWeights`, which `pair_weight_curves` draws.
    Raises: ValueError for a loss without scores of pairs (of lists, of batch statistics), one that walks
      them inside a compiled loop, one whose positives cannot be inferred; and as the loss.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import analysis, losses
      >>> x, classes, labels = np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), np.array([0, 1])
      >>> pairs = analysis.loss_pair_weights(losses.normalized_softmax, x, labels, classes, temperature=1.0)
      >>> print(np.round(pairs.weights, 4))
      [[-0.1345  0.1345]
       [ 0.1345 -0.1345]]

    Source: Wang et al. 2019 (1904.06627), section 3, general pair weighting.
    """
    checks.function("loss", loss, "of jaxsim.losses")
    for name in ("axis_name", "block", "reduce_fn"):
        if name in arguments:
            raise ValueError(
                f"{name} must be left out: pair weights are of one device, whole and reduced"
            )
    settings, inner = _unwrapped("loss", loss)
    arguments = {**settings, **arguments}
    if hasattr(inner, "lift") and hasattr(inner, "rule"):
        return _of_lifted(inner, arrays, arguments)
    parameters = inspect.signature(inner).parameters
    if "similarity" not in parameters:
        raise ValueError(
            f"loss must be lifted or take similarity=, got {getattr(inner, '__name__', inner)}: "
            "it has no scores of pairs"
        )
    return _of_similarity(inner, parameters, arrays, positives, arguments)


def _of_lifted(loss, arrays, arguments):
    """The pair weights of what a lifted loss gives its rule."""
    seen = []
    rows = checks.rows_of("arrays", arrays[0]) if arrays else None

    @functools.wraps(loss.rule)
    def watched(scores, positives, where, *inputs, **settings):
        seen.append((scores, positives, where, inputs))
        return loss.rule(scores, positives, where, *inputs, **settings)

    loss.lift(watched)(*arrays, **arguments, **({} if rows is None else {"block": max(rows, 1)}))
    settings = {n: arguments[n] for n in keywords_of(loss.rule) if n in arguments}
    first = _first_of(loss)
    rule = _with_first_pass(functools.partial(loss, **settings))
    reduce_fn = inspect.signature(loss).parameters["reduce_fn"].default
    parts = []
    for scores, positives, where, inputs in seen:
        inputs = inputs[:-2] if first is not None else inputs
        weights = arguments.get("weights")
        weights = _slopes([rule], scores, positives, where, inputs, weights, reduce_fn)
        parts.append(PairWeights(weights, scores, positives, where))
    return PairWeights(*(jnp.concatenate(each) for each in zip(*parts, strict=True)))


def _of_similarity(loss, parameters, arrays, positives, arguments):
    """The pair weights of a loss without a rule: its slope by every score that its similarity gives."""
    name = loss.__name__
    base = arguments.pop("similarity", parameters["similarity"].default)
    checks.function("similarity", base, "of jaxsim.similarity, such as similarity.cosine")
    rows = checks.rows_of("arrays", arrays[0]) if arrays else 1
    options = {**arguments, **({"block": max(rows, 1)} if "block" in parameters else {})}
    sides = []

    def watched(x, y):
        sides.append((x, y))
        return base(x, y)

    loss(*arrays, similarity=watched, **options)
    if not sides or any(isinstance(a, Tracer) for a in jax.tree.leaves(sides)):
        raise ValueError(f"loss must score its pairs outside of compiled loops, got {name}")
    scores = [at_least_float32(base(x, y)) for x, y in sides]
    if len({s.shape[1] for s in scores}) > 1:
        shapes = ", ".join(str(s.shape) for s in scores)
        raise ValueError(f"loss must have scores of one width, got {name} with {shapes}")

    def value(shifts):
        shifts = iter(shifts)
        return loss(*arrays, similarity=lambda x, y: base(x, y) + next(shifts), **options)

    weights = jax.grad(value)([jnp.zeros_like(s) for s in scores])
    masks = [
        _pairs_of(x, y, s.shape, parameters, arrays)
        for (x, y), s in zip(sides, scores, strict=True)
    ]
    where = jnp.concatenate([mask for _, mask in masks])
    scores, weights = jnp.concatenate(scores), jnp.concatenate(weights)
    if positives is None:
        if any(mask is None for mask, _ in masks):
            raise ValueError(
                f"positives must be given for {name}, bool {list(scores.shape)}, got None"
            )
        positives = jnp.concatenate([mask for mask, _ in masks])
    positives, where = _masks(scores, positives, where)
    return PairWeights(jnp.where(where, weights, 0), scores, positives, where)


def _pairs_of(x, y, shape, parameters, arrays):
    """(positives, where) of the scores of x and y; positives None where they cannot be inferred."""
    names = list(parameters)
    alike = jax.tree.structure(x) == jax.tree.structure(y) and all(
        a.shape == b.shape and bool((a == b).all())
        for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True)
    )
    rows, columns = shape
    where = ~jnp.eye(rows, dtype=bool) if alike else jnp.ones(shape, bool)
    if names[1:2] == ["labels"] and len(arrays) > 1 and len(arrays[1]) == rows:
        labels = jnp.asarray(arrays[1])
        theirs = labels if alike else jnp.arange(columns)
        return where & (labels[:, None] == theirs), where
    if names[1:2] == ["labels"] and len(arrays) > 1 and len(arrays[1]) == columns:
        return where & (jnp.arange(rows)[:, None] == jnp.asarray(arrays[1])), where
    if names[:2] == ["queries", "documents"]:
        if alike:
            return jnp.zeros(shape, bool), where
        each = max(columns // max(rows, 1), 1)
        return jnp.arange(columns) == each * jnp.arange(rows)[:, None], where
    return None, where


def _unwrapped(name, function):
    """The settings of nested partials, and what they are of."""
    settings = {}
    while isinstance(function, functools.partial):
        if function.args:
            raise ValueError(
                f"{name} must be given its settings by keyword, got {function.args!r:.80}"
            )
        settings, function = {**function.keywords, **settings}, function.func
    return settings, function


def _first_of(loss):
    """The rule of a lifted loss's first pass, or None."""
    return getattr(getattr(loss, "lift", None), "keywords", {}).get("first")


def _with_first_pass(rule):
    """The rule of a loss, preceded by its first pass, as the lifter runs it."""
    settings, loss = _unwrapped("rule", rule)
    first, rule = _first_of(loss), getattr(loss, "rule", loss)
    if rule is not loss:  # what its similarity takes is in the scores already
        of_loss = inspect.signature(loss).parameters
        of_rule = inspect.signature(rule).parameters
        settings = {n: v for n, v in settings.items() if n in of_rule or n not in of_loss}
    if settings.get("key") is not None:
        chosen = _with_keys(rule, settings)
    else:
        chosen = functools.partial(rule, **settings)
    if first is None:
        return chosen
    named = inspect.signature(first).parameters
    first = functools.partial(first, **{n: v for n, v in settings.items() if n in named})

    def with_statistics(scores, positives, where, *inputs):
        # Square scores are of a batch with itself: a reference's statistic is that of the same row.
        mine, _ = first(scores, positives, where, *inputs)
        square = scores.shape[0] == scores.shape[1]
        turned = (a.T for a in (scores, positives, where, *inputs))
        theirs = mine if square else first(*turned)[0]
        return chosen(scores, positives, where, *inputs, mine[:, None], theirs[None])

    return with_statistics


def _with_keys(rule, settings):
    """The rule with one key per row, as the lifter gives it."""

    def of_rows(scores, *masks):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(settings["key"], jnp.arange(len(scores)))
        return rule(scores, *masks, **{**settings, "key": keys})

    return of_rows


def _takes_inputs(rule, count):
    """Checks that a rule takes as many arrays as it will get, before it is traced."""
    parameters = inspect.signature(rule).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return
    places = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    required = [p.name for p in places if p.default is p.empty]
    names = [p.name for p in places]
    if len(names) < 3 or required[:1] == ["embeddings"] or required[:1] == ["queries"]:
        raise ValueError(
            f"rule must be of (scores, positives, where), got one of ({', '.join(names)}): "
            "analysis.loss_pair_weights takes a loss without a rule"
        )
    if lacking := required[3 + count :]:
        raise ValueError(
            f"inputs must have {', '.join(lacking)}, [rows, references] each, which the rule takes after "
            f"where, got {count}: analysis.loss_pair_weights makes them"
        )


def _masks(scores, positives, where):
    positives = checks.given_mask("positives", positives, scores.shape, "one per score")
    where = checks.mask("where", where, scores.shape, "one per score")
    return positives & where, where
