"""What test_training_hosts.py starts: some tiny runs, by one process or by several.

python hosted.py FOLDER [signal | differ]
"""

import functools
import logging
import os
import signal
import sys
from pathlib import Path

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import multihost_utils

from jaxsim import training
from jaxsim.numerics import mean

training.connect()
jax.config.update("jax_enable_x64", True)
logging.basicConfig(level=logging.WARNING)

ROWS, STEPS = 16, 5


def batches(steps):
    """This process's rows of batches that are the same whatever the number of processes."""

    def batch(number):
        random = np.random.default_rng(number)
        x, where = random.normal(size=(ROWS, 4)), random.random(ROWS) < 0.8
        columns = {"x": x, "where": where, "ids": np.arange(ROWS, dtype=np.int32)}
        if (workdir / "signal").exists() and number == 3 and jax.process_index() == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        own = ROWS // jax.process_count()
        return {n: a[own * jax.process_index() :][:own] for n, a in columns.items()}

    return grain.MapDataset.range(steps).map(batch)


def objective(params, batch, *, key, axis_name):
    z = jnp.tanh(batch["x"] @ params["w"])
    everyones = jax.lax.all_gather(z, axis_name, tiled=True)
    values = jnp.log(jnp.exp(z @ everyones.T).sum(axis=1))
    return mean(values, batch["where"].astype(values.dtype), axis_name)


def fit(spread, steps=STEPS, **settings):
    params = {"w": np.random.default_rng(0).normal(size=(4, 8))}
    params = training.fit(
        objective,
        params,
        batches(steps),
        optimizer=optax.adam(0.1),
        spread=spread,
        log_every=1,
        steps=steps,
        **settings,
    )
    if params["w"].is_fully_addressable or params["w"].is_fully_replicated:
        return np.asarray(params["w"])
    return np.asarray(multihost_utils.process_allgather(params["w"], tiled=True))


workdir = Path(sys.argv[1])
workdir.mkdir(parents=True, exist_ok=True)
sharded = functools.partial(training.sharded, smallest=1)
saved = workdir / "saved"
if "signal" in sys.argv:
    (workdir / "signal").touch()
    fit(training.pmapped, steps=100, workdir=saved)
elif "differ" in sys.argv:
    fit(training.pmapped, workdir=saved, fingerprint=f"made by {jax.process_index()}")
else:
    found = {
        "pmap": fit(training.pmapped),
        "shard_map": fit(training.shard_mapped),
        "sharded": fit(sharded),
    }
    fit(sharded, steps=3, workdir=saved)
    found["resumed"] = fit(training.pmapped, workdir=saved)
    scored = {"validate": lambda params: {"score": 1.0}, "best": lambda figures: figures["score"]}
    fit(sharded, workdir=workdir / "best", **scored)
    like = {"w": np.zeros((4, 8))}
    best = training.best_of(workdir / "best", like, best=scored["best"])
    found["best"] = np.asarray(best[1]["w"])
    if jax.process_index() == 0:
        np.savez(workdir / "found.npz", **found)
print("finished")
