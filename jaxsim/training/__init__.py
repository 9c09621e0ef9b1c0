"""Training loops that lose nothing: functions in, parameters out, on however many devices there are."""

from jaxsim.training.checkpoints import Checkpoints
from jaxsim.training.loop import fit
from jaxsim.training.objective import check_objective
from jaxsim.training.optimisers import adamw, cosine_warmup_decay, linear_warmup_decay, matrices
from jaxsim.training.row_sparse import RowOptimizer, adagrad_rows, adam_rows, sgd_rows
from jaxsim.training.seeds import fit_seeds
from jaxsim.training.step import Carry, make_step

__all__ = [
    "Carry",
    "Checkpoints",
    "RowOptimizer",
    "adagrad_rows",
    "adam_rows",
    "adamw",
    "check_objective",
    "cosine_warmup_decay",
    "fit",
    "fit_seeds",
    "linear_warmup_decay",
    "make_step",
    "matrices",
    "sgd_rows",
]
