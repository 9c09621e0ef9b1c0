"""Correctness on this card: losses, training, resume, spreads and search, held to float64 on the host."""

import concurrent.futures
import functools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.accelerator.rows import Row

ROOT = Path(__file__).resolve().parents[2]
EXACT, BFLOAT16 = 1e-5, 2.0**-7  # errors allowed: relative to the largest entry
STEPS, RATE = 20, 0.03


def rows(setting):
    """A row per check; the notes name what is beyond its bound."""
    yield from of_losses(setting)
    for check in (curve, spreads, resumed, searched, factorized, attended):
        try:
            yield check(setting)
        except Exception as error:  # the others' rows are wanted all the same
            yield Row(
                check.__doc__.split(":")[0],
                note=f"failed: {type(error).__name__}: {error!s:.80}",
            )


def of_losses(setting):
    """Every public loss, value and gradient: float32 and bfloat16 here, float64 on the host."""
    from benchmarks.catalog import CATALOG, GROUPS

    batch, dim = (16, 8) if setting.toy else (64, 32)
    limit = 0.6 * setting.seconds
    chosen = list(CATALOG)[::15] if setting.toy else list(CATALOG)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        asked = {
            name: pool.submit(errors_of, CATALOG[name], batch, dim, setting, limit)
            for name in chosen
        }
        for group, entries in GROUPS.items():
            results = {name: asked[name].result() for name in entries if name in asked}
            for place, (dtype, bound) in enumerate(
                {"float32": EXACT, "bfloat16": BFLOAT16}.items()
            ):
                errors = {n: e[place] for n, e in results.items() if isinstance(e, tuple)}
                beyond = [f"{n} {e:.2g}" for n, e in errors.items() if not e <= bound]
                missing = [f"{n}: {e}" for n, e in results.items() if not isinstance(e, tuple)]
                note = f"{len(errors)} loss{'es' * (len(errors) != 1)}"
                note += f"; beyond: {', '.join(beyond)}" if beyond else ""
                note += f"; not compared: {', '.join(missing[:3])}" if missing else ""
                worst = max(errors.values(), default=None)
                yield Row(f"losses of {group}, {dtype}", "error", worst, limit=bound, note=note)


def errors_of(entry, batch, dim, setting, limit):
    """(error in float32, error in bfloat16) of a loss's value and gradient; or why there is none."""
    import jax

    if setting.seconds - setting.left() > limit:
        return "no time"
    try:
        arrays = entry.arrays(batch, dim)
        both = jax.value_and_grad(entry.ours, argnums=entry.moved)
        host = jax.local_devices(backend="cpu")[0]
        errors = []
        with jax.enable_x64(True), jax.default_device(host):
            exact = jax.jit(both)
            wide = [np.asarray(exact_of(a)) for a in arrays]
            references = [jax.device_get(exact(*wide))]
            rounded = [exact_of(jax.device_get(half(a))) for a in arrays]
            references.append(jax.device_get(exact(*rounded)))
        here = jax.jit(both)
        for cast, reference in zip((np.asarray, half), references, strict=True):
            errors.append(largest(jax.device_get(here(*map(cast, arrays))), reference))
        return tuple(errors)
    except Exception as error:  # one loss that fails is one name in the note
        return f"{type(error).__name__} {error!s:.60}"


def exact_of(array):
    """A float array in float64; others as they are."""
    array = np.asarray(array)
    return array.astype(np.float64) if is_float(array) else array


def half(array):
    """A float array in bfloat16; others as they are."""
    import jax.numpy as jnp

    array = np.asarray(array)
    return array.astype(jnp.bfloat16) if is_float(array) else array


def is_float(array):
    """Whether an array holds floats, bfloat16 among them."""
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"


def largest(values, reference):
    """The largest error of a value and its gradients, each relative to its own largest entry."""
    import jax

    errors = []
    for ours, theirs in zip(jax.tree.leaves(values), jax.tree.leaves(reference), strict=True):
        ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        scale = max(np.abs(theirs).max(initial=0), 1e-3)
        errors.append(float(np.abs(ours - theirs).max(initial=0) / scale))
    return max(errors)


def encoder(params, x):
    """A small encoder: x [rows, 32] -> [rows, 16]."""
    import jax.numpy as jnp

    return jnp.tanh(x @ params["in"]) @ params["out"]


