"""Checks of a loss that somebody writes: what the library's own losses are held to, in sentences."""

import dataclasses
import functools
import inspect
import numbers
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.losses._lift._classes import over_classes
from jaxsim.losses._lift._lifters import over_labels, over_pairs
from jaxsim.losses._lift._over_examples import over_examples
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Loss, Rule

ROWS, DIM, CLASSES = 16, 4, 4
LIFTERS = {
    "labels": over_labels,
    "pairs": over_pairs,
    "classes": over_classes,
    "scores": over_examples(lists=True),
}
CHECKS = (
    *("finite", "padding", "nan", "devices", "blocks", "permutation", "slopes"),
    *("hyperparameters",),
)
AXIS = "devices"
TRACED = jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError
FORM = "(scores, positives, where, *, ...)"


class Finding(NamedTuple):
    """What is wrong, and what to write: the name of the check and one sentence."""

    check: str
    says: str


@dataclasses.dataclass(frozen=True, repr=False)
class Report:
    """What `losses.check` gives; printed, it is a line per finding.

    Attributes:
      name: of the loss.
      findings: (check, sentence) of each thing that is wrong.
      passed: the names of the checks without a finding.
      left_out: {name of a check: why it did not run}.
    """

    name: str
    findings: tuple[Finding, ...]
    passed: tuple[str, ...]
    left_out: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong in what was checked."""
        return not self.findings

    def __str__(self) -> str:
        count = len(self.findings)
        said = "nothing is wrong" if self.ok else f"{count} finding{'s' * (count > 1)}"
        lines = [f"{self.name}: {said}"]
        lines += [f"  wrong: {check}: {says}" for check, says in self.findings]
        lines += [f"  passed: {', '.join(self.passed)}"] if self.passed else []
        lines += [f"  not checked: {check}: {why}" for check, why in self.left_out.items()]
        return "\n".join(lines)

    __repr__ = __str__


def check(
    loss: Rule | Loss,
    data: str | Mapping[str, Array] | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    shared: Collection[str] = (),
    skip: Collection[str] = (),
    raises: bool = False,
) -> Report:
    """Checks a loss, or the rule of one: is it finite, masked, the same on devices and in blocks, a slope.

        print(losses.check(my_rule))                                  # lifted by over_labels
        print(losses.check(my_loss, "pairs", settings={"temperature": 0.1}))
        losses.check(my_loss, {"embeddings": x, "labels": y}, raises=True)

    A rule is held to its form first: (values, counts) per anchor, hyperparameters by keyword, masks that
    choose and do not multiply. Then a loss is called on awkward inputs (zero vectors, equal rows, one row,
    no positives, all rows masked), with NaN in masked rows and in others, on one and eight devices of a
    named axis (in vmap, so that any machine will do), in blocks, in another order of its examples, jitted
    and not, and its gradient is compared with finite differences in float64.

    Args:
      loss: a rule (scores, positives, where, *, ...) -> (values, counts), which is lifted; of "scores" one
        as `over_examples(lists=True)` takes; or any loss: a function of arrays that gives a number. What
        it takes of `where`, `axis_name` and `block` is checked.
      data: what it is called on. "labels": embeddings [16, 4] and labels [16]. "pairs": queries and
        documents [16, 4]. "classes": embeddings, labels, and vectors of four classes [4, 4]. "scores":
        scores and labels [16, 4] of lists. Or {argument: array}, first axis the examples. None goes by the
        names of the loss's arguments; a rule is lifted for "labels".
      settings: {name: value}, passed by keyword in every call.
      shared: names of arrays that are not of the examples, such as class vectors; those whose first axis
        has another length than the first array's are taken for such.
      skip: names of checks to leave out: "finite", "padding", "nan", "devices", "blocks", "permutation",
        "slopes" (a loss that holds a part of itself constant has other slopes on purpose) or
        "hyperparameters".
      raises: raise a ValueError of the report where something is wrong.

    Returns: a report: `str(report)` is a sentence per finding, `report.ok`, `report.findings` (check,
    sentence), `report.passed`, and `report.left_out` {check: why it did not run}.
    Raises: ValueError for arguments that cannot be meant; with `raises`, for a loss with a finding.

    Examples:
      >>> from jaxsim import losses
      >>> def nearest(scores, positives, where):
      ...     return scores.max(axis=1)
      >>> print(losses.check(nearest))
      nearest: 1 finding
        wrong: rule: It returns values only: return (values, counts), where counts [rows] says which anchors count, such as positives.any(axis=1).

    Data: labels, pairs, lists, graded pairs, numbers, teacher scores, teacher embeddings.
    Kind: part; memory that of the loss.
    """
    checks.function("loss", loss, "of arrays, or a rule (scores, positives, where, *, ...)")
    settings = dict(settings or {})
    for name in skip:
        checks.one_of("each of skip", name, CHECKS)
    rule, of_rule = loss, _is_rule(loss, data)
    data = _described(loss, data, of_rule)
    name = getattr(_inner(loss), "__name__", type(loss).__name__)
    findings = _of_rule(loss, data, settings) if of_rule else []
    if findings:
        report = Report(name, tuple(findings), (), {})
    else:
        if of_rule:
            lifter = LIFTERS[data if isinstance(data, str) else _lifter_of(data)]
            loss = lifter(_named(loss, name))
        report = _of_loss(name, loss, _inputs(loss, data, settings, shared), skip)
        if of_rule and _takes_masks(rule, data):
            try:
                found = _masked_scores(rule, settings)
            except Exception as error:
                found = [Finding("masks", f"On scores and masks {_raised(error)}")]
            passed = report.passed if found else ("masks", *report.passed)
            findings = (*found, *report.findings)
            report = dataclasses.replace(report, findings=findings, passed=passed)
    if raises and not report.ok:
        raise ValueError(str(report))
    return report


def _inner(function):
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _named(rule, name):
    """The rule with a name and its own signature, which functools.partial lacks."""
    if hasattr(rule, "__name__"):
        return rule

    def named(*arrays, **settings):
        return rule(*arrays, **settings)

    named.__name__, named.__doc__ = name, inspect.getdoc(_inner(rule))
    named.__signature__ = inspect.signature(rule)
    return named


# What kind of function it is


def _positional(function):
    parameters = inspect.signature(function).parameters.values()
    return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _is_rule(loss, data):
    if hasattr(_inner(loss), "rule"):
        return False
    places = _positional(loss)
    names = [p.name for p in places]
    required = [p.name for p in places if p.default is p.empty]
    if "positives" in names and names[:1] == ["scores"]:
        return True
    return "where" in required or (data in ("labels", "pairs") and len(required) > 2)


def _described(loss, data, of_rule):
    """The description or the arrays, guessed by the names of the arguments where nothing is said."""
    if isinstance(data, Mapping):
        if not data:
            raise ValueError("data must be {argument: array}, at least one, got {}")
        return data
    if data is not None:
        checks.one_of("data", data, LIFTERS)
        return data
    names = [p.name for p in _positional(loss)]
    if of_rule:
        return "labels" if "positives" in names else "scores"
    if names[:2] == ["queries", "documents"]:
        return "pairs"
    if names[:2] == ["embeddings", "labels"]:
        required = [p for p in _positional(loss) if p.default is p.empty]
        return "classes" if len(required) > 2 else "labels"
    if names[:1] == ["scores"]:
        return "scores"
    raise ValueError(
        f"data must be one of {', '.join(map(repr, LIFTERS))} or {{argument: array}} for a loss of "
        f"({', '.join(names)}), got None"
    )


def _lifter_of(arrays):
    """The lifter of a rule whose loss is called on these arrays."""
    if "queries" in arrays:
        return "pairs"
    if "scores" in arrays:
        return "scores"
    return "classes" if len(arrays) > 2 else "labels"


def _takes_masks(rule, data):
    return data != "scores" and "positives" in [p.name for p in _positional(rule)]


# Rules


def _of_rule(rule, data, settings):
    """Findings of a rule's form: nothing else can be asked before it is one."""
    places = _positional(rule)
    names = [p.name for p in places]
    of_lists = data == "scores" or (isinstance(data, Mapping) and _lifter_of(data) == "scores")
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


