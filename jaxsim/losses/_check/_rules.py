"""Checks of a rule's form: its arguments, what it returns, and how it treats masks."""

import functools
import inspect
import numbers
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.losses._check._report import Finding, is_close, raised
from jaxsim.losses._lift._classes import over_classes
from jaxsim.losses._lift._lifters import over_labels, over_pairs
from jaxsim.losses._lift._over_examples import over_examples

LIFTERS = {
    "labels": over_labels,
    "pairs": over_pairs,
    "classes": over_classes,
    "scores": over_examples(lists=True),
}
FORM = "(scores, positives, where, *, ...)"


def inner(function):
    """The function inside of functools.partial."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def named_rule(rule, name):
    """The rule with a name and its own signature, which functools.partial lacks."""
    if hasattr(rule, "__name__"):
        return rule

    def named(*arrays, **settings):
        return rule(*arrays, **settings)

    named.__name__, named.__doc__ = name, inspect.getdoc(inner(rule))
    named.__signature__ = inspect.signature(rule)
    return named


def positional(function):
    """The parameters that a function takes by position."""
    parameters = inspect.signature(function).parameters.values()
    return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def is_rule(loss, data):
    """Whether a function is a rule and no whole loss."""
    if hasattr(inner(loss), "rule"):
        return False
    places = positional(loss)
    names = [p.name for p in places]
    required = [p.name for p in places if p.default is p.empty]
    if "positives" in names and names[:1] == ["scores"]:
        return True
    return "where" in required or (data in ("labels", "pairs") and len(required) > 2)


def lifter_of(arrays):
    """The lifter of a rule whose loss is called on these arrays."""
    if "queries" in arrays:
        return "pairs"
    if "scores" in arrays:
        return "scores"
    return "classes" if len(arrays) > 2 else "labels"


def takes_masks(rule, data):
    """Whether a rule chooses pairs by masks."""
    return data != "scores" and "positives" in [p.name for p in positional(rule)]


def findings_of_rule(rule, data, settings):
    """Findings of a rule's form: nothing else can be asked before it is one."""
    places = positional(rule)
    names = [p.name for p in places]
    of_lists = data == "scores" or (isinstance(data, Mapping) and lifter_of(data) == "scores")
    count = 3
    if len(names) < count or "where" not in names[: count if not of_lists else None]:
        form = "(scores, labels, where, *, ...)" if of_lists else FORM
        return [
            Finding(
                "rule",
                f"It takes ({', '.join(names)}): write its arguments as {form}, in this order; or, if it is a whole loss, give where a default, where=None.",
            )
        ]
    findings = []
    for p in places[count:]:
        if isinstance(p.default, numbers.Number):
            findings.append(
                Finding(
                    "rule",
                    f"The hyperparameter {p.name!r} is positional, where the lifter puts inputs: "
                    f"write a star before it, (..., where, *, {p.name}={p.default!r}).",
                )
            )
        elif p.default is p.empty and p.name != "own" and not of_lists:
            findings.append(
                Finding(
                    "rule",
                    f"It takes {p.name!r} after where, which no lifter brings by itself: lift it with "
                    f"inputs={{{p.name!r}: ...}} and check the loss.",
                )
            )
    for p in inspect.signature(rule).parameters.values():
        if p.kind is p.KEYWORD_ONLY and p.default is p.empty and p.name not in settings:
            findings.append(
                Finding(
                    "rule",
                    f"The hyperparameter {p.name!r} has no default: write {p.name}=number, or pass "
                    f"settings={{{p.name!r}: number}} here.",
                )
            )
    return findings or _of_result(rule, of_lists, settings, "own" in names[3:4])


def _of_result(rule, of_lists, settings, takes_own):
    """Findings of what a rule returns."""
    rows, columns = 5, 7
    scores = jax.ShapeDtypeStruct((rows, columns), jnp.float32)
    mask = jax.ShapeDtypeStruct((rows, columns), jnp.bool_)
    arrays = [scores, scores if of_lists else mask, mask, *([mask] * takes_own)]
    result = None

    def call(*arrays):
        nonlocal result
        result = rule(*arrays, **_by_rows(settings, rows))
        return jnp.zeros(())

    try:
        jax.eval_shape(call, *arrays)
    except Exception as error:
        return [Finding("rule", f"On traced scores {raised(error)}")]
    says = _wrong_result(result, rows, columns, of_lists)
    return [Finding("rule", says)] if says else []


