"""Parity with libraries of JAX: two functions of the same arrays, value and gradient."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np


@dataclasses.dataclass(frozen=True)
class Twin:
    ours: Callable  # (x, *rest) -> loss; differentiated in x
    theirs: Callable
    inputs: Callable | None = None  # random -> (x, *rest), where the case does not say
    apart: dict = dataclasses.field(default_factory=dict)  # {case in which they differ: why}
    slopes_apart: dict = dataclasses.field(default_factory=dict)  # the same, where values agree
    without: dict = dataclasses.field(default_factory=dict)  # {case with nothing to compare: why}


def each(twins, cases):
    """All (name, case) that there are."""
    return [(n, c) for n, twin in twins.items() for c in cases if c not in twin.without]


def both(twin):
    """A compiled function of the inputs: ours and theirs, value and gradient."""

    @jax.jit
    def values(x, *rest):
        return tuple(jax.value_and_grad(f)(x, *rest) for f in (twin.ours, twin.theirs))

    return values


def assert_same(twin, compiled, case, inputs):
    """Value and gradient agree in float64; in the cases set apart they do not."""
    (value, slopes), (expected, theirs) = jax.tree.map(np.asarray, compiled(*inputs))
    assert np.isfinite(value)
    pairs = list(zip(*map(jax.tree.leaves, (slopes, theirs)), strict=True))
    assert all(np.isfinite(a).all() for a, _ in pairs)
    if case in twin.slopes_apart:
        np.testing.assert_allclose(value, expected, rtol=1e-7, atol=1e-9)
    elif case not in twin.apart:
        pairs = [(value, expected), *pairs]
    else:
        pairs = [(value, expected)]
    if case in {**twin.apart, **twin.slopes_apart}:
        assert not all(np.allclose(a, b, rtol=1e-7, atol=1e-9) for a, b in pairs), "no longer apart"
        return
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9 * max(1, np.abs(b).max(initial=0)))
