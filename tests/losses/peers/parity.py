"""What a comparison with another library needs: the same arrays on both sides, value and gradient.

A peer is `(ours, theirs)`: ours takes (columns, labels, where) of JAX arrays and theirs (columns, labels)
of torch tensors, a list of columns [rows, dim] each, or of whatever the peer's inputs are; the peer's
parameters follow them, and are compared like them. Both run in float64. Rows that a case does not have
are padding for us and are left out for them, so that one compilation serves all cases.
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
    parameters: Callable | None = None  # random -> further arrays, which have no rows of the batch
    scale: float = 1.0  # of the vectors
    cosine: bool = True  # rows are scaled to norm 1: zero rows have slope 0 with us, 1e12 with them
    apart: dict = dataclasses.field(default_factory=dict)  # {case in which they differ: why}
    slopes_apart: dict = dataclasses.field(default_factory=dict)  # the same, where values agree
    without: dict = dataclasses.field(default_factory=dict)  # {case with nothing to compare: why}
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


def batch(labels, change=lambda vectors: None, rows=None):
    """A case with labels of its own, whose vectors `change` alters in place."""

    def case(columns):
        random = np.random.default_rng(0)
        arrays = [random.normal(size=(len(labels), DIM)) for _ in range(columns)]
        for array in arrays:
            change(array)
        return arrays, rows or len(labels), np.array(labels)

    return case


def copied(vectors):
    vectors[[3, 4]] = vectors[[0, 1]]  # of its own class, of another one


def all_alike(vectors):
    vectors[:] = vectors[0]


def far_from_one(vectors):
    vectors *= np.logspace(-3, 3, len(vectors))[:, None]


def without_the_third(vectors):
    vectors[2] = 0


def nothing(vectors):
    vectors[:] = 0


THREE = [0, 1, 2, 0, 2, 1, 0, 1]
LABELED = {
    "ordinary": batch(THREE),
    "padded": batch(THREE, rows=6),
    "copies": batch(THREE, copied),
    "classes_of_one": batch([0, 0, 0, 1, 2, 2, 3, 2]),
    "one_class": batch([0] * 8),
    "no_two_alike": batch(range(8)),
    "far_from_one": batch(THREE, far_from_one),
    "identical_rows": batch(THREE, all_alike),
    "one_zero_row": batch(THREE, without_the_third),
    "all_zero": batch(THREE, nothing),
    "batch_of_one": batch(THREE, rows=1),
}


def each(peers, cases):
    """All (name, case) that there are."""
    return [(n, c) for n, peer in peers.items() for c in cases if c not in peer.without]


def inputs(peer, case):
    """(columns, labels, rows) of a case; its labels where it has some, else the peer's."""
    arrays, rows, *labels = case(peer.columns)
    arrays = [peer.scale * a for a in arrays]
    if peer.labels is not None:
        labels = [peer.labels(np.random.default_rng(7), len(arrays[0]))]
    if peer.parameters is not None:
        arrays += peer.parameters(np.random.default_rng(5))
    return arrays, labels[0] if labels else None, rows


def of_ours(peer):
    """A compiled function: (columns, labels, where) -> value and gradients."""
    return jax.jit(jax.value_and_grad(peer.ours))


def of_theirs(peer, columns, labels, rows):
    columns = [torch.tensor(a[: rows if i < peer.columns else None]) for i, a in enumerate(columns)]
    columns = [a.requires_grad_() for a in columns]
    labels = None if labels is None else torch.tensor(labels[:rows])
    value = peer.theirs(columns, labels)
    value = sum(value.values()) if isinstance(value, dict) else value
    if value.requires_grad:
        value.backward()
    zero = [torch.zeros_like(a) if a.grad is None else a.grad for a in columns]
    return value.item(), [a.numpy() for a in zero]


def assert_same(peer, compiled, case, cases=CASES):
    """Value and gradient agree to 1e-5 at least; in the cases set apart they do not."""
    columns, labels, rows = inputs(peer, cases[case])
    where = np.arange(len(columns[0])) < rows
    value, gradients = compiled([jnp.asarray(a) for a in columns], labels, where)
    expected, slopes = of_theirs(peer, columns, labels, rows)
    gradients = [np.asarray(g) for g in gradients]
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in gradients)
    of_rows = gradients[: peer.columns]
    assert not any(g[rows:].any() for g in of_rows)
    zeros = [peer.cosine & ~a[:rows].any(axis=1) for a in columns[: peer.columns]]
    assert not any(g[:rows][zero].any() for g, zero in zip(of_rows, zeros, strict=True))
    pairs = [
        (g[:rows][~zero], slope[~zero])
        for g, slope, zero in zip(of_rows, slopes, zeros, strict=False)
    ]
    pairs += zip(gradients[peer.columns :], slopes[peer.columns :], strict=True)
    if case in peer.slopes_apart:
        np.testing.assert_allclose(value, expected, **tolerance(peer, expected))
        assert not all(np.allclose(a, b, **tolerance(peer, b)) for a, b in pairs), "no longer apart"
        return
    pairs = [(value, expected), *pairs]
    if case in peer.apart:
        assert not all(np.allclose(a, b, **tolerance(peer, b)) for a, b in pairs), "no longer apart"
        return
    for a, b in pairs:
        np.testing.assert_allclose(a, b, **tolerance(peer, b))


def tolerance(peer, expected):
    largest = np.abs(expected).max(initial=1)
    return {"rtol": max(1e-7, peer.atol), "atol": peer.atol * largest}
