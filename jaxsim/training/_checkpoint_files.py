"""Files of a checkpoint next to its arrays, and how its folder is read."""

import base64
import contextlib
import dataclasses
import logging
import math
import sys
from typing import Any

from etils import epath

from jaxsim import storage
from jaxsim.training import _manifest as manifest
from jaxsim.training._files import is_local

LOG = logging.getLogger("jaxsim.training")


@dataclasses.dataclass(frozen=True)
class Meta:
    """What a checkpoint holds next to its arrays."""

    step: int
    position: Any  # of the data, after this step: a JSON tree, or bytes
    figures: dict | None
    leaves: list | None  # path, dtype and shape of each array

    def to_json(self) -> dict[str, Any]:
        """As a JSON tree: bytes in base64, figures that are not finite as words."""
        position = {"tree": self.position}
        if isinstance(self.position, bytes):
            position = {"bytes": base64.b64encode(self.position).decode()}
        figures = self.figures and {
            name: value if math.isfinite(value) else str(value)
            for name, value in self.figures.items()
        }
        return {"step": self.step, "position": position, "figures": figures, "leaves": self.leaves}


def read_meta(folder: Any) -> "Meta":
    """The `Meta` of a checkpoint.

    Raises: OSError, ValueError for one that is damaged.
    """
    path = folder / "meta" / "metadata"
    if is_local(folder) and (problem := manifest.problem_of(folder, within="meta/")):
        raise ValueError(problem)
    # Earlier versions wrote NaN as it is.
    known = storage.Fields(path, storage.parsed_json(path, path.read_bytes(), constants=True))
    step = known.whole("step", int(folder.name))
    if step != int(folder.name):
        raise known.wrong("step", f"{folder.name}, as its folder is named")
    position = known.object("position")
    if "bytes" in position:
        position = base64.b64decode(position.text("bytes"), validate=True)
    elif "tree" in list(position):
        position = position.raw("tree")
    else:
        raise known.wrong("position", "an object with tree or bytes")
    if (figures := known.object("figures", None)) is not None:
        wanted = 'numbers, "nan", "inf" or "-inf"'
        for name in figures:
            value = figures.raw(name)
            if isinstance(value, bool) or not (
                isinstance(value, (int, float)) or value in ("nan", "inf", "-inf")
            ):
                raise known.wrong("figures", wanted)
        figures = {name: float(figures.raw(name)) for name in figures}
    return Meta(step, position, figures, known.strings("leaves", None))


def absolute(folder: Any) -> Any:
    """A folder as orbax wants it: absolute on a file system, as it is on an object store."""
    return epath.Path(folder).expanduser().absolute() if is_local(folder) else epath.Path(folder)


def steps_of(folder: Any) -> list[int]:
    """The steps that have checkpoints, or what may be one."""
    return [
        int(path.name)
        for path in (folder.iterdir() if folder.exists() else [])
        if path.name.isdecimal() and str(int(path.name)) == path.name and path.is_dir()
    ]


def pass_over(step: int | str, problem: Any) -> None:
    """Says in the log which checkpoint cannot be read, and why."""
    LOG.warning(
        "passed over the checkpoint of step %s, which cannot be read: %s", step, words_of(problem)
    )


def words_of(problem: Any) -> str:
    """The first line of an error."""
    words = str(problem).strip() or type(problem).__name__
    return words.splitlines()[0][:200]


@contextlib.contextmanager
def quiet() -> Any:
    """Without the tracebacks that orbax prints: what it raises reaches the caller."""

    def plain(record):
        if record.levelno < logging.ERROR:
            return True
        if record.name == "asyncio":  # tasks of orbax, whose errors another task has raised
            text = record.getMessage()
            return not ("never retrieved" in text and ("orbax" in text or "tensorstore" in text))
        return "orbax" not in record.pathname

    def unraisable(event):
        # tensorstore answers an event loop that orbax closed after another file had failed.
        if not (event.exc_type is RuntimeError and "loop is closed" in str(event.exc_value)):
            before(event)

    before, loggers = sys.unraisablehook, [logging.getLogger(name) for name in ("absl", "asyncio")]
    for logger in loggers:
        logger.addFilter(plain)
    sys.unraisablehook = unraisable
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(plain)
        if sys.unraisablehook is unraisable:
            sys.unraisablehook = before
