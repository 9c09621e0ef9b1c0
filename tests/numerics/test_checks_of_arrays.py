"""What arrays must be, before JAX narrows them."""

import jax
import numpy as np
import pytest

from jaxsim.numerics import checks
from jaxsim.numerics._copies import LARGE

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


def test_scores_may_lose_digits_and_are_never_cut():
    close = np.array([1e9, 1e9 + 1])
    np.testing.assert_array_equal(checks.reals("scores", close), np.float32(close))
    np.testing.assert_array_equal(checks.reals("scores", WIDE), np.float32(WIDE))
    np.testing.assert_array_equal(checks.reals("scores", np.arange(3, dtype=np.uint8)), range(3))
    for bad in (["a"], np.array([None]), np.array([1j])):
        with pytest.raises(ValueError, match="scores must be real numbers, got"):
            checks.reals("scores", bad)


def test_nested_lists_and_lists_of_rows_are_one_array():
    x = np.float32([[1, 2], [3, 4], [5, 6]])
    for tree in (x, x.tolist(), list(x), tuple(map(tuple, x.tolist()))):
        np.testing.assert_array_equal(checks.vectors("queries", tree), x)
    pair = checks.vectors("queries", (x, np.zeros(3)))
    assert [leaf.shape for leaf in pair] == [(3, 2), (3,)]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([[1.0], [1.0, 2.0]], "queries must be one array, got rows of different lengths"),
        ([[1.0, "a"]], "queries must be real numbers, got <U"),
        ("cosine", "queries must be real numbers, got <U"),
        (
            np.ones(3),
            r"queries must be \[rows, dim\], got shape \(3,\): a single row is queries\[None\]",
        ),
        (None, r"queries must be arrays that share their leading axis, got shapes \[\]"),
        ((np.ones((2, 2)), np.ones(3)), "queries must be arrays that share their leading axis"),
    ],
)
def test_what_is_not_vectors_is_refused(tree, message):
    with pytest.raises(ValueError, match=message):
        checks.vectors("queries", tree)


@pytest.mark.parametrize("as_array", [np.asarray, jax.numpy.asarray])
def test_rows_that_are_not_finite_are_numbered(as_array):
    x = np.ones((5, 2), np.float32)
    checks.finite_rows("queries", as_array(x))
    checks.finite_rows("queries", as_array(np.ones(3, np.int32)))
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"^queries must be finite: row 3 is not$"):
        checks.finite_rows("queries", as_array(x))
    x[1:3, 0] = np.inf
    with pytest.raises(
        ValueError, match=r"^queries must be finite: row 1 is not, nor are 2 others$"
    ):
        checks.finite_rows("queries", as_array(x))
    jax.jit(lambda x: checks.finite_rows("queries", x))(x)  # traced: not known yet


def test_measured_labels_that_are_equal_by_rounding_pass_and_whole_ones_do_not():
    near = np.array([0.5, 0.5 + 1e-12, 0.75])
    np.testing.assert_allclose(checks.numbers_of("labels", near), near, rtol=1e-6)
    seconds = 1.7e9 + np.array([0.25, 0.75, 3600.0])  # of one hour, of which float32 knows none
    for labels in (seconds, np.array([2.0**24, 2.0**24 + 1, 1e8])):
        with pytest.raises(ValueError, match="equal in float32"):
            checks.numbers_of("labels", labels)


def test_weights_are_numbers_of_0_and_more_where_they_are_seen():
    np.testing.assert_array_equal(checks.weights("weights", [1, 0, 2], 3), [1, 0, 2])
    assert checks.weights("weights", np.array([True, False]), 2).dtype == bool
    with pytest.raises(ValueError, match=r"^weights must be >= 0, got -1.0$"):
        checks.weights("weights", [1.0, -1.0], 2)
    with pytest.raises(ValueError, match=r"weights must be \[3\], one per row, got shape \(2,\)"):
        checks.weights("weights", [1.0, 1.0], 3)
    jax.jit(lambda w: checks.weights("weights", w, 2))(-np.ones(2))


def test_within_refuses_on_the_host_and_says_which_on_a_device():
    labels, where = np.array([0, 9, -1]), np.array([True, True, False])
    with pytest.raises(ValueError, match=r"^labels must be from 0 to 3, got 9: renumber$"):
        checks.within("labels", labels, 0, 3, where=where, remedy="renumber")
    assert not checks.within("labels", labels, 0, 9, where=where).any()
    result = jax.jit(lambda a: checks.within("labels", a, 0, 3))(labels)
    np.testing.assert_array_equal(result, [False, True, True])


def test_lists_of_traced_numbers_are_arrays():
    doubled = jax.jit(lambda a, b: 2 * checks.numbers_of("labels", [a, b]))
    np.testing.assert_array_equal(doubled(1, 2), [2, 4])
    assert not checks.host([jax.numpy.ones(())])
    assert checks.host([1.0], None, np.ones(2))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "int64", "uint8"])
def test_what_is_large_is_copied_as_what_is_small(dtype):
    columns = max(LARGE // 512, 1)
    mine = (np.arange(1024 * columns).reshape(columns, 1024) % 251).astype(jax.numpy.dtype(dtype)).T
    taken, expected = checks.reals("scores", mine), jax.numpy.asarray(mine)
    assert mine.nbytes >= LARGE
    assert (taken.dtype, taken.sharding) == (expected.dtype, expected.sharding)
    mine[:] = 0
    np.testing.assert_array_equal(taken, expected)
    again = jax.jit(lambda a: a + checks.reals("scores", mine).sum())(taken)
    np.testing.assert_array_equal(again, expected)
