"""Windows of images: a random part, what it shows, which pixels a box covers; for crops, holes and pastes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxsim.numerics import checks
from jaxsim.numerics.types import PRNGKey


def checked(area: tuple[float, float], stretch: float) -> None:
    """Refuses settings of `drawn` that are out of range."""
    parts_checked("area", area)
    checks.finite("stretch", stretch)
    if stretch < 1:
        raise ValueError(f"stretch must be at least 1, got {stretch}")


def parts_checked(name: str, parts: tuple[float, float]) -> None:
    """Refuses what is not a least and a largest part of 1."""
    try:
        low, high = parts
        fits = 0 < low <= high <= 1
    except (TypeError, ValueError):
        fits = False
    if not fits:
        got = checks.shown(parts)
        raise ValueError(f"{name} must be two parts of 1, the smaller first, got {got}")


def drawn(key: PRNGKey, area: tuple[float, float], stretch: float) -> tuple[jax.Array, jax.Array]:
    """Draws the window of a crop: (its sides [2], its first corner [2]), as parts of the image's sides."""
    first, second, third = jax.random.split(key, 3)
    part = jax.random.uniform(first, minval=area[0], maxval=area[1])
    ratio = jnp.exp(jax.random.uniform(second, minval=-1.0, maxval=1.0) * jnp.log(stretch))
    sides = jnp.minimum(jnp.sqrt(part * jnp.stack([ratio, 1 / ratio])), 1)
    return sides, jax.random.uniform(third, (2,)) * (1 - sides)


def shown(image: jax.Array, sides: jax.Array, start: jax.Array) -> jax.Array:
    """A window of an image, resized to the whole.

    Args:
      image: [height, width, channels].
      sides, start: [2] of height and width, as `drawn` gives them.

    Returns: [height, width, channels].
    """
    # Output pixel i shows input pixel (i - translation) / scale.
    scale = 1 / sides
    start = start * jnp.array(image.shape[:2])
    return jax.image.scale_and_translate(
        image, image.shape, (0, 1), scale, -start * scale, "linear", antialias=False
    )


def inside(shape: Sequence[int], start: jax.Array, sides: jax.Array) -> jax.Array:
    """Which pixels have their center in a box: bool [height, width]; start and sides are [2], in pixels."""
    y, x = jnp.mgrid[: shape[0], : shape[1]] + 0.5
    covered = (y > start[0]) & (y < start[0] + sides[0])
    return covered & (x > start[1]) & (x < start[1] + sides[1])
