"""Training loops that lose nothing: functions in, parameters out, on however many devices there are."""

from jaxsim.training.checkpoints import Checkpoints
from jaxsim.training.loop import fit
from jaxsim.training.objective import check_objective
from jaxsim.training.optimisers import adamw, cosine_warmup_decay, linear_warmup_decay, matrices
from jaxsim.training.step import Carry, make_step

__all__ = [
    "Carry",
    "Checkpoints",
    "adamw",
    "check_objective",
    "cosine_warmup_decay",
    "fit",
    "linear_warmup_decay",
    "make_step",
    "matrices",
]
