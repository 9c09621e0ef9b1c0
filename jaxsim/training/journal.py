"""What a run leaves for a person to read: metrics.jsonl, loss.png, and whatever writer is passed."""

import contextlib
import json
import logging

import jax
from etils import epath

from jaxsim.training.files import is_local, write_text

LOG = logging.getLogger("jaxsim.training")


class Journal:
    """The figures of a run by step; the first process writes them.

    Args:
      workdir: a folder, or None for no files.
      step: where the run goes on: lines of later steps are dropped, for they will come again.
      report: function (step, {name: float}) called with every line, or None.
    """

    def __init__(self, workdir, step, report):
        self.first = jax.process_index() == 0
        self.report = report if self.first else None
        self.path = None
        self.lines = []
        if workdir is not None and self.first:
            self.path = epath.Path(workdir) / "metrics.jsonl"
            self.lines = [line for line in read(self.path) if line["step"] <= step]
            self._rewrite()

    def write(self, step, figures):
        """A line: {"step": step, **figures}."""
        line = {"step": step} | figures
        if self.path is not None:
            self.lines.append(line)
            if is_local(self.path):
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
        if self.report is not None:
            self.report(step, figures)

    def flush(self):
        """An object store cannot append: there the file is written anew with each checkpoint."""
        if self.path is not None and not is_local(self.path):
            self._rewrite()

    def close(self, label):
        """The last lines, and the picture of the losses."""
        self.flush()
        if self.path is not None:
            draw(self.lines, self.path.parent / "loss.png", label)

    def _rewrite(self):
        if self.lines or self.path.exists():
            write_text(self.path, "".join(json.dumps(line) + "\n" for line in self.lines))


def read(path):
    """The lines of a metrics.jsonl, without one that a kill cut short; none where there is no file."""
    path = epath.Path(path)
    lines = []
    for line in path.read_text().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            lines.append(json.loads(line))
    return lines


def draw(lines, path, label):
    """The picture of losses over steps; without matplotlib there is none.

    Args:
      lines: dicts with "step" and, in some, "loss".
      path: of the PNG.
      label: its title.
    """
    lines = [line for line in lines if "loss" in line]
    if len(lines) < 2:
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
    axes.plot([line["step"] for line in lines], [line["loss"] for line in lines])
    axes.set(xlabel="step", ylabel="loss", title=label)
    axes.grid(alpha=0.3)
    with epath.Path(path).open("wb") as file:
        figure.savefig(file, format="png", dpi=120)
