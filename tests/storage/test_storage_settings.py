"""Settings of a run: plain values in a file, and a changed one named."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from jaxsim import storage


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 0
    rates: tuple[float, ...] = (1e-3, 3e-3)


def test_settings_come_back_from_json_as_they_went_in():
    settings = {
        "model": Path("a/b"),
        "config": Config(),
        "where": {"steps": np.int64(60), "deep": {"x": None}},
        "on": True,
        "rate": np.float32(0.5),
    }
    flat = storage.plain_settings("fingerprint", settings)
    assert flat == {
        "model": "a/b",
        "config.seed": 0,
        "config.rates": [1e-3, 3e-3],
        "where.steps": 60,
        "where.deep.x": None,
        "on": True,
        "rate": 0.5,
    }
    assert storage.changed_settings(json.loads(json.dumps(flat)), flat) == ""


def test_what_differs_is_named():
    before = {"steps": 60, "seed": 0, "loss": "info_nce", "on": True, "old": 1}
    now = {"steps": 80, "seed": 0.0, "loss": "triplet", "on": 1, "new": [1, 2]}
    assert storage.changed_settings(before, now) == (
        'loss "info_nce", now "triplet"; new not set, now [1, 2]; old 1, now not set; on true, now 1; '
        "steps 60, now 80"
    )


@pytest.mark.parametrize("value", [float("nan"), object(), len, np.zeros(2), {1, 2}, b"x", [b"x"]])
def test_what_no_file_gives_back_is_refused(value):
    with pytest.raises(
        ValueError, match=r"fingerprint\['a'\]\['b'\] must be a finite number, a str"
    ):
        storage.plain_settings("fingerprint", {"a": {"b": value}})
    with pytest.raises(
        ValueError, match="fingerprint must have strings as names of settings, got 3"
    ):
        storage.plain_settings("fingerprint", {3: 4})
