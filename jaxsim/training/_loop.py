"""The training loop: bounded run-ahead, progress, checkpoints, and a resume that is bitwise.

How the step is spread is in _parallel.py, what stops a run in _guards.py, the folder of a run in _workdir.py,
what a person reads in _journal.py.
"""

import collections
import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics._device_batches import rows_of_batch
from jaxsim.numerics.types import ArrayTree, Batch, Objective, PRNGKey
from jaxsim.storage import bar
from jaxsim.training import _arguments as arguments, _guards as guards, _workdir as workdirs
from jaxsim.training._checkpoints import Checkpoints
from jaxsim.training._compiled import Compiled
from jaxsim.training._journal import Journal
from jaxsim.training._objective import check_objective
from jaxsim.training._optimizers import check_optimizer
from jaxsim.training._parallel import pmapped
from jaxsim.training._row_sparse import Optimizer, RowOptimizer, check_lookup, rows_of
from jaxsim.training._step import Carry

LOG = logging.getLogger("jaxsim.training")
# Dispatched steps at most: memory stays flat, Ctrl-C prompt, simulated devices alive.
RUN_AHEAD = 8
SHOWN = 8  # ids of a batch that a message names


def fit(
    objective: Objective,
    params: ArrayTree,
    batches: Iterable[Batch],
    *,
    optimizer: Optimizer,
    steps: int | None = None,
    state: ArrayTree | None = None,
    key: PRNGKey | None = None,
    average: float | None = None,
    workdir: str | os.PathLike | None = None,
    fingerprint: Any = "",
    save_every: int = 200,
    keep: int = 2,
    validate: Callable[[ArrayTree], Mapping[str, float]] | None = None,
    best: Callable[[Mapping[str, float]], float] | None = None,
    log_every: int = 10,
    report: Callable[[int, Mapping[str, float]], Any] | None = None,
    devices: Sequence[jax.Device] | None = None,
    spread: Callable[..., Any] = pmapped,
    label: str = "training",
) -> Any:
    """Trains parameters; with a workdir, stopping at any moment loses nothing.

        params = fit(objective, params, batches, optimizer=optax.adamw(2e-5), workdir="runs/mine")

    A run that is killed and started again with the same arguments ends in bitwise the same parameters
    (on as many devices) as one that was not. A finished run returns its parameters at once. On another
    number of devices it resumes too, up to rounding.

    A finished run is lengthened by more `steps`: it resumes at its last step, with the batches that follow
    and the optimizer given now. Where a schedule depends on the number of steps, the rate jumps to where
    the longer schedule is, and the result is not that of a run which had so many steps from the start.

    With several processes (`jax.distributed.initialize` first), each gives its own rows of a batch and
    all the same arguments; the workdir is one that all of them see.

    Args:
      objective: (params, batch, *, key, axis_name) -> loss or (loss, metrics); with a state,
        (params, state, batch, *, key, axis_name) -> (loss, (state, metrics)). The loss is that of the
        whole batch: pass `axis_name` on to it. The key is the same on all devices. One that has a
        parameter `step` also gets the number of steps taken before, an int32 scalar, traced, from 0; a
        resumed run counts on.
      params: pytree of floating-point arrays.
      batches: an iterable of batches, dicts of arrays with `where` and `ids`; what jaxsim.data.batches
        gives, or anything with `iter` (with a workdir the iterator must have get_state, set_state).
      optimizer: an optax transformation, or a `RowOptimizer` for lookup tables.
      steps: how many; None takes len(batches).
      state: the objective's state at the start, or None.
      key: a jax.random key; None is jax.random.key(0).
      average: decay of a moving average of the parameters, from 0 to below 1, such as 0.999; the average
        is then what is validated and returned. None keeps none.
      workdir: a folder, or a place on an object store such as gs://, for checkpoints, metrics.jsonl
        and loss.png; None keeps nothing. One run at a time owns a folder; object stores have no locks,
        and there a second run is not noticed.
      fingerprint: all that the run depends on: a dict of settings, such as {"rate": 2e-5, "dim": 64}, or
        a string. The workdir of another one is refused, naming the settings that differ.
      save_every: steps between checkpoints.
      keep: how many of the last checkpoints stay.
      validate: function of the parameters to {name: float}, called with every checkpoint.
      best: function of what `validate` gave to a number, larger is better: the best checkpoint stays
        too, and `best_of` reads it. NaN is never the best.
      log_every: steps between lines of metrics.jsonl.
      report: function (step, {name: float}) that gets those lines: `tensorboard`, `weights_and_biases`.
        What `validate` gave is named "validation/...". Where it fails, the log says so and training continues.
      devices: local devices; None takes all.
      spread: how the step is spread over them: `pmapped`, `shard_mapped` or `sharded`.
      label: of the progress bar.

    Returns: the parameters; with a state, (params, state).
    Raises: ValueError, before any step, for an argument out of range, parameters that are not finite, an
    objective that was not reduced over the devices, a batch smaller than the devices, a workdir that is in
    use, another run's or beyond `steps`, data that changed since, processes that were started
    differently; OSError for a checkpoint that cannot be written; FloatingPointError for a loss or gradient that is not finite, with the
    step and the first ids of the batch, after saving what came before it.
    On SIGTERM, to any process, all save and exit with 0; on Ctrl-C it saves, raises KeyboardInterrupt.
    """
    key = jax.random.key(0) if key is None else key
    arguments.check_functions(objective, state, validate, best, report, spread)
    check_optimizer(optimizer)
    arguments.check_key(key)
    arguments.check_state(state)
    arguments.check_average(average)
    steps = arguments.checked_steps(steps, batches)
    for name, value in (("save_every", save_every), ("keep", keep), ("log_every", log_every)):
        checks.whole(name, value)
    params = arguments.checked_params("params", params)
    way = arguments.way_of(spread, arguments.checked_devices(devices))
    carry = way.start(params, state, optimizer, average)
    iterator = iter(batches)
    with contextlib.ExitStack() as stack:
        store, start = None, 0
        settings = {
            "fingerprint": workdirs.plain_fingerprint(fingerprint),
            "key": guards.key_name(key),
            "steps": steps,
            "save_every": save_every,
            "log_every": log_every,
            "average": average,
            "spread": getattr(spread, "func", spread).__name__,
        }
        guards.check_agreement(settings | {"params": [a.shape for a in jax.tree.leaves(params)]})
        if workdir is not None:
            workdir = workdirs.checked_folder(workdir)
            first = guards.first_batch(iterator)
            rows_of_batch(first)
            about = {name: settings[name] for name in ("fingerprint", "key")}
            stack.enter_context(workdirs.owned(workdir))
            workdirs.check_workdir(workdir, about | {"data": guards.data_name(first)})
            store = Checkpoints(workdir / "checkpoints", keep=keep, best=best)
            stack.callback(store.close)
            if (restored := store.restore(way.whole(carry))) is not None:
                start, carry, position = restored
                carry = way.place(carry)
                if start > steps:
                    raise ValueError(
                        f"workdir={str(workdir)!r} is at step {start}, beyond steps={steps}: give at "
                        f"least steps={start}, or another workdir"
                    )
                if start < steps:
                    guards.set_position(iterator, position, store.folder / str(start))
                    LOG.info("%s: resuming from step %d", label, start)
        if start < steps:
            journal = Journal(workdir, start, report)
            run = Run(
                objective=objective,
                optimizer=optimizer,
                average=average,
                key=key,
                way=way,
                store=store,
                journal=journal,
                validate=validate,
                steps=steps,
                save_every=save_every,
                log_every=log_every,
                label=label,
            )
            carry = run(carry, iterator, start)
            journal.close(label)
    params = carry.params if average is None else carry.average
    return params if carry.state is None else (params, carry.state)


