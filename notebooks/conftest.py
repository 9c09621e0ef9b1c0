"""The notebooks are of the thorough tier: each starts a kernel and trains, on one device as a reader's machine has."""

import os

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.thorough)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A kernel inherits the environment, and with it the tests' eight simulated devices."""
    names = ["XLA_FLAGS", "NPROC"] if item.path.suffix == ".ipynb" else []
    ours = {name: os.environ.pop(name) for name in names if name in os.environ}
    yield
    os.environ.update(ours)
