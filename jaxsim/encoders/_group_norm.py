"""Group norm, by sums of each channel."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import Array


class GroupNorm(nn.Module):
    """Group normalization (GroupNorm): of some channels at all places of an image, by their mean and variance.

        (x - mean) / sqrt(var + epsilon) * scale + bias

    x [rows, ..., channels] -> float32 at least, [rows, ..., channels]

    The parameters and results of `flax.linen.GroupNorm`. Each channel is summed by itself first, and the sums by groups:
    over groups at once XLA takes up to twice as long on CPU.

    Source: Wu and He 2018 (1803.08494).
    """

    groups: int
    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, x: Array) -> jax.Array:
        """Normalized channels.

        Args:
          x: [rows, ..., channels]; groups divides the channels.
        """
        channels = x.shape[-1]
        if channels % self.groups:
            raise ValueError(f"groups must divide the {channels} channels, got {self.groups}")
        checks.positive("epsilon", self.epsilon)
        scale = self.param("scale", nn.initializers.ones_init(), (channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (channels,), jnp.float32)
        x = jnp.asarray(x, jnp.promote_types(x.dtype, jnp.float32))
        places = tuple(range(1, x.ndim - 1))

        def mean(values):
            """Of groups, [rows, groups, 1], from values at all places."""
            of_channels = values.mean(axis=places, keepdims=True)
            return of_channels.reshape(-1, self.groups, channels // self.groups).mean(
                axis=2, keepdims=True
            )

        def each(values):
            """Of channels, as x has them, from those of groups."""
            wide = jnp.broadcast_to(values, (x.shape[0], self.groups, channels // self.groups))
            return wide.reshape(-1, *[1] * len(places), channels)

        center = mean(x)
        spread = jnp.maximum(mean(jnp.square(x)) - jnp.square(center), 0)
        return (x - each(center)) * (each(jax.lax.rsqrt(spread + self.epsilon)) * scale) + bias
