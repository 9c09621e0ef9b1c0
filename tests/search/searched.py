"""What test_processes.py starts: exact searches whose scores tie everywhere, by one process or by several.

python searched.py FOLDER
"""

import os
import sys
from pathlib import Path

import jax
import numpy as np

from jaxsim import search, similarity

if hosts := os.environ.get(
    "JAXSIM_HOSTS"
):  # as training.connect reads it, without importing training
    number, _, count = hosts.partition("/")
    jax.distributed.initialize(os.environ["JAX_COORDINATOR_ADDRESS"], int(count), int(number))
folder = Path(sys.argv[1])
random = np.random.default_rng(0)
queries, items = (random.integers(-2, 3, size=(n, 3)).astype(np.float32) for n in (7, 61))
where = np.arange(61) % 4 > 0
exclude = np.arange(7)[:, None]
path = folder / f"items{jax.process_index()}.npy"  # each host its own copy
np.save(path, items)
mapped = np.load(path, mmap_mode="r")

answers = {
    "dot": search.exact(queries, items, k=9),
    "euclidean": search.exact(
        queries, items, k=9, similarity=similarity.negative_euclidean, block=4
    ),
    "filtered": search.exact(queries, items, k=50, where=where, exclude=exclude),
    "from a file": search.exact(queries, mapped, k=9, block=4, where=where),
    "fewer items than devices": search.exact(queries, items[:5], k=5),
    "one item": search.exact(queries, items[:1], k=1),
}
found = {
    f"{what} {part}": a
    for what, pair in answers.items()
    for part, a in zip(("scores", "ids"), pair, strict=True)
}
np.savez(folder / f"found{jax.process_index()}.npz", **found)
