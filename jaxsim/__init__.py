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

# Modules of the robot simulator that is called jaxsim on the package index.
_OF_ANOTHER_PROJECT = "api", "integrators", "mujoco", "parsers", "rbda", "terrain"


def __getattr__(name):
    if name in __all__:
        return importlib.import_module(f"jaxsim.{name}")
    if name in _OF_ANOTHER_PROJECT:
        raise AttributeError(
            f"module 'jaxsim' has no attribute {name!r}: this is similarity learning (the distribution "
            "jaxsim-similarity), and the robot simulator of that name is the distribution jaxsim; install one "
            "of them in an environment"
        )
    raise AttributeError(f"module 'jaxsim' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