def _of_result(rule, of_lists, settings, own):
    """Findings of what a rule returns."""
    rows, columns = 5, 7
    scores = jax.ShapeDtypeStruct((rows, columns), jnp.float32)
    mask = jax.ShapeDtypeStruct((rows, columns), jnp.bool_)
    arrays = [scores, scores if of_lists else mask, mask, *([mask] * own)]
    result = None

    def call(*arrays):
        nonlocal result
        result = rule(*arrays, **_by_rows(settings, rows))
        return jnp.zeros(())

    try:
        jax.eval_shape(call, *arrays)
    except Exception as error:
        return [Finding("rule", f"On traced scores {_raised(error)}")]
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
    said = "where counts [rows] says which anchors count, such as positives.any(axis=1)"
    if result is None:
        return f"It returns None: end it with {pair}, {said}."
    parts = result if isinstance(result, list) else [result]
    for part in parts:
        if not isinstance(part, tuple):
            shape = np.shape(part)
            if of_lists and shape == (rows,):
                continue
            if shape == (rows,):
                return f"It returns values only: {pair}, {said}."
            if shape == ():
                return (
                    "It returns a scalar: return a value per anchor, (values [rows], counts [rows]), and "
                    "leave the mean to the lifter, which takes it over all devices."
                )
            return (
                f"It returns an array of shape {_axes(shape, rows, columns)}: reduce each row, "
                f"numerics.masked.mean(..., where), then {pair}, {said}."
            )
        if len(part) != 2:
            return (
                f"It returns {len(part)} things: {pair}; of several divisors a list of such pairs."
            )
        for what, array in zip(("values", "counts"), part, strict=True):
            if array is None:
                return f"Its {what} are None: {pair}, {said}."
            shape = np.shape(array)
            if shape[:1] != (rows,) or (what == "counts" and len(shape) > 1):
                more = ""
                if shape == (rows, columns):
                    more = (
                        ", and a mask of pairs is not what counts: reduce it, counts.any(axis=1)"
                        if what == "counts"
                        else ", reduce each row with numerics.masked"
                    )
                return (
                    f"Its {what} have shape {_axes(shape, rows, columns)}: they must be one per anchor, "
                    f"[rows]{more}."
                )
    return None


