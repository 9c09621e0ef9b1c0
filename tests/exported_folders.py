"""Runs exported folders in a process where jaxsim cannot be imported."""

import json
import os
import subprocess
import sys

import numpy as np

DRIVER = """
import importlib.util, json, sys
import numpy as np
calls, without = json.loads(sys.stdin.read())
sys.modules.update(dict.fromkeys(without))
for number, (folder, function, arguments) in enumerate(calls):
    spec = importlib.util.spec_from_file_location("run", folder + "/run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    np.save(f"{number}.npy", getattr(module, function)(*arguments))
"""


def outputs(calls, place, without=("jaxsim",)):
    """What functions of run.py give.

    Args:
      calls: a list of (folder, name of the function, its arguments).
      place: a folder to work in.
      without: what cannot be imported there.

    Returns: a list of arrays.
    """
    place.mkdir()
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    calls = [(str(folder), name, words) for folder, name, words in calls]
    lines = json.dumps([calls, without])
    subprocess.run(
        [sys.executable, "-c", DRIVER], input=lines, text=True, cwd=place, env=clean, check=True
    )
    return [np.load(place / f"{number}.npy") for number in range(len(calls))]
