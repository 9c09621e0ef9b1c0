"""Training: `fit` and its parts, with resumable checkpoints, on any number of devices."""

from jaxsim.training._best import best_of as best_of
from jaxsim.training._checkpoints import Checkpoints as Checkpoints
from jaxsim.training._chunks import (
    accumulated as accumulated,
    chunked as chunked,
    in_precision as in_precision,
)
from jaxsim.training._hosts import connect as connect
from jaxsim.training._loop import fit as fit
from jaxsim.training._objective import check_objective as check_objective
from jaxsim.training._optimizers import (
    adamw as adamw,
    clipped as clipped,
    cosine_warmup_decay as cosine_warmup_decay,
    frozen as frozen,
    layers_of as layers_of,
    layerwise as layerwise,
    linear_warmup_decay as linear_warmup_decay,
    lion as lion,
    matrices as matrices,
    sgd as sgd,
)
from jaxsim.training._parallel import (
    pmapped as pmapped,
    shard_mapped as shard_mapped,
    sharded as sharded,
)
from jaxsim.training._reports import (
    tensorboard as tensorboard,
    weights_and_biases as weights_and_biases,
)
from jaxsim.training._row_sparse import (
    RowOptimizer as RowOptimizer,
    adagrad_rows as adagrad_rows,
    adam_rows as adam_rows,
    momentum_rows as momentum_rows,
    sgd_rows as sgd_rows,
)
from jaxsim.training._seeds import fit_seeds as fit_seeds
from jaxsim.training._step import Carry as Carry, make_step as make_step
