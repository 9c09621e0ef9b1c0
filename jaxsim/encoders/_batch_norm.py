"""Batch norm, with statistics of the whole batch over all devices."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.numerics import checks, masked
from jaxsim.numerics.types import Array


class BatchNorm(nn.Module):
    """Batch normalization (BatchNorm) of channels, over rows, places and devices.

        (x - mean) / sqrt(var + epsilon) * scale + bias

    x [rows, ..., channels] -> float32 [rows, ..., channels]

    In training mean and var are those of the batch: sums over all devices before any ratio, var without
    Bessel's correction. Their moving averages, `mean` and `var` in the collection "batch_stats", are what
    is used otherwise: an objective keeps them as its state.

        y, changed = module.apply({"params": params, "batch_stats": state}, x, train=True,
                                  where=batch["where"], axis_name=axis_name, mutable=["batch_stats"])
        return loss, (changed["batch_stats"], {})
    """

    momentum: float = 0.9  # what the moving averages keep of themselves at every step
    epsilon: float = 1e-5

    @nn.compact
    def __call__(
        self,
        x: Array,
        *,
        train: bool = False,
        where: Array | None = None,
        axis_name: str | None = None,
    ) -> jax.Array:
        """Normalized channels.

        Args:
          x: [rows, ..., channels].
          train: normalize by the batch's own statistics, and move the averages.
          where: bool [rows], False for padding, which has no influence.
          axis_name: the named axis over which the batch is split.
        """
        checks.probability("momentum", self.momentum)
        channels = x.shape[-1:]
        mean = self.variable("batch_stats", "mean", jnp.zeros, channels, jnp.float32)
        var = self.variable("batch_stats", "var", jnp.ones, channels, jnp.float32)
        scale = self.param("scale", nn.initializers.ones_init(), channels, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), channels, jnp.float32)
        x = jnp.asarray(x, jnp.promote_types(x.dtype, jnp.float32))
        center, spread = mean.value, var.value
        if train:
            counted = checks.mask("where", where, x.shape[:1])
            center, spread, rows = _moments(x, counted, axis_name)
            if not self.is_initializing():
                for average, value in ((mean, center), (var, spread)):
                    moved = self.momentum * average.value + (1 - self.momentum) * value
                    average.value = jnp.where(rows > 0, moved, average.value)
        return (x - center) * (jax.lax.rsqrt(spread + self.epsilon) * scale) + bias


def _moments(x, where, axis_name):
    """(mean [channels], variance [channels], rows that count) of the whole batch."""
    axes = tuple(range(x.ndim - 1))

    def total(values):
        return values if axis_name is None else jax.lax.psum(values, axis_name)

    rows, sums = total((jnp.sum(where), jnp.sum(masked.zeroed(x, where), axis=axes)))
    count = jnp.maximum(rows, 1) * max(x[:1, ..., :1].size, 1)
    mean = sums / count
    centered = masked.zeroed(x - mean, where)
    return mean, total(jnp.sum(centered * centered, axis=axes)) / count, rows