def work(steps=STEPS):
    """(objective, parameters, batches) of a contrastive run."""
    from jaxsim import losses
    from jaxsim.data._planned import Planned

    random = np.random.default_rng(0)
    x = random.normal(size=(64, 32)).repeat(4, axis=0) + random.normal(size=(256, 32))
    x = x.astype(np.float32)
    params = {
        "in": random.normal(size=(32, 64)).astype(np.float32) / 6,
        "out": random.normal(size=(64, 16)).astype(np.float32) / 8,
    }

    def batch(number):
        classes = np.random.default_rng(number).permutation(64)[:16]
        ids = (4 * classes[:, None] + np.arange(4)).ravel().astype(np.int32)
        return {"x": x[ids], "labels": ids // 4, "where": np.ones(64, bool), "ids": ids}

    def objective(params, batch, *, key, axis_name):
        return losses.multi_similarity(
            encoder(params, batch["x"]),
            batch["labels"],
            where=batch["where"],
            axis_name=axis_name,
        )

    return objective, params, Planned(steps, batch)


def trained(devices=None, steps=STEPS, stop=None, **settings):
    """(parameters, losses of the steps) of the run."""
    import jax
    import optax

    from jaxsim import training

    curve = []

    def report(step, figures):
        curve.append(figures["loss"])
        if step == stop:
            os.kill(os.getpid(), signal.SIGKILL)

    objective, params, batches = work(steps)
    with jax.default_matmul_precision("highest"):
        params = training.fit(
            objective,
            params,
            batches,
            optimizer=optax.sgd(RATE),
            devices=devices,
            log_every=1,
            report=report,
            label="checking",
            **settings,
        )
    return jax.device_get(params), np.array(curve)


def curve(setting):
    """20 training steps: the losses here against the host's."""
    import jax

    _, here = trained()
    _, host = trained(devices=jax.local_devices(backend="cpu")[:1])
    error = float(np.abs(here / host - 1).max())
    fell = f"loss {here[0]:.4f} to {here[-1]:.4f}"
    return Row(f"{STEPS} training steps against the host", "error", error, limit=1e-4, note=fell)


def spreads(setting):
    """pmap, shard_map, sharded: the same parameters."""
    from jaxsim import training

    ways = {
        "pmap": training.pmapped,
        "shard_map": training.shard_mapped,
        "sharded": functools.partial(training.sharded, smallest=1),
    }
    params = {name: trained(steps=3, spread=way)[0] for name, way in ways.items()}
    error = max(
        float(np.abs(params[way][name] - params["pmap"][name]).max())
        for way in ("shard_map", "sharded")
        for name in ("in", "out")
    )
    return Row("pmap, shard_map and sharded parameters", "error", error, limit=1e-6)


def resumed(setting):
    """kill and resume: the bytes of a run that was never killed."""
    folder = setting.out / "resumed"
    shutil.rmtree(folder, ignore_errors=True)
    code = (
        "from benchmarks.accelerator import correct; "
        f"correct.trained(stop=13, workdir={str(folder)!r}, save_every=5)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if killed.returncode != -signal.SIGKILL:
        words = (killed.stderr.strip().splitlines() or ["no word"])[-1]
        return Row("kill and resume", note=f"failed: {words:.80}")
    whole, _ = trained()
    again, losses = trained(workdir=folder, save_every=5)
    same = all(np.array_equal(whole[name], again[name]) for name in whole)
    note = (
        f"killed in step 13, {STEPS - len(losses)} steps kept; {'equal' if same else 'DIFFERENT'}"
    )
    shutil.rmtree(folder, ignore_errors=True)
    return Row("kill and resume, to the byte", "bytes that differ", float(not same), note=note)


def searched(setting):
    """exact search: scores and ids against float64 on the host."""
    from jaxsim import search

    random = np.random.default_rng(0)
    items = random.normal(size=(2000 if setting.toy else 50_000, 64)).astype(np.float32)
    queries = random.normal(size=(16, 64)).astype(np.float32)
    scores, ids = (np.asarray(a) for a in search.exact(queries, items, k=50))
    exact = queries.astype(np.float64) @ items.astype(np.float64).T
    best = -np.sort(-exact, axis=1)[:, :50]
    error = float(np.abs(scores - best).max() / np.abs(best).max())
    scores_of_ids = np.take_along_axis(exact, ids, axis=1)
    wrong = int((scores_of_ids < best[:, -1:] - 1e-4).sum())
    return Row(
        "exact search against the host", "error", error, limit=EXACT, note=f"{wrong} ids wrong"
    )


def factorized(setting):
    """CUR index: estimates against float64 on the host."""
    from jaxsim import search

    random = np.random.default_rng(0)
    left, right = random.normal(size=(61, 20)), random.normal(size=(20, 2000))
    scores = left @ right + 0.1 * random.normal(size=(61, 2000))
    anchors = np.arange(0, 2000, 50)
    index = search.cur_index(scores[:60].astype(np.float32), anchors, rtol=1e-3, center=None)
    estimated = np.asarray(search.cur_scores(index, scores[60, anchors].astype(np.float32)))
    exact = scores[60, anchors] @ np.linalg.pinv(scores[:60, anchors], rcond=1e-3) @ scores[:60]
    error = float(np.abs(estimated - exact).max() / np.abs(exact).max())
    return Row("a CUR index against the host", "error", error, limit=1e-4)


def attended(setting):
    """attention: value and gradients, padding among the tokens, against float64 on the host."""
    import jax
    import jax.numpy as jnp

    from jaxsim.encoders._attention import attention, cudnn_takes, plain_attention

    random = np.random.default_rng(0)
    arrays = [half(random.normal(size=(4, 128, 12, 64))) for _ in range(4)]
    where = np.arange(128) % np.array([3, 5, 7, 200])[:, None] > 0

    def both(attend, query, key, value, slope):
        result, backward = jax.vjp(
            lambda *inputs: attend(*inputs, mask=where[:, None, None]), query, key, value
        )
        return result, *backward(slope)

    values = jax.jit(functools.partial(both, attention))(*arrays)
    host = jax.local_devices(backend="cpu")[0]
    with jax.enable_x64(True), jax.default_device(host):
        exact = jax.jit(functools.partial(both, plain_attention))(*map(exact_of, arrays))
    way = "cuDNN" if cudnn_takes(*map(jnp.asarray, arrays[:2])) else "XLA"
    note = f"through {way}"
    error = largest(jax.device_get(values), jax.device_get(exact))
    return Row(
        "attention against the host, bfloat16", "error", error, limit=2 * BFLOAT16, note=note
    )
