"""A small convolutional network: images to embeddings, for pictures of a few dozen pixels."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsim.encoders._batch_norm import BatchNorm
from jaxsim.encoders._convolution import Convolution
from jaxsim.encoders._group_norm import GroupNorm
from jaxsim.numerics import checks, compute_dtype
from jaxsim.numerics.types import Array


def mean_of_places(states: Array) -> jax.Array:
    """Global average pooling: the mean over height and width, [rows, height, width, dim] -> [rows, dim]."""
    return states.mean(axis=(1, 2), dtype=jnp.float32)


def all_places(states: Array) -> jax.Array:
    """Flattens a small feature map: [rows, height, width, dim] -> [rows, height * width * dim]."""
    return states.reshape(states.shape[0], -1).astype(jnp.float32)


class GeM(nn.Module):
    """Generalized-mean pooling (GeM): the power mean over height and width, with a learned exponent.

        (mean over places of max(x, eps)^p)^(1 / p)

    states [rows, height, width, dim] -> float32 [rows, dim]

    p = 1 is average pooling of what is positive, a large p max pooling. Taken through logarithms, so that
    no power leaves the range of floats. One exponent for all channels: the parameter `exponent`, [].

        encoders.ConvNet(pooling=encoders.GeM())

    Source: Radenovic et al. 2018 (1711.02512).
    """

    start: float = 3.0  # the exponent before training
    eps: float = 1e-6  # what is below counts as this, and has no gradient

    @nn.compact
    def __call__(self, states: Array) -> jax.Array:
        """Pooled channels.

        Args:
          states: float [rows, height, width, dim].
        """
        checks.shaped("states", states, (None,) * 4, "rows, height, width, dim")
        checks.positive("start", self.start)
        checks.positive("eps", self.eps)
        exponent = self.param("exponent", nn.initializers.constant(self.start), (), jnp.float32)
        x = jnp.asarray(states, jnp.promote_types(states.dtype, jnp.float32))
        powers = exponent * jnp.log(jnp.maximum(x, self.eps))
        places = math.log(x.shape[1] * x.shape[2])
        return jnp.exp((jax.nn.logsumexp(powers, axis=(1, 2)) - places) / exponent)


class ConvNet(nn.Module):
    """Small convolutional network: blocks of 3 x 3 convolution, norm, ReLU and 2 x 2 pooling; a linear head.

    images float [rows, height, width, channels] -> float32 [rows, dim], not normalized; without a head
    float32 [rows, features], what the pooling gives

    Groups are normalized within each image, so that a batch may be split in any way; a batch norm looks at
    the whole batch, and has moving averages that an objective keeps as its state (`BatchNorm`). Without a
    norm convolutions have biases. Sides that are odd are halved upwards.
    """

    dim: int | None = 64  # None leaves the head out
    widths: tuple[int, ...] = (64, 64, 64, 64)  # channels of each block
    groups: int = 8  # of the group norms; divides every width
    # What the head sees: a function or a module; `all_places`, `mean_of_places` and `GeM` are here.
    pooling: Callable = all_places
    # Of the arithmetic, None is `numerics.compute_dtype()`; parameters, norms and head are float32.
    dtype: jnp.dtype | None = None
    norm: str = "group"  # "group", "batch" or "none"

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
        """Embeddings.

        Args:
          images: float [rows, height, width, channels].
          features: give (embeddings, what the head saw: float32 [rows, features]) instead.
          maps: give a tuple of the feature maps of all blocks too, as the last: each
            [rows, height, width, channels], in the type of the arithmetic; the pooling sees the last of them.
          train: whether batch norms look at this batch; else at their moving averages.
          where: bool [rows], False for padding, which batch norms leave out.
          axis_name: the named axis over which the batch is split, for batch norms.
        """
        checks.shaped("images", images, (None,) * 4, "rows, height, width, channels")
        checks.one_of("norm", self.norm, ("group", "batch", "none"))
        if self.norm == "group" and any(width % self.groups for width in self.widths):
            raise ValueError(f"groups must divide widths={self.widths}, got {self.groups}")
        dtype = compute_dtype() if self.dtype is None else self.dtype
        x = images.astype(dtype)
        states = []
        for number, width in enumerate(self.widths):
            biased = self.norm == "none"
            x = Convolution(width, 3, biased=biased, dtype=dtype, name=f"conv_{number}")(x)
            if self.norm == "group":
                x = GroupNorm(self.groups, name=f"norm_{number}")(x)
            elif self.norm == "batch":
                norm = BatchNorm(name=f"norm_{number}")
                x = norm(x, train=train, where=where, axis_name=axis_name)
            x = _halved(nn.relu(x).astype(dtype))
            states.append(x)
        seen = self.pooling(x)
        embeddings = seen if self.dim is None else nn.Dense(self.dim, name="head")(seen)
        return with_states(embeddings, seen, states, features, maps)


def with_states(out: Array, seen: Array, states: Sequence, features: bool, maps: bool) -> Any:
    """An encoder's output, and next to it what was asked for: what its head saw, the maps of its stages."""
    asked = (out, *([seen] if features else []), *([tuple(states)] if maps else []))
    return asked if len(asked) > 1 else out


def _halved(x):
    """The largest of every 2 x 2 places, by reshaping: the gradient of a pooling window is far slower
    on CPU. What follows a ReLU is padded with 0."""
    rows, height, width, dim = x.shape
    x = jnp.pad(x, [(0, 0), (0, height % 2), (0, width % 2), (0, 0)])
    x = x.reshape(rows, (height + 1) // 2, 2, (width + 1) // 2, 2, dim)
    return x.max(axis=(2, 4))
