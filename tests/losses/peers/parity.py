"""What a comparison with another library needs: the same arrays on both sides, value and gradient.

A peer is `(ours, theirs)`: ours takes (columns, labels, where) of JAX arrays and theirs (columns, labels)
of torch tensors, a list of columns [rows, dim] each, or of whatever the peer's inputs are. Both run in
float64. Rows that a case does not have are padding for us and are left out for them, so that one
compilation serves all cases.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch, of the extra peers")

ROWS, DIM = 6, 4


@dataclasses.dataclass(frozen=True)
class Peer:
    ours: Callable  # (columns, labels, where) -> loss
    theirs: Callable  # (columns, labels) -> a torch scalar, or a dict of scalars to be added
    columns: int = 2
    labels: Callable | None = None  # random, rows -> [rows, ...]
    scale: float = 1.0  # of the vectors
    cosine: bool = True  # rows are scaled to norm 1: zero rows have slope 0 with us, 1e12 with them
    apart: dict = dataclasses.field(default_factory=dict)  # {case in which they differ: why}
    atol: float = 1e-9  # theirs may round to float32 inside: then 1e-5


def vectors(columns, seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(size=(ROWS, DIM)) for _ in range(columns)]


def ordinary(columns):
    return vectors(columns), ROWS


def batch_of_one(columns):
    return vectors(columns), 1


def identical_rows(columns):
    return [np.tile(a[:1], (ROWS, 1)) for a in vectors(columns)], ROWS


def one_zero_row(columns):
    arrays = vectors(columns, 1)
    arrays[0][2] = 0
    return arrays, ROWS


def all_zero(columns):
    return [0 * a for a in vectors(columns)], ROWS


CASES = {f.__name__: f for f in (ordinary, batch_of_one, identical_rows, one_zero_row, all_zero)}


def inputs(peer, case):
    arrays, rows = CASES[case](peer.columns)
    labels = None if peer.labels is None else peer.labels(np.random.default_rng(7), ROWS)
    return [peer.scale * a for a in arrays], labels, rows


def of_ours(peer):
    """A compiled function: (columns, labels, where) -> value and gradients."""
    return jax.jit(jax.value_and_grad(peer.ours))


def of_theirs(peer, columns, labels, rows):
    columns = [torch.tensor(a[:rows], requires_grad=True) for a in columns]
    labels = None if labels is None else torch.tensor(labels[:rows])
    value = peer.theirs(columns, labels)
    value = sum(value.values()) if isinstance(value, dict) else value
    if value.requires_grad:
        value.backward()
    zero = [torch.zeros_like(a) if a.grad is None else a.grad for a in columns]
    return value.item(), [a.numpy() for a in zero]


def assert_same(peer, compiled, case):
    """Value and gradient agree to 1e-5 at least; in the cases set apart they do not."""
    columns, labels, rows = inputs(peer, case)
    where = np.arange(ROWS) < rows
    value, gradients = compiled([jnp.asarray(a) for a in columns], labels, where)
    expected, slopes = of_theirs(peer, columns, labels, rows)
    gradients = [np.asarray(g) for g in gradients]
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in gradients)
    assert not any(g[rows:].any() for g in gradients)
    pairs = [(value, expected)]
    for column, ours, slope in zip(columns, gradients, slopes, strict=True):
        ours, zero = ours[:rows], peer.cosine & ~column[:rows].any(axis=1)
        assert not ours[zero].any()
        pairs.append((ours[~zero], slope[~zero]))
    close = [np.allclose(a, b, **tolerance(peer, b)) for a, b in pairs]
    if case in peer.apart:
        assert not all(close), "no longer apart"
        return
    for a, b in pairs:
        np.testing.assert_allclose(a, b, **tolerance(peer, b))


def tolerance(peer, expected):
    largest = np.abs(expected).max(initial=1)
    return {"rtol": max(1e-7, peer.atol), "atol": peer.atol * largest}
