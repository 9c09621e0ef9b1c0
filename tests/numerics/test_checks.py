"""Messages name the argument, what was wanted, what came."""

import jax
import numpy as np
import pytest

from jaxsim.numerics import checks


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: checks.positive("t", 0.0), r"^t must be > 0, got 0\.0$"),
        (lambda: checks.not_negative("r", -1), r"^r must be >= 0, got -1$"),
        (lambda: checks.whole("k", 2.0), r"^k must be a whole number of at least 1, got 2\.0$"),
        (lambda: checks.whole("k", True), "whole number"),
        (lambda: checks.probability("p", 1.5), r"^p must be between 0 and 1, got 1\.5$"),
        (lambda: checks.one_of("ties", "x", ("a", "b")), "^ties must be one of 'a', 'b', got 'x'$"),
        (lambda: checks.at_most("k", 9, 5, "the items"), "^k must be at most 5, the items, got 9$"),
        (
            lambda: checks.shaped("labels", np.zeros(31), (32,), "one per row of embeddings"),
            r"^labels must be \[32\], one per row of embeddings, got shape \(31,\)$",
        ),
        (lambda: checks.shaped("x", np.zeros(3), (None, 4)), r"^x must be \[any, 4\], got shape"),
        (lambda: checks.rows_of("x", [np.zeros(2), np.zeros(3)]), r"share their leading axis"),
        (lambda: checks.finite("x", float("nan")), "^x must be finite, got nan$"),
        (lambda: checks.positive("t", np.nan), "^t must be > 0, got nan$"),
        (lambda: checks.positive("t", "0.1"), "^t must be > 0, got '0.1'$"),
        (lambda: checks.not_negative("r", None), "^r must be >= 0, got None$"),
        (lambda: checks.probability("p", [0.5, np.nan]), "^p must be between 0 and 1, got"),
    ],
)
def test_messages(check, message):
    with pytest.raises(ValueError, match=message):
        check()


def test_traced_values_pass():
    assert jax.jit(lambda t: checks.positive("t", t) or t)(-1.0) == -1
