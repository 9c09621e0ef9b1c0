"""Image augmentation: shifts, rotations, crops, erasing, flips, color jitter, blur.

    augmentation(key, image [height, width, channels]) -> image of the same shape

Each is of one image and draws from its key, in jax.numpy, so that it runs inside a training step;
`views` maps one over a batch with a key for every image, so that splitting the batch over devices
changes nothing. Images are floats from 0 to 1, 0 is the background.

    views = augment.views(chain(shift(most=2), rotate(degrees=15)))
    first, second = (views(key, batch["image"], batch["ids"]) for key in jax.random.split(key))
"""

import functools
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.data import _windows as windows
from jaxsim.numerics import checks
from jaxsim.numerics.types import PRNGKey

# (key, image [height, width, channels]) -> image of the same shape.
Augmentation = Callable[[PRNGKey, jax.Array], jax.Array]
Result = TypeVar("Result")


def views(augmentation: Callable[..., Result]) -> Callable[..., Result]:
    """Maps an augmentation over a batch: (key, images [n, ...], ids int [n]) -> images.

    An image's view depends on the key and its id alone: not on its place in the batch, nor on how
    many devices the batch is split over. The views of `copies` give (images, shares [n]); one that takes
    a background, as `copies.paste()`, takes those of the batch after the ids, a row per image.
    """

    checks.function("augmentation", augmentation, "(key, image) -> image, such as augment.flip()")

    def of_batch(key, images, ids, *others):
        checks.key("key", key)
        images = checks.reals("images", images)
        checks.shaped("images", images, (None, None, None, None), "one row per image")
        if not jnp.issubdtype(images.dtype, jnp.floating):
            raise ValueError(
                f"images must be floating point, from 0 to 1, got {images.dtype}: divide by 255"
            )
        ids = checks.column("ids", ids, len(images), "one per image")
        for other in others:
            checks.shaped("others", other, (len(images), *np.shape(other)[1:]), "one row per image")
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, ids)
        return jax.vmap(augmentation)(keys, images, *others)

    return of_batch


def chain(*augmentations: Augmentation) -> Augmentation:
    """Applies augmentations one after the other, each with its own key."""
    for augmentation in augmentations:
        checks.function("augmentations", augmentation, "such as augment.flip()")

    def chained(key, image):
        for number, augmentation in enumerate(augmentations):
            image = augmentation(jax.random.fold_in(key, number), image)
        return image

    return chained


def sometimes(augmentation: Augmentation, *, chance: float) -> Augmentation:
    """Applies an augmentation with a probability; otherwise the image stays as it is."""
    checks.function("augmentation", augmentation, "(key, image) -> image, such as augment.flip()")
    checks.probability("chance", chance)

    def maybe(key, image):
        first, key = jax.random.split(key)
        return jnp.where(jax.random.bernoulli(first, chance), augmentation(key, image), image)

    return maybe


def shift(*, most: int) -> Augmentation:
    """Random translation by up to `most` whole pixels along each side; what comes in is background."""
    checks.whole("most", most)

    def shifted(key, image):
        wide = jnp.pad(image, [(most, most), (most, most), (0, 0)])
        start = jax.random.randint(key, (2,), 0, 2 * most + 1)
        return jax.lax.dynamic_slice(wide, (*start, 0), image.shape)

    return shifted


def rotate(*, degrees: float) -> Augmentation:
    """Random rotation around the center by up to `degrees` either way, interpolating."""
    checks.not_negative("degrees", degrees)
    checks.finite("degrees", degrees)

    def rotated(key, image):
        angle = jnp.deg2rad(jax.random.uniform(key, minval=-degrees, maxval=degrees))
        height, width = image.shape[:2]
        y, x = jnp.mgrid[:height, :width]
        y, x = y - (height - 1) / 2, x - (width - 1) / 2
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        at = [cos * y - sin * x + (height - 1) / 2, sin * y + cos * x + (width - 1) / 2]
        sample = functools.partial(
            jax.scipy.ndimage.map_coordinates, coordinates=at, order=1, mode="constant"
        )
        return jax.vmap(sample, in_axes=2, out_axes=2)(image)

    return rotated


