"""Residual networks: ResNet-18, ResNet-50 and others of their kind, images to pooled features."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.encoders._batch_norm import BatchNorm
from jaxsim.encoders._convolution import Convolution
from jaxsim.encoders._convolutional import mean_of_places, with_states
from jaxsim.numerics import checks, compute_dtype
from jaxsim.numerics.types import Array

CONV_START = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
HEAD_START = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class ResNet(nn.Module):
    """Residual network (ResNet) of images: a stem, four stages of residual blocks, pooling; perhaps a head.

    images float [rows, height, width, channels] -> float32 [rows, features], not normalized; with
    `classes` logits float32 [rows, classes]

    `resnet18()` and `resnet50()` give torchvision's sizes. A bottleneck has its stride in the 3 x 3
    convolution (v1.5). Batch norms look at the whole batch over all devices in training, otherwise at
    their moving averages, which an objective keeps as its state (`BatchNorm`):

        out, changed = net.apply({"params": params, "batch_stats": state}, images, train=True,
                                 where=where, axis_name=axis_name, mutable=["batch_stats"])

    torch moves its average of variances by the unbiased variance, n / (n - 1) of ours.

    Sources: He et al. 2015 (1512.03385); the layout and the start of the weights are torchvision's.
    """

    blocks: tuple[int, ...] = (2, 2, 2, 2)  # of each stage
    widths: tuple[int, ...] = (
        64,
        128,
        256,
        512,
    )  # of each stage; a bottleneck gives four times this
    bottleneck: bool = False  # blocks of 1 x 1, 3 x 3, 1 x 1 convolutions, not two of 3 x 3
    classes: int | None = None  # of a linear head; None gives the pooled features
    # "large": 7 x 7 convolution of stride 2 and 3 x 3 max pooling of stride 2, as for ImageNet;
    # "small": 3 x 3 convolution of stride 1, as for images of 32 pixels.
    stem: str = "large"
    last_stride: int = 2  # of the last stage; 1 keeps its map twice as large
    pooling: Callable = mean_of_places  # a function or a module, such as `GeM`
    momentum: float = 0.9  # of the moving averages
    # Of the arithmetic, None is `numerics.compute_dtype()`; parameters, norms and head are float32.
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(
        self,
        images: Array,
        *,
        features: bool = False,
        maps: bool = False,
        train: bool = False,
        where: Array | None = None,
        axis_name: str | None = None,
    ) -> Any:
        """Pooled features, or logits.

        Args:
          images: float [rows, height, width, channels]; pretrained ones want them normalized.
          features: give (output, pooled features: float32 [rows, features]).
          maps: give a tuple of the feature maps of the stem and of each stage too, as the last: each
            [rows, height, width, channels], in the type of the arithmetic.
          train: whether batch norms look at this batch; else at their moving averages.
          where: bool [rows], False for padding, which batch norms leave out.
          axis_name: the named axis over which the batch is split, for batch norms.
        """
        checks.shaped("images", images, (None,) * 4, "rows, height, width, channels")
        checks.one_of("stem", self.stem, ("large", "small"))
        checks.one_of("last_stride", self.last_stride, (1, 2))
        if len(self.blocks) != len(self.widths) or not self.blocks:
            raise ValueError(
                f"widths must be one per stage of blocks={self.blocks}, got {self.widths}"
            )
        for count in (*self.blocks, *self.widths):
            checks.whole("blocks and widths", count)
        if self.classes is not None:
            checks.whole("classes", self.classes)
        dtype = compute_dtype() if self.dtype is None else self.dtype
        norm = {"train": train, "where": where, "axis_name": axis_name}
        x = self._stem(images.astype(dtype), dtype, norm)
        states = [x]
        for stage, (count, width) in enumerate(zip(self.blocks, self.widths, strict=True)):
            for number in range(count):
                first = stage > 0 and number == 0
                last = stage == len(self.blocks) - 1
                x = ResidualBlock(
                    width,
                    stride=(self.last_stride if last else 2) if first else 1,
                    bottleneck=self.bottleneck,
                    momentum=self.momentum,
                    dtype=dtype,
                    name=f"stage_{stage + 1}_{number}",
                )(x, norm)
            states.append(x)
        seen = self.pooling(x)
        out = seen
        if self.classes is not None:
            out = nn.Dense(self.classes, kernel_init=HEAD_START, name="head")(seen)
        return with_states(out, seen, states, features, maps)

    def _stem(self, x, dtype, norm):
        large = self.stem == "large"
        side, stride = (7, 2) if large else (3, 1)
        conv = Convolution(self.widths[0], side, stride, start=CONV_START, dtype=dtype, name="conv")
        x = conv(x)
        x = BatchNorm(momentum=self.momentum, name="norm")(x, **norm)
        x = nn.relu(x).astype(dtype)
        return _pooled_by_three(x) if large else x


class ResidualBlock(nn.Module):
    """Residual block of a ResNet: convolutions with norms, added to their input. [rows, height, width, dim]"""

    width: int
    stride: int
    bottleneck: bool
    momentum: float
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, norm: dict) -> jax.Array:
        sides = (1, 3, 1) if self.bottleneck else (3, 3)
        strides = (1, self.stride, 1) if self.bottleneck else (self.stride, 1)
        dim = self.width * (4 if self.bottleneck else 1)
        y = x
        for number, (side, stride) in enumerate(zip(sides, strides, strict=True), 1):
            last = number == len(sides)
            width = dim if last else self.width
            y = self._convolved(y, width, side, stride, f"conv_{number}", f"norm_{number}", norm)
            y = y if last else nn.relu(y).astype(self.dtype)
        if self.stride != 1 or x.shape[-1] != dim:
            x = self._convolved(x, dim, 1, self.stride, "shortcut_conv", "shortcut_norm", norm)
        return nn.relu(y + x).astype(self.dtype)

    def _convolved(self, x, width, side, stride, conv, name, norm):
        x = Convolution(width, side, stride, start=CONV_START, dtype=self.dtype, name=conv)(x)
        return BatchNorm(momentum=self.momentum, name=name)(x, **norm)


def _pooled_by_three(x):
    """Max pooling of 3 x 3 places with stride 2, by maxima of shifted maps: the gradient of a pooling
    window is far slower on CPU. What follows a ReLU is padded with 0."""
    for axis in (1, 2):
        size = x.shape[axis]
        half = (size + 1) // 2
        padding = [(0, 0)] * 4
        padding[axis] = (1, 2 * half - size)
        x = jnp.pad(x, padding)
        shifted = [jax.lax.slice_in_dim(x, n, n + 2 * half - 1, 2, axis) for n in range(3)]
        x = jnp.maximum(jnp.maximum(shifted[0], shifted[1]), shifted[2])
    return x


def resnet18(**settings: Any) -> ResNet:
    """ResNet-18: two blocks of two 3 x 3 convolutions in each of four stages, features of 512.

    Args:
      settings: of `ResNet`, such as classes=10 or stem="small".
    """
    return ResNet(blocks=(2, 2, 2, 2), **settings)


def resnet50(**settings: Any) -> ResNet:
    """ResNet-50 (v1.5): 3, 4, 6 and 3 bottlenecks in four stages, features of 2,048.

    Args:
      settings: of `ResNet`, such as classes=10, last_stride=1 or pooling=GeM().
    """
    return ResNet(blocks=(3, 4, 6, 3), bottleneck=True, **settings)