def _by_rows(settings, rows):
    """The settings as the lifter gives them to a rule: one key per row."""
    if settings.get("key") is None:
        return settings
    return {**settings, "key": jax.random.split(settings["key"], rows)}


def _wrong_result(result, rows, columns, of_lists):
    """What is wrong with a rule's result, in a sentence; None if nothing is."""
    pair = "return (values, counts)"
    meaning = "where counts [rows] says which anchors count, such as positives.any(axis=1)"
    if result is None:
        return f"It returns None: end it with {pair}, {meaning}."
    parts = result if isinstance(result, list) else [result]
    for part in parts:
        if not isinstance(part, tuple):
            shape = np.shape(part)
            if of_lists and shape == (rows,):
                continue
            if shape == (rows,):
                return f"It returns values only: {pair}, {meaning}."
            if shape == ():
                return (
                    "It returns a scalar: return a value per anchor, (values [rows], counts [rows]), and "
                    "leave the mean to the lifter, which takes it over all devices."
                )
            return (
                f"It returns an array of shape {_axes(shape, rows, columns)}: reduce each row, "
                f"numerics.masked.mean(..., where), then {pair}, {meaning}."
            )
        if len(part) != 2:
            return (
                f"It returns {len(part)} things: {pair}; of several divisors a list of such pairs."
            )
        if of_lists and {np.shape(array) for array in part} == {(rows, columns)}:
            continue  # a mean over candidates
        for what, array in zip(("values", "counts"), part, strict=True):
            if array is None:
                return f"Its {what} are None: {pair}, {meaning}."
            shape = np.shape(array)
            if shape[:1] != (rows,) or (what == "counts" and len(shape) > 1):
                hint = ""
                if shape == (rows, columns):
                    hint = (
                        ", and a mask of pairs is not what counts: reduce it, counts.any(axis=1)"
                        if what == "counts"
                        else ", reduce each row with numerics.masked"
                    )
                return (
                    f"Its {what} have shape {_axes(shape, rows, columns)}: they must be one per anchor, "
                    f"[rows]{hint}."
                )
    return None


def _axes(shape, rows, columns):
    names = {rows: "rows", columns: "references"}
    return f"[{', '.join(names.get(size, str(size)) for size in shape)}]"


def findings_of_masks(rule, settings):
    """Findings of a rule whose values know scores that are not pairs."""
    rows = 6
    scores = jnp.float32(np.random.default_rng(0).uniform(-1, 1, size=(rows, rows)))
    labels = np.arange(rows) // 2
    where = ~np.eye(rows, dtype=bool) & (np.arange(rows) < rows - 1)
    positives = where & (labels[:, None] == labels)
    inputs = [jnp.asarray(positives)] if [p.name for p in positional(rule)][3:4] == ["own"] else []

    @jax.jit
    def value(scores):
        result = rule(
            scores, jnp.asarray(positives), jnp.asarray(where), *inputs, **_by_rows(settings, rows)
        )
        parts = result if isinstance(result, list) else [result]
        return [jnp.where(counts > 0, values * counts, 0) for values, counts in parts]

    clean = value(scores)
    if not is_close(value(jnp.where(where, scores, 3.0)), clean):
        return [
            Finding(
                "masks",
                "Scores of what is not a pair change the values: take negatives as where & ~positives, "
                "not ~positives, and reduce with numerics.masked or after jnp.where(where, scores, 0); "
                "exp(scores * where) is 1 there.",
            )
        ]
    if not is_close(value(jnp.where(where, scores, jnp.nan)), clean):
        return [
            Finding(
                "masks",
                "NaN in what is not a pair comes out, for a mask is used as a weight and 0 * NaN is NaN: "
                "write jnp.where(where, scores, 0) in place of scores * where, or numerics.masked.sum.",
            )
        ]
    return []
