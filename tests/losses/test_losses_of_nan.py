"""NaN in what counts comes out as NaN; NaN in what does not count has no influence, on gradients neither."""

import functools
import inspect
import re

import jax
import numpy as np
import pytest
from loss_inputs import INPUTS, NOT_LOSSES, ROWS, WHERE
from public import PUBLIC
from tiers import OF_EACH_KIND, parameters

REAL, PADDING = 1, 3
QUICK = (*OF_EACH_KIND, "arcface", "score_mse", "matryoshka")
WEIGHTS = np.float32([1, 2, 0.5, 1, 1, 3, 1, 2])


def each(names=INPUTS):
    """All losses in the thorough tier, those of QUICK in both."""
    return parameters(names, [name for name in QUICK if name in names], "nan")


@functools.cache
def parts(name):
    """What a loss takes: {array: floats}, the other arrays, and its value with the gradients of the floats."""
    inputs = INPUTS[name]
    function = inputs.function or PUBLIC[name]
    takes = inspect.signature(function).parameters
    arrays = dict(inputs.arrays)
    if "weights" in takes and inputs.function is None:
        arrays["weights"] = WEIGHTS
    floats = {k: a for k, a in arrays.items() if np.issubdtype(a.dtype, np.floating)}
    others = {k: a for k, a in arrays.items() if k not in floats}
    masks = {"where": WHERE} if "where" in takes or inputs.function is not None else {}

    def value(floats):
        return function(**floats, **others, **masks, **inputs.settings)

    return floats, jax.jit(jax.value_and_grad(value))


def with_nan(array, row):
    """NaN in the first entry of a row."""
    array = array.copy()
    array[(row, *[0] * (array.ndim - 1))] = np.nan
    return array


@pytest.mark.parametrize("name", each())
def test_nan_in_a_row_that_counts_comes_out(name):
    floats, both = parts(name)
    value, gradients = both(floats)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in gradients.values())
    for argument, array in floats.items():
        rows = WHERE if argument == "weights" else REAL  # some rows have nothing to count
        value, gradients = both({**floats, argument: with_nan(array, rows)})
        assert np.isnan(value), f"NaN in {argument} is lost: {value}"
        assert any(np.isnan(g).any() for g in gradients.values()), f"slopes lose NaN in {argument}"


@pytest.mark.parametrize("name", each())
def test_nan_in_padding_has_no_influence(name):
    shared = INPUTS[name].shared
    floats, both = parts(name)
    value, gradients = both(floats)
    padded = {
        argument: np.where(WHERE.reshape(-1, *[1] * (array.ndim - 1)), array, np.float32(np.nan))
        for argument, array in floats.items()
        if argument not in shared
    }
    if not padded:
        return
    found, slopes = both({**floats, **padded})
    np.testing.assert_array_equal(found, value)
    for argument, slope in slopes.items():
        np.testing.assert_array_equal(slope, gradients[argument], err_msg=argument)


# A row of weight 0 does not count, unless other rows are compared with it.
ALONE = [
    name
    for name, inputs in INPUTS.items()
    if inputs.function is None
    and "weights" in inspect.signature(PUBLIC[name]).parameters
    and re.search(r"^Kind: (per example|proxies)", inspect.getdoc(PUBLIC[name]), re.M)
]


@pytest.mark.parametrize("name", each(ALONE))
def test_nan_in_a_row_of_weight_0_has_no_influence(name):
    shared = INPUTS[name].shared
    floats, both = parts(name)
    floats = {**floats, "weights": np.where(np.arange(ROWS) == REAL, np.float32(0), WEIGHTS)}
    value, gradients = both(floats)
    bad = {k: with_nan(a, REAL) for k, a in floats.items() if k not in {*shared, "weights"}}
    found, slopes = both({**floats, **bad})
    np.testing.assert_array_equal(found, value)
    for argument, slope in slopes.items():
        if argument != "weights":  # how much the row would cost is not known
            np.testing.assert_array_equal(slope, gradients[argument], err_msg=argument)


@pytest.mark.parametrize("name", ["info_nce", "triplet", "arcface", "vicreg"])
def test_nan_on_one_device_is_nan_on_all(name):
    """On a named axis of four devices, two rows each; in padding it is nowhere."""
    inputs, function = INPUTS[name], PUBLIC[name]
    shared = {k: a for k, a in inputs.arrays.items() if k in inputs.shared}
    mine = {k: a.reshape(4, 2, *a.shape[1:]) for k, a in inputs.arrays.items() if k not in shared}

    def of_device(rows, where):
        return function(**rows, **shared, where=where, axis_name="devices")

    call = jax.jit(jax.vmap(of_device, axis_name="devices"))
    first = next(iter(mine))
    for row, comes_out in ((REAL, True), (PADDING, False)):
        spoiled = {**mine, first: with_nan(inputs.arrays[first], row).reshape(mine[first].shape)}
        assert (np.isnan(call(spoiled, WHERE.reshape(4, 2))) == comes_out).all()


def test_every_public_loss_is_in_the_table():
    parts = set().union(*NOT_LOSSES.values())
    assert not parts & INPUTS.keys()
    assert parts | INPUTS.keys() == PUBLIC.keys()
