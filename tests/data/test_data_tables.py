"""Regression tables: on a file of their layout, on the real ones where they are, and standardization."""

import os

import numpy as np
import pytest

from jaxsim import data

needs_data = pytest.mark.skipif("JAXSIM_DATA" not in os.environ, reason="needs JAXSIM_DATA")
TOY = {
    "features": np.arange(12.0).reshape(6, 2),
    "target": np.arange(6.0) ** 2,
    "test_index": np.array([[5, 0], [2, 3]], np.int32),
}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A function that lays out a table as "energy"."""
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))
    (tmp_path / "regression_uci").mkdir()

    def laid_out(**change):
        path = tmp_path / "regression_uci" / "energy.npz"
        np.savez(
            path, **{name: array for name, array in (TOY | change).items() if array is not None}
        )
        return path

    return laid_out


def test_a_table_as_it_is_laid_out(toy):
    toy()
    table = data.regression("energy")
    np.testing.assert_array_equal(table.features, TOY["features"])
    np.testing.assert_array_equal(table.targets, TOY["target"])
    train, test = table.split(0)
    assert (train.tolist(), test.tolist()) == ([1, 2, 3, 4], [0, 5])
    with pytest.raises(ValueError, match="number must be below 2 splits, got 2"):
        table.split(2)


def test_a_missing_table_is_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"name must be one of 'concrete', .*, got 'boston'"):
        data.regression("boston")
    monkeypatch.setenv("JAXSIM_DATA", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"folder that holds regression_uci/energy\.npz, or"
    ):
        data.regression("energy")
    monkeypatch.delenv("JAXSIM_DATA")
    with pytest.raises(FileNotFoundError, match="JAXSIM_DATA is not set"):
        data.regression("energy")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target": None}, "cannot be read, fetch it again"),
        ({"target": np.zeros(5)}, "features and target must have as many rows, got 6 and 5"),
        ({"target": np.full(6, np.nan)}, "target must be finite"),
        ({"features": np.zeros(6)}, r"features must be numbers with 2 axes, got float64 \(6,\)"),
        ({"test_index": np.array([[6]])}, "test_index must hold rows from 0 to 5"),
        ({"test_index": np.zeros((20, 0), int)}, "test_index must hold rows from 0 to 5"),
    ],
)
def test_damaged_tables_are_named(toy, change, said):
    path = toy(**change)
    with pytest.raises(ValueError, match=f"{path}: {said}"):
        data.regression("energy")


def test_a_truncated_table_is_named(toy):
    path = toy()
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"energy\.npz: cannot be read"):
        data.regression("energy")


@pytest.mark.parametrize(
    ("name", "shape", "ends"),
    [
        ("diabetes", (442, 10), (25, 346)),
        pytest.param("concrete", (1030, 8), (2.33, 82.6), marks=needs_data),
        pytest.param("energy", (768, 8), (6.01, 43.1), marks=needs_data),
        pytest.param("kin8nm", (8192, 8), (0.04, 1.46), marks=needs_data),
        pytest.param("wine_quality_red", (1599, 11), (3, 8), marks=needs_data),
    ],
)
def test_the_tables(name, shape, ends):
    table = data.regression(name)
    assert table.features.shape == shape
    np.testing.assert_allclose((table.targets.min(), table.targets.max()), ends, atol=5e-3)
    assert len(table.test_rows) == 20
    for number in (0, 19):
        train, test = table.split(number)
        assert abs(len(test) - shape[0] / 10) <= 1
        np.testing.assert_array_equal(np.sort(np.append(train, test)), np.arange(shape[0]))
    assert len(np.unique(table.test_rows, axis=0)) == 20


def test_standardized_by_the_training_rows():
    random = np.random.default_rng(0)
    train, other = 5 + 3 * random.normal(size=(50, 4)), random.normal(size=(7, 4))
    train[:, 2] = 4
    first, second = data.standardized(train, other)
    np.testing.assert_allclose(first.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(first.std(axis=0), [1, 1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(second[:, 0], (other[:, 0] - train[:, 0].mean()) / train[:, 0].std())
    np.testing.assert_allclose(second[:, 2], other[:, 2] - 4)
    (alone,) = data.standardized(train[:, 0])
    np.testing.assert_allclose(alone, first[:, 0])
    for bad, said in (
        (([],), "train must have one row at least"),
        ((train, other[:, :2]), r"others must be \[any, 4\], as wide as train"),
        ((train * np.inf,), "train must be finite"),
    ):
        with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=said):
            data.standardized(*bad)
