"""The paper in seconds, on docstrings and a linear teacher."""

import json

import numpy as np
import pytest

from experiments import __main__ as command, leaf


@pytest.mark.thorough
def test_it_runs_and_is_judged(tmp_path, monkeypatch):
    monkeypatch.delenv("JAXSIM_DATA", raising=False)
    assert command.main(["leaf", "--preset", "smoke", "--workdir", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    rows = {(r["arm"], r["output"], r["mode"]): r["score"] for r in results["rows"]}
    assert rows["squared", "full", "teacher"] == rows["scores", "full", "teacher"]
    assert rows["squared", "cosine", "documents"] > rows["scores", "cosine", "documents"]
    assert (tmp_path / "modes.png").stat().st_size > 5000


def test_smaller_outputs_by_hand():
    vectors = np.array([[0.6, -0.8, 0.0], [1.0, 0.0, 0.0], [-0.6, 0.0, 0.8]], np.float32)
    np.testing.assert_allclose(leaf.cut("first 2", vectors, vectors)[0], [0.6, -0.8], atol=1e-6)
    np.testing.assert_allclose(
        leaf.cut("sign", vectors, vectors)[0], np.array([1, -1, 0]) / 2**0.5, atol=1e-6
    )
    np.testing.assert_allclose(leaf.cut("int8", vectors, vectors), vectors, atol=0.004)
