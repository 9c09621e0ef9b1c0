"""An index build that is killed at random moments gives the bytes of one that is not.

What `benchmarks.search --work kills` runs; `python -m benchmarks.search_build FOLDER` is one build.
"""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
QUERIES, ITEMS, PAUSE = 160, 3000, 0.02  # a tile takes long enough for a kill to find it


def build(folder):
    """Scores of all pairs in tiles, then the index; both in files."""
    from jaxsim import search

    random = np.random.default_rng(0)
    queries, items = (random.standard_normal((n, 24), np.float32) for n in (QUERIES, ITEMS))

    def score(rows, ids):
        time.sleep(PAUSE)
        return np.tanh(np.einsum("pd,pd->p", queries[rows], items[ids]) / 8)

    scores = search.anchor_scores(score, QUERIES, ITEMS, path=folder / "scores", rows=4)
    index = search.cur_index(scores, search.anchors.pivoted_qr(scores, 40), rtol=1e-2)
    search.save_index(folder / "cur.index", index)


def killed(options):
    """Rows: how many kills, after how much of the work, and whether the files are the same."""
    random = np.random.default_rng()
    with tempfile.TemporaryDirectory() as place:
        whole, broken = Path(place) / "whole", Path(place) / "broken"
        begun = time.perf_counter()
        started(whole).wait()
        unbroken = time.perf_counter() - begun
        kills, tiles = 0, []
        while kills < options.kills:
            process = started(broken)
            # From the first new tile on, so that a slow start isn't all that is killed.
            known = done(broken)
            while process.poll() is None and done(broken) == known:
                time.sleep(0.005)
            time.sleep(random.uniform(0, 1.2 * PAUSE * QUERIES / 4 / options.kills))
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            tiles.append(done(broken))
        if started(broken).wait() != 0:
            raise SystemExit("the build that resumes after the kills failed")
        same = [
            (whole / name).read_bytes() == (broken / name).read_bytes()
            for name in ("scores", "cur.index")
        ]
    return [
        {
            "work": "kills",
            "kills": kills,
            "tiles done at each": " ".join(map(str, tiles)),
            "of": QUERIES // 4,
            "same bytes": all(same),
            "unbroken_ms": 1e3 * unbroken,
        }
    ]


def done(folder):
    """How many tiles are finished."""
    return len(list(folder.glob("scores.tiles/0*")))


def started(folder):
    """A build in a separate process."""
    folder.mkdir(exist_ok=True)
    words = [sys.executable, "-m", "benchmarks.search_build", str(folder)]
    return subprocess.Popen(words, cwd=HERE.parent, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
