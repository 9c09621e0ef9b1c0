"""The rendering of annCUR and ADACUR as published finds what ours finds, on the same scores."""

import argparse

import numpy as np
import pytest

from benchmarks import search_published

OPTIONS = argparse.Namespace(items=600, anchor_queries=240)


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["annCUR", "ADACUR"])
def test_plain_numpy_finds_what_ours_finds(method):
    ours, plain = (
        np.asarray(search_published.SIDES[f"{method}, {side}"](OPTIONS)())
        for side in ("ours", "numpy")
    )
    assert np.mean([np.isin(*pair).mean() for pair in zip(ours, plain, strict=True)]) > 0.99
