"""Hyperparameters, checked by their defaults: where the default is a number the value must be a number, and not NaN."""

import functools
import inspect
import numbers

from jaxsim.numerics import checks

MAY_BE_NONE = "reduce_fn", "distance_weight"  # functions that None leaves out


def checked(loss):
    """The loss with its hyperparameters checked before it runs: see `check_settings`."""
    parameters = inspect.signature(loss).parameters

    @functools.wraps(loss)
    def with_checks(*arrays, **settings):
        check_settings(parameters, settings)
        return loss(*arrays, **settings)

    return with_checks


def check_settings(parameters, settings):
    """Raises ValueError for a hyperparameter that cannot be meant.

    A text where none is the default, NaN, anything but a function for a function, anything but a number for
    a number. What is traced passes, and what the loss itself checks.

    Args:
      parameters: {name: inspect.Parameter} of the loss.
      settings: {name: value}, as the caller gave them.
    """
    for name, value in settings.items():
        default = parameters[name].default if name in parameters else None
        default = None if default is inspect.Parameter.empty else default
        if isinstance(default, numbers.Real) and not isinstance(default, bool):
            checks.number(name, value)
        elif callable(default) and (value is not None or name not in MAY_BE_NONE):
            checks.function(name, value, f"like {getattr(default, '__name__', default)}")
        elif isinstance(value, float) or (isinstance(value, str) and name != "axis_name"):
            checks.number(name, value)
