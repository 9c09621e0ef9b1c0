"""What a loss is called on when it is checked: the caller's arrays, or those of a description."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxsim.losses._check._report import CLASSES, DIM, ROWS
from jaxsim.losses._check._rules import LIFTERS, positional
from jaxsim.numerics import checks


def described(loss, data, of_rule):
    """The description or the arrays, guessed by the names of the arguments where nothing is said."""
    if isinstance(data, Mapping):
        if not data:
            raise ValueError("data must be {argument: array}, at least one, got {}")
        return data
    if data is not None:
        checks.one_of("data", data, LIFTERS)
        return data
    names = [p.name for p in positional(loss)]
    if of_rule:
        return "labels" if "positives" in names else "scores"
    if names[:2] == ["queries", "documents"]:
        return "pairs"
    if names[:2] == ["embeddings", "labels"]:
        required = [p for p in positional(loss) if p.default is p.empty]
        return "classes" if len(required) > 2 else "labels"
    if names[:1] == ["scores"]:
        return "scores"
    raise ValueError(
        f"data must be one of {', '.join(map(repr, LIFTERS))} or {{argument: array}} for a loss of "
        f"({', '.join(names)}), got None"
    )


@dataclasses.dataclass(frozen=True)
class Inputs:
    """How a loss is called: its arrays by name, in the order of its arguments."""

    loss: Callable
    arrays: Mapping[str, np.ndarray]
    settings: Mapping[str, Any]
    shared: frozenset
    by_name: bool
    described: str  # "" of the caller's own arrays

    @property
    def rows(self):
        return len(next(a for n, a in self.arrays.items() if n not in self.shared))

    def takes(self, name):
        parameter = inspect.signature(self.loss).parameters.get(name)
        return parameter is not None and name not in self.settings

    def call(self, arrays, where=None, **options):
        """The loss of arrays {name: array}."""
        options = {**self.settings, **options}
        if where is not None:
            options["where"] = where
        if self.by_name:
            return self.loss(**arrays, **options)
        return self.loss(*(arrays[name] for name in self.arrays), **options)  # jit sorts a dict

    def of_examples(self, change):
        """The arrays, those of examples changed by (name, array)."""
        return {n: a if n in self.shared else change(n, a) for n, a in self.arrays.items()}


def inputs_of(loss, data, settings, shared):
    """What the loss is called on."""
    if isinstance(data, Mapping):
        arrays = {name: np.asarray(array) for name, array in data.items()}
        parameters = inspect.signature(loss).parameters
        for name in arrays:
            checks.one_of("each name of data", name, parameters)
        for name in shared:
            checks.one_of("each of shared", name, arrays)
        if min(array.ndim for array in arrays.values()) == 0:
            raise ValueError("data must be arrays whose first axis is the examples, got a number")
        first = len(next(a for n, a in arrays.items() if n not in shared))
        others = {name for name, array in arrays.items() if len(array) != first}
        arrays = {n: np.float32(a) if a.dtype.kind == "f" else a for n, a in arrays.items()}
        return Inputs(loss, arrays, settings, frozenset({*shared, *others}), True, "")
    arrays = _made(data, loss)
    of_all = frozenset(list(arrays)[2:]) if data == "classes" else frozenset()
    return Inputs(loss, arrays, settings, of_all, False, data)


def _made(data, loss):
    """Arrays of a description, for as many positional arguments as the loss requires."""
    random = np.random.default_rng(0)
    x, y = np.float32(random.normal(size=(2, ROWS, DIM)))
    number = np.arange(ROWS, dtype=np.int32)
    if data == "labels":
        arrays = {"embeddings": x, "labels": number // 2}
    elif data == "pairs":
        arrays = {"queries": x, "documents": y}
    elif data == "classes":
        several = "centers" in inspect.signature(loss).parameters
        vectors = np.float32(random.normal(size=(CLASSES, *[2] * several, DIM)))
        arrays = {"embeddings": x, "labels": number % CLASSES, "class vectors": vectors}
    else:
        grades = np.float32(random.integers(0, 2, size=(ROWS, DIM)))
        grades[:, 0], grades[:, 1] = 1, 0
        arrays = {"scores": x, "labels": grades}
    required = [p for p in positional(loss) if p.default is p.empty and p.name != "where"]
    if len(required) > len(arrays):
        raise ValueError(
            f"data must be {{argument: array}} for a loss of ({', '.join(p.name for p in required)}), "
            f"got {data!r}, which has {', '.join(arrays)}"
        )
    count = max(len(required), 1)
    return dict(list(arrays.items())[:count])
