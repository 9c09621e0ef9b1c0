"""What arrays must be, before JAX narrows them."""

import jax
import numpy as np
import pytest

from jaxsim.numerics import checks

WIDE = np.array([0, 2**32, 5, 5 + 2**32])


def test_integers_that_fit_keep_their_values_whatever_their_type():
    for dtype in (np.int64, np.uint64, np.int32, np.uint8):
        np.testing.assert_array_equal(
            checks.numbers_of("labels", np.arange(4, dtype=dtype)), range(4)
        )


@pytest.mark.parametrize("array", [WIDE, -WIDE, np.uint64(2**63), [2**40, 1]])
def test_integers_beyond_32_bits_are_refused_by_name(array):
    with pytest.raises(ValueError, match=r"^labels must fit 32 bits, got .*return_inverse=True"):
        checks.numbers_of("labels", array)


def test_with_64_bits_enabled_nothing_is_narrowed():
    with jax.enable_x64(True):
        np.testing.assert_array_equal(checks.numbers_of("labels", WIDE), WIDE)


def test_different_float64_labels_that_float32_makes_equal_are_refused():
    with pytest.raises(ValueError, match=r"labels has float64 values that are equal in float32"):
        checks.numbers_of("labels", np.array([1e9, 1e9 + 1]))
    np.testing.assert_allclose(
        checks.numbers_of("labels", np.array([0.1, 0.2, 0.1])), [0.1, 0.2, 0.1]
    )


@pytest.mark.parametrize(
    "array", [["a", "b"], np.array([1, "b"], object), np.array(["2020"], "M8[Y]")]
)
def test_labels_that_are_no_numbers_are_refused_with_the_remedy(array):
    with pytest.raises(ValueError, match=r"labels must be numbers, got .*return_inverse=True"):
        checks.labels("labels", array, 2)


def test_ragged_lists_wrong_lengths_and_floats_for_ids_are_refused():
    with pytest.raises(ValueError, match="labels must be one array"):
        checks.labels("labels", [[1], [1, 2]], 2)
    with pytest.raises(ValueError, match=r"labels must be \[3\], one per row, got shape \(2,\)"):
        checks.labels("labels", [1, 2], 3)
    with pytest.raises(ValueError, match=r"ids must be integers, got float"):
        checks.column("ids", [1.0, 2.0], 2)
    with pytest.raises(ValueError, match=r"similarity must be a function of jaxsim, got 'cosine'"):
        checks.function("similarity", "cosine", "of jaxsim")