class Ahead(NamedTuple):
    """A dispatched step whose results have not been fetched."""

    number: int  # how many were taken before it
    loss: Any
    metrics: Any
    stop: Any  # whether any process was asked to; None with one process
    sound: Any
    batch: Any
    position: Any  # of the data before it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """The training loop with the settings of `fit`."""

    objective: Any
    optimizer: Any
    average: Any
    key: Any
    way: Any
    store: Any
    journal: Any
    validate: Any
    steps: int
    save_every: int
    log_every: int
    label: str

    def __call__(self, carry: Carry, iterator: Iterator[Batch], start: int) -> Carry:
        """Steps `start` to `steps`: the carry after the last."""
        ahead = collections.deque()
        step = progress = None
        with guards.Stop() as stop, contextlib.ExitStack() as stack:
            for number in range(start, self.steps):
                position = iterator.get_state() if self.store is not None else None
                batch = self.next_batch(iterator, number)
                if step is None:
                    self.check_first(carry, batch)
                    rows = rows_of_batch(batch) * jax.process_count()
                    progress = stack.enter_context(bar(self.steps * rows, self.label, "examples"))
                    progress.skip(start * rows)
                    step = self.way.step(self.objective, self.optimizer, carry, self.average)
                    step = Compiled(step, progress.say, self.way.ahead)
                rows, asked = self.way.feed(batch), self.way.stop(stop.asked is not None)
                carry, loss, metrics, stopping = step(carry, rows, self.key, asked)
                # The flag by itself: the carry's own memory goes to the next step.
                sound = jnp.copy(carry.sound)
                ahead.append(Ahead(number, loss, metrics, stopping, sound, batch, position))
                done = number + 1
                leaving = stop.asked is not None and jax.process_count() == 1
                if leaving and self.store is not None:
                    progress.say(
                        f"asked to stop: saves step {done} first; a second Ctrl-C does not"
                    )
                while len(ahead) >= RUN_AHEAD:
                    leaving |= self.fetch(ahead.popleft(), carry, progress)
                if done == self.steps or leaving or done % self.save_every == 0:
                    while ahead:
                        leaving |= self.fetch(ahead.popleft(), carry, progress)
                    self.save(done, carry, iterator)
                if leaving and done < self.steps:
                    if self.store is not None:
                        self.store.close()
                    stop.leave(self.label, done, self.store is not None)
        return carry

    def next_batch(self, iterator: Iterator[Batch], number: int) -> Batch:
        try:
            return next(iterator)
        except StopIteration:
            raise ValueError(
                f"{self.label}: batches ended after {number} of steps={self.steps}: "
                "give more or fewer steps"
            ) from None

    def check_first(self, carry: Carry, batch: Batch) -> None:
        """Checks what can be known before anything is compiled."""
        rows = rows_of_batch(batch)
        if rows < self.way.local:
            raise ValueError(
                f"the batch size must be at least the {self.way.local} devices, got {rows}"
            )
        shapes = [(a.shape[1:], str(a.dtype)) for a in map(np.asarray, jax.tree.leaves(batch))]
        guards.check_agreement({"batch size": rows, "shape of batches": shapes})
        params = jax.eval_shape(lambda p: p, carry.params)
        if isinstance(self.optimizer, RowOptimizer):
            ids = self.optimizer.lookup(batch, self.key)
            check_lookup(ids, params)
            params = jax.eval_shape(lambda p: rows_of(p, ids), params)
        check_objective(self.objective, params, batch, key=self.key, state=carry.state, logged=True)

    def fetch(self, step: Ahead, carry: Carry, progress: Any) -> bool:
        """Waits for a step and reports it; whether any process was asked to stop."""
        loss = float(step.loss)
        if not step.sound:
            saved = ""
            if self.store is not None:
                good = carry._replace(sound=jnp.asarray(True))
                self.store.save(step.number, self.way.whole(self.way.place(good)), step.position)
                saved = f"; what came before is saved as step {step.number}"
            ids = np.asarray(step.batch["ids"])[np.asarray(step.batch["where"], bool)].tolist()
            others = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
            raise FloatingPointError(
                f"{self.label}: loss {loss} or its gradient is not finite in step {step.number}, "
                f"for the batch of ids {ids[:SHOWN]}{others}{saved}"
            )
        figures = {name: float(value) for name, value in step.metrics.items()}
        progress.advance(len(step.batch["where"]) * jax.process_count(), loss=loss, **figures)
        done = step.number + 1
        if done % self.log_every == 0 or done == self.steps:
            speed = {"examples/s": round(progress.rate(), 1)}
            self.journal.write(done, {"loss": loss} | figures | speed)
        return step.stop is not None and bool(step.stop)

    def save(self, done: int, carry: Carry, iterator: Iterator[Batch]) -> None:
        """Saves a checkpoint, and the figures of what it holds."""
        figures = None
        if self.validate is not None:
            params = carry.params if self.average is None else carry.average
            figures = arguments.checked_figures("validate", self.validate(params))
            self.journal.write(done, figures, validation=True)
        if self.store is not None:
            self.store.save(done, self.way.whole(carry), iterator.get_state(), figures)
        self.journal.flush()
