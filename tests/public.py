"""Every public name of jaxsim.losses and of the modules that it offers: {name: function or class}."""

import runpy
from pathlib import Path

CATALOG = runpy.run_path(str(Path(__file__).resolve().parent.parent / "docs" / "catalog.py"))
PUBLIC = {name: what for name, (what, _) in CATALOG["public"]().items()}
