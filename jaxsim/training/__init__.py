"""Training loops that lose nothing: functions in, parameters out, on however many devices there are."""

from jaxsim.training.best import best_of
from jaxsim.training.checkpoints import Checkpoints
from jaxsim.training.chunks import accumulated, chunked, in_precision
from jaxsim.training.hosts import connect
from jaxsim.training.loop import fit
from jaxsim.training.objective import check_objective
from jaxsim.training.optimisers import (
    Recipe,
    adamw,
    clipped,
    cosine_warmup_decay,
    frozen,
    layers_of,
    layerwise,
    linear_warmup_decay,
    lion,
    matrices,
    sgd,
)
from jaxsim.training.reports import tensorboard, weights_and_biases
from jaxsim.training.row_sparse import RowOptimizer, adagrad_rows, adam_rows, sgd_rows
from jaxsim.training.seeds import fit_seeds
from jaxsim.training.spread import pmapped, shard_mapped, sharded
from jaxsim.training.step import Carry, make_step

__all__ = [
    "Carry",
    "Checkpoints",
    "Recipe",
    "RowOptimizer",
    "accumulated",
    "adagrad_rows",
    "adam_rows",
    "adamw",
    "best_of",
    "check_objective",
    "chunked",
    "clipped",
    "connect",
    "cosine_warmup_decay",
    "fit",
    "fit_seeds",
    "frozen",
    "in_precision",
    "layers_of",
    "layerwise",
    "linear_warmup_decay",
    "lion",
    "make_step",
    "matrices",
    "pmapped",
    "sgd",
    "sgd_rows",
    "shard_mapped",
    "sharded",
    "tensorboard",
    "weights_and_biases",
]
