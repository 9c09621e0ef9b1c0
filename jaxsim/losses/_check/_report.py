"""What a check of a loss says: findings, and how values and errors are written in them."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np

ROWS, DIM, CLASSES = 16, 4, 4
CHECKS = (
    *("finite", "padding", "nan", "devices", "blocks", "permutation", "slopes"),
    *("hyperparameters",),
)
AXIS = "devices"
TRACED = jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError


class Finding(NamedTuple):
    """What is wrong, and how to fix it: the name of the check and one sentence."""

    check: str
    says: str


@dataclasses.dataclass(frozen=True, repr=False)
class Report:
    """What `losses.check` gives; printed, it is a line per finding.

    Attributes:
      name: of the loss.
      findings: (check, sentence) of each thing that is wrong.
      passed: the names of the checks without a finding.
      left_out: {name of a check: why it did not run}.
    """

    name: str
    findings: tuple[Finding, ...]
    passed: tuple[str, ...]
    left_out: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong in what was checked."""
        return not self.findings

    def __str__(self) -> str:
        count = len(self.findings)
        verdict = "nothing is wrong" if self.ok else f"{count} finding{'s' * (count > 1)}"
        lines = [f"{self.name}: {verdict}"]
        lines += [f"  wrong: {check}: {says}" for check, says in self.findings]
        lines += [f"  passed: {', '.join(self.passed)}"] if self.passed else []
        lines += [f"  not checked: {check}: {why}" for check, why in self.left_out.items()]
        return "\n".join(lines)

    __repr__ = __str__


def raised(error):
    """What an exception says, with the remedy for the most common one."""
    if isinstance(error, TRACED):
        return (
            "it asks for the numbers of a traced array: write jnp.where for if, jnp for np, and no "
            "float() or .item()."
        )
    message = " ".join(str(error).split())
    message = message if len(message) <= 160 else message[:157] + "..."
    return f"it raises {type(error).__name__}: {message.rstrip('.')}."


def as_number(value):
    """A number in six digits."""
    return f"{float(np.asarray(value)):.6g}"


def is_close(a, b):
    """Whether trees of numbers agree to rounding of float32; equal NaN and infinities agree."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    for x, y in pairs:
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        size = max(1.0, np.abs(y[np.isfinite(y)]).max(initial=0.0))
        if not np.allclose(x, y, rtol=1e-4, atol=2e-5 * size, equal_nan=True):
            return False
    return True
