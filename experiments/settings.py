"""Checks of an experiment's settings, for the `__post_init__` of its Config.

class Config:
    def __post_init__(self):
        settings.whole(self, 1, "steps", "batch")
        settings.positive(self, "rate")
        settings.one_of(self, data=("digits", "glyphs"))

A tuple is checked value by value. Each error is one sentence that names the setting.
"""

from jaxsim.numerics import checks


def whole(config, least, *names):
    """Whole numbers of at least `least`."""
    for name, value in _values(config, names):
        checks.whole(name, value, least)


def positive(config, *names):
    """Finite numbers above 0."""
    for name, value in _values(config, names):
        checks.finite(name, value)
        checks.positive(name, value)


def finite(config, *names):
    """Finite numbers."""
    for name, value in _values(config, names):
        checks.finite(name, value)


def part(config, *names):
    """Numbers from 0 to 1."""
    for name, value in _values(config, names):
        checks.probability(name, value)


def one_of(config, **choices):
    """Values that are among the choices of each name."""
    for name, wanted in choices.items():
        for _, value in _values(config, (name,)):
            checks.one_of(name, value, tuple(wanted))


def some(config, *names):
    """Tuples that are not empty."""
    for name in names:
        if not getattr(config, name):
            raise ValueError(f"{name} must have one value at least, got none")


def _values(config, names):
    for name in names:
        value = getattr(config, name)
        yield from ((name, one) for one in (value if isinstance(value, tuple) else (value,)))
