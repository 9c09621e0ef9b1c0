"""Files that commands write: only new ones, or their own."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxsim import storage


def check_output(
    name: str,
    target: str | os.PathLike,
    *,
    ours: Callable[[Path], bool],
    kind: str,
    inputs: Mapping[str, Any] | tuple = (),
) -> Path:
    """Refuses a file that a command must not write: one of its inputs, or one that we did not write.

    Args:
      name: of the option, for the error.
      target: the path.
      ours: function of the path of an existing file: whether jaxsim wrote it, so that it may be replaced.
      kind: what the file will be, such as "a run".
      inputs: {name: path} of files that are read; None for what is not given.

    Returns: the path, a `Path`.
    Raises: ValueError saying what is there.
    """
    target = storage.check_file(name, target)
    for other, source in dict(inputs).items():
        if source is not None and target.resolve() == Path(source).resolve():
            raise ValueError(f"{name} must not be the file of {other}, got {str(target)!r}")
    if target.exists() and target.stat().st_size and not ours(target):
        raise ValueError(
            f"{name}={str(target)!r} exists and is not {kind} that jaxsim wrote: choose another, "
            "or move that away"
        )
    return target