def _axes(shape, rows, columns):
    names = {rows: "rows", columns: "references"}
    return f"[{', '.join(names.get(size, str(size)) for size in shape)}]"


def _masked_scores(rule, settings):
    """Findings of a rule whose values know scores that are not pairs."""
    rows = 6
    scores = jnp.float32(np.random.default_rng(0).uniform(-1, 1, size=(rows, rows)))
    labels = np.arange(rows) // 2
    where = ~np.eye(rows, dtype=bool) & (np.arange(rows) < rows - 1)
    positives = where & (labels[:, None] == labels)
    own = [jnp.asarray(positives)] if [p.name for p in _positional(rule)][3:4] == ["own"] else []

    @jax.jit
    def value(scores):
        result = rule(
            scores, jnp.asarray(positives), jnp.asarray(where), *own, **_by_rows(settings, rows)
        )
        parts = result if isinstance(result, list) else [result]
        return [jnp.where(counts > 0, values * counts, 0) for values, counts in parts]

    clean = value(scores)
    if not _close(value(jnp.where(where, scores, 3.0)), clean):
        return [
            Finding(
                "masks",
                "Scores of what is not a pair change the values: take negatives as where & ~positives, "
                "not ~positives, and reduce with numerics.masked or after jnp.where(where, scores, 0); "
                "exp(scores * where) is 1 there.",
            )
        ]
    if not _close(value(jnp.where(where, scores, jnp.nan)), clean):
        return [
            Finding(
                "masks",
                "NaN in what is not a pair comes out, for a mask is used as a weight and 0 * NaN is NaN: "
                "write jnp.where(where, scores, 0) in place of scores * where, or numerics.masked.sum.",
            )
        ]
    return []


