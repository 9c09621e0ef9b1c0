"""Writers of metrics for `fit(..., report=)`. Each loads its library when it is made.

    training.fit(..., report=training.tensorboard("runs/mine/board"))

Any function (step, {name: float}) is one.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any


def tensorboard(folder: str | os.PathLike) -> Callable[[int, Mapping[str, float]], None]:
    """TensorBoard writer for `fit(..., report=)`, by tensorboardX.

    Args:
      folder: of the event files.

    Returns: function (step, figures).
    Raises: ImportError with the way out.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ImportError(
            'tensorboard needs tensorboardX: pip install "jaxsim-similarity[boards]"'
        ) from error
    writer = SummaryWriter(str(folder))

    def write(step, figures):
        for name, value in figures.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return write


def weights_and_biases(**settings: Any) -> Callable[[int, Mapping[str, float]], None]:
    """Weights & Biases writer for `fit(..., report=)`.

    Args:
      settings: of `wandb.init`, such as project= and mode="offline".

    Returns: function (step, figures).
    Raises: ImportError with the way out.
    """
    try:
        import wandb
    except ImportError as error:
        raise ImportError(
            'weights_and_biases needs wandb: pip install "jaxsim-similarity[boards]"'
        ) from error
    run = wandb.init(**settings)

    def write(step, figures):
        run.log(figures, step=step)

    return write
