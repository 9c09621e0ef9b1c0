"""Vision transformers (ViT): images as patches, through the layers that texts go through."""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jaxsim.encoders._convolutional import with_states
from jaxsim.encoders._few_rows import few_at_a_time
from jaxsim.encoders._layers import Block, Style, layer_norm
from jaxsim.encoders._map_head import MapHead
from jaxsim.encoders._positions import View
from jaxsim.numerics import checks, compute_dtype
from jaxsim.numerics.types import Array

STYLE = Style(normalize=layer_norm(1e-6))


class VisionTransformer(nn.Module):
    """Vision transformer (ViT): patches with learned positions, layers with their norms first, pooling; perhaps a head.

    images float [rows, height, width, channels] -> float32 [rows, dim], not normalized; with `classes`
    logits float32 [rows, classes], with `projection` float32 [rows, projection]

    Pooling "cls": the class token's state after the final norm. "mean": the mean of the patches' states,
    then the final norm, as timm has it. "map": a learned query over all states after the final norm, `MapHead`, as
    SigLIP has it. `vit_b16()` gives ViT-B/16. Where `table` is the grid of patches that the positions were
    learned for, and the image's is another, they are interpolated by cubic convolution, as DINOv2's are.

    Source: Dosovitskiy et al. 2020 (2010.11929); torchvision's and timm's layouts.
    """

    image: tuple[int, int] = (224, 224)  # height and width, in pixels
    patch: int = 16  # side of a patch, in pixels; divides both
    dim: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072  # width of the feed-forward part
    pooling: str = "cls"  # "cls", "mean" or "map"
    class_token: bool = True  # a learned token before the patches; "mean" may do without
    classes: int | None = None  # of a linear head; None gives the pooled states
    projection: int | None = None  # dimensions of a head without bias (CLIP), in place of `classes`
    patch_bias: bool = True  # False as CLIP has it
    start_norm: bool = False  # a norm of the embeddings before the layers (CLIP)
    table: tuple[int, int] | None = None  # height and width in patches; None is the image's
    dropout: float = 0.0
    initial: float = 0.02  # standard deviation of the weights at the start
    # Of the arithmetic, None is `numerics.compute_dtype()`; parameters, norms, softmax and head are float32.
    dtype: jnp.dtype | None = None
    style: Style = STYLE
    cudnn: bool = True  # attention through cuDNN on a card that has it; False is XLA's everywhere

    def __call__(
        self,
        images: Array,
        *,
        features: bool = False,
        maps: bool = False,
        deterministic: bool = True,
    ) -> Any:
        """Pooled states, or logits.

        Args:
          images: float [rows, height, width, channels]; pretrained ones want them normalized.
          features: give (output, pooled states: float32 [rows, dim]).
          maps: give a tuple of the states of the embeddings and of each layer too, as the last: each
            [rows, tokens, dim] before the final norm, in the type of the arithmetic, the class token first
            and then the patches row by row.
          deterministic: no dropout.
        """
        self._check(images)

        def outputs(module, images):
            return module._outputs(images, features, maps, deterministic)

        patches = int(self.class_token) + math.prod(side // self.patch for side in self.image)
        numbers = self.hidden + self.heads * patches
        return few_at_a_time(self, outputs, images, patches, numbers)

    @nn.compact
    def _outputs(self, images, features, maps, deterministic):
        """What `__call__` gives, of images that are checked."""
        dtype: Any = compute_dtype() if self.dtype is None else self.dtype
        x = self._embedded(images, dtype)
        if self.start_norm:
            x = self.style.normalize(dtype=jnp.float32, name="embedding_norm")(x)
        x = nn.Dropout(self.dropout)(x, deterministic=deterministic)
        x = x.astype(dtype)
        view = View(jnp.ones((1, 1, 1, x.shape[1]), bool))
        states = [x]
        for number in range(self.layers):
            x = Block(
                heads=self.heads,
                hidden=self.hidden,
                norm="pre",
                dropout=self.dropout,
                initial=self.initial,
                dtype=dtype,
                number=number,
                style=self.style,
                cudnn=self.cudnn,
                name=f"layer_{number}",
            )(x, view, deterministic=deterministic)
            states.append(x)
        seen = self._pooled(x, dtype)
        out = seen
        if self.projection is not None:
            out = nn.Dense(self.projection, use_bias=False, name="projection")(seen)
        if self.classes is not None:
            out = nn.Dense(self.classes, kernel_init=nn.initializers.zeros_init(), name="head")(
                seen
            )
        return with_states(out, seen, states, features, maps)

    def _pooled(self, x, dtype):
        """The last states pooled and normalized: float32 [rows, dim]."""
        norm = self.style.normalize(dtype=jnp.float32, name="norm")
        if self.pooling == "map":
            head = MapHead(
                self.heads, self.hidden, self.initial, self.dtype, self.style, name="map_head"
            )
            return head(norm(x).astype(dtype))
        first = int(self.class_token)
        return norm(
            x[:, 0] if self.pooling == "cls" else x[:, first:].mean(axis=1, dtype=jnp.float32)
        )

    def _embedded(self, images, dtype):
        """Patches, the class token and positions: [rows, tokens, dim]."""
        side = (self.patch, self.patch)
        patches: Any = nn.Conv(
            self.dim,
            side,
            side,
            padding="VALID",
            use_bias=self.patch_bias,
            dtype=dtype,
            name="patches",
        )
        x = patches(images)
        x = x.reshape(x.shape[0], -1, self.dim).astype(jnp.float32)
        small = nn.initializers.normal(self.initial)
        if self.class_token:
            token = self.param("class_token", small, (self.dim,), jnp.float32)
            first = jnp.broadcast_to(token.astype(x.dtype), (x.shape[0], 1, self.dim))
            x = jnp.concatenate([first, x], axis=1)
        grid = tuple(side // self.patch for side in self.image)
        table = self.table or grid
        rows = int(self.class_token) + table[0] * table[1]
        positions = self.param("positions", small, (rows, self.dim), jnp.float32)
        if table != grid:
            first, of_patches = jnp.split(positions, [int(self.class_token)])
            positions = jnp.concatenate([first, resampled(of_patches, table, grid)])
        return x + positions

    def _check(self, images):
        checks.one_of("pooling", self.pooling, ("cls", "mean", "map"))
        if self.pooling == "cls" and not self.class_token:
            raise ValueError('class_token must be True with pooling="cls", got False')
        for name in ("patch", "dim", "heads", "hidden"):
            checks.whole(name, getattr(self, name))
        if self.classes is not None:
            checks.whole("classes", self.classes)
        if self.projection is not None:
            checks.whole("projection", self.projection)
            if self.classes is not None:
                raise ValueError(
                    f"projection and classes must not both be given, got {self.projection} and {self.classes}"
                )
        if any(side % self.patch for side in self.image):
            raise ValueError(f"patch must divide image={self.image}, got {self.patch}")
        wanted = "rows, height, width, channels, of the size that the positions are for"
        checks.shaped("images", images, (None, *self.image, None), wanted)


def resampled(positions: Array, table: tuple[int, int], grid: tuple[int, int]) -> Any:
    """Positions of one grid of patches for another, by cubic convolution (a = -0.75), without a filter against aliasing.

    Args:
      positions: float [table height * table width, dim], row by row.
      table: height and width that they are for.
      grid: height and width wanted.

    Returns: float [grid height * grid width, dim], as torch's bicubic `interpolate` gives them.
    """
    maps = jnp.reshape(positions, (*table, -1))
    down, across = (_cubic_weights(old, new) for old, new in zip(table, grid, strict=True))
    return jnp.einsum("ih,jw,hwd->ijd", down, across, maps).reshape(grid[0] * grid[1], -1)


def _cubic_weights(old, new, a=-0.75):
    """What each of `old` places gives to each of `new`: float32 [new, old]."""
    center = (np.arange(new) + 0.5) * old / new - 0.5
    left = np.floor(center).astype(int)
    weights = np.zeros((new, old))
    for offset in (-1, 0, 1, 2):
        near = np.abs(center - (left + offset))
        inner = ((a + 2) * near - (a + 3)) * near**2 + 1
        outer = a * (((near - 5) * near + 8) * near - 4)
        places = np.clip(left + offset, 0, old - 1)
        np.add.at(weights, (np.arange(new), places), np.where(near <= 1, inner, outer))
    return np.float32(weights)


def vit_b16(**settings: Any) -> VisionTransformer:
    """ViT-B/16: 12 layers of 768 with 12 heads, patches of 16 pixels.

    Args:
      settings: of `VisionTransformer`, such as image=(96, 96), pooling="mean" or classes=10.
    """
    return VisionTransformer(patch=16, dim=768, layers=12, heads=12, hidden=3072, **settings)