# Losses


@dataclasses.dataclass(frozen=True)
class _Inputs:
    """How a loss is called: its arrays by name, in the order of its arguments."""

    loss: Callable
    arrays: Mapping[str, np.ndarray]
    settings: Mapping[str, Any]
    shared: frozenset
    by_name: bool
    described: str  # "" of the caller's own arrays

    @property
    def rows(self):
        return len(next(a for n, a in self.arrays.items() if n not in self.shared))

    def takes(self, name):
        parameter = inspect.signature(self.loss).parameters.get(name)
        return parameter is not None and name not in self.settings

    def call(self, arrays, where=None, **options):
        """The loss of arrays {name: array}."""
        options = {**self.settings, **options}
        if where is not None:
            options["where"] = where
        if self.by_name:
            return self.loss(**arrays, **options)
        return self.loss(*(arrays[name] for name in self.arrays), **options)  # jit sorts a dict

    def of_examples(self, change):
        """The arrays, those of examples changed by (name, array)."""
        return {n: a if n in self.shared else change(n, a) for n, a in self.arrays.items()}


def _inputs(loss, data, settings, shared):
    if isinstance(data, Mapping):
        arrays = {name: np.asarray(array) for name, array in data.items()}
        parameters = inspect.signature(loss).parameters
        for name in arrays:
            checks.one_of("each name of data", name, parameters)
        for name in shared:
            checks.one_of("each of shared", name, arrays)
        if min(array.ndim for array in arrays.values()) == 0:
            raise ValueError("data must be arrays whose first axis is the examples, got a number")
        first = len(next(a for n, a in arrays.items() if n not in shared))
        others = {name for name, array in arrays.items() if len(array) != first}
        arrays = {n: np.float32(a) if a.dtype.kind == "f" else a for n, a in arrays.items()}
        return _Inputs(loss, arrays, settings, frozenset({*shared, *others}), True, "")
    arrays = _made(data, loss)
    of_all = frozenset(list(arrays)[2:]) if data == "classes" else frozenset()
    return _Inputs(loss, arrays, settings, of_all, False, data)


