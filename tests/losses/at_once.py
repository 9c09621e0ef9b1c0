"""One program for a call: op by op, every operation of a loss is compiled by itself."""

import functools

import jax


def at_once(function, *arrays, **settings):
    """function(*arrays, **settings), jitted; the settings are constants of the program."""
    return jax.jit(functools.partial(function, **settings))(*arrays)
