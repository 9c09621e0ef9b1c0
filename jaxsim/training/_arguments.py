"""Checks of `fit`'s arguments, before any step: each error says what was wanted and what came."""

import inspect
import numbers
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.numerics import checks
from jaxsim.numerics.types import ArrayTree, Objective
from jaxsim.training._objective import takes_step


def check_functions(
    objective: Objective, state: Any, validate: Any, best: Any, report: Any, spread: Any
) -> None:
    """Refuses what is not a function, and an objective of other arguments than it will get."""
    checks.function("objective", objective, "(params, batch, *, key, axis_name) -> loss")
    check_signature(objective, state is not None)
    for name, value, what in (
        ("validate", validate, "of the parameters to {name: number}, or None"),
        ("best", best, "of what validate gives to a number, or None"),
        ("report", report, "(step, figures), such as training.tensorboard(folder), or None"),
    ):
        if value is not None:
            checks.function(name, value, what)
    checks.function("spread", spread, "such as training.pmapped")
    if best is not None and validate is None:
        raise ValueError("best needs validate=, whose figures it compares, got None")


def check_signature(objective: Objective, stateful: bool) -> None:
    """Refuses an objective that does not take what it will be given."""
    try:
        signature = inspect.signature(objective)
    except (TypeError, ValueError):  # of some callables it is not known
        return
    names = ("params", "state", "batch") if stateful else ("params", "batch")
    named = dict.fromkeys(
        ("key", "axis_name", "step") if takes_step(objective) else ("key", "axis_name")
    )
    try:
        signature.bind(*names, **named)
    except TypeError as error:
        wanted = f"({', '.join(names)}, *, {', '.join(named)})"
        remedy = ""
        other = ("params", "batch") if stateful else ("params", "state", "batch")
        try:
            signature.bind(*other, **named)
        except TypeError:
            pass
        else:
            remedy = "; leave state=None" if stateful else "; pass state="
        raise ValueError(
            f"objective must take {wanted}, got one of {signature}: {error}{remedy}"
        ) from None


def checked_steps(steps: int | None, batches: Any) -> int:
    """How many steps: as given, or as many as there are batches."""
    iterable = hasattr(batches, "__iter__") or hasattr(batches, "__getitem__")
    if not iterable or isinstance(batches, (str, bytes, dict)):
        raise ValueError(
            "batches must be an iterable of batches, such as what jaxsim.data.batches gives, got "
            f"{shown(batches)}"
        )
    if steps is None:
        if not hasattr(batches, "__len__"):
            raise ValueError("steps must be given where batches has no length, got None")
        steps = len(batches)
        if steps == 0:
            raise ValueError("batches must give at least one batch, got none")
    checks.whole("steps", steps)
    return int(steps)


def check_average(average: Any) -> None:
    """Refuses a decay that is not from 0 to below 1."""
    if average is None:
        return
    real = isinstance(average, numbers.Real) and not isinstance(average, bool)
    if not (real and 0 <= average < 1):
        raise ValueError(
            f"average must be a decay from 0 to below 1, such as 0.999, or None, got {average!r}"
        )


def check_key(key: Any) -> None:
    """Refuses what is not one key of jax.random."""
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    raw = not typed and getattr(key, "dtype", None) == np.uint32 and np.shape(key) == (2,)
    if not (raw or (typed and key.shape == ())):
        got = f"keys of shape {key.shape}" if typed else f"{shown(key)}"
        raise ValueError(f"key must be a jax.random key, such as jax.random.key(0), got {got}")


