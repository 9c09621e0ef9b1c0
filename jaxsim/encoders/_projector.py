"""The projector: what a contrastive loss sees instead of an encoder's features, dropped after training."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.encoders._batch_norm import BatchNorm
from jaxsim.encoders._layers import layer_norm
from jaxsim.numerics import checks, compute_dtype
from jaxsim.numerics.types import Array

NORMS = ("batch", "layer", "none")


class Projector(nn.Module):
    """Projection head (projector): dense layers with a norm and ReLU between them, LayerNorm at the end.

    features float [rows, features] -> float32 [rows, dim], not of unit length

    The norm at the end is within each row: a batch norm there gives every dimension the same variance, which
    keeps the gates of class pairs (`PairGate`) from closing. Layers are `dense_0`, `norm_0`, ..., `head`
    without a bias, and `norm`. Batch norms look at the whole batch and have moving averages, an objective's
    state (`BatchNorm`).

    Source: SimLAP, the later version of Hydra (2410.18200), from its released code.
    """

    dim: int = 256  # of the output
    widths: tuple[int, ...] = (2048,)  # of the hidden layers
    norm: str = "batch"  # of the hidden layers: "batch", "layer" or "none"
    # Of the arithmetic, None is `numerics.compute_dtype()`; parameters and norms are float32.
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(
        self,
        features: Array,
        *,
        train: bool = False,
        where: Array | None = None,
        axis_name: str | None = None,
    ) -> jax.Array:
        """Projections.

        Args:
          features: float [rows, features].
          train: whether batch norms look at this batch; else at their moving averages.
          where: bool [rows], False for padding, which batch norms leave out.
          axis_name: the named axis over which the batch is split, for batch norms.
        """
        checks.whole("dim", self.dim)
        for width in self.widths:
            checks.whole("widths", width)
        checks.one_of("norm", self.norm, NORMS)
        checks.shaped("features", features, (None, None), "rows, features")
        dtype = compute_dtype() if self.dtype is None else self.dtype
        rows = {"train": train, "where": where, "axis_name": axis_name}
        x = features.astype(dtype)
        for number, width in enumerate(self.widths):
            biased = self.norm != "batch"  # which takes the mean away again
            x = nn.Dense(width, use_bias=biased, dtype=dtype, name=f"dense_{number}")(x)
            x = nn.relu(normalized(self.norm, x, f"norm_{number}", **rows)).astype(dtype)
        x = nn.Dense(self.dim, use_bias=False, dtype=dtype, name="head")(x)
        return normalized("layer", x, "norm")


def normalized(
    norm: str,
    x: Array,
    name: str,
    *,
    train: bool = False,
    where: Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Rows [rows, width] under a norm of `NORMS`, a submodule of the module that calls; float32 at least."""
    x = jnp.asarray(x, jnp.promote_types(x.dtype, jnp.float32))
    if norm == "batch":
        return BatchNorm(name=name)(x, train=train, where=where, axis_name=axis_name)
    return layer_norm(1e-5)(name=name)(x) if norm == "layer" else x