def _made(data, loss):
    """Arrays of a description, for as many positional arguments as the loss requires."""
    random = np.random.default_rng(0)
    x, y = np.float32(random.normal(size=(2, ROWS, DIM)))
    number = np.arange(ROWS, dtype=np.int32)
    if data == "labels":
        arrays = {"embeddings": x, "labels": number // 2}
    elif data == "pairs":
        arrays = {"queries": x, "documents": y}
    elif data == "classes":
        several = "centers" in inspect.signature(loss).parameters
        vectors = np.float32(random.normal(size=(CLASSES, *[2] * several, DIM)))
        arrays = {"embeddings": x, "labels": number % CLASSES, "class vectors": vectors}
    else:
        grades = np.float32(random.integers(0, 2, size=(ROWS, DIM)))
        grades[:, 0], grades[:, 1] = 1, 0
        arrays = {"scores": x, "labels": grades}
    required = [p for p in _positional(loss) if p.default is p.empty and p.name != "where"]
    if len(required) > len(arrays):
        raise ValueError(
            f"data must be {{argument: array}} for a loss of ({', '.join(p.name for p in required)}), "
            f"got {data!r}, which has {', '.join(arrays)}"
        )
    count = max(len(required), 1)
    return dict(list(arrays.items())[:count])


def _of_loss(name, loss, inputs, skip):
    """The report of a loss: each check by itself, after those without which none can run."""
    first = _callable(inputs)
    if first:
        return Report(name, (first,), (), {})
    program = _Program(inputs)
    stages = {check: STAGES[check] for check in CHECKS}
    findings, passed = [], ["call", "jit"]
    left_out = {}
    for check, stage in stages.items():
        if check in skip:
            left_out[check] = "skipped as asked"
            continue
        try:
            result = stage(inputs, program)
        except Exception as error:
            result = [_raised(error)]  # what a check meets in a stranger's loss is a finding too
        if isinstance(result, str):
            left_out[check] = result
        elif result:
            findings += [Finding(check, says[0].upper() + says[1:]) for says in result]
        else:
            passed.append(check)
    return Report(name, tuple(findings), tuple(passed), left_out)


def _callable(inputs):
    """A finding of a loss that cannot be called, jitted or not, or gives no number."""
    arrays = {name: jnp.asarray(array) for name, array in inputs.arrays.items()}
    try:
        value = inputs.call(arrays)
    except Exception as error:
        return Finding("call", f"Called, {_raised(error)}")
    if value is None:
        return Finding("call", "It returns None: end it with return and the loss.")
    if isinstance(value, (tuple, list)):
        return Finding(
            "call",
            f"It returns {len(value)} things: a loss is one number; a rule's (values, counts) is lifted to "
            "one by losses.over_labels(rule).",
        )
    if np.shape(value) != ():
        return Finding(
            "call",
            f"It returns shape {np.shape(value)}: reduce to one number, "
            "numerics.mean(values, counts, axis_name).",
        )
    if not jnp.issubdtype(jnp.asarray(value).dtype, jnp.floating):
        return Finding(
            "call",
            f"It returns {jnp.asarray(value).dtype}, which has no slope: return a float, and sum costs "
            "in place of counting them.",
        )
    try:
        jitted = jax.jit(inputs.call)(arrays)
    except Exception as error:
        return Finding("jit", f"Jitted, {_raised(error)}")
    if not _close(jitted, value):
        return Finding(
            "jit",
            f"Jitted it is {_number(jitted)} and else {_number(value)}: make it a function of its "
            "arguments, with draws by a key of jax.random.",
        )
    return None


class _Program:
    """value and gradients of the loss, one program for every case of one shape."""

    def __init__(self, inputs):
        arrays = inputs.arrays
        self.inputs = inputs
        self.masked = inputs.takes("where")
        self.floats = [n for n, a in arrays.items() if np.issubdtype(a.dtype, np.floating)]
        self.moved = [n for n in self.floats if n != "labels"]
        if not self.moved:
            raise ValueError("data must have an array of floats, got integers only")

        def value(moved, rest, where):
            arrays = {n: moved[n] if n in moved else rest[n] for n in inputs.arrays}
            return inputs.call(arrays, where if self.masked else None)

        self.value = value
        self.both = jax.jit(jax.value_and_grad(value))

    def __call__(self, arrays, where=None):
        """(value, {name: gradient}) as NumPy arrays."""
        moved, rest = self.split(arrays)
        where = np.ones(len(self.rows_of(arrays)), bool) if where is None else where
        value, gradients = self.both(moved, rest, where)
        return np.asarray(value), {n: np.asarray(g) for n, g in gradients.items()}

    def split(self, arrays):
        moved = {n: jnp.asarray(arrays[n]) for n in self.moved}
        return moved, {n: jnp.asarray(a) for n, a in arrays.items() if n not in moved}

    def rows_of(self, arrays):
        return next(a for n, a in arrays.items() if n not in self.inputs.shared)

    def mask(self):
        """Some rows out, unevenly over devices; all of them where the loss takes no mask."""
        number = np.arange(self.inputs.rows)
        return (number % 5 != 3) & (number != 1) if self.masked else number >= 0


def _finite(inputs, program):
    """Value and gradient on awkward inputs."""
    values, slopes, result = {}, {}, []
    for case, arrays, where in _awkward(inputs, program):
        value, gradients = program(arrays, where)
        if not np.isfinite(value):
            values[case] = _number(value)
        elif bad := [n for n, g in gradients.items() if not np.isfinite(g).all()]:
            slopes[case] = bad[0]
    if values:
        result.append(
            f"the value is {' or '.join(sorted({*values.values()}))} for {', '.join(values)}: divide by "
            "jnp.where(count > 0, count, 1), take roots and logarithms of what is above 0 "
            "(numerics.safe_norm), and reduce with numerics.masked, which is safe on empty rows."
        )
    if slopes:
        result.append(
            f"the gradient by {next(iter(slopes.values()))} is not finite for {', '.join(slopes)}, though "
            "the value is: a jnp.where around a root, logarithm or division hides it from the value only; "
            "put one inside too, f(jnp.where(ok, x, 1)), or use numerics.masked and numerics.safe_norm."
        )
    return result


def _awkward(inputs, program):
    """(words, arrays, where) of inputs that losses stumble over."""
    rows, labels = inputs.rows, inputs.arrays.get("labels")
    everyone = np.ones(rows, bool)

    def changed(change):
        return inputs.of_examples(lambda n, a: change(a) if n in program.moved else a)

    yield "ordinary rows", dict(inputs.arrays), everyone
    yield "zero vectors", changed(np.zeros_like), everyone
    yield "one zero vector", changed(lambda a: np.where(_column(rows, a) == 3, 0, a)), everyone
    yield "equal rows", changed(lambda a: np.broadcast_to(a[:1], a.shape)), everyone
    if inputs.described in ("labels", "scores") and labels is not None:
        alone = np.arange(rows, dtype=np.int32) if labels.ndim == 1 else 0 * labels
        together = 0 * labels if labels.ndim == 1 else 0 * labels + 1
        yield "a batch without positives", {**inputs.arrays, "labels": alone}, everyone
        yield "a batch without negatives", {**inputs.arrays, "labels": together}, everyone
    if program.masked:
        yield "one row, all others masked", dict(inputs.arrays), np.arange(rows) < 1
        yield "all rows masked", dict(inputs.arrays), np.zeros(rows, bool)
    else:
        yield "one row", inputs.of_examples(lambda n, a: a[:1]), everyone[:1]


def _column(rows, array):
    return np.arange(rows).reshape(-1, *[1] * (array.ndim - 1))


def _padding(inputs, program):
    """Masked rows: anything in them, and their absence."""
    if not program.masked:
        return "it takes no where=, so that rows cannot be left out"
    where = program.mask()

    def spoiled(name, array):
        there = where.reshape(_column(len(where), array).shape)
        if name in program.floats and name != "labels":
            return np.where(there, array, np.float32(np.nan))
        return np.where(there, array, array[:1])

    value, gradients = program(dict(inputs.arrays), where)
    other, slopes = program(inputs.of_examples(spoiled), where)
    examples = [n for n in program.moved if n not in inputs.shared]
    result = []
    if np.isnan(other) and not np.isnan(value):
        result.append(
            "NaN in masked rows makes the value NaN, for a mask is used as a weight and 0 * NaN is NaN: "
            "write numerics.masked.zeroed(x, where) first, or jnp.where(where[:, None], x, 0)."
        )
    elif not _close(other, value):
        result.append(
            f"masked rows have influence, {_number(other)} with others in them and {_number(value)} "
            "before: leave them out of every sum and count, also as negatives of other rows, with "
            "numerics.masked."
        )
    elif not all(_close(slopes[n][where], gradients[n][where]) for n in examples):
        result.append(
            "NaN in masked rows reaches the gradient of others: zero them before anything is computed, "
            "numerics.masked.zeroed(x, where)."
        )
    elif any(np.any(slopes[n][~where] != 0) for n in examples):
        result.append(
            "masked rows that hold NaN have a gradient that is not 0, for a mask is used as a weight: zero "
            "them before anything is computed, numerics.masked.zeroed(x, where)."
        )
    trimmed = inputs.of_examples(lambda n, a: a[where])
    alone = jax.jit(inputs.call)({n: jnp.asarray(a) for n, a in trimmed.items()})
    if not _close(alone, value):
        result.append(
            f"with rows masked it is {_number(value)} and without these rows {_number(alone)}: divide by "
            "what counts, not by the length of the batch, and leave masked rows out as negatives too."
        )
    return result


def _nan(inputs, program):
    """NaN in a row that counts."""
    where = program.mask()
    for name in program.moved:
        array = inputs.arrays[name].copy()
        array[(0,) * array.ndim] = np.nan
        value, _ = program({**inputs.arrays, name: array}, where)
        if not np.isnan(value):
            return [
                f"NaN in {name} of a row that counts is lost, the value is {_number(value)}: comparisons "
                "and sorting drop it; keep it, values * jnp.where(jnp.isnan(x).any(axis=1), jnp.nan, 1)."
            ]
    return []


def _scaled(inputs, program, **options):
    """(scales, arrays, where) -> value: arrays times parameters, as a training step computes them."""

    def value(scales, moved, rest, where):
        moved = {n: a * scales[n] for n, a in moved.items()}
        arrays = {n: moved[n] if n in moved else rest[n] for n in inputs.arrays}
        return inputs.call(arrays, where if program.masked else None, **options)

    return jax.value_and_grad(value)


def _scales(inputs, program):
    random = np.random.default_rng(1)
    return {
        n: jnp.float32(random.uniform(0.5, 1.5, size=inputs.arrays[n].shape[1:]))
        for n in program.moved
    }


def _devices(inputs, program):
    """One and eight devices of a named axis, as a training step uses them."""
    if not inputs.takes("axis_name"):
        return "it takes no axis_name=, so that it is of one device"
    rows = inputs.rows
    most = next(k for k in (8, 4, 2, 1) if rows % k == 0)
    where, scales = program.mask(), _scales(inputs, program)
    moved, rest = program.split(inputs.arrays)
    value, gradient = jax.jit(_scaled(inputs, program))(scales, moved, rest, where)
    axes = [{n: None if n in inputs.shared else 0 for n in some} for some in (moved, rest)]
    for devices in sorted({1, most}):

        def split(name, array, devices=devices):
            if name in inputs.shared:
                return array
            return array.reshape(devices, rows // devices, *array.shape[1:])

        mapped = jax.vmap(
            _scaled(inputs, program, axis_name=AXIS), (None, *axes, 0), axis_name=AXIS
        )
        parts = [{n: split(n, a) for n, a in some.items()} for some in (moved, rest)]
        values, slopes = jax.jit(mapped)(scales, *parts, split("", where))
        on = "one device" if devices == 1 else f"{devices} devices"
        if not _close(values, jnp.broadcast_to(values[:1], values.shape)):
            return [
                f"on {on} every device has another value: reduce over the axis, "
                "numerics.mean(values, counts, axis_name)."
            ]
        if not _close(values[0], value):
            return [
                f"on {on} it is {_number(values[0])} and whole {_number(value)}: psum sums and counts "
                "before any ratio, numerics.mean(values, counts, axis_name), and compare rows with those "
                "of all devices, jaxsim.numerics.gathered(loss)."
            ]
        if not all(_close(slopes[n].mean(axis=0), gradient[n]) for n in gradient):
            return [
                f"on {on} the value is right and the gradient, averaged over the devices, is not: psum "
                "outside of stop_gradient, and gather with jaxsim.numerics.gathered."
            ]
    return []


def _blocks(inputs, program):
    """In blocks as whole."""
    if not inputs.takes("block"):
        return "it takes no block=, so that its scores are held whole"
    where, scales = program.mask(), _scales(inputs, program)
    moved, rest = program.split(inputs.arrays)
    whole = jax.jit(_scaled(inputs, program, block=inputs.rows))(scales, moved, rest, where)
    blocked = jax.jit(_scaled(inputs, program, block=3))(scales, moved, rest, where)
    if not _close(blocked[0], whole[0]):
        return [
            f"in blocks of 3 anchors it is {_number(blocked[0])} and whole {_number(whole[0])}: a rule sees "
            "a block of rows, so make nothing of scores.shape[0], of the mean over rows, or of row numbers."
        ]
    if not all(_close(blocked[1][n], whole[1][n]) for n in whole[1]):
        return ["in blocks the value is right and the gradient is not: keep each row to itself."]
    return []


def _permutation(inputs, program):
    """Another order of the examples."""
    if inputs.settings.get("key") is not None:
        return "it draws with a key, and another order has other draws"
    where, order = program.mask(), np.random.default_rng(2).permutation(inputs.rows)
    value, gradients = program(dict(inputs.arrays), where)
    other, slopes = program(inputs.of_examples(lambda n, a: a[order]), where[order])
    if not _close(other, value):
        return [
            f"in another order of the examples it is {_number(other)} in place of {_number(value)}: make it "
            "of what the rows hold, not of their places (argmax takes the first of equals, a neighbor in "
            "the batch is chance)."
        ]
    same = [n for n in program.moved if n not in inputs.shared]
    if not all(_close(slopes[n], gradients[n][order]) for n in same):
        return [
            "in another order of the examples the value is the same and the gradients are not those of "
            "the same rows: equal scores must share a slope, which jnp.max does and indexing does not."
        ]
    return []


def _slopes(inputs, program):
    """The gradient against finite differences, in float64, along a few directions."""
    with jax.enable_x64(True):
        moved, rest = program.split(inputs.arrays)
        moved = {n: a.astype(jnp.float64) for n, a in moved.items()}
        both = jax.jit(jax.value_and_grad(program.value))
        where = program.mask()
        value, gradients = both(moved, rest, where)
        if value.dtype != jnp.float64:
            return f"it gives {value.dtype} of float64, too coarse for differences"
        if value != 0 and not any(np.any(g) for g in gradients.values()):
            return [
                "the gradient is 0 everywhere: comparisons, argmax, rounding and stop_gradient carry none; "
                "numerics.relaxations has smooth forms."
            ]
        random, step = np.random.default_rng(3), 1e-6
        for name in moved:
            for _ in range(3):
                direction = random.normal(size=moved[name].shape)
                ahead = both({**moved, name: moved[name] + step * direction}, rest, where)[0]
                behind = both({**moved, name: moved[name] - step * direction}, rest, where)[0]
                ends = float(ahead - value) / step, float(value - behind) / step
                middle, reach = sum(ends) / 2, abs(ends[0] - ends[1]) / 2
                slope = float(np.sum(np.asarray(gradients[name]) * direction))
                size = np.abs(np.asarray(gradients[name]) * direction).sum()
                if not abs(slope - middle) <= reach + 1e-4 * max(abs(middle), size) + 1e-6:
                    return [
                        f"the gradient by {name} is {slope:.4g} along a direction where finite differences "
                        f"give {middle:.4g}: look for stop_gradient, a custom derivative or jnp.round; if a "
                        'part is held constant on purpose, skip=["slopes"].'
                    ]
    return []


def _hyperparameters(inputs, program):
    """Numbers may be traced, and so learned or scheduled."""
    arrays = {name: jnp.asarray(array) for name, array in inputs.arrays.items()}
    result = []
    for name, p in inspect.signature(inputs.loss).parameters.items():
        number = inputs.settings.get(name, p.default)
        if p.kind is not p.KEYWORD_ONLY or type(number) is not float:
            continue

        def call(number, name=name):
            return inputs.call(arrays, **{name: number})

        try:
            jax.eval_shape(call, jax.ShapeDtypeStruct((), jnp.float32))
        except Exception as error:
            result.append(f"with a traced {name} it {_raised(error).removeprefix('it ')}")
    return result


STAGES = {
    "finite": _finite,
    "padding": _padding,
    "nan": _nan,
    "devices": _devices,
    "blocks": _blocks,
    "permutation": _permutation,
    "slopes": _slopes,
    "hyperparameters": _hyperparameters,
}


# Words


def _raised(error):
    """What an exception says, and the remedy of the commonest."""
    if isinstance(error, TRACED):
        return (
            "it asks for the numbers of a traced array: write jnp.where for if, jnp for np, and no "
            "float() or .item()."
        )
    said = " ".join(str(error).split())
    said = said if len(said) <= 160 else said[:157] + "..."
    return f"it raises {type(error).__name__}: {said.rstrip('.')}."


def _number(value):
    return f"{float(np.asarray(value)):.6g}"


def _close(a, b):
    """Whether trees of numbers agree to rounding of float32; equal NaN and infinities agree."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    for x, y in pairs:
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        size = max(1.0, np.abs(y[np.isfinite(y)]).max(initial=0.0))
        if not np.allclose(x, y, rtol=1e-4, atol=2e-5 * size, equal_nan=True):
            return False
    return True
