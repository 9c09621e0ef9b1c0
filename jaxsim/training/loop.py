"""The training loop: bounded run-ahead, progress, metrics, checkpoints, and a resume that is bitwise."""

import collections
import contextlib
import json
import logging
import signal
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.spread import rows_of_batch, spread
from jaxsim.storage import bar, write_json, write_text
from jaxsim.training.checkpoints import Checkpoints
from jaxsim.training.objective import check_objective
from jaxsim.training.row_sparse import RowOptimizer, rows_of
from jaxsim.training.step import Carry, make_step, on_devices, replicated

LOG = logging.getLogger("jaxsim.training")
RUN_AHEAD = (
    8  # steps on their way at most: memory stays flat, Ctrl-C prompt, simulated devices alive
)


def fit(
    objective,
    params,
    batches,
    *,
    optimizer,
    steps=None,
    state=None,
    key=None,
    workdir=None,
    fingerprint="",
    save_every=200,
    keep=2,
    log_every=10,
    devices=None,
    label="training",
):
    """Trains parameters; with a workdir, stopping at any moment loses nothing.

        params = fit(objective, params, batches, optimizer=optax.adamw(2e-5), workdir="runs/mine")

    A run that is killed and started again with the same arguments ends in bitwise the same parameters
    (on as many devices) as one that was not. A finished run returns its parameters at once.

    Args:
      objective: (params, batch, *, key, axis_name) -> loss or (loss, metrics); with a state,
        (params, state, batch, *, key, axis_name) -> (loss, (state, metrics)). The loss is that of the
        whole batch: pass `axis_name` on to it. The key is the same on all devices.
      params: pytree of arrays.
      batches: an iterable of batches, dicts of arrays with `where` and `ids`; what jaxsim.data.batches
        gives, or anything with `iter` (with a workdir the iterator must have get_state, set_state).
      optimizer: an optax transformation, or a `RowOptimizer` for lookup tables.
      steps: how many; None takes len(batches).
      state: the objective's state at the start, or None.
      key: a jax.random key; None is jax.random.key(0).
      workdir: a folder for checkpoints and metrics.jsonl; None keeps nothing.
      fingerprint: a string for all that the run depends on; the workdir of another one is refused.
      save_every: steps between checkpoints.
      keep: how many of the last checkpoints stay.
      log_every: steps between lines of metrics.jsonl.
      devices: local devices; None takes all.
      label: of the progress bar.

    Returns: the parameters; with a state, (params, state).
    Raises: ValueError, before any step, for an objective that was not reduced over the devices, a
    batch smaller than the devices, another run's workdir; FloatingPointError for a loss or gradient
    that is not finite, with the step and the batch's ids, after saving what came before it.
    On SIGTERM it saves and exits with 0; on Ctrl-C it saves and raises KeyboardInterrupt.
    """
    key = jax.random.key(0) if key is None else key
    devices = jax.local_devices() if devices is None else list(devices)
    if steps is None:
        if not hasattr(batches, "__len__"):
            raise ValueError("steps must be given where batches has no length, got None")
        steps = len(batches)
    checks.whole("steps", steps)
    checks.whole("save_every", save_every)
    checks.whole("log_every", log_every)
    iterator = iter(batches)
    # Copies: the first step is given the carry's memory, and the caller's arrays are the caller's.
    params, state = jax.tree.map(jnp.array, (params, state))
    carry = Carry(params, optimizer.init(params), state, jnp.int32(0), jnp.asarray(True))
    with contextlib.ExitStack() as stack:
        store = _opened(workdir, iterator, fingerprint, keep, stack)
        start = 0
        if store is not None and (found := store.restore(carry)) is not None:
            start, carry, position = found
            if start < steps:
                iterator.set_state(position)
                LOG.info("%s: going on from step %d", label, start)
        if start < steps:
            carry = _run(
                objective, carry, iterator, optimizer, key, start, steps, devices, label, save_every,
                log_every, store, None if workdir is None else Path(workdir) / "metrics.jsonl",
            )  # fmt: skip
    return carry.params if carry.state is None else (carry.params, carry.state)


