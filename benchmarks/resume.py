"""A run that is killed at random moments and started again ends as one that was never killed.

    python -m benchmarks.resume --kills 20

Each start of the run is killed by SIGKILL after a random time (of importing, compiling, stepping or
saving), until so many kills have hit; then it is left to end. The parameters must be bitwise those of an
unbroken run. Prints one line for each kill, and the verdict; benchmarks/resume.json has the figures.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def run(workdir, steps, pause):
    """The run: a small encoder with dropout on 4 simulated devices, saving every few steps."""
    import grain
    import jax
    import jax.numpy as jnp

    from jaxsim import losses, training

    x = np.random.default_rng(0).normal(size=(512, 16)).astype(np.float32)

    def batch(number):
        time.sleep(pause)
        ids = np.random.default_rng(number).permutation(512)[:32].astype(np.int32)
        return {"x": x[ids], "where": np.ones(32, bool), "ids": ids}

    def objective(params, batch, *, key, axis_name):
        key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
        hidden = jnp.tanh(batch["x"] @ params["in"])
        views = [
            hidden * jax.random.bernoulli(k, 0.8, hidden.shape) @ params["out"]
            for k in jax.random.split(key)
        ]
        return losses.info_nce(*views, temperature=0.1, axis_name=axis_name)

    weights = np.random.default_rng(1)
    params = {"in": weights.normal(size=(16, 32)), "out": weights.normal(size=(32, 8))}
    params = jax.tree.map(jnp.float32, params)
    params = training.fit(
        objective,
        params,
        grain.MapDataset.range(steps).map(batch),
        optimizer=training.adamw(training.cosine_warmup_decay(1e-2, steps=steps)),
        workdir=workdir,
        save_every=5,
        average=0.99,
    )
    np.savez(Path(workdir) / "params.npz", **params)


def start(workdir, options):
    """The run in a separate process."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "benchmarks.resume",
            "--run",
            str(workdir),
            "--steps",
            str(options.steps),
            "--pause",
            str(options.pause),
        ],
        cwd=HERE.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"XLA_FLAGS": flags, "NPROC": "8", "JAX_PLATFORMS": "cpu"},
    )


def finished(process):
    """Waits for the end of a run that nobody kills."""
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a run failed: {errors.decode()[-2000:]}")


def newest(workdir):
    """The newest checkpoint's step, or 0."""
    folder = workdir / "checkpoints"
    steps = [int(p.name) for p in folder.iterdir() if p.name.isdigit()] if folder.exists() else []
    return max(steps, default=0)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--pause", type=float, default=0.02, help="seconds that a batch takes")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run, options.steps, options.pause)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="resume"))
    began = time.monotonic()
    finished(start(folder / "unbroken", options))
    length = time.monotonic() - began
    moments = random.Random(options.seed)
    hit, ended_early = [], 0
    while len(hit) < options.kills:
        process = start(folder / "killed", options)
        after = moments.uniform(0, 1.0 * length)
        try:
            process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            hit.append({"after_s": round(after, 2), "newest": newest(folder / "killed")})
            print(
                f"kill {len(hit)}: after {after:.2f} s, newest checkpoint {hit[-1]['newest']}",
                flush=True,
            )
        else:
            if process.returncode:
                raise RuntimeError("a run failed by itself")
            # It ended before its kill: what it made is compared at once, and a new one is begun.
            ended_early += 1
            compare(folder)
            shutil.rmtree(folder / "killed")
    finished(start(folder / "killed", options))
    compare(folder)
    print(f"{options.kills} kills: bitwise the parameters of the unbroken run")
    figures = {
        "kills": hit,
        "runs_that_ended_between": ended_early,
        "steps": options.steps,
        "unbroken_s": round(length, 2),
        "bitwise": True,
    }
    (HERE / "resume.json").write_text(json.dumps(figures, indent=1) + "\n")
    shutil.rmtree(folder)
    return 0


def compare(folder):
    """Stops where a parameter differs in one bit."""
    one, other = (np.load(folder / name / "params.npz") for name in ("unbroken", "killed"))
    for name in one:
        if one[name].tobytes() != other[name].tobytes():
            raise SystemExit(
                f"{name} differs from the unbroken run's, by {np.abs(one[name] - other[name]).max()}"
            )


if __name__ == "__main__":
    sys.exit(main())
