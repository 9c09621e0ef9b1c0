"""The log of a run: metrics.jsonl, loss.png, and whatever writer is passed.

A line of metrics.jsonl is {"step": 20, "loss": 0.7, ..., "examples/s": 900.0}, means over that step's batch
alone, or {"step": 20, "validation": true, ...}, what `validate` gave. NaN and infinity are null.
"""

import contextlib
import io
import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from etils import epath

from jaxsim import storage
from jaxsim.training import _guards as guards
from jaxsim.training._files import is_local, write_bytes, write_text

LOG = logging.getLogger("jaxsim.training")
SPEED = "examples/s"


class Journal:
    """The figures of a run by step; the first process writes them.

    Args:
      workdir: a folder, or None for no files.
      step: where the run resumes: lines of later steps are dropped, for they will come again.
      report: function (step, {name: float}) called with every line, or None. Names of validation begin
        with "validation/". Where it fails, the log says so and the run continues.

    Raises: ValueError naming a line of metrics.jsonl that is damaged.
    """

    def __init__(
        self, workdir: Any, step: int, report: Callable[[int, Mapping[str, float]], Any] | None
    ) -> None:
        self.first = jax.process_index() == 0
        self.report = report if self.first else None
        self.failed = None
        self.path = None
        self.lines = []
        if workdir is not None:
            path = epath.Path(workdir) / "metrics.jsonl"
            if self.first:
                self.path = path
            guards.on_first(lambda: self._begin(step), str(path))

    def write(self, step: int, figures: Mapping[str, float], *, validation: bool = False) -> None:
        """A line: {"step": step, **figures}."""
        if self.path is not None:
            shown = {n: v if math.isfinite(v) else None for n, v in figures.items()}
            line = {"step": step} | ({"validation": True} if validation else {}) | shown
            self.lines.append(line)
            if is_local(self.path):
                try:
                    with self.path.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(line) + "\n")
                except OSError as error:
                    raise OSError(
                        f"{self.path}: cannot be written: {error.strerror or error}"
                    ) from error
        if self.report is not None:
            prefix = "validation/" * validation
            self._tell(step, {f"{prefix}{name}": value for name, value in figures.items()})

    def flush(self) -> None:
        """An object store cannot append: there the file is rewritten with each checkpoint."""
        if self.path is not None and not is_local(self.path):
            self._rewrite()

    def close(self, label: str) -> None:
        """The last lines, and the picture of the losses."""
        self.flush()
        if self.path is not None:
            path = self.path.parent / "loss.png"
            try:
                draw(self.lines, path, label)
            except OSError as error:  # the training itself is saved
                LOG.warning("%s: cannot be written: %s", path, error.strerror or error)

    def _begin(self, step):
        self.lines = [line for line in read(self.path) if line["step"] <= step]
        self._rewrite()

    def _tell(self, step, figures):
        """Passes figures to `report`, whose failure must not end a run."""
        try:
            self.report(step, figures)
        except Exception as error:
            words = f"{type(error).__name__}: {error}"
            if words != self.failed:
                self.failed = words
                LOG.warning(
                    "report failed at step %d, training continues without it: %s", step, words
                )

    def _rewrite(self):
        if self.lines or self.path.exists():
            write_text(self.path, "".join(json.dumps(line) + "\n" for line in self.lines))


def read(path: Any) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl, without one that a kill cut short; none where there is no file.

    Raises: ValueError naming a line that is not {"step": a whole number, ...: numbers or null}.
    """
    path = epath.Path(path)
    *texts, last = path.read_bytes().split(b"\n") if path.exists() else [b""]
    lines = [_line(f"{path}: line {number}", text) for number, text in enumerate(texts, 1)]
    with contextlib.suppress(ValueError):  # without a line break, it may have been cut short
        lines.append(_line(f"{path}: the last line", last))
    return lines


def _line(what, text):
    # Earlier versions wrote NaN as it is.
    line = storage.Fields(what, storage.parsed_json(what, text, constants=True))
    line.whole("step")
    line.flag("validation", False)
    for name in set(line) - {"step", "validation"}:
        value = line.raw(name)
        if isinstance(value, bool) or not isinstance(value, (int, float, type(None))):
            raise line.wrong(name, "a number or null")
    return line.tree


def draw(lines: Sequence[Mapping[str, Any]], path: Any, label: str) -> None:
    """The picture of losses over steps, of training and of validation; without matplotlib there is none.

    Args:
      lines: as `read` gives them.
      path: of the PNG.
      label: its title.
    """
    training = [line for line in lines if not is_validation(line)]
    validations = [line for line in lines if is_validation(line)]
    series = {
        name: [(line["step"], line["loss"]) for line in group if line.get("loss") is not None]
        for name, group in (("training", training), ("validation", validations))
    }
    if len(series["training"]) < 2:
        return
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        LOG.info("%s: no picture of the losses, matplotlib is not installed", label)
        return
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(*zip(*series["training"], strict=True), label="training batches")
    if series["validation"]:
        axes.plot(*zip(*series["validation"], strict=True), marker="o", label="validation")
        axes.legend()
    axes.set(xlabel="step", ylabel="loss", title=label)
    axes.grid(alpha=0.3)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    write_bytes(path, picture.getvalue())


def is_validation(line: Mapping[str, Any]) -> bool:
    """Whether a line is what `validate` gave; earlier versions did not mark it."""
    return line.get("validation", SPEED not in line)
