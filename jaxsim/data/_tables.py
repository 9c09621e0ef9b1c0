"""Tables for regression: the UCI sets with their usual splits from JAXSIM_DATA, and one that needs no download."""

from typing import NamedTuple

import numpy as np

from jaxsim.data._sources import damage_named, prepared_path
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array

UCI = ("concrete", "energy", "kin8nm", "wine_quality_red")
SPLITS = 20  # of every table, 90 % to train on and 10 % to test on
COLUMNS = {"features": 2, "target": 1, "test_index": 2}  # of a file, with their axes


class Table(NamedTuple):
    """Regression table: examples, what is to be predicted, and the splits of the literature."""

    features: np.ndarray  # float64 [n, columns], as measured
    targets: np.ndarray  # float64 [n]
    test_rows: np.ndarray  # int32 [splits, tested], the rows that each split tests on

    def split(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of one split: (to train on, to test on), int arrays.

        Raises: ValueError for a split that is not there.
        """
        checks.whole("number", number, 0)
        if number >= len(self.test_rows):
            raise ValueError(f"number must be below {len(self.test_rows)} splits, got {number}")
        tested = np.sort(self.test_rows[number])
        return np.setdiff1d(np.arange(len(self.targets)), tested), tested


def regression(name: str) -> Table:
    """UCI regression tables with the 20 random splits that most papers share, from JAXSIM_DATA; and "diabetes".

    "concrete" (1,030 x 8, strength in MPa), "energy" (768 x 8, heating load in kWh/m^2), "kin8nm" (8,192 x
    8, distance of a robot's arm) and "wine_quality_red" (1,599 x 11, grades from 3 to 8) are of the UCI
    repository, CC BY 4.0, the splits of Hernandez-Lobato and Adams 2015. "diabetes" (442 x 10, progression
    after a year) comes with scikit-learn, BSD, and needs no data; its splits are drawn here.

    Args:
      name: of the table.

    Returns: `Table`. Features are as measured: `standardized` takes the training rows' mean and spread.
    Raises: ValueError for another name or a damaged file; FileNotFoundError without the data.
    Source: Hernandez-Lobato and Adams 2015 (1502.05336), as Gal and Ghahramani 2016 published the splits.
    """
    checks.one_of("name", name, (*UCI, "diabetes"))
    return _diabetes() if name == "diabetes" else _prepared(name)


def standardized(train: Array, *others: Array) -> tuple[np.ndarray, ...]:
    """Standardization: columns with mean 0 and spread 1 on the training rows, all else by the same map.

    Args:
      train: [n, ...], the rows whose mean and standard deviation are taken; a column that is constant there
        is shifted only.
      others: [m, ...] each, as wide as `train`.

    Returns: a tuple of float64 arrays, `train` first.
    Raises: ValueError for no rows, values that are not finite, widths that differ.
    """
    train = checks.host_reals("train", train).astype(np.float64)
    if train.ndim == 0 or len(train) == 0:
        raise ValueError(f"train must have one row at least, got shape {train.shape}")
    checks.finite_rows("train", train)
    center, spread = train.mean(axis=0), train.std(axis=0)
    spread = np.where(spread > 1e-12 * np.abs(train).max(axis=0), spread, 1)
    arrays = [train]
    for other in others:
        arrays.append(checks.host_reals("others", other).astype(np.float64))
        checks.shaped("others", arrays[-1], (None, *train.shape[1:]), "as wide as train")
    return tuple((array - center) / spread for array in arrays)


def _prepared(name):
    path = prepared_path("regression_uci", f"{name}.npz")
    with damage_named(path), np.load(path) as file:
        arrays = {column: file[column] for column in COLUMNS}
    for column, axes in COLUMNS.items():
        if arrays[column].ndim != axes or arrays[column].dtype.kind not in "iuf":
            got = f"{arrays[column].dtype} {arrays[column].shape}"
            raise ValueError(f"{path}: {column} must be numbers with {axes} axes, got {got}")
    features, targets, test_rows = arrays.values()
    if len(features) != len(targets):
        raise ValueError(
            f"{path}: features and target must have as many rows, got {len(features)} and {len(targets)}"
        )
    for column in ("features", "target"):
        if not np.isfinite(arrays[column]).all():
            raise ValueError(f"{path}: {column} must be finite")
    if test_rows.size == 0 or test_rows.min() < 0 or test_rows.max() >= len(targets):
        raise ValueError(f"{path}: test_index must hold rows from 0 to {len(targets) - 1}")
    return Table(features.astype(float), targets.astype(float), test_rows.astype(np.int32))


def _diabetes():
    from sklearn.datasets import load_diabetes

    features, targets = load_diabetes(return_X_y=True, scaled=False)
    rows = len(targets)
    drawn = [np.random.default_rng([0, n]).permutation(rows)[: rows // 10] for n in range(SPLITS)]
    return Table(features.astype(float), targets.astype(float), np.array(drawn, np.int32))