def crop(*, area: tuple[float, float] = (0.2, 1.0), stretch: float = 4 / 3) -> Augmentation:
    """Random resized crop (Inception's): a part of random area and shape, resized to the whole.

    Args:
      area: the least and largest part of the image's area.
      stretch: how much longer one side may be than the other, relative to the image's, at least 1.
    """
    windows.checked(area, stretch)
    return lambda key, image: windows.shown(image, *windows.drawn(key, area, stretch))


def erase(*, area: float = 0.15) -> Augmentation:
    """Random erasing: a rectangle of background, of up to a part of the image's area, at a random place.

    Args:
      area: the largest part of the image.
    """
    checks.probability("area", area)

    def erased(key, image):
        first, second, third = jax.random.split(key, 3)
        part = jax.random.uniform(first, maxval=area)
        ratio = jnp.exp(jax.random.uniform(second, minval=-1.0, maxval=1.0) * jnp.log(2.0))
        size = jnp.array(image.shape[:2])
        sides = jnp.minimum(jnp.sqrt(part * jnp.stack([ratio, 1 / ratio])), 1) * size
        start = jax.random.uniform(third, (2,)) * (size - sides)
        return jnp.where(windows.inside(image.shape, start, sides)[..., None], 0, image)

    return erased


def flip() -> Augmentation:
    """Horizontal flip with probability 1/2."""

    def flipped(key, image):
        return jnp.where(jax.random.bernoulli(key), image[:, ::-1], image)

    return flipped


def colors(
    *, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4
) -> Augmentation:
    """Color jitter: brightness, contrast and saturation, each scaled by up to so much, in this order; cut to [0, 1].

    Args:
      brightness, contrast, saturation: a factor is drawn from 1 - this to 1 + this.
    """
    reach = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
    for name, value in reach.items():
        checks.probability(name, value)

    def colored(key, image):
        by = 1 + jax.random.uniform(key, (3,), minval=-1.0) * jnp.array([*reach.values()])
        image = image * by[0]
        middle = _gray(image).mean()
        image = middle + (image - middle) * by[1]
        gray = _gray(image)
        return jnp.clip(gray + (image - gray) * by[2], 0, 1)

    return colored


def grayscale(*, chance: float = 0.2) -> Augmentation:
    """Converts to grayscale with probability `chance`."""
    return sometimes(lambda key, image: jnp.broadcast_to(_gray(image), image.shape), chance=chance)


def blur(*, sigma: tuple[float, float] = (0.1, 2.0)) -> Augmentation:
    """Gaussian blur of a random width; at the border only of the pixels inside.

    Args:
      sigma: the least and largest standard deviation, in pixels.
    """
    try:
        low, high = sigma
        fits = 0 < low <= high < float("inf")
    except (TypeError, ValueError):
        fits = False
    if not fits:
        got = checks.shown(sigma)
        raise ValueError(f"sigma must be two widths in pixels, the smaller first, got {got}")

    def blurred(key, image):
        width = jax.random.uniform(key, minval=low, maxval=high)
        down, across = (_gaussian_rows(size, width) for size in image.shape[:2])
        mixed = jnp.einsum("ih,hwc->iwc", down, image, precision="highest")
        return jnp.einsum("jw,iwc->ijc", across, mixed, precision="highest").astype(image.dtype)

    return blurred


def _gaussian_rows(size, width):
    """The weights of all pixels for each: [size, size], rows sum to 1."""
    places = jnp.arange(size)
    return jax.nn.softmax(-(((places[:, None] - places) / width) ** 2) / 2, axis=1)


def _gray(image):
    """Luma [height, width, 1] of an image of three channels; the mean of any other."""
    if image.shape[-1] == 3:
        return jnp.sum(image * jnp.array([0.299, 0.587, 0.114]), axis=-1, keepdims=True)
    return image.mean(axis=-1, keepdims=True)
