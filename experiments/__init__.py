"""One file per paper; `python -m experiments` runs them. Not a part of the wheel."""

import importlib.util

if importlib.util.find_spec("jaxsim.losses") is None:
    raise ImportError(
        "jaxsim.losses is missing: the jaxsim that is installed is another project, of robot dynamics; "
        "uninstall it and install this one, `pip install jaxsim-similarity` or `pip install -e .` in its checkout"
    )
