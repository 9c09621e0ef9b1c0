"""Checks of a loss as a function: finite, masked, the same on devices and in blocks, with the right gradient."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.losses._check._report import AXIS, CHECKS, Finding, Report, as_number, is_close, raised


def report_of_loss(name, loss, inputs, skip):
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
            result = [raised(error)]  # what a check meets in a stranger's loss is a finding too
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
        return Finding("call", f"Called, {raised(error)}")
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
        return Finding("jit", f"Jitted, {raised(error)}")
    if not is_close(jitted, value):
        return Finding(
            "jit",
            f"Jitted it is {as_number(jitted)} and else {as_number(value)}: make it a function of its "
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

        def value(moved, fixed, where):
            arrays = {n: moved[n] if n in moved else fixed[n] for n in inputs.arrays}
            return inputs.call(arrays, where if self.masked else None)

        self.value = value
        self.both = jax.jit(jax.value_and_grad(value))

    def __call__(self, arrays, where=None):
        """(value, {name: gradient}) as NumPy arrays."""
        moved, fixed = self.split(arrays)
        where = np.ones(len(self.rows_of(arrays)), bool) if where is None else where
        value, gradients = self.both(moved, fixed, where)
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
            values[case] = as_number(value)
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
    """(words, arrays, where) of inputs that losses often fail on."""
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
    elif not is_close(other, value):
        result.append(
            f"masked rows have influence, {as_number(other)} with others in them and {as_number(value)} "
            "before: leave them out of every sum and count, also as negatives of other rows, with "
            "numerics.masked."
        )
    elif not all(is_close(slopes[n][where], gradients[n][where]) for n in examples):
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
    if not is_close(alone, value):
        result.append(
            f"with rows masked it is {as_number(value)} and without these rows {as_number(alone)}: divide by "
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
                f"NaN in {name} of a row that counts is lost, the value is {as_number(value)}: comparisons "
                "and sorting drop it; keep it, values * jnp.where(jnp.isnan(x).any(axis=1), jnp.nan, 1)."
            ]
    return []


def _scaled(inputs, program, **options):
    """(scales, arrays, where) -> value: arrays times parameters, as a training step computes them."""

    def value(scales, moved, fixed, where):
        moved = {n: a * scales[n] for n, a in moved.items()}
        arrays = {n: moved[n] if n in moved else fixed[n] for n in inputs.arrays}
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
    moved, fixed = program.split(inputs.arrays)
    value, gradient = jax.jit(_scaled(inputs, program))(scales, moved, fixed, where)
    axes = [{n: None if n in inputs.shared else 0 for n in side} for side in (moved, fixed)]
    for devices in sorted({1, most}):

        def split(name, array, devices=devices):
            if name in inputs.shared:
                return array
            return array.reshape(devices, rows // devices, *array.shape[1:])

        mapped = jax.vmap(
            _scaled(inputs, program, axis_name=AXIS), (None, *axes, 0), axis_name=AXIS
        )
        parts = [{n: split(n, a) for n, a in side.items()} for side in (moved, fixed)]
        values, slopes = jax.jit(mapped)(scales, *parts, split("", where))
        on = "one device" if devices == 1 else f"{devices} devices"
        if not is_close(values, jnp.broadcast_to(values[:1], values.shape)):
            return [
                f"on {on} every device has another value: reduce over the axis, "
                "numerics.mean(values, counts, axis_name)."
            ]
        if not is_close(values[0], value):
            return [
                f"on {on} it is {as_number(values[0])} and whole {as_number(value)}: psum sums and counts "
                "before any ratio, numerics.mean(values, counts, axis_name), and compare rows with those "
                "of all devices, jaxsim.numerics.gathered(loss)."
            ]
        if not all(is_close(slopes[n].mean(axis=0), gradient[n]) for n in gradient):
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
    moved, fixed = program.split(inputs.arrays)
    whole = jax.jit(_scaled(inputs, program, block=inputs.rows))(scales, moved, fixed, where)
    blocked = jax.jit(_scaled(inputs, program, block=3))(scales, moved, fixed, where)
    if not is_close(blocked[0], whole[0]):
        return [
            f"in blocks of 3 anchors it is {as_number(blocked[0])} and whole {as_number(whole[0])}: a rule sees "
            "a block of rows, so make nothing of scores.shape[0], of the mean over rows, or of row numbers."
        ]
    if not all(is_close(blocked[1][n], whole[1][n]) for n in whole[1]):
        return ["in blocks the value is right and the gradient is not: keep each row to itself."]
    return []


def _permutation(inputs, program):
    """Another order of the examples."""
    if inputs.settings.get("key") is not None:
        return "it draws with a key, and another order has other draws"
    where, order = program.mask(), np.random.default_rng(2).permutation(inputs.rows)
    value, gradients = program(dict(inputs.arrays), where)
    other, slopes = program(inputs.of_examples(lambda n, a: a[order]), where[order])
    if not is_close(other, value):
        return [
            f"in another order of the examples it is {as_number(other)} in place of {as_number(value)}: make it "
            "of what the rows hold, not of their places (argmax takes the first of equals, a neighbor in "
            "the batch is chance)."
        ]
    same = [n for n in program.moved if n not in inputs.shared]
    if not all(is_close(slopes[n], gradients[n][order]) for n in same):
        return [
            "in another order of the examples the value is the same and the gradients are not those of "
            "the same rows: equal scores must share a slope, which jnp.max does and indexing does not."
        ]
    return []


def _slopes(inputs, program):
    """The gradient against finite differences, in float64, along a few directions."""
    with jax.enable_x64(True):
        moved, fixed = program.split(inputs.arrays)
        moved = {n: a.astype(jnp.float64) for n, a in moved.items()}
        both = jax.jit(jax.value_and_grad(program.value))
        where = program.mask()
        value, gradients = both(moved, fixed, where)
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
                ahead = both({**moved, name: moved[name] + step * direction}, fixed, where)[0]
                behind = both({**moved, name: moved[name] - step * direction}, fixed, where)[0]
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
            result.append(f"with a traced {name} it {raised(error).removeprefix('it ')}")
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
