"""One convolution, by XLA's own or by a matrix product where a CPU's maps are small."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.numerics.types import Array


class Convolution(nn.Module):
    """Square convolution, padded by half its side, as torch pads it: parameters "kernel" and perhaps "bias".

    x [rows, height, width, channels] -> [rows, height / stride, width / stride, dim], rounded up, in `dtype`
    """

    dim: int
    side: int  # odd
    stride: int = 1
    biased: bool = False
    start: Any = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> jax.Array:
        shape = (self.side, self.side, x.shape[-1], self.dim)
        kernel = self.param("kernel", self.start, shape, jnp.float32).astype(self.dtype)
        x = convolved(jnp.asarray(x, self.dtype), kernel, self.stride)
        if not self.biased:
            return x
        bias = self.param("bias", nn.initializers.zeros_init(), (self.dim,), jnp.float32)
        return x + bias.astype(self.dtype)


def convolved(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """A convolution, padded by half its side.

    XLA on CPU takes up to fifty times as long, forward or backward, where a map is no larger than the
    kernel: these are one product of all places' patches, which is as fast as others are.

    Args:
      x: [rows, height, width, channels].
      kernel: [side, side, channels, dim].
      stride: of both axes.
    """
    side = kernel.shape[0]
    height, width = (-(-n // stride) for n in x.shape[1:3])
    half = side // 2
    if jax.default_backend() != "cpu" or min(height, width) > side:
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), [(half, half)] * 2, dimension_numbers=layout
        )
    x = jnp.pad(x, [(0, 0), (half, half), (half, half), (0, 0)])
    rows = [slice(n, n + stride * (height - 1) + 1, stride) for n in range(side)]
    columns = [slice(n, n + stride * (width - 1) + 1, stride) for n in range(side)]
    patches = [x[:, down, along] for down in rows for along in columns]
    return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])
