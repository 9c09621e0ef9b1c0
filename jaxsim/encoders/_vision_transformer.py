"""Vision transformers (ViT): images as patches, through the layers that texts go through."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxsim.encoders._convolutional import with_states
from jaxsim.encoders._layers import Block, Style, layer_norm
from jaxsim.encoders._positions import View
from jaxsim.numerics import checks, compute_dtype
from jaxsim.numerics.types import Array

STYLE = Style(normalize=layer_norm(1e-6))


class VisionTransformer(nn.Module):
    """Vision transformer (ViT): patches with learned positions, layers with their norms first, pooling; perhaps a head.

    images float [rows, height, width, channels] -> float32 [rows, dim], not normalized; with `classes`
    logits float32 [rows, classes]

    Pooling "cls": the class token's state after the final norm. "mean": the mean of the patches' states,
    then the final norm, as timm has it. `vit_b16()` gives ViT-B/16.

    Source: Dosovitskiy et al. 2020 (2010.11929); torchvision's and timm's layouts.
    """

    image: tuple[int, int] = (224, 224)  # height and width, in pixels
    patch: int = 16  # side of a patch, in pixels; divides both
    dim: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072  # width of the feed-forward part
    pooling: str = "cls"  # "cls" or "mean"
    class_token: bool = True  # a learned token before the patches; "mean" may do without
    classes: int | None = None  # of a linear head; None gives the pooled states
    dropout: float = 0.0
    initial: float = 0.02  # standard deviation of the weights at the start
    # Of the arithmetic, None is `numerics.compute_dtype()`; parameters, norms, softmax and head are float32.
    dtype: jnp.dtype | None = None
    style: Style = STYLE
    cudnn: bool = True  # attention through cuDNN on a card that has it; False is XLA's everywhere

    @nn.compact
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
        dtype: Any = compute_dtype() if self.dtype is None else self.dtype
        x = nn.Dropout(self.dropout)(self._embedded(images, dtype), deterministic=deterministic)
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
        first = int(self.class_token)
        pooled = x[:, 0] if self.pooling == "cls" else x[:, first:].mean(axis=1, dtype=jnp.float32)
        seen = self.style.normalize(dtype=jnp.float32, name="norm")(pooled)
        out = seen
        if self.classes is not None:
            out = nn.Dense(self.classes, kernel_init=nn.initializers.zeros_init(), name="head")(
                seen
            )
        return with_states(out, seen, states, features, maps)

    def _embedded(self, images, dtype):
        """Patches, the class token and positions: [rows, tokens, dim]."""
        side = (self.patch, self.patch)
        patches: Any = nn.Conv(self.dim, side, side, padding="VALID", dtype=dtype, name="patches")
        x = patches(images)
        x = x.reshape(len(x), -1, self.dim).astype(jnp.float32)
        small = nn.initializers.normal(self.initial)
        if self.class_token:
            token = self.param("class_token", small, (self.dim,), jnp.float32)
            first = jnp.broadcast_to(token.astype(x.dtype), (len(x), 1, self.dim))
            x = jnp.concatenate([first, x], axis=1)
        return x + self.param("positions", small, x.shape[1:], jnp.float32)

    def _check(self, images):
        checks.one_of("pooling", self.pooling, ("cls", "mean"))
        if self.pooling == "cls" and not self.class_token:
            raise ValueError('class_token must be True with pooling="cls", got False')
        for name in ("patch", "dim", "heads", "hidden"):
            checks.whole(name, getattr(self, name))
        if self.classes is not None:
            checks.whole("classes", self.classes)
        if any(side % self.patch for side in self.image):
            raise ValueError(f"patch must divide image={self.image}, got {self.patch}")
        wanted = "rows, height, width, channels, of the size that the positions are for"
        checks.shaped("images", images, (None, *self.image, None), wanted)


def vit_b16(**settings: Any) -> VisionTransformer:
    """ViT-B/16: 12 layers of 768 with 12 heads, patches of 16 pixels.

    Args:
      settings: of `VisionTransformer`, such as image=(96, 96), pooling="mean" or classes=10.
    """
    return VisionTransformer(patch=16, dim=768, layers=12, heads=12, hidden=3072, **settings)
