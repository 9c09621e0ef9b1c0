"""Packed texts: every token once, in its text's order, in as few rows as first fit decreasing needs."""

import numpy as np
import pytest

from jaxsim import data
from jaxsim.numerics._packing import first_fit_rows


def texts_of(sizes):
    return [np.arange(1, size + 1) * 100 + number for number, size in enumerate(sizes)]


def by_hand(sizes, length):
    """Rows of first fit decreasing, in plain loops."""
    rows = []
    for size in sorted(sizes, reverse=True):
        row = next((row for row in rows if sum(row) + size <= length), None)
        if row is None and size:
            rows.append([size])
        elif size:
            row.append(size)
    return len(rows)


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_every_text_comes_back(devices):
    random = np.random.default_rng(devices)
    for length in (7, 16, 40):
        sizes = random.integers(0, length + 1, size=24)
        texts = texts_of(sizes)
        packed = data.packed(texts, length, devices=devices)
        flat = {name: array.reshape(-1) for name, array in packed.items()}
        for number, text in enumerate(texts):
            place = slice(flat["starts"][number], flat["starts"][number] + len(text))
            assert flat["lengths"][number] == len(text)
            np.testing.assert_array_equal(flat["tokens"][place], text)
            assert (flat["segments"][place] == number).all()
            np.testing.assert_array_equal(flat["positions"][place], np.arange(len(text)))
        assert packed["where"].sum() == sizes.sum()
        np.testing.assert_array_equal(packed["where"], packed["segments"] >= 0)
        each = len(sizes) // devices
        needed = max(by_hand(sizes[n * each : (n + 1) * each], length) for n in range(devices))
        assert packed["tokens"].shape == (max(needed, 1) * devices, length)
        assert data.rows_to_pack(sizes, length, devices=devices) == max(needed, 1)


def test_no_text_lies_across_rows_or_parts():
    packed = data.packed(texts_of([5, 3, 4, 2, 1, 6]), 6, rows=3, devices=2)
    assert packed["tokens"].shape == (6, 6)
    rows, columns = np.divmod(packed["starts"], 6)
    assert (columns + packed["lengths"] <= 6).all()
    assert (rows[:3] < 3).all()
    assert (rows[3:] >= 3).all()


def test_a_row_is_as_long_as_the_text_that_opens_it_needs():
    rows, columns, lengths = first_fit_rows([9, 3, 2, 4, 0], (4, 12))
    assert lengths.tolist() == [12, 4, 4]
    for row, length in enumerate(lengths):
        inside = np.array([9, 3, 2, 4, 0])[rows == row]
        assert inside.sum() <= length
    assert columns[0] == 0


def test_arguments_are_checked():
    texts = texts_of([3, 4, 2])
    with pytest.raises(ValueError, match="at most length=3 long, got one of 4"):
        data.packed(texts, 3)
    with pytest.raises(ValueError, match="rows must be at least 3 for these texts, got 2"):
        data.packed(texts, 4, rows=2)
    with pytest.raises(ValueError, match="multiple of devices=2, got 3"):
        data.packed(texts, 4, devices=2)
    with pytest.raises(ValueError, match="texts must be int arrays of tokens, got float64"):
        data.packed([np.ones(2)], 4)
