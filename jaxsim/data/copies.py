"""Edited copies: views that also say what share of the content they keep, as copy detection is trained on.

    view(key, image [height, width, channels]) -> (image of the same shape, share of it from 0 to 1)

`augment.views` maps one over a batch, as it does those of `augment`, which say nothing of shares: `whole`
takes these in. `jpeg` goes through Pillow, on the host, so that copies with it are made before training.

    edited = copies.chain(copies.crop(area=(0.2, 0.7)), copies.whole(augment.flip()))
    images, shares = augment.views(edited)(key, batch["image"], batch["ids"])
    images, visible = augment.views(copies.paste())(other_key, images, batch["ids"], backgrounds)
    shares = shares * visible
"""

import io
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.data import _windows as windows, augment
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, PRNGKey

# (key, image [height, width, channels], ...) -> (image of the same shape, share float [])
View = Callable[..., tuple[jax.Array, jax.Array]]


def whole(augmentation: augment.Augmentation) -> View:
    """An augmentation that keeps all of the content, such as `augment.colors()`, as a view whose share is 1."""
    checks.function("augmentation", augmentation, "(key, image) -> image, such as augment.flip()")
    return lambda key, image: (augmentation(key, image), jnp.ones((), image.dtype))


def chain(*views: View) -> View:
    """Applies views one after the other, each with its own key; the share is the product of theirs."""
    for view in views:
        checks.function("views", view, "(key, image) -> (image, share), such as copies.crop()")

    def chained(key, image):
        share = jnp.ones((), image.dtype)
        for number, view in enumerate(views):
            image, part = view(jax.random.fold_in(key, number), image)
            share = share * part
        return image, share

    return chained


def crop(*, area: tuple[float, float] = (0.2, 1.0), stretch: float = 4 / 3) -> View:
    """Random resized crop that says its share: `augment.crop`, of the same draws, and the part of the area it shows.

    Args:
      area: the least and largest part of the image's area.
      stretch: how much longer one side may be than the other, relative to the image's, at least 1.
    """
    windows.checked(area, stretch)

    def cropped(key, image):
        sides, start = windows.drawn(key, area, stretch)
        return windows.shown(image, sides, start), sides.prod().astype(image.dtype)

    return cropped


def paste(
    *, area: tuple[float, float] = (0.3, 0.8), visible: float = 1.0
) -> Callable[[PRNGKey, Array, Array], tuple[jax.Array, jax.Array]]:
    """Pastes an image on a background: smaller, at a random place, perhaps partly beyond the edge.

    (key, image, background of the same shape) -> (image, share). The share is of the pasted image: the part
    of it that is inside, 1 where `visible` is 1. The rest of the background does not count.

    Args:
      area: the least and largest part of the background's area that the image would cover.
      visible: the least part of each of its sides that is inside, above 0.
    """
    windows.parts_checked("area", area)
    checks.positive("visible", visible)
    checks.probability("visible", visible)

    def pasted(key, image, background):
        first, second = jax.random.split(key)
        side = jnp.sqrt(jax.random.uniform(first, minval=area[0], maxval=area[1]))
        hidden = (1 - visible) * side
        low, high = -hidden, 1 - side + hidden
        start = low + (high - low) * jax.random.uniform(second, (2,))
        inside = (jnp.minimum(start + side, 1) - jnp.maximum(start, 0)) / side
        size = jnp.array(image.shape[:2])
        scale = jnp.broadcast_to(side, (2,))
        small = jax.image.scale_and_translate(
            image, image.shape, (0, 1), scale, start * size, "linear", antialias=True
        )
        covered = windows.inside(image.shape, start * size, side * size)
        share = inside.prod().astype(image.dtype)
        return jnp.where(covered[..., None], small, background), share

    return pasted


def jpeg(images: Array, quality: Array) -> np.ndarray:
    """JPEG compression and back, through Pillow, on the host, as when an image is uploaded.

    Args:
      images: float [n, height, width, 1 or 3], from 0 to 1; cut to that.
      quality: int [n] or one for all, from 1 to 95.

    Returns: float32, of the images' shape.
    Raises: ValueError for other shapes, other qualities, and images that are not finite floats.
    """
    from PIL import Image

    images = checks.host_reals("images", images)
    checks.shaped("images", images, (None, None, None, None), "one row per image")
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels, got {images.shape[-1]}")
    if images.dtype.kind != "f":
        raise ValueError(
            f"images must be floating point, from 0 to 1, got {images.dtype}: divide by 255"
        )
    checks.finite_rows("images", images)
    quality = checks.one_array("quality", quality)
    checks.integers("quality", quality)
    checks.within("quality", quality, 1, 95)
    if quality.ndim:
        checks.shaped("quality", quality, images.shape[:1], "one per image")
    pixels = np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)
    pixels = pixels[..., 0] if images.shape[-1] == 1 else pixels
    decoded = np.empty_like(pixels)
    qualities = np.broadcast_to(quality, len(pixels)).tolist()
    for place, (picture, value) in enumerate(zip(pixels, qualities, strict=True)):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=value)
        decoded[place] = np.asarray(Image.open(file))
    return decoded.reshape(images.shape) / np.float32(255)


def content_pairs(key: PRNGKey, content: Array, *, draws: int = 5) -> tuple[jax.Array, jax.Array]:
    """Pairs of views by content (ASL's released sampler): two of each group, of which one keeps more.

    Drawn with replacement, and again while their contents are equal, `draws` times at most; then the pair
    is a view twice, whose norm ratio is 1, without a gradient. `losses.grouped_norm_ratio` needs no draws.

    Args:
      key: of the draws.
      content: float [groups, views], how much of the image each view keeps.
      draws: of a pair, at most.

    Returns: (the fuller view's place int32 [groups], the other's); places are from 0 to views - 1.
    Source: Wang et al. 2023 (2205.12358), the training of its released code.
    """
    checks.key("key", key)
    checks.whole("draws", draws)
    content = checks.reals("content", content)
    checks.shaped("content", content, (None, None), "groups, views")
    groups, views = content.shape
    pairs = jax.random.randint(key, (draws, groups, 2), 0, views, jnp.int32)
    of_pairs = jnp.take_along_axis(content[None], pairs, axis=2)
    differ = of_pairs[..., 0] != of_pairs[..., 1]
    chosen = jnp.argmax(differ, axis=0)[None, :, None]  # the first that differs, else draw 0
    pair = jnp.take_along_axis(pairs, chosen, axis=0)[0]
    values = jnp.take_along_axis(of_pairs, chosen, axis=0)[0]
    larger = jnp.where(values[:, 0] >= values[:, 1], pair[:, 0], pair[:, 1])
    smaller = jnp.where(values[:, 0] >= values[:, 1], pair[:, 1], pair[:, 0])
    return larger, jnp.where(differ.any(axis=0), smaller, larger)
