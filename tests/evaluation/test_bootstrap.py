"""Bootstrap intervals cover what they should, and only resample what was drawn."""

import numpy as np
import pytest

from jaxsim.evaluation import interval


def test_a_constant_has_no_width():
    assert interval(np.full((3, 5), 0.25), axes=(0, 1)) == (0.25, 0.25)


def test_the_seed_decides():
    samples = np.random.default_rng(0).random((3, 50))
    assert interval(samples, axes=(0, 1)) == interval(samples, axes=(0, 1))
    assert interval(samples, axes=1) != interval(samples, axes=1, seed=1)


def test_width_of_one_axis_is_that_of_the_normal_interval():
    samples = np.random.default_rng(0).normal(size=400)
    low, high = interval(samples, axes=0)
    assert (low + high) / 2 == pytest.approx(samples.mean(), abs=0.01)
    assert high - low == pytest.approx(2 * 1.96 * samples.std() / 20, rel=0.08)


def test_coverage_over_crossed_draws_and_queries():
    random, covered = np.random.default_rng(0), 0
    for trial in range(200):
        samples = random.normal(size=(30, 1)) + random.normal(size=(1, 40))
        low, high = interval(samples, axes=(0, 1), repeats=400, seed=trial)
        covered += low <= 0 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_axes_that_were_not_drawn_add_no_width():
    samples = np.random.default_rng(0).normal(size=(1, 40)) + 100 * np.arange(3)[:, None]
    wide, narrow = interval(samples, axes=(0, 1)), interval(samples, axes=1)
    assert wide[1] - wide[0] > 10 * (narrow[1] - narrow[0])


@pytest.mark.parametrize(
    ("samples", "axes", "message"),
    [
        (np.zeros((0,)), 0, "finite and not empty"),
        ([np.nan], 0, "finite and not empty"),
        (np.zeros(3), (1,), "axes must be distinct, from 0 to 0"),
    ],
)
def test_bad_input_is_named(samples, axes, message):
    with pytest.raises(ValueError, match=message):
        interval(samples, axes)