def checked_devices(devices: Any) -> list[jax.Device]:
    """The devices as a list: local ones, each once, at least one; None takes all."""
    if devices is None:
        return jax.local_devices()
    wanted = "devices must be some of jax.local_devices(), each once, or None"
    if isinstance(devices, (str, jax.Device)):
        raise ValueError(f"{wanted}, got {devices!r}")
    try:
        devices = list(devices)
    except TypeError:
        raise ValueError(f"{wanted}, got {shown(devices)}") from None
    if not devices:
        raise ValueError(f"{wanted}, got none")
    for device in devices:
        if not isinstance(device, jax.Device):
            raise ValueError(f"{wanted}, got {shown(device)}")
        if device.process_index != jax.process_index():
            raise ValueError(f"{wanted}, got {device} of another process")
    if len(set(devices)) != len(devices):
        raise ValueError(f"{wanted}, got {devices}")
    return devices


def check_state(state: Any) -> None:
    """Refuses a state that is not a tree of arrays or numbers."""
    for path, leaf in jax.tree.leaves_with_path(state):
        numeric = isinstance(leaf, (jax.Array, np.ndarray, np.generic, bool, int, float, complex))
        if not numeric or getattr(leaf, "dtype", np.dtype(float)).kind in "USOMm":
            raise ValueError(
                f"state{jax.tree_util.keystr(path)} must be an array of numbers, got {shown(leaf)}"
            )


def way_of(spread: Callable[..., Any], devices: Any) -> Any:
    """How the step is spread over devices.

    Raises: ValueError for a function that is not one of jaxsim.training's.
    """
    wanted = "spread must be training.pmapped, shard_mapped or sharded"
    try:
        way = spread(devices)
    except TypeError as error:
        raise ValueError(f"{wanted}, got {shown(spread)}: {error}") from error
    for name in ("start", "place", "whole", "feed", "stop", "step", "local"):
        if not hasattr(way, name):
            raise ValueError(f"{wanted}, got {shown(spread)}, which gives {shown(way)}")
    return way


def checked_params(name: str, params: Any) -> ArrayTree:
    """Parameters as floating-point arrays; Python's floats become some.

    Raises: ValueError for no parameters, for what is not a float, for NaN and infinity.
    """
    leaves = jax.tree.leaves_with_path(params)
    if not leaves:
        raise ValueError(f"{name} must hold at least one array, got {shown(params)}")

    def one(path, leaf):
        where = name + jax.tree_util.keystr(path)
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            return leaf
        if not isinstance(leaf, (np.ndarray, np.generic, jax.Array, float, complex)):
            raise ValueError(
                f"{where} must be an array of floats, got {type(leaf).__name__} {shown(leaf)}"
            )
        array = np.asarray(leaf) if not isinstance(leaf, jax.Array) else leaf
        if not jnp.issubdtype(array.dtype, jnp.inexact):
            raise ValueError(
                f"{where} must be floats to be trained, got {array.dtype}: convert it, or keep it out "
                "of the parameters (in the objective, or in state=)"
            )
        if isinstance(leaf, (float, complex)):
            array = jnp.asarray(array, jnp.result_type(leaf))
        if not bool((jnp if isinstance(array, jax.Array) else np).isfinite(array).all()):
            raise ValueError(f"{where} is not finite before the first step: it has NaN or infinity")
        return array

    return jax.tree.map_with_path(one, params)


def checked_figures(name: str, figures: Any) -> dict[str, float]:
    """{name: float} of what a function of the caller's gave.

    Raises: ValueError for anything but a dict of numbers under strings.
    """
    if not isinstance(figures, dict):
        raise ValueError(f"{name} must give {{name: number}}, got {shown(figures)}")
    floats = {}
    for key, value in figures.items():
        if not isinstance(key, str) or key == "step":
            raise ValueError(
                f'{name} must give {{name: number}} with strings other than "step" as names, got {key!r}'
            )
        array = np.asarray(value)
        if array.shape != () or array.dtype.kind not in "biufV" or isinstance(value, str):
            raise ValueError(f"{name} must give numbers, got {shown(value)} for {key!r}")
        floats[key] = float(value)
    return floats


def shown(value: Any) -> str:
    """A value for an error: one line, at most 60 characters."""
    return " ".join(repr(value).split())[:60]
