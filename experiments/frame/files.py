"""The modules of experiments: those of the folder above, and anybody's own."""

import ast
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from experiments.frame import contract
from experiments.frame.places import HERE, slugs
from jaxsim.__main__ import EXTRAS


def load(name: str) -> ModuleType:
    """The module of an experiment, by its name or as a file, checked.

    Raises: FileNotFoundError; ValueError saying what is wrong with the file, and where.
    """
    if not name.endswith(".py"):
        if name not in slugs():
            raise ValueError(
                f"no experiment {name!r}: there are {', '.join(slugs())}, or path/to/your.py"
            )
        module = importlib.import_module(f"experiments.{name}")
    else:
        module = _loaded(name)
    contract.check_module(module)
    return module


def _loaded(name: str) -> ModuleType:
    path = Path(name).resolve()
    if not path.exists():
        raise FileNotFoundError(f"no file {name}")
    if not path.is_file():
        raise ValueError(f"{name} must be a file, got a folder")
    if path.stem in slugs():
        if path.parent != HERE:
            raise ValueError(
                f"{name} has the name of the experiment {path.stem!r} of jaxsim, whose results it would "
                "replace: rename the file"
            )
        return importlib.import_module(f"experiments.{path.stem}")
    try:
        text = path.read_text(encoding="utf-8")
        ast.parse(text)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not UTF-8 text: {error.reason} at byte {error.start}"
        ) from error
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes
        number = getattr(error, "lineno", None)
        line = f", line {number}" if number else ""
        raise ValueError(f"{name}{line}: {getattr(error, 'msg', error)}") from error
    # A separate name, so that mine.py may be called json.py; at the end of the path, so that a
    # neighbor takes the place of nobody's module.
    spec = importlib.util.spec_from_file_location(f"experiment_file.{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in EXTRAS:
            raise
        kind = "" if isinstance(error, (ValueError, ImportError)) else f"{type(error).__name__}: "
        raise ValueError(f"{name}{contract.line_of(error, path)}: {kind}{error}") from error
    return module
