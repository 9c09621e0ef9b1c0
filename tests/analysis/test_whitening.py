"""Whitening: covariance and mean afterwards, rotations between the kinds, masks and devices."""

import functools
import sys

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxsim import analysis

RNG = np.random.default_rng(0)
X = RNG.laplace(size=(400, 4)) @ RNG.normal(size=(4, 4)) + [5, 0, -3, 1]
WHERE = np.arange(400) % 3 > 0
KINDS = {"pca": analysis.whiten_pca, "zca": analysis.whiten_zca, "ica": analysis.whiten_ica}


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


@functools.cache
def of(kind, scale=1.0):
    return KINDS[kind](X, scale=scale)


@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("kind", KINDS)
def test_covariance_is_the_scale_squared_and_the_mean_0(kind, scale):
    rows = np.asarray(of(kind, scale)(X))
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-9 * scale)
    np.testing.assert_allclose(rows.T @ rows / len(X), scale**2 * np.eye(4), atol=1e-8 * scale**2)


def test_kinds_are_their_equations_and_differ_by_a_rotation():
    values, vectors = np.linalg.eigh(np.cov(X.T, ddof=0))
    centered = X - X.mean(axis=0)
    zca = centered @ vectors @ np.diag(values**-0.5) @ vectors.T
    np.testing.assert_allclose(of("zca")(X), zca, rtol=1e-9, atol=1e-10)
    pca = np.asarray(of("pca")(X))
    expected = (centered @ vectors * values**-0.5)[:, ::-1]
    np.testing.assert_allclose(np.abs(pca), np.abs(expected), rtol=1e-8, atol=1e-10)
    for other in (zca, np.asarray(of("ica")(X))):
        rotation = pca.T @ other / len(X)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(4), atol=1e-8)
        np.testing.assert_allclose(pca @ rotation, other, rtol=1e-7, atol=1e-8)
    kurtosis = {kind: np.mean(np.asarray(of(kind)(X)) ** 4) for kind in KINDS}
    assert kurtosis["ica"] > kurtosis["pca"]  # the sources of X are Laplace's


@pytest.mark.parametrize("kind", ["pca", "zca"])
def test_masked_rows_have_no_influence_and_devices_none(kind):
    expected = KINDS[kind](X[WHERE])
    masked = jax.jit(KINDS[kind])(np.where(WHERE[:, None], X, np.nan), where=WHERE)
    mesh = jax.make_mesh((8,), ("devices",), axis_types=(AxisType.Auto,))
    split, whole = PartitionSpec("devices"), PartitionSpec()
    on_devices = jax.shard_map(
        lambda x, where: KINDS[kind](x, where=where, axis_name="devices"),
        mesh=mesh,
        in_specs=(split, split),
        out_specs=whole,
    )
    for found in (masked, jax.jit(on_devices)(X, WHERE)):
        np.testing.assert_allclose(found.center, expected.center, rtol=1e-10)
        np.testing.assert_allclose(found(X) ** 2, expected(X) ** 2, rtol=1e-7, atol=1e-9)
    assert np.isnan(KINDS[kind](np.where(WHERE[:, None], X, np.nan)).matrix).all()


def test_directions_without_variance_become_0():
    flat = np.concatenate([X, X[:, :1] + X[:, 1:2]], axis=1)
    for kind in ("pca", "zca"):
        rows = np.asarray(KINDS[kind](flat)(flat))
        values = np.linalg.eigvalsh(np.cov(rows.T, ddof=0))
        np.testing.assert_allclose(values, [0, 1, 1, 1, 1], atol=1e-8)


def test_arguments_that_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="scale must be > 0, got 0"):
        analysis.whiten_pca(X, scale=0)
    with pytest.raises(ValueError, match=r"more rows than dimensions, got \(3, 4\)"):
        analysis.whiten_ica(X[:3])
    with pytest.raises(ValueError, match="vary in every column, column 2 does not"):
        analysis.whiten_ica(X * [1, 1, 0, 1])
    with pytest.raises(ValueError, match="embeddings must be finite: row 0"):
        analysis.whiten_ica(X * [1, 1, np.nan, 1])
    with pytest.raises(ValueError, match=r"embeddings must be \[any, 4\]"):
        of("pca")(X[:, :3])
    monkeypatch.setitem(sys.modules, "sklearn.decomposition", None)
    with pytest.raises(ModuleNotFoundError, match="sklearn"):
        analysis.whiten_ica(X)
