"""An index build killed at random moments and started again gives the bytes of one that is not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxsim import search

ROOT = Path(__file__).resolve().parents[2]
TILES = 30
BUILD = f"""
import sys, time
import numpy as np
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from jaxsim import search
folder = Path(sys.argv[1])
random = np.random.default_rng(0)
queries, items = random.normal(size=({TILES}, 8)), random.normal(size=(200, 8))
def scorer(rows, ids):
    time.sleep(0.03)
    return np.tanh(np.sum(queries[rows] * items[ids], axis=1))
scores = search.anchor_scores(scorer, {TILES}, 200, path=folder / "scores", rows=1)
search.save_index(folder / "index", search.cur_index(scores, np.arange(0, 200, 20), rtol=1e-3))
"""


def started(folder):
    folder.mkdir(exist_ok=True)
    return subprocess.Popen([sys.executable, "-c", BUILD, str(folder)], env=os.environ)


def tiles(folder):
    return len(list(folder.glob("scores.tiles/0*")))


@pytest.mark.thorough
def test_killed_at_random_moments_a_build_gives_the_same_bytes(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    unbroken = started(whole)  # next to the others: nothing is shared
    moments, seen = random.Random(0), []
    for _ in range(2):
        process, known = started(broken), tiles(broken)
        while process.poll() is None and tiles(broken) == known:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        seen.append(tiles(broken))
    assert 0 < seen[0] < seen[1] < TILES, "both were killed in the middle, the second went on"
    assert not (broken / "scores").exists()
    assert started(broken).wait() == 0
    assert unbroken.wait() == 0
    for name in ("scores", "index"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()
    assert {p.name for p in broken.iterdir()} == {"scores", "index"}
    index = search.load_index(broken / "index")
    assert index.item_embeddings.shape == (200, 10)
    assert np.isfinite(index.item_embeddings).all()
