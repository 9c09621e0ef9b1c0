"""Losses at random: a finite value that no order of the rows changes, NaN for NaN that counts, or one sentence.

One loss of each kind, on few shapes: what takes time is compiling.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from loss_inputs import INPUTS, ROWS
from public import PUBLIC

pytestmark = pytest.mark.thorough
many = settings(derandomize=True, max_examples=100, deadline=None, database=None)

# Over labels, over pairs, with a first pass, a walk, mined, classes, examples, lists and whole batches.
SAMPLE = (
    *("nca", "multi_similarity", "lifted_structure", "triplet", "circle", "info_nce", "siglip"),
    *("joint_info_nce", "arcface", "proxy_anchor", "cosine_regression", "paired_contrastive"),
    *("score_distillation", "list_mle", "rank_net", "sgns", "vicreg", "pair_rank", "fast_ap"),
)
SCALES = [1e-12, 1e-3, 1.0, 30.0, 1e4]


@functools.cache
def compiled(name):
    inputs = INPUTS[name]

    def call(arrays, where):
        return PUBLIC[name](**arrays, where=where, **inputs.settings)

    return jax.jit(call)


@st.composite
def batches(draw, name):
    """(arrays, where) of a loss: other numbers, scales and types, equal rows, rows of zero, other labels."""
    inputs = INPUTS[name]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float32, jnp.bfloat16]))
    scale = draw(st.sampled_from(SCALES))
    alike = draw(st.lists(st.tuples(*[st.integers(0, ROWS - 1)] * 2), max_size=3))
    zero = draw(st.lists(st.integers(0, ROWS - 1), max_size=2))
    arrays = {}
    for argument, array in inputs.arrays.items():
        if np.issubdtype(array.dtype, np.integer):
            arrays[argument] = random.integers(0, 4, size=array.shape).astype(np.int32)
        elif argument == "labels":
            arrays[argument] = np.float32(random.integers(0, 3, size=array.shape)) / 2
        else:
            new = scale * random.normal(size=array.shape)
            if argument not in inputs.shared:
                for first, second in alike:
                    new[first] = new[second]
                new[zero] = 0
            arrays[argument] = np.asarray(new, dtype)
    where = np.array(draw(st.lists(st.booleans(), min_size=ROWS, max_size=ROWS)))
    return arrays, where


def in_order(name, arrays, order):
    shared = INPUTS[name].shared
    return {k: a if k in shared else a[order] for k, a in arrays.items()}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_finite_value_whatever_the_order_and_the_padding(name):
    call = compiled(name)

    @many
    @given(batches(name), st.permutations(range(ROWS)))
    def check(batch, order):
        arrays, where = batch
        value = np.asarray(call(arrays, where))
        assert value.shape == ()
        assert np.isfinite(value)
        if not where.any() and not INPUTS[name].shared:
            assert value == 0
        order = np.array(order)
        moved = call(in_order(name, arrays, order), where[order])
        largest = max(1, *(np.abs(np.float64(a)).max() for a in arrays.values()))
        np.testing.assert_allclose(moved, value, rtol=2e-3, atol=1e-5 * largest)
        spoiled = {
            k: np.where(where.reshape(-1, *[1] * (a.ndim - 1)), a, np.asarray(np.nan, a.dtype))
            if k not in INPUTS[name].shared and not np.issubdtype(a.dtype, np.integer)
            else a
            for k, a in arrays.items()
        }
        np.testing.assert_array_equal(call(spoiled, where), value)

    check()


@pytest.mark.parametrize("name", SAMPLE)
def test_nan_that_counts_comes_out_wherever_it_is(name):
    call, inputs = compiled(name), INPUTS[name]
    floats = [k for k, a in inputs.arrays.items() if np.issubdtype(a.dtype, np.floating)]

    @many
    @given(batches(name), st.sampled_from(floats), st.integers(0, 10**6))
    def check(batch, argument, place):
        arrays, where = batch
        spoiled = {**arrays, argument: arrays[argument].copy()}
        place = np.unravel_index(place % spoiled[argument].size, spoiled[argument].shape)
        spoiled[argument][place] = np.nan
        value = np.asarray(call(spoiled, where))
        counts = where[place[0]] if argument not in inputs.shared else where.any()
        if counts:
            assert np.isnan(value)
        elif argument not in inputs.shared:
            np.testing.assert_array_equal(value, call(arrays, where))

    check()


JUNK = st.one_of(
    st.none(),
    st.text(max_size=3),
    st.floats(),
    st.lists(st.floats(), max_size=3),
    st.lists(st.lists(st.floats(), max_size=2), max_size=ROWS),
    st.dictionaries(st.text(max_size=2), st.floats(), max_size=2),
    st.sampled_from(
        [
            np.zeros(ROWS - 1),
            np.zeros((ROWS, 2, 2, 2)),
            np.full((ROWS, 4), "a"),
            np.full(ROWS, None),
            np.zeros((ROWS, 4), complex),
            np.full(ROWS, 2**40),
            np.float64(2**53),
        ]
    ),
)


@pytest.mark.parametrize("name", ["nca", "info_nce", "arcface", "rank_net", "sgns", "pair_rank"])
def test_junk_is_refused_in_one_sentence(name):
    """In place of an array, a mask, weights or a hyperparameter; or it can be meant, and gives a number."""
    inputs = INPUTS[name]
    arguments = [*inputs.arrays, "where", "axis_name", "temperature"]
    arguments = [a for a in arguments if a in inputs.arrays or name != "sgns" or a != "temperature"]

    @many
    @given(st.sampled_from(arguments), JUNK)
    def check(argument, junk):
        try:
            value = PUBLIC[name](**{**inputs.arrays, **inputs.settings, argument: junk})
        except (ValueError, TypeError) as error:
            message = str(error)
        else:
            assert np.ndim(value) == 0
            return
        assert "\n" not in message
        assert 10 < len(message) < 300

    check()