def _run(
    objective, carry, iterator, optimizer, key, start, steps, devices, label, save_every, log_every,
    store, log,
):  # fmt: skip
    """Steps `start` to `steps`."""
    step = on_devices(make_step(objective, optimizer), devices)
    carry = replicated(carry, devices)
    running = collections.deque()  # of (step, loss, metrics, sound, ids, data position before it)
    stopped = Stop()

    def position():
        return iterator.get_state() if store is not None else None

    def fetch(progress):
        number, loss, metrics, sound, batch, before = running.popleft()
        loss = float(loss)
        if not sound:
            if store is not None:
                store.save(number, carry._replace(sound=jnp.asarray(True)), before)
            ids = np.asarray(batch["ids"]).ravel().tolist()
            saved = "" if store is None else f"; what came before is saved as step {number}"
            raise FloatingPointError(
                f"{label}: loss {loss} or its gradient is not finite in step {number}, "
                f"for the batch of ids {ids}{saved}"
            )
        progress.advance(len(batch["where"]), loss=loss)
        if log is not None and ((number + 1) % log_every == 0 or number + 1 == steps):
            line = {"step": number + 1, "loss": loss}
            line |= {name: float(value) for name, value in metrics.items()}
            line["examples/s"] = round(progress.rate(), 1)
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    with stopped, contextlib.ExitStack() as stack:
        progress = None
        for number in range(start, steps):
            before = position()
            try:
                batch = next(iterator)
            except StopIteration:
                raise ValueError(
                    f"{label}: batches ended after {number} of steps={steps}: give more or fewer steps"
                ) from None
            if number == start:
                rows = rows_of_batch(batch)
                if rows < len(devices):
                    raise ValueError(
                        f"the batch size must be at least the {len(devices)} devices, got {rows}"
                    )
                params = carry.params
                if isinstance(optimizer, RowOptimizer):
                    params = rows_of(params, optimizer.lookup(batch, key))
                check_objective(objective, params, batch, key=key, state=carry.state)
                if log is not None:
                    _cut_log(log, start)
                progress = stack.enter_context(bar(steps * rows, label, "examples"))
                progress.skip(start * rows)
            carry, loss, metrics = step(carry, spread(batch, len(devices)), key)
            # The flag by itself: the carry's own memory goes to the next step.
            running.append((number, loss, metrics, jnp.copy(carry.sound), batch, before))
            while len(running) >= RUN_AHEAD or (running and number + 1 == steps):
                fetch(progress)
            last = number + 1 == steps
            if store is not None and (last or stopped.asked or (number + 1) % save_every == 0):
                while running:
                    fetch(progress)
                store.save(number + 1, carry, position())
            if stopped.asked and not last:
                if store is not None:
                    store.close()
                stopped.leave(label, number + 1)
    return carry


class Stop:
    """SIGTERM and Ctrl-C, noted while a block runs, so that a step is never torn."""

    def __init__(self):
        self.asked, self.before = None, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for which in (signal.SIGTERM, signal.SIGINT):
                self.before[which] = signal.signal(which, self._note)
        return self

    def __exit__(self, *_):
        for which, handler in self.before.items():
            signal.signal(which, handler)

    def _note(self, which, _frame):
        if self.asked == signal.SIGINT == which:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait
        self.asked = which

    def leave(self, label, step):
        """Ends the process as the signal asks."""
        LOG.info("%s: stopped and saved at step %d", label, step)
        if self.asked == signal.SIGTERM:
            raise SystemExit(0)
        raise KeyboardInterrupt


def _opened(workdir, iterator, fingerprint, keep, stack):
    """The checkpoints in a workdir of this run, or None without a workdir."""
    if workdir is None:
        return None
    for name in ("get_state", "set_state"):
        if not hasattr(iterator, name):
            raise ValueError(
                f"with workdir= the iterator of batches must have {name}, to resume where it stood; "
                f"{type(iterator).__name__} has not: use jaxsim.data.batches, or workdir=None"
            )
    workdir = Path(workdir)
    about = workdir / "run.json"
    if about.exists():
        known = json.loads(about.read_text())["fingerprint"]
        if known != fingerprint:
            raise ValueError(
                f"workdir={str(workdir)!r} belongs to another run, with fingerprint {known!r}, this "
                f"one has {fingerprint!r}: remove it or choose another"
            )
    else:
        write_json(about, {"fingerprint": fingerprint})
    store = Checkpoints(workdir / "checkpoints", keep=keep)
    stack.callback(store.close)
    return store


def _cut_log(log, step):
    """Drops the lines of steps that will be taken again, and a line that a kill cut short."""
    if not log.exists():
        return
    kept = []
    for line in log.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
    write_text(log, "".join(kept))
