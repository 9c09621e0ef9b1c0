"""Spoken digits as spectrograms: where a tone lies, what is in the set, and pairs of two sets by label."""

import os

import numpy as np
import pytest

from jaxsim import data
from jaxsim.data import _spoken as spoken

needs_data = pytest.mark.skipif(
    "JAXSIM_DATA" not in os.environ, reason="JAXSIM_DATA names no folder of prepared sets"
)


def test_a_tone_lies_in_its_band_for_as_long_as_it_sounds():
    seconds = np.arange(4000) / spoken.RATE
    levels = spoken.log_mel(np.sin(2 * np.pi * 1000 * seconds), bands=40, frames=64)
    assert levels.shape == (64, 40)
    assert levels.dtype == np.float32
    assert levels.max() == 1
    # 1 kHz is 1,000 mel, of 2,146 at 4 kHz: in the middle of 40 triangles.
    mel = 2595 * np.log10(1 + np.linspace(0, 4000, 4001) / 700)
    centers = np.linspace(0, mel[-1], 42)[1:-1]
    assert levels[5].argmax() == np.abs(centers - mel[1000]).argmin()
    sounding = levels.max(axis=1) > 0
    assert sounding[:31].all()
    assert not sounding[33:].any()


def test_a_band_is_the_triangle_over_its_energies():
    samples = np.random.default_rng(0).normal(size=spoken.WINDOW)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    energies = []
    for place in range(257):
        wave = np.exp(-2j * np.pi * place * np.arange(256) / 512)
        energies.append(abs((samples * hann) @ wave) ** 2)
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 22) / 2595) - 1)
    bands = np.zeros(20)
    for band in range(20):
        low, middle, high = corners[band : band + 3]
        for place, energy in enumerate(energies):
            hertz = place * 8000 / 512
            if low < hertz <= middle:
                bands[band] += energy * (hertz - low) / (middle - low)
            elif middle < hertz < high:
                bands[band] += energy * (high - hertz) / (high - middle)
    expected = np.clip(1 + np.log10(bands / bands.max()) / 8, 0, 1)
    np.testing.assert_allclose(spoken.log_mel(samples, 20, 1)[0], expected, rtol=1e-5)


@pytest.mark.parametrize("bands", [1, 40, 64])
def test_no_band_is_empty(bands):
    assert (spoken.mel_filters(bands).sum(axis=0) > 0).all()


def test_silence_is_finite():
    assert np.isfinite(spoken.log_mel(np.zeros(100), 40, 8)).all()


@needs_data
def test_the_recordings_are_five_speakers_fifty_times_each_digit():
    train, test = data.spoken_digits("train"), data.spoken_digits("test")
    assert train.images.shape == (2250, 64, 40, 1)
    assert test.images.shape == (250, 64, 40, 1)
    for part, count in ((train, 45), (test, 5)):
        table = np.zeros((10, 5), int)
        np.add.at(table, (part.labels, part.groups), 1)
        assert (table == count).all()
    assert 0 <= train.images.min() < train.images.max() == 1


def test_pairs_have_one_label_and_no_example_is_in_two():
    random = np.random.default_rng(0)
    first, second = random.integers(0, 4, size=50), random.integers(1, 6, size=30)
    some, others = data.label_pairs(first, second, seed=3)
    np.testing.assert_array_equal(first[some], second[others])
    assert len(set(some)) == len(set(others)) == len(some)
    for label in range(1, 4):
        expected = min((first == label).sum(), (second == label).sum())
        assert (first[some] == label).sum() == expected
    again = data.label_pairs(first, second, seed=3)
    np.testing.assert_array_equal(again, (some, others))
    assert not np.array_equal(data.label_pairs(first, second, seed=4)[0], some)
    with pytest.raises(ValueError, match="must have a label in common, got none"):
        data.label_pairs(np.zeros(1), np.ones(1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "dev"}, "split must be one of 'train', 'test', got 'dev'"),
        ({"split": "test", "bands": 65}, "bands must be at most 64"),
        ({"split": "test", "frames": 0}, "frames must be a whole number"),
    ],
)
def test_what_is_out_of_range_is_named_and_what_is_missing(settings, message, monkeypatch):
    with pytest.raises(ValueError, match=message):
        data.spoken_digits(**settings)
    monkeypatch.delenv("JAXSIM_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match='no prepared dataset "spoken_digit"'):
        data.spoken_digits("test", bands=3, frames=7)
