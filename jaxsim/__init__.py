"""jaxsim: similarity learning in pure functional JAX.

Rooms load when they are first named: `import jaxsim` alone starts nothing.
"""

import importlib

__version__ = "0.1.0"

__all__ = [
    "analysis",
    "data",
    "encoders",
    "evaluation",
    "losses",
    "merging",
    "numerics",
    "pretrained",
    "search",
    "similarity",
    "storage",
    "training",
]


def __getattr__(name):
    if name in __all__:
        return importlib.import_module(f"jaxsim.{name}")
    raise AttributeError(f"module 'jaxsim' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
