"""One convolution, by XLA's own or by a matrix product where a CPU's maps are small."""

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.numerics._blocks import by_blocks
from jaxsim.numerics._devices import in_turn
from jaxsim.numerics.types import Array

SMALL = 8  # sides of a map whose gradient XLA takes as fast
PLACES = 2048  # of images whose patches are made at once: they stay in the cache of a CPU


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
    kernel: these are one product of all places' patches, which is as fast as others are. Of large maps it takes two to
    three times as long for the kernel's gradient: that is a sum of products of a few images' patches.

    Args:
      x: [rows, height, width, channels].
      kernel: [side, side, channels, dim].
      stride: of both axes.
    """
    places = min(_places(x, stride))
    if jax.default_backend() == "cpu" and places <= kernel.shape[0]:
        return _by_patches(x, kernel, stride)
    # A narrower type is left to XLA: the sum would round at every step.
    large = places > SMALL and x.dtype.itemsize >= 4
    if jax.default_backend() == "cpu" and large and in_turn(x.shape[0]):
        return _with_slopes_by_patches(x, kernel, stride)
    return _by_xla(x, kernel, stride)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _with_slopes_by_patches(x, kernel, stride):
    return _by_xla(x, kernel, stride)


@_with_slopes_by_patches.defjvp
def _with_slopes_by_patches_jvp(stride, primals, tangents):
    """The kernel's part is linear in it by products of patches: so is, transposed, the kernel's gradient."""
    x, kernel = primals
    of_x, of_kernel = tangents
    rows = x.shape[0]
    few = max(PLACES // math.prod(_places(x, stride)), 1)
    few = -(-rows // max(-(-rows // few), 1))  # all blocks of one size

    @jax.checkpoint  # patches are made again, and not kept for all images
    def moved(images):
        return _by_patches(images, of_kernel, stride)

    by_kernel = by_blocks(moved, x, few)
    return _by_xla(x, kernel, stride), _by_xla(of_x, kernel, stride) + by_kernel


def _by_xla(x, kernel, stride):
    half = kernel.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        [(half, half)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _by_patches(x, kernel, stride):
    """One product of all places' patches."""
    side, half = kernel.shape[0], kernel.shape[0] // 2
    height, width = _places(x, stride)
    x = jnp.pad(x, [(0, 0), (half, half), (half, half), (0, 0)])
    rows = [slice(n, n + stride * (height - 1) + 1, stride) for n in range(side)]
    columns = [slice(n, n + stride * (width - 1) + 1, stride) for n in range(side)]
    patches = [x[:, down, along] for down in rows for along in columns]
    # Of two axes: over three at once the gradient takes up to twice as long.
    flat = jnp.concatenate(patches, axis=-1).reshape(-1, side * side * x.shape[-1])
    return (flat @ kernel.reshape(-1, kernel.shape[-1])).reshape(
        -1, height, width, kernel.shape[-1]
    )


def _places(x, stride):
    """The height and width of what comes out."""
    return tuple(-(-size // stride) for size in x.shape[1:3])
